"""Clients that misbehave, and the books that must balance after they are gone."""

import http.client
import json
import os
import re
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from program import MODEL_NAME, Server, wait_until

KEY = "sesame"
SETTLE_SECONDS = 10  # on a loaded machine; what is measured elsewhere is that it takes a step


@dataclass
class Reply:
    status: int
    headers: dict  # names in lower case
    body: bytes

    @property
    def error(self) -> dict:
        return json.loads(self.body)["error"]


class RawClient:
    """One connection, every byte under the test's control."""

    def __init__(self, server: Server, receive_buffer: int = 0):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", server.port))

    def send(self, data: bytes):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server has answered and closed; its answer is still to be read

    def read(self) -> Reply:
        response = http.client.HTTPResponse(self.socket)
        response.begin()
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    def read_until(self, mark: bytes) -> bytes:
        data = b""
        while mark not in data:
            piece = self.socket.recv(65536)
            assert piece, f"the server closed the connection after {data!r}"
            data += piece
        return data

    def close(self):
        self.socket.close()

    def reset(self):
        """RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def post_bytes(path: str, body: bytes, key: str = KEY, more: str = "") -> bytes:
    return (f"POST {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{more}\r\n").encode() + body


def exchange(server: Server, data: bytes) -> Reply:
    """What the server says to these bytes on a connection of their own."""
    with RawClient(server) as client:
        client.send(data)
        return client.read()


def post(server: Server, path: str, body) -> Reply:
    return exchange(server, post_bytes(path, body if isinstance(body, bytes) else json.dumps(body).encode()))


def completion(**fields) -> dict:
    return {"model": MODEL_NAME, "prompt": "One two three", "max_tokens": 1, "temperature": 0, **fields}


def chat(**fields) -> dict:
    return {"model": MODEL_NAME, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1,
            "temperature": 0, **fields}


def endless(**fields) -> bytes:
    """A request for a stream that ends with the session only."""
    return post_bytes("/v1/completions", json.dumps(
        completion(**{"stream": True, "ignore_eos": True, "max_tokens": 4000, **fields})).encode())


def metric(server: Server, name: str, **labels) -> float:
    text = exchange(server, f"GET /metrics HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
    assert text.status == 200, text
    for line in text.body.decode().splitlines():
        found = re.fullmatch(rf"{re.escape(name)}(?:\{{(.*)\}})? (\S+)", line)
        if found and all(f'{label}="{value}"' in (found[1] or "") for label, value in labels.items()):
            return float(found[2])
    raise AssertionError(f"/metrics has no {name} {labels}")


@dataclass(frozen=True)
class Books:
    """What a server holds for its clients."""
    running: int
    waiting: int
    used_blocks: int
    descriptors: int
    threads: int

    @staticmethod
    def of(server: Server) -> "Books":
        """Files first: the connections that ask for the metrics are among them for a moment after they are closed."""
        process = Path("/proc") / str(server.process.pid)
        descriptors, threads = len(os.listdir(process / "fd")), len(os.listdir(process / "task"))
        running = int(metric(server, "lmdeploy:num_requests_running"))
        waiting = int(metric(server, "lmdeploy:num_requests_waiting"))
        blocks = int(metric(server, "lmdeploy:kv_blocks", state="used"))
        return Books(running, waiting, blocks, descriptors, threads)


def resident_bytes(server: Server) -> int:
    pages = (Path("/proc") / str(server.process.pid) / "statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def settled(server: Server) -> Books:
    """The books once nothing runs, without connections that are just being closed: the best of some looks."""
    def idle():
        books = Books.of(server)
        return books if books.running == books.waiting == books.used_blocks == 0 else None
    looks = []
    for _ in range(5):
        looks.append(wait_until(idle, SETTLE_SECONDS, "the server comes to rest"))
        time.sleep(0.05)
    return min(looks, key=lambda books: books.descriptors)


def check_at_base(server: Server, base: Books):
    """The next request is served, and everything that was taken is given back."""
    assert server.process.poll() is None, server.log.read_text()[-2000:]
    assert post(server, "/v1/completions", completion()).status == 200
    wait_until(lambda: Books.of(server) == base, SETTLE_SECONDS, f"{base}, found {Books.of(server)}")
