#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Branch coverage of sim/rounding, sim/overflow and sim/requantize by their own unit tests; fails under
# 100 %. A small build of its own: only these folders, sim/core and these tests.
# usage: tools/coverage.sh [BUILD_FOLDER]     (default: build/coverage)
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
build=${1:-build/coverage}
mkdir -p "$build"
cd "$build"
rm -f ./*.gcda ./*.gcno ./*.o

# -fno-threadsafe-statics: no branches for the race about a static's first use.
flags=(-std=c++20 -O0 -g1 -DNDEBUG --coverage -fprofile-abs-path -fno-threadsafe-statics -ffp-contract=off
  -I"$root")
sources=("$root"/sim/core/*.cc "$root"/sim/{rounding,overflow,requantize}/*.cc
  "$root"/tests/sim/{rounding,overflow,requantize}/*_test.cc "$root"/tests/main.cc)

compile() {
  local object=${1#"$ROOT"/}
  # shellcheck disable=SC2086
  g++ $FLAGS -c "$1" -o "${object//\//__}.o"
}
export -f compile
export ROOT=$root FLAGS="${flags[*]}"
printf '%s\n' "${sources[@]}" | grep -v scalar_tables_test |
  xargs -P "$(nproc)" -I{} bash -c 'set -e; compile {}'
objects=()
for source in "${sources[@]}"; do
  [[ $source == *scalar_tables_test* ]] && continue
  object=${source#"$root"/}
  objects+=("${object//\//__}.o")
done
g++ --coverage -o numeric_tests "${objects[@]}" -lfmt -lpthread
./numeric_tests --minimal
gcov --all-blocks --branch-probabilities --branch-counts --stdout ./*.gcda 2> /dev/null |
  python3 "$root/tools/branch_coverage.py" "$root" sim/rounding sim/overflow sim/requantize
