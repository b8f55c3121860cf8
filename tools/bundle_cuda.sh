#!/usr/bin/env bash
# A folder that runs on another x86-64 machine where nothing is installed: the program with kernels for NVIDIA cards, its
# tests and the developers' tools, and beside them in lib/ every shared library they need but glibc's, which must be at
# least as new there as here. cuBLASLt and the driver are looked for when the program starts.
#   tools/bundle_cuda.sh DIR JOBS        DIR and DIR.tar.gz
# CUDA_ARCHITECTURES=80-virtual in the environment: for other cards than cmake/cuda.cmake compiles for.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$1
jobs=$2
build=build/cuda
fail() { echo "bundle: $*" >&2; exit 1; }

# An RPATH, not a RUNPATH: the libraries find each other by it, too. GNU ld's name for that is "old".
cmake --preset cuda -DCMAKE_BUILD_RPATH='$ORIGIN/lib' -DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags \
  ${CUDA_ARCHITECTURES:+-DCMAKE_CUDA_ARCHITECTURES="$CUDA_ARCHITECTURES"} >/dev/null
cmake --build $build -j "$jobs" --target lmdeploy cuda_test make_model model_probe
programs=($build/lmdeploy $build/tests/cuda/cuda_test $build/make_model $build/model_probe)

rm -rf "$out" "$out.tar.gz"
mkdir -p "$out/lib"
for program in "${programs[@]}"; do strip -o "$out/$(basename "$program")" "$program"; done

# Libraries of glibc belong to the machine: they fit its kernel and its ld.so.
is_of_glibc() { [[ $1 =~ ^(ld-linux.*|linux-vdso.*|lib(c|m|dl|rt|pthread|resolv|util|anl|nss_.*))\.so ]]; }
while read -r name path; do
  is_of_glibc "$name" && continue
  [ -n "$path" ] || fail "$name, which a program needs, is not on this machine"
  strip -o "$out/lib/$name" "$path"
done < <(LC_ALL=C ldd "${programs[@]}" | sed -n 's/^\t\([^ ]*\) => \(\/[^ ]*\|not found\).*/\1 \2/p' | sed 's/ not found$//' | sort -u)

tar -C "$(dirname "$out")" -czf "$out.tar.gz" "$(basename "$out")"
glibc=$(ldd --version | sed -n '1s/.* //p')
echo "bundle: $out, $(du -sh "$out" | cut -f1), packed $out.tar.gz, $(du -sh "$out.tar.gz" | cut -f1); needs glibc $glibc or newer"
