#!/usr/bin/env bash
# Fetches Swagger UI 5.32.6 (Apache-2.0), the two files of it that the page at / is made of. They are byte for
# byte those of npm's swagger-ui-dist, taken out of a wheel that carries them, because pip is on every machine
# that builds this and Node is not. CMake calls this; nothing is fetched where both are there.
#   tools/fetch_swagger_ui.sh DIR
set -euo pipefail

WHEEL=fastapi-offline==1.7.7
WHEEL_SHA256=60c8399fd7d3e3b01510e14468709e3dea1a0e773ef920372d057392d736a1f9
FILES_SHA256='4b5a9b35a1adf37f00d39c0bae23cdb37007e2946240ef035137cc85b4d55349  swagger-ui-bundle.js
ca238f7d7c2cf4480c1e77a9c3b9da915ab216e96ffd354e69076560c650c6de  swagger-ui.css'

folder=$1

say() { echo "swagger-ui: $*"; }
fail() { echo "swagger-ui: $*" >&2; exit 1; }
# shellcheck source=tools/wheel.sh
. "$(dirname "$0")/wheel.sh"

is_whole() { (cd "$1" 2>/dev/null && sha256sum --check --status <<<"$FILES_SHA256"); }

if is_whole "$folder"; then exit 0; fi
mkdir -p "$folder"
work=$(mktemp -d "$folder/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
say "downloading $WHEEL (0.8 MB) from the Python package index"
fetch_wheel "$WHEEL" "$WHEEL_SHA256" "$work"
is_whole "$work/wheel/fastapi_offline/static" || fail "the wheel holds other files than expected"
mv "$work"/wheel/fastapi_offline/static/swagger-ui{-bundle.js,.css} "$folder/"
