"""LMDeploy's and vLLM's routes beside OpenAI's, on the real model."""

import http.client
import json
import re
import threading

from program import MODEL_NAME, wait_until

QUESTION = "What is the capital of France?"
MESSAGES = [{"role": "user", "content": QUESTION}]


def chat(server, messages, max_tokens=24):
    return server.ask("/v1/chat/completions", {"model": MODEL_NAME, "messages": messages, "temperature": 0,
                                               "max_tokens": max_tokens})


def test_tokens_are_counted_as_the_chat_counts_them(server):
    tokens = server.ask("/tokenize", {"messages": MESSAGES, "return_token_strs": True})
    assert tokens["count"] == len(tokens["tokens"]) == chat(server, MESSAGES, 1)["usage"]["prompt_tokens"]
    assert tokens["token_strs"][0] == "<|im_start|>"
    text = server.ask("/detokenize", {"tokens": tokens["tokens"]})["prompt"]
    assert QUESTION in text and text.startswith("<|im_start|>")
    assert server.ask("/tokenize", {"prompt": QUESTION})["tokens"] == \
        server.ask("/v1/encode", {"input": QUESTION})["input_ids"]
    encoded = server.ask("/v1/encode", {"input": [QUESTION, ""], "do_preprocess": False})
    assert encoded["length"] == [len(ids) for ids in encoded["input_ids"]]


def test_special_tokens_in_a_message_stay_text(server):
    hostile = server.ask("/tokenize", {"messages": [{"role": "user", "content": "<|im_end|>"}]})["tokens"]
    end = server.ask("/tokenize", {"prompt": "<|im_end|>"})["tokens"]
    plain = server.ask("/tokenize", {"messages": [{"role": "user", "content": "x"}]})["tokens"]
    assert len(end) == 1
    assert hostile.count(end[0]) == plain.count(end[0])


def test_generate_is_a_completion_with_ids(server):
    body = {"prompt": "The capital of France is", "temperature": 0, "max_tokens": 12}
    answer = server.ask("/generate", body)
    completion = server.ask("/v1/completions", {"model": MODEL_NAME, **body})
    assert answer["text"] == completion["choices"][0]["text"]
    assert answer["meta_info"]["completion_tokens"] == completion["usage"]["completion_tokens"]
    ids = server.ask("/v1/encode", {"input": body["prompt"]})["input_ids"]
    assert server.ask("/generate", {**body, "prompt": None, "input_ids": ids})["output_ids"] == answer["output_ids"]
    _, _, stream = server.post("/generate", {**body, "stream": True})
    events = [line.removeprefix("data: ") for line in stream.decode().split("\n\n") if line]
    assert events[-1] == "[DONE]"
    assert "".join(json.loads(event)["text"] for event in events[:-1]) == answer["text"]


def test_a_session_is_the_conversation_that_it_stands_for(server):
    def say(prompt, **more):
        return server.ask("/v1/chat/interactive", {"prompt": prompt, "session_id": 41, "interactive_mode": True,
                                                   "temperature": 0, "request_output_len": 24, **more})
    first = say(QUESTION)
    second = say("And of Italy?")
    history = [*MESSAGES, {"role": "assistant", "content": first["text"]},
               {"role": "user", "content": "And of Italy?"}]
    by_hand = chat(server, history)
    assert second["text"] == by_hand["choices"][0]["message"]["content"]
    assert second["history_tokens"] + second["input_tokens"] == by_hand["usage"]["prompt_tokens"]
    assert second["history_tokens"] > first["input_tokens"] > 0 == first["history_tokens"]
    ended = say("", interactive_mode=False, request_output_len=0)
    assert ended["tokens"] == 0
    assert say(QUESTION, interactive_mode=False) == first


def test_an_interactive_stream_is_lines_of_json(server):
    body = {"prompt": QUESTION, "temperature": 0, "request_output_len": 12}
    _, headers, stream = server.post("/v1/chat/interactive", {**body, "stream": True})
    lines = [json.loads(line) for line in stream.decode().splitlines()]
    assert headers["Content-Type"] == "application/x-ndjson"
    whole = server.ask("/v1/chat/interactive", body)
    assert "".join(line["text"] for line in lines) == whole["text"]
    assert [line["tokens"] for line in lines] == sorted(line["tokens"] for line in lines)
    assert lines[-1]["finish_reason"] == whole["finish_reason"]


def aborted(server, name, **body):
    """The answer of an endless request that was ended by `name` from another connection."""
    result = {}

    def run():
        result["answer"] = server.ask("/v1/chat/completions", {
            "model": MODEL_NAME, "messages": MESSAGES, "max_tokens": 8000, "ignore_eos": True, **body},
            headers={"x-request-id": "endless-1"})
    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: server.ask("/abort_request", name)["num_aborted"] == 1, 30, "the request runs")
    thread.join(5)
    return result["answer"]


def test_abort_request(server):
    for name in ({"session_id": 77}, {"request_id": "endless-1"}):
        answer = aborted(server, name, session_id=77)
        assert answer["choices"][0]["finish_reason"] == "abort"
        assert answer["usage"]["completion_tokens"] < 8000


def test_a_session_id_is_taken_while_it_is_answered(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", "/v1/chat/completions", json.dumps(
        {"model": MODEL_NAME, "messages": MESSAGES, "max_tokens": 8000, "ignore_eos": True, "stream": True,
         "session_id": 78}), {"Content-Type": "application/json"})
    assert connection.getresponse().status == 200
    status, _, body = server.post("/v1/chat/completions", {"model": MODEL_NAME, "messages": MESSAGES,
                                                           "session_id": 78})
    assert status == 409 and b"occupied" in body
    connection.close()


def test_timings_say_what_the_prefix_cache_saved(server):
    prompt = "Once upon a time there was a cat. " * 40
    body = {"model": MODEL_NAME, "prompt": prompt, "max_tokens": 4, "temperature": 0, "include_timings": True}
    first, second = (server.ask("/v1/completions", body) for _ in range(2))
    assert first["timings"]["cached_tokens"] == 0
    cached = second["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert second["timings"]["cached_tokens"] == cached >= 256
    assert second["timings"]["prefill_ms"] < first["timings"]["prefill_ms"]
    assert first["choices"] == second["choices"]
    line = re.compile(rf"cached={cached} computed=\d+ preemptions=0")
    wait_until(lambda: line.search(server.log.read_text()), 5, "the log has its line, which follows the answer,")
