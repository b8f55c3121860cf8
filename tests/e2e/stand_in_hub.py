"""A model hub on this machine: a listing, redirects to a second host for large files, ranges, and faults."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

REPO = "demo/SmolLM2-135M-Instruct"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PIECE_BYTES = 1 << 20


class StandInHub:
    """Serves a model folder as REPO; a context manager. `num_cuts` connections break in the middle."""

    def __init__(self, folder: Path, num_cuts=0, damage=False):
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.num_cuts = num_cuts
        self.damage = damage
        self.seen = []  # (host, method, path, headers)
        self.hub = self._server("hub")
        self.cdn = self._server("cdn")
        self.endpoint = f"http://127.0.0.1:{self.hub.server_port}"

    def _server(self, host):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                outer.seen.append((host, self.command, self.path, dict(self.headers)))
                getattr(outer, f"_answer_{host}")(self)

            do_HEAD = do_GET

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def listing(self) -> bytes:
        siblings = []
        for name, content in self.files.items():
            entry = {"rfilename": name, "size": len(content), "blobId": git_hash(content)}
            if name.endswith(".safetensors"):
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            siblings.append(entry)
        return json.dumps({"id": REPO, "sha": COMMIT, "siblings": siblings}).encode()

    def _answer_hub(self, request):
        path = request.path.split("?")[0]
        name = path.removeprefix(f"/{REPO}/resolve/{COMMIT}/")
        if path == f"/api/models/{REPO}/revision/main":
            reply(request, 200, self.listing())
        elif name in self.files and name.endswith(".safetensors"):
            reply(request, 302, b"", Location=f"http://localhost:{self.cdn.server_port}/{name}")
        elif name in self.files:
            reply(request, 200, self.files[name], ETag=f'"{git_hash(self.files[name])}"')
        else:
            reply(request, 404, b"{}")

    def _answer_cdn(self, request):
        content = self.files[request.path.strip("/")]
        if self.damage:
            content = content[:-1] + bytes([content[-1] ^ 1])
        wanted = request.headers.get("Range")
        first, last = (wanted or "bytes=0-").removeprefix("bytes=").split("-")
        first, end = int(first), min(int(last) + 1, len(content)) if last else len(content)
        request.send_response(206 if wanted else 200)
        request.send_header("Content-Length", str(end - first))
        if wanted:
            request.send_header("Content-Range", f"bytes {first}-{end - 1}/{len(content)}")
        request.end_headers()
        if self.num_cuts > 0:
            self.num_cuts -= 1
            end = first + (end - first) // 2
        for begin in range(first, end, PIECE_BYTES):
            request.wfile.write(content[begin:min(begin + PIECE_BYTES, end)])
        request.close_connection = True

    def requests_for(self, name, host=None):
        return [entry for entry in self.seen if entry[2].endswith(name) and host in (None, entry[0])]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in (self.hub, self.cdn):
            server.shutdown()
            server.server_close()


def reply(request, status, body, **headers):
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
