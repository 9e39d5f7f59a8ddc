#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Does what was trained equal what real runtimes compute? Trains a network on Fashion-MNIST in float and writes it
# as float ONNX (or takes one: --network FILE.onnx), trains that under the profile of each runtime, exports it (ONNX
# QDQ, ONNX QOperator, TFLite), runs the file in ONNX Runtime or in TensorFlow Lite with XNNPACK on all 10 000 test
# images, and counts the outputs that differ from the simulator: 0 is demanded. As a control, a network trained for
# another profile (tflite-micro) must differ from XNNPACK under its own.
# Installs what is missing (Debian packages; the runtimes from npm). Exit code 1 if anything differs.
# --network: fashion_cnn (default), fashion_resnet8, fashion_mobilenet of configs/networks, or a file.
# usage: tools/verify_runtimes.sh [--quick] [--network NAME|FILE] [--data DIR] [--output DIR]
#                                 [--facsim FILE] [--seed N] [-j N] [--keep]
set -euo pipefail
start=$SECONDS
usage() { sed -n '/^# usage/,/^[^#]/s/^# \{0,1\}//p' "$0"; }
fail() { echo "tools/verify_runtimes.sh: $1" >&2; exit "${2:-1}"; }
file() { if [ -e "$1" ]; then realpath "$1"; else printf '%s' "$1"; fi; }

network=fashion_cnn data='' output=build/verify_runtimes facsim='' seed=1 threads=0 quick=0 keep=0
while (($#)); do
  case "$1" in
    --quick) quick=1 ;;
    --keep) keep=1 ;;
    -h | --help) usage; exit 0 ;;
    --network | --data | --output | --facsim | --seed | -j)
      (($# >= 2)) || fail "$1 needs a value" 2
      case "$1" in
        --network) network=$(file "$2") ;;
        --data) data=$(file "$2") ;;
        --output) output=$(realpath -m "$2") ;;
        --facsim) facsim=$(file "$2") ;;
        --seed) seed=$2 ;;
        -j) threads=$2 ;;
      esac
      shift ;;
    *) usage >&2; fail "unknown option $1" 2 ;;
  esac
  shift
done
cd "$(dirname "$0")/.."
# shellcheck source=tools/setup.sh
source tools/setup.sh
step() { printf '\n== %s (%s s)\n' "$1" "$((SECONDS - start))"; }
[ -e "$network" ] || network=configs/networks/$network.json
[ -e "$network" ] || fail "no network $network" 2

step "build"
facsim_setup packages.txt
if [ -z "$facsim" ]; then
  mkdir -p build
  if ! { cmake --preset release && cmake --build --preset release --target facsim; } > build/verify-build.log 2>&1; then
    tail -n 40 build/verify-build.log >&2
    fail "the build failed; all of it is in build/verify-build.log"
  fi
  facsim=build/release/bin/facsim
fi

step "install the runtimes"
if ! command -v node > /dev/null || ! command -v npm > /dev/null; then facsim_setup packages-runtimes.txt; fi
FACSIM_RUNTIMES=$(tools/runtimes/install.sh | tail -n 1)
export FACSIM_RUNTIMES

if [ -z "$data" ]; then
  data=$(dpkg -L dataset-fashion-mnist 2> /dev/null | grep -m1 '/train-images-idx3-ubyte' || true)
  [ -n "$data" ] || fail "no Fashion-MNIST: install dataset-fashion-mnist, or name a folder with --data"
  data=$(dirname "$data")
fi
mkdir -p "$output"
float_epochs=3 epochs=2 limit=()
((quick)) && float_epochs=1 epochs=1 limit=(--limit 12000)

# A network description is trained in float once and written as float ONNX; every QAT run starts from that file.
border=()
if [[ $network != *.onnx ]]; then
  step "train in float, write float ONNX"
  "$facsim" qat --profile onnxruntime-cpu --network "$network" --data "$data" --output "$output/float" \
    --seed "$seed" -j "$threads" "${limit[@]}" --float-epochs "$float_epochs" --epochs 0 --float-onnx "$output/float.onnx"
  # ONNX has no place for the preprocessing of pixels.
  read -r mean std < <(node -p "const p = JSON.parse(fs.readFileSync('$output/float/model.json')).preprocessing; p.mean + ' ' + p.std")
  network=$output/float.onnx border=(--mean "$mean" --std "$std")
else
  border=(--mean 0.286 --std 0.353)  # Fashion-MNIST's
fi

# field FILE EXPRESSION: a value of a JSON file, `j`.
field() { node -p "const j = JSON.parse(fs.readFileSync('$1')); $2"; }

rows=$output/rows.txt
: > "$rows"
differ=0
# verify PROFILE FILE LABEL [OPTION...]: exports the network that was trained for PROFILE, runs it, adds a row.
verify() {
  local profile=$1 to=$output/$1/$2 label=$3 status=0
  shift 3
  "$facsim" export --model "$output/$profile/model.json" --to "$to" "$@" --verify \
    --inputs "$output/test_images.npz" --format json -j "$threads" > "$to.json" 2> "$to.log" || status=$?
  ((status <= 1)) || { cat "$to.log" >&2; fail "$label: facsim export ended with $status" "$status"; }
  ((status == 0)) || differ=1
  field "$to.json" "[
    '$label', j.runtime_version, j.simulated_profile,
    j.comparison.mismatches.toLocaleString('en') + ' of ' + j.comparison.compared.toLocaleString('en'),
    (100 * JSON.parse(fs.readFileSync('$output/$profile/history.json')).qat_accuracy).toFixed(2) + ' %',
  ].join('|')" >> "$rows"
}

for profile in onnxruntime-cpu xnnpack-x86 tflite-micro; do
  step "train through $profile"
  "$facsim" qat --profile "$profile" --network "$network" --data "$data" --output "$output/$profile" \
    --seed "$seed" -j "$threads" "${limit[@]}" --epochs "$epochs" "${border[@]}"
  [ -e "$output/test_images.npz" ] ||
    node tools/runtimes/test_images.mjs "$output/$profile/model.json" "$data" "$output/test_images.npz"
done

step "export, run in the real runtimes, compare"
verify onnxruntime-cpu qdq.onnx "ONNX, QDQ" --form qdq
verify onnxruntime-cpu qoperator.onnx "ONNX, QOperator" --form qoperator
verify xnnpack-x86 net.tflite "TFLite"
verify tflite-micro net.tflite "TFLite, trained for tflite-micro"
{ echo "file|runtime|simulated as|outputs that differ|accuracy"; cat "$rows"; } |
  awk -F '|' '{ printf "%-34s%-41s%-18s%-22s%s\n", $1, $2, $3, $4, $5 }'
control=$(field "$output/tflite-micro/net.tflite.json" "j.own_profile.mismatches")
field "$output/tflite-micro/net.tflite.json" "'control: the network trained for tflite-micro, simulated as that, differs from XNNPACK in ' +
  j.own_profile.mismatches.toLocaleString('en') + ' of ' + j.own_profile.compared.toLocaleString('en') + ' outputs'"
((keep)) || rm -f "$output/test_images.npz"
echo
echo "$((SECONDS - start)) s; files in $output"
((differ == 0)) || fail "a runtime's outputs differ from the simulator's"
((control > 0)) || fail "the control found no difference: the comparison proves nothing"
