"""Many clients at once: the company changes no answer, and who leaves takes nothing along."""

import threading
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from metrics import idle, scrape, value
from program import MODEL_NAME, Server, wait_until

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


def test_clients_that_leave_give_back_places_and_cache_within_a_second(tmp_path):
    """The cache holds two such answers, so most of the eight wait; all are cut, and nothing of them stays."""
    with Server(tmp_path / "log.txt", "--session-len", "512", "--cache-max-entry-count", "24MB",
                "--max-concurrent-requests", "8") as server:
        client = server.client()
        for _ in range(3):
            streams = [stream(client, MESSAGES[i], max_tokens=450, extra_body={"ignore_eos": True}) for i in range(8)]
            with pytest.raises(openai.RateLimitError):
                stream(client, MESSAGES[8])
            wait_until(lambda: value(scrape(server), "kv_blocks", state="used") > 0, 10, "one of them runs")
            for chunks in streams:
                chunks.close()
            wait_until(lambda: idle(server), 1, "places and blocks are free")
        answer = client.completions.create(model=MODEL_NAME, prompt="One", temperature=0, max_tokens=100,
                                          extra_body={"ignore_eos": True})
        assert answer.usage.completion_tokens == 100
