#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Times `facsim compare` on two files of N int8 values (default 100 million) in the page cache: equal
# and different everywhere, .npy and stored .npz; seconds are the best of five, memory the largest.
# Usage: tools/bench/compare_files.sh [FACSIM] [N]
set -eu
facsim=${1:-build/release/bin/facsim}
n=${2:-100000000}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 - "$folder" "$n" <<'PYTHON'
import sys, zipfile
folder, n = sys.argv[1], int(sys.argv[2])

def npy(body):
    text = "{'descr': '|i1', 'fortran_order': False, 'shape': (%d,), }" % n
    text += " " * ((64 - (10 + len(text) + 1) % 64) % 64) + "\n"
    return b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text.encode() + body

ours = bytes(i * 37 % 251 for i in range(4093)) * (n // 4093 + 1)
theirs = bytes((b + 1 + b % 3) % 256 for b in ours[:4093]) * (n // 4093 + 1)
for name, body in (("a", ours), ("b", ours), ("c", theirs)):
    data = npy(body[:n])
    open(f"{folder}/{name}.npy", "wb").write(data)
    with zipfile.ZipFile(f"{folder}/{name}.npz", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("x.npy", data)
PYTHON
for pair in "a.npy b.npy" "a.npy c.npy" "a.npz b.npz" "a.npz c.npz"; do
  set -- $pair
  best= peak=
  for _ in 1 2 3 4 5; do
    /usr/bin/time -f "%e %M" -o "$folder/time" "$facsim" compare "$folder/$1" "$folder/$2" \
      --fail-on never > /dev/null
    # The exit code is 0, so the file holds nothing but the figures.
    read -r seconds kilobytes < "$folder/time"
    best=$(printf '%s\n%s\n' "${best:-$seconds}" "$seconds" | sort -n | head -n 1)
    peak=$(printf '%s\n%s\n' "${peak:-$kilobytes}" "$kilobytes" | sort -n | tail -n 1)
  done
  echo "$1 against $2: $best s, $peak KiB"
done
