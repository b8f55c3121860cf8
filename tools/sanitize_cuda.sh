#!/usr/bin/env bash
# NVIDIA's compute-sanitizer over small tests of the CUDA kernels: memcheck (accesses beyond what was allocated) and
# racecheck (shared memory that two threads touch without a barrier in between). Needs a card, and compute-sanitizer of a
# CUDA toolkit on PATH, in CUDA_HOME/bin or in /usr/local/cuda/bin. Takes minutes.
#   tools/sanitize_cuda.sh CUDA_TEST [TOOL ...]      (default: memcheck racecheck; also synccheck, initcheck)
set -euo pipefail

# racecheck is a hundred times slower than the card: the smallest tests alone. cuBLASLt's kernels are not ours to check.
SMALLEST='CudaSmallLinear.OfFloats:CudaSmallLinear.OfIntegers:CudaSmallLinear.Deterministic:CudaSmallAttention.*'
SMALLEST+=':CudaRowOpsTest.RmsNormPerHeadInPlace:CudaRowOpsTest.SiluMulAtTheEnds:CudaRopeAndStore.RotatesAsTheReference'
SMALLEST+=':CudaQuantizedKv.ARowOfOneValueIsExact:CudaSampleTest.NothingToDrawIsMinusOne:CudaSampleTest.ExtremeLogits'
SMALLEST+=':CudaLogprobsTest.TheLowerIdComesFirstAmongEquals:CudaKlDivergenceTest.OfStridedRows'
SMALL="$SMALLEST:CudaSmallLinear.*:CudaRowOpsTest.*:CudaRopeTest.*:CudaQuantizedKv.*:CudaKlDivergenceTest.*"
SMALL+=':CudaPackedMatrixTest.KeepsEveryInteger'

fail() { echo "sanitize: $*" >&2; exit 1; }
program=${1:-}
[ -x "$program" ] || fail "name the tests' program first: build/cuda/tests/cuda/cuda_test, or cuda_test of a bundle"
shift
[ $# -gt 0 ] || set -- memcheck racecheck
PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin:/usr/local/cuda/bin
command -v compute-sanitizer >/dev/null ||
  fail "there is no compute-sanitizer. Install cuda-sanitizer of the CUDA toolkit, or set CUDA_HOME."

for tool in "$@"; do
  tests=$SMALL
  [ "$tool" != racecheck ] || tests=$SMALLEST
  echo "sanitize: $tool"
  compute-sanitizer --tool "$tool" --error-exitcode 9 "$program" --gtest_filter="$tests" --gtest_brief=1
done
