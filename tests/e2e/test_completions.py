"""POST /v1/completions, GET /v1/models and /health."""

import json
import urllib.request

import openai
import pytest

from program import MODEL, MODEL_NAME


def complete(client, prompt, **options):
    return client.completions.create(model=MODEL_NAME, prompt=prompt, **{"temperature": 0, **options})


def test_models(client):
    """The folder as it was given, and its last part for short."""
    assert [model.id for model in client.models.list()] == [str(MODEL), MODEL_NAME]
    assert client.models.retrieve(MODEL_NAME).id == MODEL_NAME


def test_health(server):
    with urllib.request.urlopen(server.url + "/health", timeout=10) as answer:
        assert answer.status == 200


def test_a_prompt_is_continued(client):
    answer = complete(client, "The capital of France is", max_tokens=8)
    assert "Paris" in answer.choices[0].text
    assert answer.object == "text_completion"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.prompt_tokens == 5
    assert answer.usage.completion_tokens == 8


def test_streaming_says_what_the_whole_answer_says(client):
    whole = complete(client, "Once upon a time", max_tokens=24).choices[0].text
    chunks = list(complete(client, "Once upon a time", max_tokens=24, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == whole
    assert chunks[-1].choices[0].finish_reason == "length"


def test_token_ids_are_a_prompt(client):
    by_text = complete(client, "Once upon a time", max_tokens=8)
    many = complete(client, [504, 3575, 282, 4649, 314], max_tokens=3)
    assert "Paris" in many.choices[0].text
    assert many.usage.prompt_tokens == 5
    assert by_text.choices[0].text


def test_a_suffix_needs_a_model_that_fills_gaps(client):
    with pytest.raises(openai.BadRequestError) as caught:
        complete(client, "Once upon a time", max_tokens=4, suffix="the end")
    assert "suffix" in str(caught.value)


def test_special_tokens_in_a_raw_prompt_are_special(client):
    prompt = ("<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
              "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n")
    answer = complete(client, prompt, max_tokens=24)
    assert answer.choices[0].text == "The capital of France is Paris."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens == 37


@pytest.mark.parametrize("chunked", [False, True])
def test_the_wire_format_of_a_stream(server, chunked):
    body = json.dumps({"model": MODEL_NAME, "prompt": "Once", "max_tokens": 3, "temperature": 0, "stream": True})
    request = urllib.request.Request(server.url + "/v1/completions", method="POST",
                                     headers={"Content-Type": "application/json"},
                                     data=iter([body[:9].encode(), body[9:].encode()]) if chunked else body.encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        events = answer.read().decode().split("\n\n")
    assert events[-1] == ""
    assert events[-2] == "data: [DONE]"
    assert all(event.startswith("data: {") and "\n" not in event for event in events[:-2])
    assert len(events) >= 5
