#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One training step of float networks: facsim in float, through the simulator (gradients in float32 and
# bf16) and fake-quantized, beside PyTorch's float and QAT steps when python3-torch is installed. Each
# is a process of its own, as training is, and they take turns; ratios are of medians and of minima.
# usage: tools/bench/qat.sh [--network NAME[:BATCH]]... [--sessions N] [--rounds N] [--build DIR]
#                         [--threads "1 2"] [--clock wall|cpu]
#   --clock cpu: the process's own time, for one thread on a machine that others use too.
#   NAME: of configs/networks, or a file. Default: fashion_cnn:64 cifar_cnn:64 resnet18_cifar:32.
set -euo pipefail
cd "$(dirname "$0")/../.."
networks=() sessions=3 rounds=10 build=build/release thread_counts="1 2" clock=wall
while [ $# -gt 1 ]; do
  case $1 in
    --network) networks+=("$2") ;;
    --sessions) sessions=$2 ;;
    --rounds) rounds=$2 ;;
    --build) build=$2 ;;
    --threads) thread_counts=$2 ;;
    --clock) clock=$2 ;;
    *) echo "qat.sh: unknown option $1" >&2; exit 2 ;;
  esac
  shift 2
done
[ $# -eq 0 ] || { echo "qat.sh: $1 needs a value" >&2; exit 2; }
[ ${#networks[@]} -gt 0 ] || networks=(fashion_cnn:64 cifar_cnn:64 resnet18_cifar:32)
bench=$build/bin/bench_qat
python=
for candidate in python3 /usr/bin/python3; do
  if "$candidate" -c 'import torch' 2> /dev/null; then python=$candidate; break; fi
done
[ -n "$python" ] || echo "note: python3-torch is not installed; facsim's own figures only" >&2

for entry in "${networks[@]}"; do
  name=${entry%%:*} batch=64
  [ "$name" = "$entry" ] || batch=${entry##*:}
  file=$name
  [ -f "$file" ] || file=configs/networks/$name.json
  for threads in $thread_counts; do
    for ((session = 0; session < sessions; ++session)); do
      step=(--network "$file" --batch "$batch" --threads "$threads" --rounds "$rounds" --clock "$clock")
      for variant in float qat-simulate qat-bf16 qat-fake-quantize; do
        "$bench" "${step[@]}" --only "facsim-$variant"
      done
      [ -n "$python" ] || continue
      for variant in float float-channels-last qat; do
        "$python" -W ignore tools/bench/torch_step.py "${step[@]}" --only "torch-$variant"
      done
    done
  done | awk -v network="$(basename "$name" .json)" -v batch="$batch, $clock time" '
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
    function ratio(a, b, what, bar) {
      if (a in m && b in m)
        printf "%-44s %8.2f %8.2f %8s\n", what, m[a] / m[b], least[a] / least[b], bar
    }
    END {
      printf "%s, batch %d\n%-28s %7s %12s %12s\n", network, batch, "step", "threads", "median ms", "minimum ms"
      for (k = 1; k <= keys; ++k) {
        split(order[k], part, " "); m[order[k]] = median(order[k])
        printf "%-28s %7d %12.2f %12.2f\n", part[1], part[2], m[order[k]], least[order[k]]
      }
      printf "\n%-44s %8s %8s %8s\n", "ratio", "medians", "minima", "bar"
      resnet = network ~ /^resnet/; cifar = network ~ /^cifar/
      for (t = 1; t <= 2; ++t) {
        torch = "torch-float " t; last = "torch-float-channels-last " t
        if (last in m && m[last] < m[torch]) torch = last
        at = ", " t " threads"
        ratio("facsim-qat-simulate " t, torch, "simulate / PyTorch float" at, resnet ? "0.75" : "0.55")
        ratio("facsim-qat-bf16 " t, torch, "simulate, grad=bf16 / PyTorch float" at,
              resnet ? "0.65" : cifar ? "0.50" : "0.42")
        ratio("facsim-qat-simulate " t, "facsim-float " t, "simulate / our float" at, "0.85")
        ratio("facsim-float " t, torch, "our float / PyTorch float" at, "")
        ratio("torch-qat " t, torch, "PyTorch QAT / PyTorch float" at, "")
      }
      print ""
    }'
done
