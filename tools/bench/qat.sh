#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One training step of fashion_cnn: facsim in float, through the simulator and fake-quantized, beside
# PyTorch's float and QAT steps when python3-torch is installed. Both sides take turns in one session.
# usage: tools/bench/qat.sh [BATCH] [SESSIONS] [BUILD_DIR]
set -euo pipefail
cd "$(dirname "$0")/../.."
batch=${1:-64} sessions=${2:-3} build=${3:-build/release}
bench=$build/bin/bench_qat
python=
for candidate in python3 /usr/bin/python3; do
  if "$candidate" -c 'import torch' 2> /dev/null; then python=$candidate; break; fi
done
[ -n "$python" ] || echo "note: python3-torch is not installed; facsim's own figures only" >&2

for threads in 1 2; do
  for ((session = 0; session < sessions; ++session)); do
    "$bench" --batch "$batch" --threads "$threads" --rounds 15
    if [ -n "$python" ]; then
      "$python" -W ignore tools/bench/torch_step.py --batch "$batch" --threads "$threads" --rounds 15
    fi
  done
done | awk '
  # name threads batch median min, several times: the median of the medians, the least of the minima.
  { key = $1 " " $2; if (!(key in n)) order[++keys] = key
    medians[key, ++n[key]] = $4; if (!(key in least) || $5 < least[key]) least[key] = $5 }
  function median(key,   i, j, t) {
    for (i = 1; i <= n[key]; ++i)
      for (j = i + 1; j <= n[key]; ++j)
        if (medians[key, j] < medians[key, i]) {
          t = medians[key, i]; medians[key, i] = medians[key, j]; medians[key, j] = t }
    return medians[key, int((n[key] + 1) / 2)]
  }
  function ratio(a, b, what) {
    if (a in m && b in m) printf "%-58s %5.2f (median) %5.2f (minimum)\n", what, m[a] / m[b], least[a] / least[b]
  }
  END {
    printf "%-28s %7s %12s %12s\n", "step", "threads", "median ms", "minimum ms"
    for (k = 1; k <= keys; ++k) {
      split(order[k], part, " "); m[order[k]] = median(order[k])
      printf "%-28s %7d %12.2f %12.2f\n", part[1], part[2], m[order[k]], least[order[k]]
    }
    print ""
    for (t = 1; t <= 2; ++t) {
      torch = "torch-float " t; last = "torch-float-channels-last " t
      if (last in m && m[last] < m[torch]) torch = last
      ratio("facsim-qat-simulate " t, "facsim-float " t, "QAT through the simulator / our float, " t " threads")
      ratio("facsim-qat-simulate " t, torch, "QAT through the simulator / PyTorch float, " t " threads")
      ratio("facsim-float " t, torch, "our float / PyTorch float, " t " threads")
      ratio("torch-qat " t, torch, "PyTorch QAT / PyTorch float, " t " threads")
    }
  }'
