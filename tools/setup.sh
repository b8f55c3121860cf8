#!/usr/bin/env bash
# Installs what is missing to build, test or check lmdeploy on Debian 12 and Ubuntu 24.04, and says so.
# Looks first: where everything is there, it calls no package manager and no network.
#   tools/setup.sh [build] [check] [bench] [page] [browser]      (default: build)
set -euo pipefail

MIN_CARGO=1.87
MIN_GXX=12
MIN_CMAKE=3.25

BUILD_PACKAGES=(ca-certificates curl make g++ cmake ninja-build
  libssl-dev libcurl4-openssl-dev
  zlib1g-dev libzstd-dev libsnappy-dev
  nlohmann-json3-dev libcli11-dev libspdlog-dev libfmt-dev libsentencepiece-dev prometheus-cpp-dev
  libgtest-dev libgmock-dev librapidcheck-dev
  python3 python3-pip python3-venv)
CHECK_PACKAGES=(clang-format-19 clang-tidy-19 clang-19 libclang-rt-19-dev)
BENCH_PACKAGES=(libbenchmark-dev)
MIN_NODE=18

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

# at_least FOUND WANTED: dotted versions.
at_least() { printf '%s\n%s\n' "$2" "$1" | sort -V -C; }

# The version in the first line of `COMMAND --version`; empty where it does not run.
version_of() { "$@" --version 2>/dev/null | head -n1 | grep -oE '[0-9]+(\.[0-9]+)+' | head -n1 || true; }

distribution() {
  if [ -r /etc/os-release ]; then
    # shellcheck source=/dev/null
    . /etc/os-release
    echo "${ID:-unknown} ${VERSION_ID:-}"
  else
    echo unknown
  fi
}

boost_package() {
  case "$(distribution)" in
    "debian 12") echo libboost1.81-dev ;;
    "ubuntu 24.04" | "debian 13") echo libboost1.83-dev ;;
    *) echo libboost-dev ;;
  esac
}

# Ubuntu keeps its newer Rust releases apart, in /usr/lib/rust-1.xx/bin (the Makefile looks there too).
cargo_version() {
  local dir newest=
  for dir in $(printf "%s\n" /usr/lib/rust-1.*/bin | sort -V); do [ ! -d "$dir" ] || newest=$dir; done
  PATH="${newest:+$newest:}$PATH" version_of cargo
}

has_cargo() {
  local version
  version=$(cargo_version)
  [ -n "$version" ] && at_least "$version" "$MIN_CARGO"
}

# The packages of the distribution that bring a cargo that is new enough. Needs fresh package lists.
cargo_packages() {
  if apt-cache show cargo-web >/dev/null 2>&1; then
    echo cargo-web rustc-web
    return
  fi
  local newest
  newest=$(apt-cache pkgnames cargo-1. | grep -E '^cargo-1\.[0-9]+$' | sort -V | tail -n1)
  if [ -n "$newest" ]; then echo "$newest" "${newest/cargo/rustc}"; else echo cargo rustc; fi
}

# To build the chat page; a Node that somebody has put here by hand is as good.
page_packages() {
  local found
  found=$(version_of node)
  if ! at_least "${found:-0}" "$MIN_NODE" || ! command -v npm >/dev/null; then echo nodejs npm; fi
}

# To test it. Ubuntu has no chromium but as a snap, which is no package for a container: there the tests need one
# by hand.
browser_packages() {
  if [ -n "${LMDEPLOY_CHROMIUM:-}" ] || command -v google-chrome >/dev/null; then return; fi
  case "$(distribution)" in
    ubuntu*) command -v chromium >/dev/null || fail "Ubuntu has no package of Chromium for the tests of the chat page.
  Install Google Chrome, or name a Chromium in LMDEPLOY_CHROMIUM; the program itself needs none." ;;
    *) echo chromium fonts-noto-cjk ;;
  esac
}

missing_packages() {
  [ $# != 0 ] || return 0
  local installed
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' || true)
  comm -23 <(printf '%s\n' "$@" | sort) <(sort <<<"$installed")
}

# Sets SUDO to what runs a command as root, or stops with what an administrator has to install.
find_root() {
  SUDO=()
  [ "$(id -u)" = 0 ] && return
  command -v sudo >/dev/null || fail "neither root nor sudo is at hand, and this is missing: $*
  Let an administrator run tools/setup.sh once, or install these packages."
  SUDO=(sudo)
}

refuse_unknown() {
  local name unknown=()
  for name in "$@"; do
    [[ $(LC_ALL=C apt-cache policy "$name") =~ Candidate:\ [^\(] ]] || unknown+=("$name")
  done
  [ ${#unknown[@]} = 0 ] || fail "$(distribution) has no package named: ${unknown[*]}
  Debian 12 and Ubuntu 24.04 (with universe) have them all; elsewhere install their like by hand."
}

install_missing() {  # NEEDS_CARGO PACKAGES...
  local needs_cargo=$1 cargo=()
  shift
  local missing=("$@")
  [ "$needs_cargo" = no ] || cargo=("cargo >= $MIN_CARGO")
  find_root "${missing[@]}" "${cargo[@]}"
  say "missing: ${missing[*]} ${cargo[*]}"
  "${SUDO[@]}" apt-get update -q || fail "apt-get update failed: check the network and /etc/apt"
  # shellcheck disable=SC2207  # package names hold no spaces
  [ "$needs_cargo" = no ] || missing+=($(cargo_packages))
  refuse_unknown "${missing[@]}"
  say "installing with apt: ${missing[*]}"
  "${SUDO[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "${missing[@]}" ||
    fail "apt could not install the packages above; its message says why"
}

# What apt cannot know: an older tool that stands earlier on PATH.
check_versions() {
  local found
  found=$(version_of g++)
  at_least "${found:-0}" "$MIN_GXX" || fail "g++ ${found:-(none)} is too old: $MIN_GXX or newer is needed"
  found=$(version_of cmake)
  at_least "${found:-0}" "$MIN_CMAKE" || fail "cmake ${found:-(none)} on PATH is too old: $MIN_CMAKE or newer is needed"
  has_cargo || fail "cargo $(cargo_version) on PATH is too old: $MIN_CARGO or newer is needed (rustup update, or
  remove it from PATH and run this again: the distribution's own will be installed)"
}

main() {
  local wanted=() group missing
  for group in "${@:-build}"; do
    case $group in
      build) wanted+=("${BUILD_PACKAGES[@]}" "$(boost_package)") ;;
      check) wanted+=("${CHECK_PACKAGES[@]}") ;;
      bench) wanted+=("${BENCH_PACKAGES[@]}") ;;
      # shellcheck disable=SC2207  # package names hold no spaces
      page) wanted+=($(page_packages)) ;;
      # shellcheck disable=SC2207
      browser) wanted+=($(browser_packages)) ;;
      *) fail "unknown group '$group' (build, check, bench, page, browser)" ;;
    esac
  done
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    fail "this machine ($(distribution)) has no apt. Install by hand what these Debian packages hold, and cargo >= $MIN_CARGO:
  ${wanted[*]}
  then build with: cmake --preset release && cmake --build --preset release"
  fi
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  local needs_cargo=no
  has_cargo || needs_cargo=yes
  if [ ${#missing[@]} != 0 ] || [ $needs_cargo = yes ]; then
    install_missing $needs_cargo "${missing[@]}"
  fi
  check_versions
  say "everything is there (${*:-build})"
}

main "$@"
