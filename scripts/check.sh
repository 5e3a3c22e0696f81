#!/bin/bash
# Checks the sources: format, includes, units, tidy, tidy_tools; by default all.
set -euo pipefail
cd "$(dirname "$0")/.."

folders=()
for folder in gateway filters tests bench; do
  [ -d "$folder" ] && folders+=("$folder")
done

sources() { find "${folders[@]}" -name "$1" | sort; }

format() {
  { sources '*.cpp'; sources '*.h'; } | xargs -I FILE bash -c '
    clang-format-14 --dry-run -Werror FILE 2> /dev/null || {
      echo "not in form: FILE; run clang-format-14 -i FILE"
      exit 1
    }'
}

includes() { python3 tests/check_includes.py; }

# The units are well-formed, and the service exposed to less than 2.0 of 10.
units() {
  command -v systemd-analyze > /dev/null || {
    echo "no systemd-analyze here: conf/sluice.service and conf/sluice.socket are not checked"
    return 0
  }
  # `verify` wants the program to be there; where it will be is not its business here.
  local folder
  folder=$(mktemp -d)
  sed "s|^\(Exec[A-Za-z]*=\)[^ ]*|\1/bin/true|" conf/sluice.service > "$folder/sluice.service"
  cp conf/sluice.socket "$folder/"
  local said right=0
  said=$(systemd-analyze verify --man=no "$folder/sluice.service" "$folder/sluice.socket" 2>&1) ||
    right=1
  rm -r "$folder"
  if [ -n "$said" ]; then
    echo "$said"
    right=1
  fi
  said=$(systemd-analyze security --no-pager --offline=true --threshold=20 conf/sluice.service 2>&1) || {
    echo "$said"
    right=1
  }
  return "$right"
}

# Two processes at a time, each reading the files of a folder as one (the preset's unity build):
# most of the time goes into the headers. What one says stands behind its name. The paths of
# what is to be read come from stdin.
read_with_tidy() {
  # shellcheck disable=SC2016
  CHECKS=-bugprone-suspicious-include${1:-} xargs -P 2 -I FILE bash -c '
    said=$(clang-tidy-14 --quiet --checks="$CHECKS" \
      --extra-arg=-Wno-unknown-warning-option -p build/tidy FILE 2>&1) || {
      printf "%s\n%s\n" "clang-tidy: FILE" "$said"
      exit 1
    }'
}

tidied_files() {
  cmake --preset tidy > build/tidy.log 2>&1 || {
    cat build/tidy.log >&2
    return 1
  }
  sed -n 's/^ *"file": "\(.*\)",*$/\1/p' build/tidy/compile_commands.json | sort -u
}

tidy() {
  tidied_files | grep -v '/bench/\|/sluice_soak\.dir/\|/sluice_with_faults\.dir/' | read_with_tidy
}

# What is run by hand, and a program for tests that is made of the gateway's files. One check
# went into CLI11's templates for long, and is left out.
tidy_tools() {
  tidied_files | grep '/bench/\|/sluice_soak\.dir/\|/sluice_with_faults\.dir/' |
    read_with_tidy ,-performance-unnecessary-value-param
}

for check in "${@:-format includes units tidy tidy_tools}"; do
  # Unquoted on purpose: the default is five words.
  for name in $check; do
    case "$name" in
      format | includes | units | tidy | tidy_tools) ;;
      *) echo "check.sh: unknown check '$name'; known: format, includes, units, tidy, tidy_tools" >&2; exit 2 ;;
    esac
    echo "check: $name"
    "$name" || { echo "check failed: $name" >&2; exit 1; }
  done
done
