"""Bodies, numbers and lists that are wrong in every way: a 400 that names the field and says what was expected."""

import json

import pytest

from hostile import chat, check_at_base, completion, post

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
RESPONSES, EMBEDDINGS, MESSAGES = "/v1/responses", "/v1/embeddings", "/v1/messages"
COUNT_TOKENS = "/v1/messages/count_tokens"
MIN32, MAX32, BIG53, BIG63 = -2**31, 2**31, 2**53, 2**63


@pytest.fixture(autouse=True)
def at_base_afterwards(guarded):
    server, base = guarded
    yield
    check_at_base(server, base)


def refuse(server, path, body, param=None, says=""):
    reply = post(server, path, body)
    assert reply.status == 400, (body if not isinstance(body, bytes) else body[:80], reply)
    error = reply.error
    if path.startswith(MESSAGES):
        assert set(error) == {"type", "message"} and json.loads(reply.body)["type"] == "error", reply
        error.update(param=error["message"].split(":")[0], code=None)
    assert set(error) == {"message", "type", "param", "code"} and error["type"] == "invalid_request_error"
    assert error["message"] and says in error["message"], error
    if param:
        assert error["param"].startswith(param) and param in error["message"], (param, error)


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, "/tokenize", "/detokenize", "/v1/encode", "/generate",
                                  "/abort_request", "/v1/chat/interactive", RESPONSES, EMBEDDINGS, MESSAGES,
                                  COUNT_TOKENS])
def test_what_is_no_json_object(hostile_server, path):
    for body in (b"", b" ", b"null", b"[]", b"1", b'"x"', b"{", b"{}}", b"{'a': 1}", b'{"a": 1,}', b"[" * 100_000,
                 b'{"a":' * 100_000, b'{"model": "\xff"}', b'{"model": "\xed\xa0\x80"}', b'{"model": "\\ud800"}',
                 b'{"model": "\\udc00\\ud800"}', b'{"model": "a\x00b"}', b"\x00", b"\xff\xfe{\x00}\x00",
                 b'{"temperature": 1e400}', b'{"temperature": NaN}', b'{"temperature": -Infinity}',
                 b'{"temperature": 0x1}', b'{"temperature": 01}', b'{"model": "a", "model": "b"}',
                 b'{"a": {"b": 1, "b": 2}}', b"{" + b",".join(b'"%d":1' % i for i in range(10_000)) + b"}"):
        refuse(hostile_server, path, body)


WRONG = {"bool": True, "string": "text", "integer": 1, "number": 1.5, "list": [1], "object": {"a": 1}}
RIGHT_TYPES = {
    "model": {"string"}, "user": {"string"},
    "stream": {"bool"}, "ignore_eos": {"bool"}, "skip_special_tokens": {"bool"}, "include_stop_str_in_output": {"bool"},
    "spaces_between_special_tokens": {"bool"},
    "max_tokens": {"integer"}, "max_completion_tokens": {"integer"}, "min_new_tokens": {"integer"},
    "min_tokens": {"integer"}, "n": {"integer"}, "top_k": {"integer"}, "seed": {"integer"},
    "temperature": {"integer", "number"}, "top_p": {"integer", "number"}, "min_p": {"integer", "number"},
    "repetition_penalty": {"integer", "number"}, "presence_penalty": {"integer", "number"},
    "frequency_penalty": {"integer", "number"},
    "stop": {"string", "list"}, "stop_token_ids": {"list"}, "bad_words": {"string", "list"}, "logit_bias": {"object"},
    "stream_options": {"object"},
}


@pytest.mark.parametrize("field", RIGHT_TYPES)
def test_each_field_with_each_wrong_type(hostile_server, field):
    for kind, value in WRONG.items():
        if kind in RIGHT_TYPES[field]:
            continue
        refuse(hostile_server, CHAT, chat(**{field: value}), field)
        refuse(hostile_server, COMPLETIONS, completion(**{field: value}), field)


# Of the other vendors' routes: what each needs, and the fields with the types that they take.
OTHERS = {
    RESPONSES: ({"model": chat()["model"], "input": "x", "max_output_tokens": 1}, {
        "model": {"string"}, "input": {"string"}, "instructions": {"string"}, "max_output_tokens": {"integer"},
        "previous_response_id": {"string"}, "store": {"bool"}, "stream": {"bool"}, "metadata": {"object"},
        "temperature": {"integer", "number"}, "top_p": {"integer", "number"}, "top_logprobs": {"integer"},
        "include": set(), "text": set(), "reasoning": set(), "tools": set(), "tool_choice": set(), "user": {"string"},
        "stream_options": set(), "parallel_tool_calls": {"bool"}, "background": set(), "truncation": set()}),
    EMBEDDINGS: ({"model": chat()["model"], "input": "x"}, {
        "model": {"string"}, "input": {"string", "list"}, "dimensions": {"integer"}, "encoding_format": set(),
        "pooling": set(), "user": {"string"}}),
    MESSAGES: ({**chat(), "max_tokens": 1}, {
        "model": {"string"}, "messages": set(), "max_tokens": {"integer"}, "stop_sequences": set(), "stream": {"bool"},
        "system": {"string"}, "thinking": set(), "tools": set(), "tool_choice": set(), "metadata": set(),
        "temperature": {"integer", "number"}, "output_config": set(), "cache_control": {"object"}}),
}
HARD_INTEGERS = [-1, 0, MIN32, MAX32, BIG63, 2**64, 1.5, 1e30]


