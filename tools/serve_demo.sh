#!/usr/bin/env bash
# Serves a model folder and, once the server answers, prints a line to try.
#   tools/serve_demo.sh PATH/TO/lmdeploy MODEL_DIR PORT [options of serve api_server]
set -euo pipefail

lmdeploy=$1 model=$2 port=$3
shift 3
url=http://localhost:$port
server=$$  # exec below keeps the process

# Otherwise the other program's answer would be taken for ours below.
if (exec 3<>"/dev/tcp/localhost/$port") 2>/dev/null; then
  echo "serve: another program listens on port $port: stop it, or choose another (make serve PORT=23334)" >&2
  exit 1
fi

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
