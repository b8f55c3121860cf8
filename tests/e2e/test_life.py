"""What befalls a server: bursts, clients that leave in each phase, signals, and a machine that runs out of things."""

import json
import resource
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hostile import (KEY, Books, RawClient, check_at_base, completion, endless, metric, post, post_bytes,
                     resident_bytes, settled)
from program import BINARY, GGUF, Server, wait_until

MAX_BATCH, MAX_REQUESTS = 2, 6


@pytest.fixture(scope="module")
def small_server(tmp_path_factory):
    """Two run, four wait, the next is told 429."""
    log = tmp_path_factory.mktemp("life") / "log.txt"
    with Server(log, "--api-keys", KEY, "--max-batch-size", MAX_BATCH, "--max-concurrent-requests", MAX_REQUESTS,
                "--max-prefill-token-num", 256, "--cache-max-entry-count", "400MB") as server:
        yield server


@pytest.fixture(scope="module")
def base(small_server):
    assert post(small_server, "/v1/completions", completion()).status == 200
    return settled(small_server)


@pytest.fixture(autouse=True)
def at_base_afterwards(request):
    yield
    if "base" in request.fixturenames:
        check_at_base(request.getfixturevalue("small_server"), request.getfixturevalue("base"))


def running(server) -> int:
    return int(metric(server, "lmdeploy:num_requests_running"))


def waiting(server) -> int:
    return int(metric(server, "lmdeploy:num_requests_waiting"))


def test_twice_the_burst_it_can_hold(small_server, base):
    """Each of them ends in an answer or in a 429 that says when to come again."""
    def ask(_):
        return post(small_server, "/v1/completions", completion(max_tokens=16))
    with ThreadPoolExecutor(2 * MAX_REQUESTS) as pool:
        replies = list(pool.map(ask, range(4 * MAX_REQUESTS)))
    assert {reply.status for reply in replies} == {200, 429}
    for reply in replies:
        if reply.status == 429:
            assert int(reply.headers["retry-after"]) >= 1
            assert reply.error["message"]
    assert sum(reply.status == 200 for reply in replies) >= MAX_REQUESTS


def fill(server, clients):
    """Takes every place of the batch."""
    for _ in range(MAX_BATCH):
        clients.append(RawClient(server))
        clients[-1].send(endless())
        clients[-1].read_until(b"data: ")


LONG_PROMPT = [1] * 6000


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_client_leaves_while_it_waits(small_server, base, stream, leave):
    clients = []
    fill(small_server, clients)
    late = RawClient(small_server)
    late.send(endless(stream=stream))
    wait_until(lambda: waiting(small_server) == 1, 10, "the third waits")
    getattr(late, leave)()
    wait_until(lambda: waiting(small_server) == 0, 10, "nobody waits")
    assert running(small_server) == MAX_BATCH
    for client in clients:
        client.close()


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_client_leaves_during_prefill(small_server, base, stream, leave):
    before = metric(small_server, "lmdeploy:prompt_tokens_total")
    client = RawClient(small_server)
    client.send(endless(stream=stream, prompt=[1 + time.monotonic_ns() % 40_000] + LONG_PROMPT))
    wait_until(lambda: running(small_server) == 1, 10, "the prompt is being computed")
    getattr(client, leave)()
    wait_until(lambda: Books.of(small_server) == base, 10, "its blocks are free")
    assert metric(small_server, "lmdeploy:prompt_tokens_total") == before  # it was cut before its end


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("fields", [{"stream": True}, {"stream": False}, {"stream": True, "n": 4}, {"stream": False, "n": 4}])
def test_a_client_leaves_during_decode(small_server, base, fields, leave):
    before = metric(small_server, "lmdeploy:generation_tokens_total")
    client = RawClient(small_server)
    client.send(endless(**fields))
    wait_until(lambda: metric(small_server, "lmdeploy:generation_tokens_total") >= before + 3, 10, "it answers")
    getattr(client, leave)()
    wait_until(lambda: Books.of(small_server) == base, 10, "its blocks are free")


def test_many_come_and_go_and_memory_stays(small_server, base):
    def visit(index):
        with RawClient(small_server) as client:
            stream = index % 2 == 0
            client.send(endless(stream=stream, n=1 + index % 3))
            if stream and index % 3:
                client.socket.recv(100)
            if index % 5 == 0:
                client.reset()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(visit, range(60)))
        wait_until(lambda: Books.of(small_server) == base, 10, "all is given back")
        before = resident_bytes(small_server)
        list(pool.map(visit, range(180)))
    wait_until(lambda: Books.of(small_server) == base, 10, "all is given back")
    assert resident_bytes(small_server) - before < 16 << 20


def test_sigterm_lets_answers_end_and_takes_no_new_ones(tmp_path):
    with Server(tmp_path / "log.txt", "--api-keys", KEY) as server, RawClient(server) as client, RawClient(server) as idle:
        client.send(endless(max_tokens=100))
        client.read_until(b"\r\n\r\n")
        server.terminate()
        wait_until(lambda: not answers_new(server), 10, "new requests are refused")
        rest = b""
        while piece := client.socket.recv(65536):
            rest += piece
        assert b"data: [DONE]" in rest and b'"finish_reason":"length"' in rest
        assert server.wait(10) == 0
        assert idle.socket.recv(1) == b""


def answers_new(server) -> bool:
    try:
        return post(server, "/v1/completions", completion()).status == 200
    except OSError:
        return False


def test_without_descriptors_newcomers_wait(tmp_path):
    """More connections than the process may have files: those within are served, and all once some have left."""
    with Server(tmp_path / "log.txt", "--api-keys", KEY) as server:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (64, 64))
        crowd = [RawClient(server) for _ in range(100)]
        crowd[0].send(post_bytes("/v1/completions", json.dumps(completion()).encode()))
        assert crowd[0].read().status == 200
        late = RawClient(server)
        late.send(post_bytes("/v1/completions", json.dumps(completion()).encode()))
        for client in crowd:
            client.close()
        assert late.read().status == 200
        late.close()


def test_a_full_disk_under_the_log(tmp_path):
    """stderr is a device that is always full: nothing can be logged, and everything is answered."""
    with open("/dev/full", "w") as full, Server(tmp_path / "log.txt", "--api-keys", KEY, stderr=full) as server:
        for _ in range(3):
            assert post(server, "/v1/completions", completion()).status == 200
        assert post(server, "/v1/completions", b"{").status == 400


@pytest.mark.skipif(not GGUF.exists(), reason="the demo model's GGUF file is not kept")
def test_ctrl_c_while_converting_leaves_nothing_under_the_final_name(tmp_path):
    target = tmp_path / "converted"
    process = subprocess.Popen([BINARY, "convert", GGUF, "--work-dir", target], stderr=subprocess.DEVNULL)
    wait_until(lambda: any(tmp_path.iterdir()) or process.poll() is not None, 10, "the conversion writes")
    process.send_signal(signal.SIGINT)
    process.wait(10)
    assert not (target / "model.safetensors").exists() or process.returncode == 0


@pytest.mark.skipif(not GGUF.exists(), reason="the demo model's GGUF file is not kept")
def test_a_full_disk_while_converting(tmp_path):
    """RLIMIT_FSIZE stands in for a full disk: a write fails in the middle of the weights."""
    target = tmp_path / "converted"

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20 << 20, 20 << 20))
    done = subprocess.run([BINARY, "convert", GGUF, "--work-dir", target], capture_output=True, text=True,
                          preexec_fn=limit, timeout=60, check=False)
    assert done.returncode == 1 and done.stderr, done
    assert not (target / "config.json").exists()
