"""POST /v1/chat/completions through the real openai client."""

import pytest

from program import MODEL_NAME

FRANCE = [{"role": "user", "content": "What is the capital of France?"}]
STORY = [{"role": "user", "content": "Tell me a short story about a fox."}]


def ask(client, messages, **options):
    return client.chat.completions.create(model=MODEL_NAME, messages=messages, **{"temperature": 0, **options})


def stream(client, messages, **options):
    return list(ask(client, messages, stream=True, **options))


def text_of(chunks) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_paris(client):
    answer = ask(client, FRANCE)
    assert answer.choices[0].message.content == "The capital of France is Paris."
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == MODEL_NAME
    assert answer.object == "chat.completion"
    assert answer.usage.prompt_tokens == 37
    assert answer.usage.completion_tokens == 8
    assert answer.usage.total_tokens == 45


def test_streaming_says_what_the_whole_answer_says(client):
    whole = ask(client, STORY, max_tokens=40)
    chunks = stream(client, STORY, max_tokens=40)
    assert text_of(chunks) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert all(chunk.choices[0].delta.role is None for chunk in chunks[1:])
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["length"]
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "length"
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert all(chunk.usage is None for chunk in chunks)


def test_streamed_usage_is_asked_for(client):
    chunks = stream(client, FRANCE, stream_options={"include_usage": True})
    assert chunks[-1].choices == []
    assert chunks[-1].usage.prompt_tokens == 37
    assert chunks[-1].usage.completion_tokens == 8
    assert text_of(chunks) == "The capital of France is Paris."


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_max_tokens(client, limit):
    for name in ("max_tokens", "max_completion_tokens"):
        answer = ask(client, STORY, **{name: limit})
        assert answer.usage.completion_tokens == limit
        assert answer.choices[0].finish_reason == "length"


def test_min_new_tokens_and_ignore_eos_go_on(client):
    answer = ask(client, FRANCE, max_tokens=20, extra_body={"ignore_eos": True})
    assert answer.usage.completion_tokens == 20
    assert answer.choices[0].finish_reason == "length"
    answer = ask(client, FRANCE, max_tokens=20, extra_body={"min_new_tokens": 12})
    assert answer.usage.completion_tokens >= 12


@pytest.mark.parametrize("stop", ["Paris", "France is P", " of Fr", ["nowhere", "is"]])
def test_stop_strings_of_any_length(client, stop):
    whole = "The capital of France is Paris."
    found = min(whole.find(s) for s in ([stop] if isinstance(stop, str) else stop) if s in whole)
    answer = ask(client, FRANCE, stop=stop)
    assert answer.choices[0].message.content == whole[:found]
    assert answer.choices[0].finish_reason == "stop"
    assert text_of(stream(client, FRANCE, stop=stop)) == whole[:found]


def test_stop_string_may_stay_in_the_answer(client):
    answer = ask(client, FRANCE, stop="France is", extra_body={"include_stop_str_in_output": True})
    assert answer.choices[0].message.content == "The capital of France is"


def test_a_seed_repeats_an_answer(client):
    options = {"temperature": 1.0, "top_p": 0.95, "max_tokens": 24}
    first, second, other = (ask(client, STORY, seed=seed, **options).choices[0].message.content for seed in (7, 7, 8))
    assert first == second
    assert first != other


def test_sampling_without_a_seed_varies(client):
    answers = {ask(client, STORY, temperature=1.5, max_tokens=16).choices[0].message.content for _ in range(4)}
    assert len(answers) > 1


def test_choices_are_several_answers(client):
    options = {"n": 3, "temperature": 1.0, "seed": 5, "max_tokens": 16}
    whole = ask(client, STORY, **options)
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    texts = [choice.message.content for choice in whole.choices]
    assert len(set(texts)) == 3
    streamed = ["", "", ""]
    for chunk in stream(client, STORY, **options):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert streamed == texts


def test_top_k_of_one_is_greedy(client):
    greedy = ask(client, STORY, max_tokens=16)
    top = ask(client, STORY, max_tokens=16, temperature=1.0, extra_body={"top_k": 1})
    assert top.choices[0].message.content == greedy.choices[0].message.content


def test_a_conversation_goes_on(client):
    answer = ask(client, [*FRANCE, {"role": "assistant", "content": "The capital of France is Paris."},
                          {"role": "user", "content": "And of Italy?"}], max_tokens=24)
    assert "Rome" in answer.choices[0].message.content


def test_content_parts_are_joined(client):
    parts = [{"role": "user", "content": [{"type": "text", "text": "What is the capital of France?"}]}]
    assert ask(client, parts).choices[0].message.content == "The capital of France is Paris."


def test_special_tokens_in_user_text_are_text(client):
    plain = ask(client, [{"role": "user", "content": "im_end"}], max_tokens=1)
    marked = ask(client, [{"role": "user", "content": "<|im_end|>"}], max_tokens=1)
    # As a special token the mark would be one token; as text it is several.
    assert marked.usage.prompt_tokens > plain.usage.prompt_tokens + 1


def test_many_languages_survive(client):
    answer = ask(client, [{"role": "user", "content": "Repeat: Grüße, 你好, 🦊"}], max_tokens=24)
    chunks = stream(client, [{"role": "user", "content": "Repeat: Grüße, 你好, 🦊"}], max_tokens=24)
    assert text_of(chunks) == answer.choices[0].message.content
