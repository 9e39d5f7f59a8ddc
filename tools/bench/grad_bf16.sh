#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Trains with gradients in float32 and in bf16 from the same seeds and compares the accuracies. The float
# stage of a seed is the same in both, so the pairs differ by QAT alone.
# usage: tools/bench/grad_bf16.sh [--quick] [--seeds N] [--threads N] [--build DIR] [--data DIR]
set -euo pipefail
cd "$(dirname "$0")/../.."
seeds=5 threads=2 build=build/release data=/usr/share/datasets/fashion-mnist
sizes=(--float-epochs 4 --epochs 4)
while [ $# -gt 0 ]; do
  case $1 in
    --quick) sizes=(--float-epochs 2 --epochs 2 --limit 10000 --test-limit 5000); shift ;;
    --seeds) seeds=$2; shift 2 ;;
    --threads) threads=$2; shift 2 ;;
    --build) build=$2; shift 2 ;;
    --data) data=$2; shift 2 ;;
    *) echo "grad_bf16.sh: unknown option $1" >&2; exit 2 ;;
  esac
done
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for ((seed = 1; seed <= seeds; ++seed)); do
  for grad in float32 bf16; do
    "$build/bin/facsim" --seed "$seed" -j "$threads" --progress never --format json qat --profile tflite-micro \
      --network configs/networks/fashion_cnn.json --data "$data" --output "$out/$seed-$grad" --grad "$grad" \
      "${sizes[@]}" > "$out/$seed-$grad.json" 2> "$out/log" || { cat "$out/log" >&2; exit 1; }
    awk -v seed="$seed" -v grad="$grad" -F'[:,]' '
      /"float_accuracy"/ { f = $2 } /"qat_accuracy"/ { q = $2 }
      END { print seed, grad, 100 * f, 100 * q }' "$out/$seed-$grad.json"
  done
done | awk '
  BEGIN { printf "%4s %10s %12s %12s %12s\n", "seed", "float %", "QAT %", "bf16 QAT %", "difference" }
  $2 == "float32" { f = $3; q = $4 }
  $2 == "bf16" { d = $4 - q; printf "%4d %10.2f %12.2f %12.2f %+12.2f\n", $1, f, q, $4, d
    ++n; a += q; b += $4; s += d; s2 += d * d }
  END { mean = s / n; spread = n > 1 ? sqrt((s2 - n * mean * mean) / (n - 1) / n) : 0
    printf "%4s %10s %12.3f %12.3f %+12.3f +- %.3f (standard error)\n", "mean", "", a / n, b / n, mean, spread }'
