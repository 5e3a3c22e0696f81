#!/bin/bash
# Configures and builds one preset of CMakePresets.json: release, debug, asan, tsan;
# all of it, or the targets named behind it.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
targets=("${@:2}")

# One cache for every checkout of the sources, wherever it lies.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

options=()
command -v ccache > /dev/null && options+=(-D CMAKE_CXX_COMPILER_LAUNCHER=ccache)

# ThreadSanitizer of GCC 12 cannot start with as many random address bits as newer
# kernels use, and the build runs each test program once to list its tests.
run=()
if [ "$preset" = tsan ] && setarch -R true 2> /dev/null; then run=(setarch -R); fi

cmake --preset "$preset" "${options[@]}"
"${run[@]}" cmake --build --preset "$preset" --parallel "$(nproc)" \
  ${targets[@]:+--target "${targets[@]}"}
