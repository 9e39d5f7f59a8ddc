#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes the readers of untrusted files (tests/fuzz) with address and undefined-behaviour sanitizers: by libFuzzer
# where clang++ has it (Debian: clang, libclang-rt-14-dev), else by the entries' own mutation driver under the default
# compiler. An input that fails is left in build/fuzz/<reader>.
# usage: tools/fuzz.sh [SECONDS [READER...]]     (default: 60 s each, every reader)
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
readers=("$@")
if ((${#readers[@]} == 0)); then
  mapfile -t readers < <(sed -n 's/^facsim_fuzz(\([a-z0-9_]*\).*/\1/p' tests/fuzz/CMakeLists.txt)
fi

build=$PWD/build/fuzz
sanitizers=address,undefined
program=facsim_fuzz
options=(-DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1" -DFACSIM_BUILD_BENCH=OFF
  -DFACSIM_UNITY_BUILD=ON)
if echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' |
  clang++ -x c++ -fsanitize=fuzzer,address - -o /dev/null 2> /dev/null; then
  sanitizers+=,fuzzer-no-link
  program=facsim_libfuzzer
  options+=(-DCMAKE_CXX_COMPILER=clang++ -DFACSIM_FUZZ=ON)
else
  echo "fuzz: no clang++ with libFuzzer; the readers' own driver instead" >&2
fi
cmake -S . -B "$build" -G Ninja "${options[@]}" \
  "-DCMAKE_CXX_FLAGS=-fsanitize=$sanitizers -fno-sanitize-recover=all -fno-omit-frame-pointer" > /dev/null
cmake --build "$build" --target "${readers[@]/#/facsim_fuzz_}" "${readers[@]/#/${program}_}"

for reader in "${readers[@]}"; do
  folder=$build/$reader
  mkdir -p "$folder/corpus"
  "$build/tests/fuzz/facsim_fuzz_$reader" --write-seeds "$folder/seeds"
  # Recorded networks are seeds too.
  for file in "${FACSIM_MODELS_DIR:-/nonexistent}"/*/*."$reader"; do
    [ ! -f "$file" ] || cp -f "$file" "$folder/seeds/$(basename "$(dirname "$file")")-$(basename "$file")"
  done
  echo "== $reader, $seconds s"
  if [ "$program" = facsim_libfuzzer ]; then
    (cd "$folder" && "$build/tests/fuzz/facsim_libfuzzer_$reader" -max_total_time="$seconds" -timeout=10 \
      -rss_limit_mb=2048 -max_len=400000 -print_final_stats=1 corpus seeds 2> log) ||
      { tail -40 "$folder/log" >&2; exit 1; }
    grep -E 'stat::(number_of_executed_units|peak_rss_mb)|^Done' "$folder/log"
  else
    "$build/tests/fuzz/facsim_fuzz_$reader" --for-seconds "$seconds" --megabytes 2048 --crash "$folder/crash-input"
  fi
done
