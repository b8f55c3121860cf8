"""A hub on this machine: listings, redirects to a second host for large files, ranges, and faults."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

REPO = "demo/SmolLM2-135M-Instruct"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PIECE_BYTES = 1 << 20
LARGE = (".safetensors", ".parquet", ".gz", ".zst")  # on the second host


class StandInHub:
    """Serves a model folder as REPO, and data sets: name of the repository -> path -> bytes. A context manager.

    `num_cuts` connections break in the middle.
    """

    def __init__(self, folder: Path | None = None, num_cuts=0, damage=False, datasets=None):
        self.repos = {f"datasets/{name}": files for name, files in (datasets or {}).items()}
        if folder:
            self.repos[f"models/{REPO}"] = {path.name: path.read_bytes() for path in folder.iterdir()}
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

    def listing(self, repo) -> bytes:
        siblings = []
        for name, content in self.repos[repo].items():
            entry = {"rfilename": name, "size": len(content), "blobId": git_hash(content)}
            if name.endswith(LARGE):
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            siblings.append(entry)
        return json.dumps({"id": repo, "sha": COMMIT, "siblings": siblings}).encode()

    def _answer_hub(self, request):
        path = request.path.split("?")[0]
        for repo, files in self.repos.items():
            if path.startswith(f"/api/{repo}/revision/"):
                reply(request, 200, self.listing(repo))
                return
            page = "/" + repo.removeprefix("models/")
            if path.startswith(f"{page}/resolve/"):
                name = path.removeprefix(f"{page}/resolve/").partition("/")[2]
                self._answer_file(request, repo, name, files)
                return
        reply(request, 404, b"{}")

    def _answer_file(self, request, repo, name, files):
        if name not in files:
            reply(request, 404, b"{}")
        elif name.endswith(LARGE):
            reply(request, 302, b"", Location=f"http://localhost:{self.cdn.server_port}/{repo}/{name}")
        else:
            reply(request, 200, files[name], ETag=f'"{git_hash(files[name])}"')

    def _answer_cdn(self, request):
        kind, owner, name, path = request.path.strip("/").split("/", 3)
        content = self.repos[f"{kind}/{owner}/{name}"][path]
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
