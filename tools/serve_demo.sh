#!/usr/bin/env bash
# Serves a model folder and, once the server answers, prints a line to try.
#   tools/serve_demo.sh PATH/TO/lmdeploy MODEL_DIR PORT [options of serve api_server]
set -euo pipefail

lmdeploy=$1 model=$2 port=$3
shift 3
url=http://localhost:$port
server=$$  # exec below keeps the process

announce() {
  until curl -sf -o /dev/null "$url/health"; do
    kill -0 "$server" 2>/dev/null || exit 0
    sleep 0.1
  done
  cat <<LINE

The model is being served. Try, in another terminal:

curl -s $url/v1/chat/completions -H 'Content-Type: application/json' -d '{"model": "$(basename "$model")", "messages": [{"role": "user", "content": "What is the capital of France?"}], "temperature": 0}'

Ctrl-C stops the server.
LINE
}

announce &
exec "$lmdeploy" serve api_server "$model" --server-port "$port" "$@"
