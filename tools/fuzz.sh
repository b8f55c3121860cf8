#!/bin/sh
# Builds the fuzzers of tests/fuzz with clang and runs each for a while.
#   tools/fuzz.sh [SECONDS [NAME...]]     20 seconds and all of them by default
#   SEED=0 tools/fuzz.sh                  other inputs every time; SEED is 1 by default
#   JOBS=1 tools/fuzz.sh                  one after another; two at a time by default
# What breaks one is kept in build/fuzz/found/NAME; run it again with build/fuzz/tests/fuzz/NAME_fuzz FILE.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-20}
[ $# -gt 0 ] && shift

clang=${CXX:-$(command -v clang++-19 || command -v clang++ || true)}
if [ -z "$clang" ]; then
  echo "fuzz.sh: clang++ is missing; on Debian: apt-get install clang-19 libclang-rt-19-dev" >&2
  exit 1
fi
build=build/fuzz
mkdir -p build
# libstdc++ 12 itself uses what it declares deprecated, and clang says so.
cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER="$clang" \
  -DCMAKE_C_COMPILER="$(echo "$clang" | sed 's/clang++/clang/')" -DLMDEPLOY_TESTS=OFF -DLMDEPLOY_FUZZ=ON \
  -DCMAKE_CXX_FLAGS=-Wno-deprecated-declarations -DLMDEPLOY_SANITIZE=fuzzer-no-link,address,undefined > $build.log 2>&1 || { cat $build.log; exit 1; }
ninja -C $build lmdeploy_fuzz

$build/tests/fuzz/make_fuzz_seeds $build/seeds
export build seconds
for name in "$@"; do targets="${targets:-} $build/tests/fuzz/${name}_fuzz"; done
# A fuzzer is one thread; as many run beside each other as JOBS says.
printf '%s\n' ${targets:-$build/tests/fuzz/*_fuzz} | xargs -P "${JOBS:-2}" -I {} sh -c '
  name=$(basename {} _fuzz)
  mkdir -p "$build/corpus/$name" "$build/seeds/$name" "$build/found/$name"
  if ! {} -seed="${SEED:-1}" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
      -print_final_stats=1 -artifact_prefix="$build/found/$name/" "$build/corpus/$name" "$build/seeds/$name" \
      > "$build/$name.log" 2>&1; then
    tail -n 40 "$build/$name.log"
    echo "fuzz.sh: $name broke; the input is in $build/found/$name" >&2
    exit 1
  fi
  echo "== $name, $seconds s: $(grep -E "number_of_executed_units|peak_rss_mb" "$build/$name.log" | tr -s "\n " " ")"'
