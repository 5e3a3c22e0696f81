#!/bin/bash
# Runs the tests of one built preset: release, debug, asan, tsan.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}

export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}

run=()
if [ "$preset" = tsan ] && setarch -R true 2> /dev/null; then run=(setarch -R); fi

"${run[@]}" ctest --preset "$preset" --parallel 2
