#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds facsim with the peers that are installed and runs every bench, 1 and 2 threads: what
# tools/bench/RESULTS.md was made from. An idle machine gives the figures a meaning.
# usage: tools/bench/run.sh [--quick] [--no-training] [--build DIR]     DIR: run what it holds, build nothing
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=25 build= training=1
while [ $# -gt 0 ]; do
  case $1 in
    --quick) rounds=5 ;;
    --no-training) training= ;;
    --build) build=${2:?--build needs a folder}; shift ;;
    *) echo "run.sh: unknown option $1" >&2; exit 2 ;;
  esac
  shift
done
if [ -z "$build" ]; then
  build=build/bench
  mkdir -p build
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DFACSIM_UNITY_BUILD=ON \
    -DFACSIM_BENCH_PEERS=ON -DFACSIM_BUILD_TESTS=OFF -DFACSIM_BUILD_EXAMPLES=OFF > "$build.log" 2>&1 ||
    { cat "$build.log" >&2; exit 1; }
  grep -F 'facsim: ' "$build.log" >&2 || true
  cmake --build "$build" --target facsim >&2
fi
facsim=$build/bin/facsim

section() { printf '\n## %s\n```\n' "$1"; shift; "$@" 2>&1 || true; printf '```\n'; }
peers=
for peer in onednn xnnpack; do
  if "$facsim" bench layers --only none --peers "$peer" > /dev/null 2>&1; then
    peers=${peers:+$peers,}$peer
  fi
done
printf '# Benches, %s\n' "$(date -u +%F)"
printf 'Made by `tools/bench/run.sh` on %s (%s cores), load at the start:%s.\n' \
  "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)" "$(nproc)" "$(uptime | sed 's/.*average//')"
for threads in 1 2; do
  section "Layers, $threads threads" "$facsim" bench layers ${peers:+--peers "$peers"} -j $threads --rounds $rounds
  section "Networks, $threads threads" "$facsim" bench nets --batch 1,8 -j $threads --rounds $rounds
done
section 'Layers at batch 8, 1 thread' "$facsim" bench layers ${peers:+--peers "$peers"} -j 1 --batch 8 --rounds $((rounds / 5 + 1))
section 'Requantization alone' "$facsim" bench requantize --rounds $rounds
section 'Cost of more work, 1 thread' "$facsim" bench scaling -j 1 --rounds $rounds
if [ -n "$training" ]; then
  torch=torch
  "$facsim" bench qat --only none --network fashion_cnn:2 --peers torch > /dev/null || torch=  # says what is missing
  section 'Training steps' "$facsim" bench qat ${torch:+--peers torch} --threads 1,2 --rounds $((rounds / 2 + 1))
fi
