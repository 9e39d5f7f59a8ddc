#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the runtimes that exported networks are compared with, from the npm registry, into
# build/runtimes (about 420 MB), and beside them the programs that run a network in them.
# usage: tools/runtimes/install.sh [FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(realpath -m "${1:-$here/../../build/runtimes}")
for command in node npm; do
  command -v "$command" > /dev/null || { echo "install.sh: no $command: install nodejs and npm" >&2; exit 4; }
done
mkdir -p "$folder"
if ! cmp -s "$here/package.json" "$folder/package.json" || [ ! -e "$folder/node_modules/.package-lock.json" ]; then
  cp "$here/package.json" "$folder/package.json"
  # The runtimes are in the packages themselves; their install scripts would only fetch variants for GPUs.
  # tfjs-tflite is used through its WebAssembly module alone, without TensorFlow.js.
  (cd "$folder" && npm install --ignore-scripts --legacy-peer-deps --no-audit --no-fund --loglevel=error) ||
    { rm -f "$folder/package.json"; echo "install.sh: npm could not install the runtimes" >&2; exit 1; }
fi
cp "$here"/*.mjs "$folder/"
echo "$folder"
