#!/usr/bin/env python3
"""A long mixed load: most clients are honest, one request in ten is cut off by its client, one in a hundred is wrong.

Before it the same load without the last two, for comparison. Ends with a table: requests, failures by cause, leaked
blocks, the slope of the resident memory, descriptors, and what the others' trouble cost the honest ones. Exits 1 when
an honest request failed, a wrong one was not refused, something leaked, or (over ten minutes and more) memory grew.
`make soak` runs it.
"""

import argparse
import collections
import http.client
import itertools
import json
import random
import socket
import statistics
import struct
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/e2e"))
from hostile import KEY, Books, exchange, post, resident_bytes, settled  # noqa: E402
from program import MODEL_NAME, Server  # noqa: E402

CANCELLED_SHARE, WRONG_SHARE = 0.10, 0.01
ALONE_SHARE = 0.2      # of the time, for the run without the hostile part
WARM_UP_SHARE = 0.25   # of the mixed run, before memory is watched
MAX_GROWTH = 4 << 20   # bytes of resident memory, from the warm-up's end to the run's end
MIN_WATCH_SECONDS = 600  # a shorter watch cannot tell a leak from buffers that still grow: it is shown, not judged
SESSION_LEN = 2048
WORDS = "the river of night and a fox under old stones while rain is near every quiet town sings its song".split()


def text(rng: random.Random, num_words: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(num_words))


def chat(rng, **fields) -> tuple[str, dict]:
    messages = [{"role": "user", "content": text(rng, rng.randint(1, 60))}]
    return "/v1/chat/completions", {"model": MODEL_NAME, "messages": messages, "max_tokens": rng.randint(1, 48), **fields}


def completion(rng, **fields) -> tuple[str, dict]:
    return "/v1/completions", {"model": MODEL_NAME, "prompt": text(rng, rng.randint(1, 60)),
                               "max_tokens": rng.randint(1, 48), **fields}


