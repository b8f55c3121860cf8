#!/usr/bin/env bash
# Sees to a CUDA toolkit that can build lmdeploy: the machine's own where there is one, or else NVIDIA's compiler,
# runtime and headers out of wheels on the Python package index, in build/cuda-toolkit (260 MB). Needs no card and no
# driver. Where everything is there, nothing is fetched.
#   tools/setup_cuda.sh          find or fetch
#   tools/setup_cuda.sh find     only print the folder of the toolkit (CMake asks this), or say what is missing
set -euo pipefail
cd "$(dirname "$0")/.."

MIN_NVCC=12.2
FETCHED=$PWD/build/cuda-toolkit
# NAME==VERSION SHA256 (of the wheels for x86-64) FOLDER of nvidia/cu13 to keep (all: everything)
WHEELS='nvidia-cuda-nvcc==13.0.88 56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03 all
nvidia-cuda-crt==13.0.88 2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4 all
nvidia-nvvm==13.0.88 c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0 all
nvidia-cuda-runtime==13.0.96 7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548 all
nvidia-cuda-cccl==13.0.85 e0da7ad981f3a8aff08241b5bfc1af868742a63e2762f53a5171c492ef242649 all
nvidia-cublas==13.1.0.3 ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171 include'

say() { echo "cuda: $*" >&2; }
fail() { echo "cuda: $*" >&2; exit 1; }
# shellcheck source=tools/wheel.sh
. tools/wheel.sh

nvcc_version() { "$1/bin/nvcc" --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\),.*/\1/p'; }

# Why the toolkit in folder $1 cannot build lmdeploy; empty where it can.
unfit() {
  local version
  version=$(nvcc_version "$1" || true)
  if [ -z "$version" ]; then echo "has no bin/nvcc that runs"; return; fi
  if ! printf '%s\n' "$MIN_NVCC" "$version" | sort -V -C; then echo "is CUDA $version; $MIN_NVCC is needed"; return; fi
  [ -e "$1/include/cublasLt.h" ] || echo "has no include/cublasLt.h (cuBLAS' development files)"
  [ -e "$1/lib64/libcudart_static.a" ] || echo "has no lib64/libcudart_static.a (the runtime's development files)"
}

fetched_whole() { [ "$(cat "$FETCHED/wheels" 2>/dev/null)" = "$WHEELS" ]; }

# Prints the folder. CUDA_HOME is the user's word: it is taken or refused, never passed over.
find_toolkit() {
  local folder reason
  if [ -n "${CUDA_HOME:-}" ]; then
    reason=$(unfit "$CUDA_HOME")
    [ -z "$reason" ] || fail "CUDA_HOME=$CUDA_HOME $reason. Point it at another toolkit, or unset it."
    echo "$CUDA_HOME"
    return
  fi
  for folder in "$(dirname "$(dirname "$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)")")" /usr/local/cuda; do
    [ -e "$folder/bin/nvcc" ] || continue
    reason=$(unfit "$folder")
    if [ -z "$reason" ]; then echo "$folder"; return; fi
    say "$folder $reason: passed over"
  done
  if fetched_whole; then echo "$FETCHED"; return; fi
  return 1
}

# unpack WHEEL KEEP TARGET: nvidia/cu13/KEEP of the wheel (or all of it), programs executable again.
unpack() {
  python3 - "$@" <<'PYTHON'
import sys, zipfile
from pathlib import Path

wheel, keep, target = sys.argv[1], sys.argv[2], Path(sys.argv[3])
root = "nvidia/cu13/"
prefix = root if keep == "all" else f"{root}{keep}/"
with zipfile.ZipFile(wheel) as archive:
    for member in archive.infolist():
        if not member.filename.startswith(prefix) or member.is_dir():
            continue
        path = target / member.filename[len(root):]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive.read(member))
        if "bin" in path.parts[len(target.parts):-1]:
            path.chmod(0o755)
PYTHON
}

# What CMake and the linker look for: lib64, and libX.so beside libX.so.13.
link_libraries() {
  local library
  ln -s lib "$1/lib64"
  for library in "$1"/lib/lib*.so.*; do
    ln -s "$(basename "$library")" "${library%%.so.*}.so"
  done
}

fetch() {
  local name sha256 keep reason
  [ "$(uname -m)" = x86_64 ] || fail "the wheels are for x86-64, this machine is $(uname -m).
  Install NVIDIA's toolkit, $MIN_NVCC or newer (https://developer.nvidia.com/cuda-downloads), and set CUDA_HOME."
  mkdir -p build
  work=$(mktemp -d build/.cuda.XXXXXX)
  trap 'rm -rf "$work"' EXIT
  while read -r name sha256 keep; do
    mkdir "$work/$name"
    say "downloading $name from the Python package index"
    download_wheel "$name" "$sha256" "$work/$name" >&2
    unpack "$work/$name"/*.whl "$keep" "$work/toolkit"
    rm -r "${work:?}/$name"
  done <<<"$WHEELS"
  link_libraries "$work/toolkit"
  reason=$(unfit "$work/toolkit")
  [ -z "$reason" ] || fail "what the wheels hold $reason"
  echo "$WHEELS" >"$work/toolkit/wheels"
  rm -rf "$FETCHED"
  mv "$work/toolkit" "$FETCHED"
}

case ${1:-} in
  find)
    find_toolkit || fail "there is no CUDA toolkit, $MIN_NVCC or newer, on this machine. Run tools/setup_cuda.sh, which fetches one."
    ;;
  '')
    if ! folder=$(find_toolkit); then
      [ -z "${CUDA_HOME:-}" ] || exit 1
      say "no toolkit on this machine: fetching NVIDIA's wheels (530 MB, most of it for cuBLAS' headers)"
      fetch
      folder=$FETCHED
    fi
    say "CUDA $(nvcc_version "$folder") in $folder"
    ;;
  *) fail "unknown argument '$1' (find, or none)" ;;
esac
