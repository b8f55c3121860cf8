"""Many clients at once: the company changes no answer, and who leaves takes nothing along."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from program import MODEL_NAME, Server

NUM_CLIENTS = 32
TOPICS = ["a fox", "the sea", "prime numbers", "Paris", "a clock", "bread", "rain", "the moon"]
MESSAGES = [[{"role": "user", "content": f"{'Briefly, ' * (i % 5)}tell me {i} facts about {TOPICS[i % len(TOPICS)]}."}]
            for i in range(NUM_CLIENTS)]


def stream(client, messages, **options):
    return client.chat.completions.create(model=MODEL_NAME, messages=messages, stream=True,
                                          **{"temperature": 0, "max_tokens": 24, **options})


def text_of(chunks) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


@pytest.fixture(scope="module")
def alone(client):
    """Each question's answer with nobody else on the server."""
    return [text_of(stream(client, messages)) for messages in MESSAGES]


def test_answers_alone_differ(alone):
    assert len(set(alone)) > NUM_CLIENTS // 2  # equal texts below would prove little otherwise


def test_32_streams_at_once_say_what_each_says_alone(client, alone):
    barrier = threading.Barrier(NUM_CLIENTS)

    def ask(messages):
        barrier.wait(30)
        return text_of(stream(client, messages))
    with ThreadPoolExecutor(NUM_CLIENTS) as pool:
        together = list(pool.map(ask, MESSAGES))
    assert together == alone


def test_half_are_cut_and_the_rest_say_what_they_say_alone(client, alone):
    barrier = threading.Barrier(NUM_CLIENTS)

    def ask(index):
        barrier.wait(30)
        if index % 2 == 0:
            return text_of(stream(client, MESSAGES[index]))
        chunks = stream(client, MESSAGES[index], max_tokens=4000, extra_body={"ignore_eos": True})
        for _, _ in zip(range(1 + index // 4), chunks):
            pass
        chunks.close()  # the connection is cut in the middle of the answer
        return None
    with ThreadPoolExecutor(NUM_CLIENTS) as pool:
        answers = list(pool.map(ask, range(NUM_CLIENTS)))
    assert answers[::2] == alone[::2]


def take_places(client) -> list:
    """Endless answers, as many as the server takes at once just now."""
    taken = []
    try:
        while True:
            taken.append(stream(client, MESSAGES[len(taken)], max_tokens=450, extra_body={"ignore_eos": True}))
    except openai.RateLimitError:
        return taken


def leave(streams):
    for chunks in streams:
        chunks.close()


def test_clients_that_leave_give_back_places_and_cache_within_a_second(tmp_path):
    """The cache holds two such answers: where one that was cut kept its blocks, the next would wait for ever."""
    with Server(tmp_path / "log.txt", "--session-len", "512", "--cache-max-entry-count", "24MB",
                "--max-concurrent-requests", "8") as server:
        client = server.client()
        streams = take_places(client)
        for _ in range(3):
            assert len(streams) == 8
            for chunks in streams:
                next(iter(chunks))
            leave(streams)
            left_at = time.monotonic()
            streams = take_places(client)
            while len(streams) < 8 and time.monotonic() < left_at + 1:
                leave(streams)
                streams = take_places(client)
        leave(streams)
        whole = client.with_options(max_retries=5).completions.create(
            model=MODEL_NAME, prompt="One", temperature=0, max_tokens=500, extra_body={"ignore_eos": True})
        assert whole.usage.completion_tokens == 500
