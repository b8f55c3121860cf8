#!/usr/bin/env bash
# Whether the CUDA sources compile with CUDA 12.2, the oldest toolkit that lmdeploy is built with: kernels by clang-19 with
# 12.2's headers down to machine code by its ptxas, for sm_80 and sm_90a, launchers and ops against its headers. (NVIDIA's
# wheels of that version hold no nvcc but its parts; clang stands for the rest.) The parts are fetched into build/cuda12
# (440 MB, most of it for cuBLAS' headers). Needs no card.
#   tools/check_cuda12.sh [JOBS] [FILE.cu|FILE.cc ...]      (default: all)
set -euo pipefail
cd "$(dirname "$0")/.."

TOOLKIT=$PWD/build/cuda12
# NAME==VERSION SHA256 FOLDER of nvidia/ in the wheel. CCCL's of 12.2 lack nv/target, which cuda_fp16.h wants.
WHEELS='nvidia-cuda-nvcc-cu12==12.2.140 c6ff4ae7a636eb6cab7621191e19ac3779690686bbcf52c04d8b1ca2944e1e27 cuda_nvcc
nvidia-cuda-runtime-cu12==12.2.140 acb9cb7e44594a3512533497ea790d9f0b0e399abcc888584c157d1ffa080e41 cuda_runtime
nvidia-cuda-cccl-cu12==12.9.27 37869e17ce2e1ecec6eddf1927cca0f8c34e64fd848d40453df559091e2d7117 cuda_cccl
nvidia-cublas-cu12==12.2.5.6 f448d8db463f9a2c7dd9a1e607c0961d3e95f825b86839c5882f7d073d406df0 cublas'
# __grid_constant__ is unknown to clang and an optimisation only; loops that it does not unroll are nvcc's affair.
FLAGS=(-std=c++20 -Isrc -Wall -Wextra -Werror -Wno-unknown-attributes -Wno-pass-failed)

say() { echo "cuda12: $*" >&2; }
fail() { say "$*"; exit 1; }
# shellcheck source=tools/wheel.sh
. tools/wheel.sh

# unpack WHEEL FOLDER TARGET: headers and programs of nvidia/FOLDER in the wheel, not the libraries.
unpack() {
  python3 - "$@" <<'PYTHON'
import sys, zipfile
from pathlib import Path

wheel, root, target = sys.argv[1], f"nvidia/{sys.argv[2]}/", Path(sys.argv[3])
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if not name.startswith(tuple(root + kept for kept in ("include/", "bin/", "nvvm/"))) or name.endswith("/"):
            continue
        path = target / name[len(root):]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive.read(name))
        if path.parent.name == "bin":
            path.chmod(0o755)
PYTHON
}

fetch() {
  local name sha256 folder
  work=$(mktemp -d build/.cuda12.XXXXXX)
  trap 'rm -rf "$work"' EXIT
  while read -r name sha256 folder; do
    mkdir "$work/$folder"
    say "downloading $name from the Python package index"
    download_wheel "$name" "$sha256" "$work/$folder" >&2
    unpack "$work/$folder"/*.whl "$folder" "$work/toolkit"
    rm -r "${work:?}/$folder"
  done <<<"$WHEELS"
  touch "$work/toolkit/include/curand_mtgp32_kernel.h"  # clang's headers ask for it, nothing of ours does
  echo "$WHEELS" >"$work/toolkit/wheels"
  rm -rf "$TOOLKIT"
  mv "$work/toolkit" "$TOOLKIT"
}

# check FILE: says nothing where all is well.
check() {
  case $1 in
    *.cu)
      ptx=$(mktemp --suffix=.ptx)
      trap 'rm -f "$ptx"' EXIT
      for card in sm_80 sm_90a; do
        clang++-19 -x cuda --cuda-path="$TOOLKIT" --cuda-gpu-arch=$card --cuda-device-only -O1 -S "${FLAGS[@]}" \
          -o "$ptx" "$1"
        "$TOOLKIT/bin/ptxas" -O0 -arch=$card -o /dev/null "$ptx"  # unoptimised: a tenth of the time
      done
      clang++-19 -x cuda --cuda-path="$TOOLKIT" --cuda-host-only -fsyntax-only "${FLAGS[@]}" "$1"
      ;;
    *) g++ -fsyntax-only -std=c++20 -Isrc -Wall -Wextra -Werror -DLMDEPLOY_CUDA -isystem "$TOOLKIT/include" "$1" ;;
  esac
}
if [ "${1:-}" = --check ]; then
  check "$2"
  exit
fi

command -v clang++-19 >/dev/null || fail "clang++-19 is missing: run tools/setup.sh check"
mkdir -p build
[ "$(cat "$TOOLKIT/wheels" 2>/dev/null)" = "$WHEELS" ] || fetch
jobs=${1:-$(nproc)}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- src/ops/cuda/*.cu src/ops/cuda/*.cc src/tensor/cuda/*.cc
printf '%s\0' "$@" | xargs -0 -n 1 -P "$jobs" tools/check_cuda12.sh --check ||
  fail "not all of $# files compile with CUDA 12.2"
echo "cuda12: $# files compile with CUDA 12.2"
