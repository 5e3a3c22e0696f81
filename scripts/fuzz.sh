#!/bin/bash
# Runs fuzz targets, each for a time, on what they have seen before and on fresh seeds.
#
#   scripts/fuzz.sh [TARGET...]     default: all
#
# SLUICE_FUZZ_SECONDS  for each target, default 60; 0: seeds, corpus and kept findings only
#
# What a target has seen stays in build/fuzz/corpus. A finding is made as small as can be
# and left in build/fuzz/findings; the exit status is then 1. CONTRIBUTING.md says how to
# keep one. Needs the `fuzz` list of install_packages.sh and a build of the preset `asan`.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${SLUICE_FUZZ_SECONDS:-60}
programs=build/asan/tests/fuzz
kept=tests/fuzz/regressions
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

known=()
for program in "$programs"/fuzz_*; do
  [ -x "$program" ] && [ -f "$program" ] && [[ $program != *_test ]] && known+=("${program##*/fuzz_}")
done
[ ${#known[@]} -gt 0 ] || { echo "fuzz.sh: nothing built; run scripts/build.sh asan fuzz" >&2; exit 2; }
for target in "$@"; do
  [[ " ${known[*]} " == *" $target "* ]] || {
    echo "fuzz.sh: unknown target '$target'; known: ${known[*]}" >&2
    exit 2
  }
done

dictionary() {
  case "$1" in
    configuration) echo configuration ;;
    scanner | patch | filters) echo data_set ;;
    *) echo network ;;
  esac
}

# Options that every run of a target has.
options() {
  echo -max_len=16384 -timeout=20 -rss_limit_mb=2048 -verbosity=0 \
    "-dict=tests/fuzz/dictionaries/$(dictionary "$1").dict"
}

minimise() {
  local target=$1 finding=$2 small=$2.small
  # shellcheck disable=SC2046
  "$programs/fuzz_$target" $(options "$target") -minimize_crash=1 -max_total_time=60 \
    "-exact_artifact_path=$small" "$finding" > "$finding.log" 2>&1 || true
  [ -s "$small" ] || cp "$finding" "$small"
  echo "fuzz.sh: $target: a finding of $(stat -c %s "$small") bytes"
  echo "  see it:  $programs/fuzz_$target $small"
  echo "  keep it: mkdir -p $kept/$target && cp $small $kept/$target/WHAT_WAS_WRONG"
}

fuzz() {
  local target=$1 log
  local corpus=build/fuzz/corpus/$target findings=build/fuzz/findings/$target
  mkdir -p "$corpus" "$findings"
  log=$findings/log
  local folders=("$corpus" "build/fuzz/seeds/$target")
  [ -d "$kept/$target" ] && folders+=("$kept/$target")
  local time=("-max_total_time=$seconds")
  [ "$seconds" -eq 0 ] && time=(-runs=0)
  # shellcheck disable=SC2046
  if "$programs/fuzz_$target" $(options "$target") "${time[@]}" -print_final_stats=1 \
      "-artifact_prefix=$findings/" "${folders[@]}" > "$log" 2>&1; then
    echo "fuzz.sh: $target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs, nothing found"
    return 0
  fi
  grep -E 'what\(\)|runtime error|ERROR: |SUMMARY' "$log" || tail -n 20 "$log"
  local finding
  finding=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
  if [ -n "$finding" ]; then minimise "$target" "$finding"; fi
  echo "fuzz.sh: $target: FAILED, see $log"
  return 1
}

rm -rf build/fuzz/seeds
"$programs/make_fuzz_seeds" build/fuzz/seeds conf
failed=0
[ $# -gt 0 ] || set -- "${known[@]}"
for target in "$@"; do
  fuzz "$target" || failed=1
done
exit "$failed"
