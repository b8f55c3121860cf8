"""HTTP that no honest client sends: the right refusal, and a server that goes on."""

import json
import time

import pytest

from hostile import (KEY, RawClient, check_at_base, completion, endless, exchange, post, post_bytes)
from program import wait_until

GET = b"GET /health HTTP/1.1\r\nHost: h\r\n"
POST = (b"POST /v1/completions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + KEY.encode() +
        b"\r\nContent-Type: application/json\r\n")


@pytest.fixture(autouse=True)
def at_base_afterwards(guarded):
    server, base = guarded
    yield
    check_at_base(server, base)


def refuse(server, data: bytes, status: int, says: str = ""):
    """The refusal is whole, is OpenAI's error object, and names what was wrong."""
    reply = exchange(server, data)
    assert reply.status == status, (data[:100], reply)
    assert reply.error["message"], reply
    assert says in reply.error["message"], reply
    assert reply.headers["x-request-id"]
    return reply


@pytest.mark.parametrize("data, status, says", [
    (GET + b"X: " + b"a" * (1 << 20) + b"\r\n\r\n", 431, "16384"),
    (GET + b"".join(b"X-%d: y\r\n" % i for i in range(10_000)) + b"\r\n", 431, "16384"),
    (b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: h\r\n\r\n", 431, ""),
    (b"GET /health HTTP/1.1\nHost: h\n\n", 400, ""),
    (GET + b"X: a\x00b\r\n\r\n", 400, ""),
    (GET + b"X: a\r\n folded\r\n\r\n", 400, ""),
    (GET + b"no colon\r\n\r\n", 400, ""),
    (b"GET /health HTTP/3.0\r\nHost: h\r\n\r\n", 505, ""),
    (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", 400, ""),
], ids=["1 MB header", "10,000 headers", "1 MB target", "bare LF", "NUL", "folded", "no colon", "version", "TLS hello"])
def test_heads(hostile_server, data, status, says):
    refuse(hostile_server, data, status, says)


@pytest.mark.parametrize("framing, status", [
    (b"Content-Length: x\r\n\r\n{}", 400), (b"Content-Length: -1\r\n\r\n{}", 400),
    (b"Content-Length: 2, 2\r\n\r\n{}", 400), (b"Content-Length: 99999999999999999999\r\n\r\n{}", 400),
    (b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
    (b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
    (b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n", 400),
    (b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    (b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", 413),
    (b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400),
    (b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
    (b"Content-Length: 99999999\r\n\r\n", 413), (b"\r\n", 411),
    (b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b", 415),
    (b"Content-Encoding: zstd\r\nContent-Length: 2\r\n\r\n{}", 415),
])
def test_framing_and_encodings(hostile_server, framing, status):
    refuse(hostile_server, POST + framing, status)


def test_a_body_in_chunks_beyond_the_limit_is_413(hostile_server):
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    refuse(hostile_server, POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 100, 413, "4194304")


def test_a_body_shorter_than_its_length_is_no_request(hostile_server):
    with RawClient(hostile_server) as client:
        client.send(POST + b"Content-Length: 1000\r\n\r\n{")


@pytest.mark.parametrize("host", [b"", b"a b", b"a/b", b"a\\b", b"h:x", b"h:123456", b"u@h", b"[::1"])
def test_bad_hosts(hostile_server, host):
    refuse(hostile_server, b"GET /health HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", 400)


def test_no_host_and_two_hosts(hostile_server):
    refuse(hostile_server, b"GET /health HTTP/1.1\r\n\r\n", 400)
    refuse(hostile_server, GET + b"Host: other\r\n\r\n", 400)


ROUTES = [("GET", "/v1/models"), ("GET", "/v1/models/x"), ("GET", "/metrics"), ("POST", "/v1/chat/completions"),
          ("POST", "/v1/completions"), ("POST", "/v1/encode"), ("POST", "/generate"), ("POST", "/abort_request"),
          ("POST", "/v1/chat/interactive"), ("POST", "/tokenize"), ("POST", "/detokenize"),
          ("POST", "/v1/responses"), ("GET", "/v1/responses/x"), ("DELETE", "/v1/responses/x"),
          ("POST", "/v1/responses/x/cancel"), ("POST", "/v1/embeddings"), ("POST", "/v1/messages"),
          ("POST", "/v1/messages/count_tokens")]
DISGUISES = ["{}", "/{}", "/.{}", "/x/..{}", "{}/", "{}/.", "/%2e{}", "/x/%2e%2e{}", "http://h{}", "http://evil.example:80{}",
             "https://h/{}", "{}?key=" + KEY, "{}%20", "{}//"]


@pytest.mark.parametrize("key", [None, "", "sesam", KEY + "x", KEY.upper(), "x" * 8000, "sesame\u00e9"])
def test_every_route_asks_for_the_key(hostile_server, key):
    authorization = f"Authorization: Bearer {key}\r\n" if key is not None else ""
    for method, path in ROUTES:
        data = f"{method} {path} HTTP/1.1\r\nHost: h\r\n{authorization}Content-Length: 2\r\n\r\n{{}}"
        refuse(hostile_server, data.encode("latin-1"), 401)


def test_no_spelling_of_a_path_passes_the_key(hostile_server):
    for method, path in ROUTES:
        for disguise in DISGUISES:
            target = disguise.format(path)
            reply = exchange(hostile_server, f"{method} {target} HTTP/1.1\r\nHost: /health\r\nHost: h\r\n\r\n".encode())
            assert reply.status == 400, (target, reply)
            reply = exchange(hostile_server, f"{method} {target} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".encode())
            assert reply.status in (400, 401), (target, reply)


def test_with_the_key_a_route_has_one_spelling(hostile_server):
    def status(target):
        return exchange(hostile_server, f"GET {target} HTTP/1.1\r\nHost: h\r\nx-api-key: {KEY}\r\n\r\n".encode()).status
    for target in ("/v1/models", "http://other.example/v1/models", "/v1/m%6fdels", "/v1/models?x=1"):
        assert status(target) == 200, target
    for target in ("//v1/models", "/v1//models", "/v1/models/", "/x/../v1/models", "/x/%2e%2e/v1/models", "/V1/models"):
        assert status(target) == 404, target
    for target in ("/%zz", "/%00", "v1/models", "*"):
        assert status(target) == 400, target


def test_wrong_methods(hostile_server):
    for data, allowed in ((b"POST /health HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "GET"),
                          (b"BREW /health HTTP/1.1\r\nHost: h\r\n\r\n", "GET"),
                          (f"GET /v1/completions HTTP/1.1\r\nHost: h\r\nx-api-key: {KEY}\r\n\r\n".encode(), "POST")):
        assert allowed in refuse(hostile_server, data, 405).headers["allow"]


def test_pipelined_requests_are_answered_in_order(hostile_server):
    with RawClient(hostile_server) as client:
        client.send(b"".join(post_bytes("/v1/completions", json.dumps(completion(max_tokens=i)).encode())
                             for i in (1, 2, 3)))
        counts = [json.loads(client.read().body)["usage"]["completion_tokens"] for _ in range(3)]
    assert counts == [1, 2, 3]


def test_clients_that_are_slow_lose_their_patience_first(hostile_server):
    """A header, a body and a reader that drip: the first two get a 408 by their deadlines, drops or not, and nobody
    else waits for them."""
    start = time.monotonic()
    with RawClient(hostile_server) as header, RawClient(hostile_server) as body, \
         RawClient(hostile_server, receive_buffer=2048) as reader:
        header.send(b"GET /health HTTP/1.1\r\n")
        body.send(POST + b"Content-Length: 1000\r\n\r\n{")
        reader.send(endless(n=4, max_tokens=300))
        for _ in range(3):
            assert post(hostile_server, "/v1/completions", completion()).status == 200
            header.send(b"X: y\r\n")
            body.send(b" ")
            reader.socket.recv(1)
        assert header.read().status == 408
        assert body.read().status == 408
    assert time.monotonic() - start < 20


def test_connections_that_never_speak(hostile_server):
    idle = [RawClient(hostile_server) for _ in range(300)]
    assert post(hostile_server, "/v1/completions", completion()).status == 200
    for client in idle:
        client.close()


def test_requests_cut_at_every_place(hostile_server):
    whole = post_bytes("/v1/completions", json.dumps(completion()).encode())
    for length in range(0, len(whole), 7):
        client = RawClient(hostile_server)
        client.send(whole[:length])
        client.reset() if length % 2 else client.close()


def test_a_half_close_after_the_request(hostile_server):
    """The client says that it sends nothing more. Some read on; who is gone looks the same, so the answer ends."""
    import socket
    with RawClient(hostile_server) as client:
        client.send(endless())
        client.read_until(b"data: ")
        client.socket.shutdown(socket.SHUT_WR)
        wait_until(lambda: not client.socket.recv(65536), 10, "the server ends the answer")


def test_connections_closed_right_after_their_answer(hostile_server):
    """Some closes come before the server has looked again: one in eighty connections once stayed open for 75 s."""
    for _ in range(300):
        assert post(hostile_server, "/v1/completions", completion()).status == 200
