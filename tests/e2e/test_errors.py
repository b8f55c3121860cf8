"""Wrong requests get OpenAI's nested error and the right status, and harm nobody else."""

import json
import urllib.error
import urllib.request

import openai
import pytest

from program import MODEL_NAME

HELLO = [{"role": "user", "content": "Hello"}]


def post(server, path, body, headers=None):
    """Status and JSON of an answer, wrong or right."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data=data,
                                     headers={"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def chat(**fields):
    return {"model": MODEL_NAME, "messages": HELLO, "max_tokens": 1, **fields}


@pytest.fixture(autouse=True)
def the_next_request_is_served(server):
    yield
    assert post(server, "/v1/chat/completions", chat())[0] == 200


def test_an_unknown_model_is_404(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-4", messages=HELLO)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert "gpt-4" in str(caught.value) and MODEL_NAME in str(caught.value)


@pytest.mark.parametrize("field, value", [
    ("temperature", -1), ("temperature", "hot"), ("top_p", 1.5), ("top_p", -0.1), ("top_k", -5), ("min_p", 2),
    ("max_tokens", 0), ("max_tokens", -1), ("max_tokens", 2**31), ("max_tokens", 1.5), ("max_tokens", True),
    ("messages", []), ("messages", None), ("messages", [{"role": "wizard", "content": "x"}]), ("messages", [1]),
    ("messages", [{"role": "user"}]), ("stop", [""]), ("stop", 5), ("n", 0), ("n", 10**9), ("stream", "yes"),
    ("seed", 1.5), ("repetition_penalty", 0), ("model", 5),
])
def test_a_bad_value_is_400_and_named(server, field, value):
    status, body = post(server, "/v1/chat/completions", chat(**{field: value}))
    assert status == 400, body
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["param"].startswith(field)
    assert body["error"]["message"]


def test_null_means_not_given(server):
    assert post(server, "/v1/chat/completions", chat(temperature=None, stop=None, stream=None))[0] == 200


@pytest.mark.parametrize("body", [
    b"", b"null", b"[]", b"{", b"[" * 100_000, b'{"model": "\xff"}', b'{"temperature": 1e400}', b'{"a": "\\ud800"}'])
def test_what_is_no_json_object_is_400(server, body):
    status, answer = post(server, "/v1/chat/completions", body)
    assert status == 400
    assert answer["error"]["message"]


def test_an_unknown_route_is_404_and_a_wrong_method_405(server):
    status, body = post(server, "/v1/nothing", {})
    assert status == 404
    assert "/v1/nothing" in body["error"]["message"]
    status, body = post(server, "/v1/models", {})
    assert status == 405


def test_a_prompt_beyond_the_session_is_400(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model=MODEL_NAME, prompt="word " * 20_000, max_tokens=1)
    assert "8192" in str(caught.value)


def test_a_token_id_outside_the_vocabulary_is_400(client):
    for token in (-1, 49152, 2**31, 2**40):
        with pytest.raises(openai.BadRequestError):
            client.completions.create(model=MODEL_NAME, prompt=[1, token], max_tokens=1)


def test_an_empty_prompt_is_400(client):
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model=MODEL_NAME, prompt=[], max_tokens=1)


def test_a_body_beyond_the_limit_is_413(server):
    status, body = post(server, "/v1/completions", {"model": MODEL_NAME, "prompt": "x" * (5 << 20)})
    assert status == 413
    assert body["error"]["message"]
