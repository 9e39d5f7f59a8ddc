#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job on real images: trains a network on Fashion-MNIST through a backend profile's integer
# arithmetic, deploys it, runs the deployed file in another process on the scalar norm, and compares
# every activation and logit bit for bit. Installs the Debian packages it needs when they are missing.
# Writes build/demo/report.html and build/demo/summary.json.
# usage: tools/demo.sh [--profile NAME|FILE] [--quick] [--epochs N] [--float-epochs N] [--batch N]
#                      [--seed N] [-j N] [--network FILE] [--data DIR] [--output DIR] [--keep]
#                      [--control /pointer=value]
set -euo pipefail
start=$SECONDS
usage() { sed -n '/^# usage/,/^[^#]/s/^# \{0,1\}//p' "$0"; }
fail() { echo "tools/demo.sh: $1" >&2; exit "${2:-1}"; }
# Files named on the command line are relative to where the caller stands.
file() { if [ -e "$1" ]; then realpath "$1"; else printf '%s' "$1"; fi; }

profile=tflite-micro network=configs/networks/fashion_cnn.json data='' output=build/demo
epochs='' float_epochs='' batch=64 seed=1 threads=0 quick=0 keep=0
# Cutting instead of rounding: a shortcut that differs from every rounding rule.
control=/requantize/rounding=floor
while (($#)); do
  case "$1" in
    --quick) quick=1 ;;
    --keep) keep=1 ;;
    -h | --help) usage; exit 0 ;;
    --profile | --network | --data | --output | --epochs | --float-epochs | --batch | --seed | --control | -j)
      (($# >= 2)) || fail "$1 needs a value" 2
      case "$1" in
        --profile) profile=$(file "$2") ;;
        --network) network=$(file "$2") ;;
        --data) data=$(file "$2") ;;
        --output) output=$(realpath -m "$2") ;;
        --epochs) epochs=$2 ;;
        --float-epochs) float_epochs=$2 ;;
        --batch) batch=$2 ;;
        --seed) seed=$2 ;;
        --control) control=$2 ;;
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

step "build"
facsim_setup packages.txt
mkdir -p build
if ! { cmake --preset release && cmake --build --preset release --target facsim; } > build/demo-build.log 2>&1; then
  tail -n 40 build/demo-build.log >&2
  fail "the build failed; all of it is in build/demo-build.log"
fi
facsim=build/release/bin/facsim

if [ -z "$data" ]; then
  data=$(dpkg -L dataset-fashion-mnist 2> /dev/null | grep -m1 '/train-images-idx3-ubyte' || true)
  [ -n "$data" ] || fail "no Fashion-MNIST: install dataset-fashion-mnist, or name a folder with --data"
  data=$(dirname "$data")
fi

size=()
if ((quick)); then
  size=(--limit 12000 --test-limit 2000)
  : "${epochs:=1}" "${float_epochs:=1}"
fi
: "${epochs:=2}" "${float_epochs:=3}"
mkdir -p "$output"
common=(--profile "$profile" -j "$threads")

step "train through $profile: $float_epochs epochs in float, $epochs through the simulator"
"$facsim" qat "${common[@]}" --seed "$seed" --network "$network" --data "$data" --output "$output" \
  --float-epochs "$float_epochs" --epochs "$epochs" --batch "$batch" --dump all "${size[@]}"

step "run the deployed file in a second process, on the scalar norm"
run=("$facsim" run "${common[@]}" --model "$output/model.json" --inputs "$output/input.npz" --dump all)
"${run[@]}" --isa scalar -o "$output/deployed.npz"

step "compare every activation and logit"
status=0
"$facsim" compare "$output/deployed.npz" "$output/evaluation.npz" || status=$?
((status <= 1)) || fail "the comparison failed" "$status"

# The comparison must be able to fail: with one rule of the profile changed it has to.
step "control: the same with $control"
"${run[@]}" --set "$control" -o "$output/control.npz"
control_status=0
"$facsim" compare "$output/control.npz" "$output/evaluation.npz" || control_status=$?
((control_status <= 1)) || fail "the control's comparison failed" "$control_status"

step "report"
"$facsim" report "${common[@]}" --training "$output" --deployed "$output/deployed.npz" \
  --control "$output/control.npz" --control-setting "$control" --output "$output" \
  --seconds "$((SECONDS - start))" || status=$?
((keep)) || rm -f "$output"/{evaluation,deployed,control,input}.npz
echo
echo "report: $output/report.html    figures: $output/summary.json"
((status == 0)) || fail "the deployed network differs from the trained one" "$status"
((control_status == 1)) || fail "the control found no mismatch: $control changed nothing"
