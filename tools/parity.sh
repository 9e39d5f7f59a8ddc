#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Rewrites configs/parity.json and configs/PARITY.md: every recorded case and every live layer that the tests
# compare, by profile and op. Needs the recorded data (FACSIM_VECTORS_DIR, FACSIM_SCALAR_DIR, FACSIM_MODELS_DIR)
# and a build; peers that are not installed keep no rows.
# usage: tools/parity.sh [BUILD_FOLDER]     (default: build/release)
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
for name in VECTORS SCALAR MODELS; do
  var=FACSIM_${name}_DIR
  [ -d "${!var:-}" ] || { echo "tools/parity.sh: $var is not a folder" >&2; exit 2; }
done

cmake --build "$build"
cmake --build "$build" --target facsim_parity_page
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Exit code 1 says that cases failed, 4 that some are not computed: both belong on the page.
status=0
"$build/bin/facsim" vectors check "$FACSIM_VECTORS_DIR" --format json > "$work/vectors.json" || status=$?
[ "$status" -eq 0 ] || [ "$status" -eq 1 ] || [ "$status" -eq 4 ] || exit "$status"
ctest --test-dir "$build" -L 'goldens|parity' -V > "$work/tests.log" || status=1
"$build/tests/backends/facsim_parity_page" "$work/vectors.json" "$work/tests.log" configs
[ "$status" -ne 1 ] || { echo "tools/parity.sh: some tests failed; see their rows" >&2; exit 1; }
