"""Options of `serve api_server` that change what clients see."""

import http.client
import json
import re
import threading
import urllib.error
import urllib.request

import openai
import pytest

from program import MODEL, MODEL_NAME, Server, run, wait_until

HELLO = [{"role": "user", "content": "Hello"}]
ENDLESS = {"max_tokens": 8000, "temperature": 0, "extra_body": {"ignore_eos": True}}


def test_api_keys(tmp_path):
    with Server(tmp_path / "log.txt", "--api-keys", "first", "second") as server:
        for key in ("first", "second"):
            assert server.client(key).models.list().data[0].id == str(MODEL)
        for key in ("third", "firs", "firstt"):
            with pytest.raises(openai.AuthenticationError):
                server.client(key).models.list()
        with pytest.raises(openai.AuthenticationError) as caught:
            server.client("none").chat.completions.create(model=MODEL_NAME, messages=HELLO)
        assert caught.value.code == "invalid_api_key"
        assert server.answers()  # /health needs no key


def test_model_name_and_session_len(tmp_path):
    with Server(tmp_path / "log.txt", "--model-name", "demo", "--session-len", "64") as server:
        client = server.client()
        assert client.models.list().data[0].id == "demo"
        answer = client.completions.create(model="demo", prompt="One two three", temperature=0, max_tokens=400,
                                           extra_body={"ignore_eos": True})
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage.total_tokens == 64
        with pytest.raises(openai.BadRequestError):
            client.completions.create(model="demo", prompt="word " * 80, max_tokens=1)


def test_beyond_max_concurrent_requests_is_429_and_a_client_that_left_makes_room(tmp_path):
    with Server(tmp_path / "log.txt", "--max-concurrent-requests", "2") as server:
        client = server.client()
        streams = []
        for _ in range(2):
            streams.append(client.chat.completions.create(model=MODEL_NAME, messages=HELLO, stream=True, **ENDLESS))
            next(iter(streams[-1]))
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model=MODEL_NAME, messages=HELLO, max_tokens=1)
        assert "retry-after" in caught.value.response.headers
        for stream in streams:
            stream.close()

        def has_room():
            try:
                return client.chat.completions.create(model=MODEL_NAME, messages=HELLO, max_tokens=1)
            except openai.RateLimitError:
                return None
        wait_until(has_room, 1, "the places of the two that left are free")


def test_sigterm_lets_running_answers_end(tmp_path):
    with Server(tmp_path / "log.txt") as server:
        client = server.client()
        stream = iter(client.chat.completions.create(model=MODEL_NAME, messages=HELLO, stream=True, temperature=0,
                                                     max_tokens=100, extra_body={"ignore_eos": True}))
        chunks = [next(stream)]
        server.terminate()
        chunks += list(stream)
        assert chunks[-1].choices[0].finish_reason == "length"
        assert server.wait(10) == 0
        with pytest.raises(openai.APIConnectionError):
            client.models.list()


def test_a_second_sigterm_ends_at_once(tmp_path):
    with Server(tmp_path / "log.txt") as server:
        stream = iter(server.client().chat.completions.create(model=MODEL_NAME, messages=HELLO, stream=True, **ENDLESS))
        next(stream)
        server.terminate()
        wait_until(lambda: "signal 15" in server.log.read_text(), 5, "the first signal is taken")
        server.terminate()
        server.wait(5)


def test_a_port_that_is_taken_is_said(server):
    result = run("serve", "api_server", MODEL, "--server-name", "127.0.0.1", "--server-port", server.port)
    assert result.returncode == 1
    assert str(server.port) in result.stderr


def test_cors_preflight(server):
    request = urllib.request.Request(server.url + "/v1/chat/completions", method="OPTIONS", headers={
        "Origin": "http://example.com", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] in ("*", "http://example.com")
        assert {"*", "POST"} & set(re.split(", *", answer.headers["Access-Control-Allow-Methods"]))


def test_the_log_says_what_the_cache_came_to(server):
    assert re.search(r"[Cc]ache.*\d+ tokens|\d+ tokens.*[Cc]ache", server.log.read_text())


def test_requests_are_served_while_a_long_one_runs(client):
    """A short question is answered long before an endless one ends."""
    stream = client.chat.completions.create(model=MODEL_NAME, messages=HELLO, stream=True, **ENDLESS)
    next(iter(stream))
    answered = threading.Event()

    def ask():
        client.chat.completions.create(model=MODEL_NAME, messages=HELLO, max_tokens=4)
        answered.set()
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(30)
    stream.close()
    assert answered.is_set()


def test_keep_alive(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for _ in range(3):
        connection.request("POST", "/v1/completions", json.dumps(
            {"model": MODEL_NAME, "prompt": "One", "max_tokens": 1}), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
    connection.close()


def test_limits_times_and_the_log(tmp_path):
    with Server(tmp_path / "log.txt", "--max-n", 2, "--max-stop", 1, "--max-body-size", "2KiB", "--request-timeout", 2,
                "--max-log-len", 12, "--log-format", "json", "--session-timeout", 1) as server:
        ask = {"model": MODEL_NAME, "prompt": "One two three four", "max_tokens": 2}
        assert server.post("/v1/completions", ask)[0] == 200
        for field, value in (("n", 3), ("stop", ["a", "b"])):
            status, _, body = server.post("/v1/completions", {**ask, field: value})
            assert status == 400 and json.loads(body)["error"]["param"] == field
        assert server.post("/v1/completions", {**ask, "prompt": "x" * 3000})[0] == 413
        status, _, body = server.post("/v1/completions", {**ask, "max_tokens": 8000, "ignore_eos": True})
        assert status == 504 and json.loads(body)["error"]["code"] == "timeout"
    records = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    messages = [record["message"] for record in records]
    assert any(message.endswith("prompt of 4 tokens: One two thre") for message in messages)
    assert any("POST /v1/completions -> 200" in message and "queued=" in message for message in messages)
    assert any("POST /v1/completions -> 413" in message for message in messages)


def test_a_full_queue_is_429_at_once(tmp_path):
    with Server(tmp_path / "log.txt", "--max-batch-size", 1, "--max-queue-len", 0) as server:
        stream = server.client().chat.completions.create(model=MODEL_NAME, messages=HELLO, stream=True, **ENDLESS)
        next(iter(stream))
        status, headers, body = server.post("/v1/completions", {"model": MODEL_NAME, "prompt": "x"})
        assert status == 429 and int(headers["Retry-After"]) >= 1
        assert json.loads(body)["error"]["type"] == "rate_limit_error"
        stream.close()


def test_while_draining_newcomers_are_told(tmp_path):
    with Server(tmp_path / "log.txt") as server:
        stream = iter(server.client().chat.completions.create(model=MODEL_NAME, messages=HELLO, stream=True,
                                                              max_tokens=400, extra_body={"ignore_eos": True}))
        next(stream)
        server.terminate()
        wait_until(lambda: "signal 15" in server.log.read_text(), 5, "the signal is taken")
        status, headers, _ = server.post("/v1/completions", {"model": MODEL_NAME, "prompt": "x"})
        assert status == 503 and headers["Connection"] == "close" and "Retry-After" in headers
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(server.url + "/health?ready", timeout=5)
        assert caught.value.code == 503
        assert urllib.request.urlopen(server.url + "/health", timeout=5).status == 200
        assert list(stream)[-1].choices[0].finish_reason == "length"
        assert server.wait(10) == 0
