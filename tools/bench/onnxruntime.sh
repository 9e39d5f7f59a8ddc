#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Networks of `facsim bench nets --activation uint8` beside ONNX Runtime (npm, tools/runtimes) on the same networks as
# QLinear ONNX: in turns A B A B, the minimum of all rounds of each, 1 and 2 threads. (ONNX Runtime's is a minimum of
# single runs, ours of samples of several: that favours ONNX Runtime.) Equal outputs are what verify_runtimes.sh checks.
# usage: tools/bench/onnxruntime.sh [--facsim FILE] [--rounds N] [--only SUBSTRING]
set -euo pipefail
cd "$(dirname "$0")/../.."
facsim=build/release/bin/facsim rounds=5 only=''
while (($#)); do
  case "$1" in
    --facsim) facsim=$(realpath "$2"); shift ;;
    --rounds) rounds=$2; shift ;;
    --only) only=$2; shift ;;
    *) sed -n '/^# usage/s/^# //p' "$0" >&2; exit 2 ;;
  esac
  shift
done
FACSIM_RUNTIMES=$(tools/runtimes/install.sh | tail -n 1)
export FACSIM_RUNTIMES
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$facsim" bench nets --write-onnx "$folder" ${only:+--only "$only"}

printf '%-22s%-9s%-12s%-14s%s\n' network threads "facsim ms" "ONNX Runtime" "ratio of minima"
for model in "$folder"/*.onnx; do
  net=$(basename "$model" .onnx)
  for threads in 1 2; do
    ours=() theirs=()
    for ((round = 0; round < rounds; ++round)); do
      ours+=("$("$facsim" bench nets --activation uint8 --only "$net" -j "$threads" --format json |
        node -p "JSON.parse(fs.readFileSync(0)).nets.filter(n => n.profile === 'onnxruntime-cpu')[0].minimum_ns")")
      theirs+=("$(node tools/runtimes/time_onnx.mjs "$model" --threads "$threads" --seconds 1 |
        node -p "JSON.parse(fs.readFileSync(0)).minimum_ns")")
    done
    node -e "
      const [a, b] = ['${ours[*]}', '${theirs[*]}'].map((list) => Math.min(...list.split(' ').map(Number)) / 1e6);
      console.log('$net'.padEnd(22) + '$threads'.padEnd(9) + a.toFixed(2).padEnd(12) + b.toFixed(2).padEnd(14) + (a / b).toFixed(2));"
  done
done
