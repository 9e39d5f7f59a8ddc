#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds facsim and runs its tests. On a bare Debian 12 machine it installs what it needs first.
# usage: tools/test.sh [--asan] [--dev] [-L LABEL_REGEX]     (default: release build, every label)
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/setup.sh
source tools/setup.sh
facsim_setup packages.txt packages-test.txt

preset=release
labels=()
while (($#)); do
  case "$1" in
    --asan) preset=asan; labels=(-L unit) ;;
    --dev) preset=dev; labels=(-L 'unit|lint') ;;
    -L) labels=(-L "$2"); shift ;;
    -h|--help) sed -n '3,4p' "$0"; exit 0 ;;
    *) echo "tools/test.sh: unknown option $1" >&2; exit 2 ;;
  esac
  shift
done

cmake --preset "$preset"
cmake --build --preset "$preset"
for name in VECTORS SCALAR QAT MODELS; do
  var=FACSIM_${name}_DIR
  [ -n "${!var:-}" ] || echo "note: $var is not set; the goldens that read it are skipped"
done
ctest --test-dir "build/$preset" --output-on-failure -j "$(nproc)" "${labels[@]}"
