#!/bin/bash
# Checks the sources: format, includes, tidy; by default all. Tidy reads the compile
# commands of a configured build folder, build/release or SLUICE_BUILD_FOLDER.
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

# One process a file and two at a time; the file's name stands before what it says.
tidy() {
  [ -f "$commands/compile_commands.json" ] || {
    echo "check.sh: no $commands/compile_commands.json; run make build first" >&2
    return 1
  }
  # shellcheck disable=SC2016
  sources '*.cpp' | xargs -P 2 -I FILE bash -c '
    said=$(clang-tidy-14 --quiet -p "$0" FILE 2>&1) || {
      printf "%s\n%s\n" "clang-tidy: FILE" "$said"
      exit 1
    }' "$commands"
}

commands=${SLUICE_BUILD_FOLDER:-build/release}

for check in "${@:-format includes tidy}"; do
  # Unquoted on purpose: the default is three words.
  for name in $check; do
    case "$name" in
      format | includes | tidy) ;;
      *) echo "check.sh: unknown check '$name'; known: format, includes, tidy" >&2; exit 2 ;;
    esac
    echo "check: $name"
    "$name" || { echo "check failed: $name" >&2; exit 1; }
  done
done
