#!/usr/bin/env bash
# Builds the chat page, web/page/dist, out of its sources, with the packages that package-lock.json names.
#   tools/build_page.sh           builds it
#   tools/build_page.sh --check   tests its parts, builds it elsewhere, and fails where dist/ differs from that
set -euo pipefail
cd "$(dirname "$0")/../web/page"

# npm runs no script of a package here.
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
fi
npx tsc --noEmit

case ${1:-} in
  "") npx vite build --logLevel warn && echo "page: built web/page/dist ($(du -sk dist | cut -f1) KiB)" ;;
  --check)
    npx vitest run --reporter=dot
    fresh=$(mktemp -d)
    trap 'rm -rf "$fresh"' EXIT
    npx vite build --logLevel warn --emptyOutDir --outDir "$fresh/dist"
    diff -rq "$fresh/dist" dist || { echo "page: web/page/dist is not what its sources build; run: make page" >&2; exit 1; }
    echo "page: dist/ is what its sources build" ;;
  *) echo "usage: tools/build_page.sh [--check]" >&2; exit 2 ;;
esac