HONEST = [
    lambda rng: chat(rng, stream=True),
    lambda rng: chat(rng, stream=True, temperature=0, stream_options={"include_usage": True}),
    lambda rng: chat(rng, n=2, seed=rng.getrandbits(30), top_p=0.9),
    lambda rng: chat(rng, stream=True, logprobs=True, top_logprobs=5),
    lambda rng: chat(rng, stop=["the", " fox"], frequency_penalty=0.5),
    lambda rng: completion(rng, stream=True, ignore_eos=True),
    lambda rng: completion(rng, temperature=0, logit_bias={"5": 10}),
    lambda rng: completion(rng, prompt="A story: " + text(random.Random(rng.randint(0, 3)), 900), stream=True, max_tokens=8),
]
WRONG = [
    (lambda rng: chat(rng, temperature=-1), 400),
    (lambda rng: chat(rng, max_tokens=2**40), 400),
    (lambda rng: chat(rng, messages=[{"role": "wizard", "content": "x"}]), 400),
    (lambda rng: completion(rng, prompt=[10**9]), 400),
    (lambda rng: completion(rng, prompt="word " * 5000), 400),
    (lambda rng: completion(rng, prompt="x" * (5 << 20)), 413),
    (lambda rng: ("/v1/completions", b"[" * 100_000), 400),
    (lambda rng: ("/v1/chat/completions", b'{"model": "\xff"}'), 400),
    (lambda rng: ("/v1/nowhere", {}), 404),
]
WRONG_BYTES = [b"GET / HTTP/1.1\nHost: h\n\n", b"\x16\x03\x01\x00\xa5\x01", b"POST /v1/completions HTTP/1.1\r\nHost: h\r\n"
               b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", b"GET /" + b"a" * 50_000 + b" HTTP/1.1\r\n\r\n"]


@dataclass
class Tally:
    """What a load came to. Written by its clients' threads under the lock."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    requests: collections.Counter = field(default_factory=collections.Counter)  # by kind
    refused: collections.Counter = field(default_factory=collections.Counter)   # as intended, by status
    failures: collections.Counter = field(default_factory=collections.Counter)  # not intended, by what happened
    first: list = field(default_factory=list)  # seconds to the first piece of an honest answer
    gaps: list = field(default_factory=list)   # seconds between two pieces of an honest stream

    def add(self, kind: str, failure: str = "", refused: int = 0, first=(), gaps=()):
        with self.lock:
            self.requests[kind] += 1
            if failure:
                self.failures[f"{kind}: {failure}"] += 1
            if refused:
                self.refused[refused] += 1
            self.first.extend(first)
            self.gaps.extend(gaps)


def open_request(server: Server, path: str, body) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", path, data, {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"})
    return connection


def honest(server: Server, rng: random.Random, tally: Tally):
    path, body = rng.choice(HONEST)(rng)
    last = time.monotonic()
    first, gaps, data = [], [], b""
    connection = open_request(server, path, body)
    try:
        response = connection.getresponse()
        while piece := response.readline():
            data += piece
            if piece.startswith(b"data: {") or not body.get("stream"):
                now = time.monotonic()
                (gaps if first else first).append(now - last)
                last = now
    finally:
        connection.close()
    failure = ""
    if response.status != 200:
        failure = f"status {response.status}: {data[:200]!r}"
    elif body.get("stream") and (b"event: error" in data or not data.endswith(b"data: [DONE]\n\n")):
        failure = f"a stream that ends with {data[-200:]!r}"
    elif not body.get("stream") and len(json.loads(data)["choices"]) != body.get("n", 1):
        failure = "an answer without its choices"
    tally.add("honest", failure, first=first, gaps=gaps if body.get("stream") else [])


def cancelled(server: Server, rng: random.Random, tally: Tally):
    """Leaves at once, in the queue, in the prompt or in the answer; with and without a last word."""
    path, body = rng.choice(HONEST)(rng)
    connection = open_request(server, path, {**body, "max_tokens": 500, "ignore_eos": True})
    if body.get("stream") and rng.random() < 0.7:
        connection.getresponse().read(rng.randint(1, 4000))
    else:
        time.sleep(rng.random() * 0.3)
    if rng.random() < 0.5 and connection.sock:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    tally.add("cancelled")


def wrong(server: Server, rng: random.Random, tally: Tally):
    if rng.random() < 0.3:
        reply = exchange(server, rng.choice(WRONG_BYTES))
        wanted = range(400, 500)
    else:
        make, status = rng.choice(WRONG)
        reply = post(server, *make(rng))
        wanted = (status,)
    failure = "" if reply.status in wanted else f"wanted {wanted}, got {reply.status}: {reply.body[:200]!r}"
    tally.add("wrong", failure, refused=reply.status if not failure else 0)


def client(server: Server, seed: int, hostile: bool, until: float, tally: Tally):
    rng = random.Random(seed)
    while time.monotonic() < until:
        draw = rng.random() if hostile else 1.0
        act = wrong if draw < WRONG_SHARE else cancelled if draw < WRONG_SHARE + CANCELLED_SHARE else honest
        try:
            act(server, rng, tally)
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            tally.add(act.__name__, f"{type(error).__name__}: {error}")


def load(server: Server, num_clients: int, seconds: float, hostile: bool, seed: int, watch=lambda: None) -> Tally:
    tally = Tally()
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=client, args=(server, seed * 1000 + i, hostile, until, tally), daemon=True)
               for i in range(num_clients)]
    for thread in threads:
        thread.start()
    while time.monotonic() < until:
        watch()
        time.sleep(min(1.0, max(0.0, until - time.monotonic())))
    for thread in threads:
        thread.join(180)
        if thread.is_alive():
            tally.add("honest", "no end within three minutes")
    return tally


def percentile(values, percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


def slope(samples) -> float:
    """Bytes per second by Theil and Sen: the median of the slopes between pairs, which outliers do not move."""
    thinned = samples[::max(1, len(samples) // 200)]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.combinations(thinned, 2) if b[0] > a[0]]
    return statistics.median(slopes) if slopes else 0.0


def report(alone: Tally, mixed: Tally, base: Books, end: Books, memory: list) -> bool:
    watched = memory[int(len(memory) * WARM_UP_SHARE):]
    per_second = slope(watched)
    watched_seconds = watched[-1][0] - watched[0][0]
    growth = per_second * watched_seconds
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(mixed.requests.items()))
    rows = [("requests", f"{sum(mixed.requests.values())} ({kinds})"),
            ("refused as intended", ", ".join(f"{count} x {status}" for status, count in sorted(mixed.refused.items())) or "none"),
            ("failures", f"{sum((alone.failures + mixed.failures).values())}"),
            ("leaked blocks, requests", f"{end.used_blocks}, {end.running + end.waiting}"),
            ("descriptors, threads", f"{base.descriptors} -> {end.descriptors}, {base.threads} -> {end.threads}"),
            ("resident memory", f"{watched[-1][1] / 2**20:.1f} MiB, slope {per_second * 3600 / 2**20:+.2f} MiB/h"),
            ("p99 first piece", f"{percentile(mixed.first, 99) * 1e3:.0f} ms, without the hostile part {percentile(alone.first, 99) * 1e3:.0f} ms"),
            ("p99 gap", f"{percentile(mixed.gaps, 99) * 1e3:.0f} ms, without the hostile part {percentile(alone.gaps, 99) * 1e3:.0f} ms")]
    for name, value in rows:
        print(f"{name:26}{value}")
    for failure, count in (alone.failures + mixed.failures).most_common(20):
        print(f"  {count:6} x {failure}")
    problems = []
    if alone.failures + mixed.failures:
        problems.append("requests failed that should not")
    if end != base:
        problems.append(f"not back at base: {base} -> {end}")
    if growth > MAX_GROWTH and watched_seconds >= MIN_WATCH_SECONDS:
        problems.append(f"memory grew by {growth / 2**20:.1f} MiB after the warm-up")
    print("soak: " + ("; ".join(problems) or "nothing lost, nothing leaked"))
    return not problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, \
         Server(Path(folder) / "log.txt", "--api-keys", KEY, "--session-len", SESSION_LEN, "--cache-max-entry-count",
                "64MB", "--max-batch-size", 16) as server:
        load(server, arguments.clients, min(10, arguments.seconds / 10), True, arguments.seed)  # every path once
        base = settled(server)
        seconds = arguments.seconds * ALONE_SHARE
        alone = load(server, arguments.clients, seconds, False, arguments.seed + 1)
        memory = []
        mixed = load(server, arguments.clients, arguments.seconds - seconds, True, arguments.seed + 2,
                     lambda: memory.append((time.monotonic(), resident_bytes(server))))
        passed = report(alone, mixed, base, settled(server), memory)
        if server.process.poll() is not None:
            print("soak: the server ended")
            passed = False
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