@pytest.mark.parametrize("path", OTHERS)
def test_each_field_of_the_other_routes_with_each_wrong_type(hostile_server, path):
    body, fields = OTHERS[path]
    for field, right in fields.items():
        for kind in set(WRONG) - right:
            refuse(hostile_server, path, {**body, field: WRONG[kind]}, field)
    counts = {"max_output_tokens", "dimensions", "max_tokens"} & set(fields)
    for field in counts:
        for value in HARD_INTEGERS:
            refuse(hostile_server, path, {**body, field: value}, field)


@pytest.mark.parametrize("body, param", [
    (chat(messages=5), "messages"), (chat(messages={"a": 1}), "messages"), (chat(messages=True), "messages"),
    (completion(prompt=5), "prompt"), (completion(prompt={"a": 1}), "prompt"), (completion(prompt=True), "prompt"),
    (completion(prompt=["a", 1]), "prompt"), (completion(prompt=[[1], "a"]), "prompt"),
    (completion(echo="yes"), "echo"), (completion(logprobs="all"), "logprobs"), (chat(logprobs=3), "logprobs"),
    (chat(top_logprobs="all", logprobs=True), "top_logprobs"), (completion(best_of="all"), "best_of"),
    (chat(unknown_field=1), "unknown_field"), (chat(Temperature=1), "Temperature"), (chat(tools="x"), "tools"),
    (chat(response_format=5), "response_format"), (chat(chat_template_kwargs=5), "chat_template_kwargs"),
])
def test_other_fields_by_name(hostile_server, body, param):
    refuse(hostile_server, CHAT if "messages" in body else COMPLETIONS, body, param)


# Of the hard numbers, those that each field takes; every other one is a 400 that names the field.
HARD = [-1, 0, MIN32, MAX32, BIG53, BIG63, 2**64, 1.5, 1e30, -1e30, 1e-300]
TAKEN = {
    "temperature": {0, 1.5, 1e-300}, "top_p": {0, 1e-300}, "min_p": {0, 1e-300},
    "repetition_penalty": {1.5}, "presence_penalty": {-1, 0, 1.5, 1e-300}, "frequency_penalty": {-1, 0, 1.5, 1e-300},
    "top_k": {0}, "max_tokens": set(), "max_completion_tokens": set(), "min_new_tokens": {0}, "min_tokens": {0},
    "n": set(), "seed": {-1, 0, MIN32, MAX32, BIG53}, "stop_token_ids": {0},
}


@pytest.mark.parametrize("field", TAKEN)
def test_hard_numbers_in_each_sampler_and_count(hostile_server, field):
    for value in HARD:
        given = [value] if field == "stop_token_ids" else value
        body = completion(**{field: given})
        if field in ("max_completion_tokens", "min_new_tokens", "min_tokens"):
            body.pop("max_tokens")
            body["max_tokens" if field.startswith("min") else "temperature"] = 1
        reply = post(hostile_server, COMPLETIONS, body)
        assert reply.status == (200 if value in TAKEN[field] else 400), (field, value, reply)
        if reply.status == 400:
            assert field in reply.error["message"] and reply.error["param"].startswith(field), (field, value, reply)


def test_lists_beyond_their_bounds(hostile_server):
    bias = {str(i): 1 for i in range(40_000)}
    refuse(hostile_server, CHAT, chat(logit_bias=bias))
    for bad in ({"-1": 1}, {"49152": 1}, {"9" * 30: 1}, {"x": 1}, {"1.5": 1}, {"": 1}, {"1": "x"}, {"1": 101}, {"1": -101}):
        refuse(hostile_server, CHAT, chat(logit_bias=bad), "logit_bias")
    refuse(hostile_server, CHAT, chat(stop=["x"] * 10_000), "stop")
    refuse(hostile_server, CHAT, chat(stop=["x" * 1_000_000]), "stop")
    for stop in ("", [""], ["a", ""], [None], [["a"]]):
        refuse(hostile_server, CHAT, chat(stop=stop), "stop")
    refuse(hostile_server, CHAT, chat(stop_token_ids=[0] * 100_000), "stop_token_ids")
    refuse(hostile_server, CHAT, chat(n=17), "n", "16")
    refuse(hostile_server, CHAT, chat(n=10**9), "n", "16")
    refuse(hostile_server, CHAT, chat(logprobs=True, top_logprobs=21), "top_logprobs", "20")


def test_every_token_banned_but_a_few_still_ends(hostile_server):
    body = completion(logit_bias={str(i): -100 for i in range(500)}, max_tokens=4)
    assert post(hostile_server, COMPLETIONS, body).status == 200


def test_a_stop_of_characters_that_tokens_split(hostile_server):
    """A fox is four bytes and several tokens; the answer ends before the first of them, with no half character."""
    prompt = "\U0001f98a\U0001f98a\U0001f98a." * 12
    free = json.loads(post(hostile_server, COMPLETIONS, completion(prompt=prompt, max_tokens=24)).body)
    assert "\U0001f98a." in free["choices"][0]["text"], free
    for stream in (False, True):
        body = completion(prompt=prompt, max_tokens=24, stop="\U0001f98a.", stream=stream)
        reply = post(hostile_server, COMPLETIONS, body).body.decode()
        if stream:
            chunks = [json.loads(line[6:]) for line in reply.splitlines() if line.startswith("data: {")]
            text = "".join(chunk["choices"][0]["text"] for chunk in chunks if chunk["choices"])
            reason = [chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"]][-1]
        else:
            choice = json.loads(reply)["choices"][0]
            text, reason = choice["text"], choice["finish_reason"]
        assert reason == "stop" and "." not in text and "\ufffd" not in text
        assert free["choices"][0]["text"].startswith(text)
