"""PNG charts of a benchmark, by gnuplot."""

import subprocess

from targets import RATE

COLOURS = {"direct": "#999999", "haproxy": "#555555", "sluice-safe": "#0b6e4f",
           "sluice-stored": "#48a97f", "sluice-delivered": "#a4d8bd", "storescp": "#d98c2b",
           "storescp-alone": "#f0c58a", "orthanc": "#8e5aa8", "p50": "#48a97f", "p99": "#d9492b"}  # fmt: skip
LOADS = ["ct1", "ct4", "ct16", "mr1", "mr8", "mr32"]
WORDS = {"ct1": "CT, 1", "ct4": "CT, 4", "ct16": "CT, 16", "mr1": "MR, 1", "mr8": "MR, 8",
         "mr32": "MR, 32"}  # fmt: skip
GATEWAYS = ["haproxy", "sluice-safe", "sluice-stored", "sluice-delivered", "storescp", "orthanc"]


def gnuplot(path, height, script):
    head = (f'set terminal pngcairo size 1000,{height} font "DejaVu Sans,11" background "white"\n'
            f'set output "{path}"\nset border 3 lc rgb "#444444"\nset tics nomirror out\n'
            'set grid ytics lc rgb "#dddddd" lw 1\n')  # fmt: skip
    subprocess.run(["gnuplot"], input=head + script, text=True, check=True)


def bars(path, title, label, groups, series, value, log=True):
    """A group of bars for each of `groups`, in it one for each of `series`: value(group, one)."""
    series = [one for one in series if any(value(group, one) for group in groups)]
    values = [value(group, one) for group in groups for one in series if value(group, one)]
    # The least bar has a length too.
    least, highest = min(values), max(values)
    script = [f'set title "{title}"', f'set ylabel "{label}"', "set style data histogram",
              "set style histogram clustered gap 1", "set style fill solid border rgb 'white'",
              "set boxwidth 0.95", "set key tmargin center horizontal", "set bmargin 3.5",
              "set xtics scale 0 font ',9'", f"set xrange [-0.7:{len(groups) - 0.3}]", 'set format y "%g"']  # fmt: skip
    if log:
        script += ["set logscale y", f"set yrange [{least / 3}:{highest * 3}]"]
    else:
        script += [f"set yrange [0:{highest * 1.15}]"]
    lines = ["$d << EOD"]
    for group in groups:
        cells = [f'"{WORDS.get(group, group)}"']
        cells += [f"{value(group, one):.6g}" if value(group, one) else "NaN" for one in series]
        lines.append(" ".join(cells))
    lines.append("EOD")
    plots, step = [], 1 / (len(series) + 1)
    for n, one in enumerate(series):
        plots.append(f'$d using {n + 2}:xtic(1) title "{one}" lc rgb "{COLOURS.get(one, "#336699")}"')
        at = (n - (len(series) - 1) / 2) * step
        plots.append(f"$d using ($0+{at:.4f}):{n + 2}:(short(${n + 2})) with labels font ',8' "
                     "rotate by 90 left offset 0,0.4 notitle")  # fmt: skip
    short = ('short(x) = x != x ? "" : x >= 1000 ? sprintf("%.1fk", x/1000.0) : '
             'x >= 10 ? sprintf("%.0f", x) : sprintf("%.2g", x)')  # fmt: skip
    gnuplot(path, 480, "\n".join([*script, short, *lines, "plot " + ", \\\n  ".join(plots)]) + "\n")


def there(runs, names):
    return [name for name in names if any(run["case"] == name for run in runs.good)]


def draw_rates(runs, path):
    groups = there(runs, LOADS)
    if not groups:
        return False
    bars(path, "Instances acknowledged a second, by image and associations", "instances/s (log)",
         groups, ["direct", *GATEWAYS], lambda case, name: runs.median(case, name, RATE))  # fmt: skip
    return True


def draw_cpu(runs, path):
    groups = [case for case in there(runs, LOADS) if case.startswith("ct")]
    if not groups:
        return False
    bars(path, "CPU of the gateway, all of its processes", "CPU seconds per GB (log)", groups, GATEWAYS,
         lambda case, name: runs.median(case, name, "cpu_seconds_per_gigabyte"))  # fmt: skip
    return True


def draw_latencies(runs, path):
    found = [(case, name) for case in ("latency-ct", "latency-mr") for name in ["direct", *GATEWAYS]
             if runs.of(case, name)]  # fmt: skip
    if not found:
        return False
    groups = [f"{name.removeprefix('sluice-')}\\n{case[-2:].upper()}" for case, name in found]
    where = dict(zip(groups, found))
    bars(path, "Time to the answer at 80 % of the most that it takes", "ms (log)", groups,
         ["p50", "p99"], lambda group, one: runs.median(*where[group], "latency_ms", one))  # fmt: skip
    return True


def draw_backlog(runs, path):
    found = [(name, runs.of("backlog", name)[0]["waiting"])
             for name in ("sluice-safe", "sluice-stored") if runs.of("backlog", name)]  # fmt: skip
    if not found:
        return False
    script = ['set title "Waiting while the PACS is dead, and when it is back"',
              'set xlabel "seconds"', 'set ylabel "instances that wait"', "set yrange [0:*]",
              "set xrange [0:*]", "set key top right", 'set format y "%.0f"']  # fmt: skip
    plots = []
    for n, (name, points) in enumerate(found):
        script += [f"$d{n} << EOD", "0 0", *(f"{at} {count}" for at, count in points), "EOD"]
        plots.append(f'$d{n} with lines lw 2.5 lc rgb "{COLOURS[name]}" title "{name}"')
    gnuplot(path, 400, "\n".join([*script, "plot " + ", ".join(plots)]) + "\n")
    return True


CHARTS = {
    "rates": ("instances a second", draw_rates),
    "cpu": ("CPU seconds per GB", draw_cpu),
    "latency": ("time to the answer at 80 % load", draw_latencies),
    "backlog": ("a backlog behind a dead PACS, and its draining", draw_backlog),
}


def draw(runs, folder):
    """(name, what it shows) of each that there is something for; one without is removed."""
    folder.mkdir(exist_ok=True)
    drawn = []
    for name, (about, draw_it) in CHARTS.items():
        path = folder / f"{name}.png"
        path.unlink(missing_ok=True)
        if draw_it(runs, path):
            drawn.append((name, about))
    return drawn
