"""What shapes an answer's draws, and log probabilities, through the real openai client."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest

from program import MODEL, MODEL_NAME, Server, run

FRANCE = [{"role": "user", "content": "What is the capital of France?"}]
STORY = "Once upon a time there was a fox who"
# What reference_logprobs.py printed: Hugging Face in fp32, rounded to four digits.
REFERENCE = json.loads(Path(__file__).with_name("smollm2_logprobs.json").read_text())["texts"]
FLOAT32_ERROR = 1e-3


def complete(client, prompt, **options):
    return client.completions.create(model=MODEL_NAME, prompt=prompt, **{"temperature": 0, "max_tokens": 16, **options})


def ask(client, **options):
    return client.chat.completions.create(model=MODEL_NAME, messages=FRANCE, **{"temperature": 0, **options})


@pytest.fixture(scope="module")
def float32_client(tmp_path_factory):
    """In bf16 a likely token is off by up to 0.2, by how much depends on the instruction set."""
    with Server(tmp_path_factory.mktemp("float32") / "log.txt", "--dtype", "float32") as server:
        yield server.client()


@pytest.mark.parametrize("reference", REFERENCE, ids=[text["text"][:12] for text in REFERENCE])
def test_logprobs_of_a_prompt_are_hugging_faces(float32_client, reference):
    choice = complete(float32_client, reference["text"], max_tokens=0, echo=True, logprobs=5).choices[0]
    assert choice.text == reference["text"]
    assert choice.finish_reason == "length"
    assert choice.logprobs.token_logprobs[0] is None and choice.logprobs.top_logprobs[0] is None
    assert "".join(choice.logprobs.tokens if "bytes:" not in str(choice.logprobs.tokens) else []) in ("", choice.text)
    ours = choice.logprobs.token_logprobs[1:]
    assert len(ours) == len(reference["logprobs"])
    assert ours == pytest.approx(reference["logprobs"], abs=FLOAT32_ERROR)
    for top, expected in zip(choice.logprobs.top_logprobs[1:], reference["top_logprobs"]):
        likeliest = sorted(top.values(), reverse=True)[:5]
        assert likeliest == pytest.approx(expected, abs=FLOAT32_ERROR)


def test_text_offsets_are_places_in_the_text(client):
    for text in (REFERENCE[1]["text"], REFERENCE[2]["text"]):
        choice = complete(client, text, max_tokens=4, echo=True, logprobs=0).choices[0]
        for token, offset in zip(choice.logprobs.tokens, choice.logprobs.text_offset):
            if not token.startswith("bytes:"):
                assert choice.text[offset:].startswith(token), (token, offset)


def test_an_echoed_prompt_has_the_perplexity_that_eval_finds(client, tmp_path):
    reference = REFERENCE[3]
    (tmp_path / "text.txt").write_text(reference["text"])
    window = len(reference["ids"])
    result = run("eval", "ppl", MODEL, "--text", tmp_path / "text.txt", "--window", window, "--json")
    choice = complete(client, reference["ids"], max_tokens=0, echo=True, logprobs=0).choices[0]
    logprobs = choice.logprobs.token_logprobs[1:]
    assert -sum(logprobs) / len(logprobs) == pytest.approx(json.loads(result.stdout)["nll"], abs=1e-5)


def test_a_prompt_scores_the_same_whatever_is_cached_and_however_it_is_asked_for(client):
    text = REFERENCE[3]["text"]
    first, second = (complete(client, text, max_tokens=2, echo=True, logprobs=3).choices[0] for _ in range(2))
    assert first == second
    assert complete(client, text, max_tokens=2).choices[0].text == first.text[len(text):]


def test_logprobs_of_a_chat(client):
    choice = ask(client, logprobs=True, top_logprobs=20).choices[0]
    assert choice.message.content == "The capital of France is Paris."
    content = choice.logprobs.content
    assert len(content) == 8
    assert "".join(token.token for token in content[:-1]) == choice.message.content
    assert content[-1].token == "<|im_end|>"
    for token in content:
        assert bytes(token.bytes).decode() == token.token
        assert len(token.top_logprobs) == 20
        assert token.top_logprobs[0].token == token.token  # greedy
        assert token.top_logprobs[0].logprob == token.logprob <= 0
        values = [top.logprob for top in token.top_logprobs]
        assert values == sorted(values, reverse=True)
    assert ask(client).choices[0].logprobs is None


def test_a_stream_has_the_logprobs_of_the_whole_answer(client):
    options = {"logprobs": True, "top_logprobs": 3, "max_tokens": 12, "seed": 1, "temperature": 1.2, "n": 2}
    whole = ask(client, **options)
    streamed = [[], []]
    for chunk in ask(client, stream=True, **options):
        for choice in chunk.choices:
            if choice.logprobs:
                streamed[choice.index] += choice.logprobs.content
    assert [[t.model_dump() for t in tokens] for tokens in streamed] == \
        [[t.model_dump() for t in choice.logprobs.content] for choice in whole.choices]


def test_a_stream_echoes_what_the_whole_answer_echoes(client):
    options = {"echo": True, "logprobs": 1, "max_tokens": 8}
    whole = complete(client, STORY, **options).choices[0]
    chunks = [chunk.choices[0] for chunk in complete(client, STORY, stream=True, **options) if chunk.choices]
    assert "".join(chunk.text for chunk in chunks) == whole.text
    for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
        parts = [getattr(chunk.logprobs, name) for chunk in chunks if chunk.logprobs]
        assert sum(parts, []) == getattr(whole.logprobs, name)


def test_company_changes_no_logprob(client):
    def scored(seed):
        choice = complete(client, STORY, seed=seed, temperature=1, logprobs=2, extra_body={"typical_p": 0.9},
                          presence_penalty=0.5, frequency_penalty=0.2).choices[0]
        return choice.text, choice.logprobs.token_logprobs, choice.logprobs.top_logprobs

    alone = [scored(seed) for seed in range(4)]
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(scored, [seed % 4 for seed in range(12)]))
    assert together == [alone[seed % 4] for seed in range(12)]
    assert len({text for text, _, _ in alone}) > 1


def test_penalties_stop_a_loop(client):
    loop = "one two three one two three one two three one two three"

    def num_distinct(**options):
        choice = complete(client, loop, max_tokens=30, logprobs=0, **options).choices[0]
        return len(set(choice.logprobs.tokens))

    looping = num_distinct()
    assert looping <= 6
    assert num_distinct(frequency_penalty=2) > 2 * looping
    assert num_distinct(presence_penalty=2, frequency_penalty=1) > 2 * looping
    assert num_distinct(extra_body={"repetition_penalty": 1.5}) > 2 * looping


def test_a_bias_forbids_and_forces(client):
    top = ask(client, logprobs=True, max_tokens=6).choices[0].logprobs.content
    ids = complete(client, " Paris", max_tokens=0, echo=True, logprobs=0).usage.prompt_tokens
    assert ids == 1
    paris = 7042
    assert "Paris" in complete(client, [504, 3575, 282, 4649, 314], max_tokens=3).choices[0].text
    assert "Paris" not in complete(client, [504, 3575, 282, 4649, 314], max_tokens=3,
                                   logit_bias={str(paris): -100}).choices[0].text
    forced = complete(client, STORY, max_tokens=3, logit_bias={str(paris): 100}).choices[0].text
    assert forced == " Paris Paris Paris"
    assert top


@pytest.mark.parametrize("words", [["Paris"], ["France is"], ["capital", "Paris"]])
def test_bad_words_do_not_come(client, words):
    answer = ask(client, max_tokens=24, extra_body={"bad_words": words}).choices[0].message.content
    assert answer
    for word in words:
        assert word not in answer


def test_min_p_and_typical_p_of_nearly_nothing_are_greedy(client):
    greedy = complete(client, STORY).choices[0].text
    assert complete(client, STORY, temperature=1, extra_body={"min_p": 1}).choices[0].text == greedy
    answers = {complete(client, STORY, temperature=1, seed=seed, extra_body={"typical_p": 0}).choices[0].text
               for seed in range(3)}
    assert len(answers) == 1


def test_the_best_of_several(client):
    options = {"temperature": 1, "seed": 11, "max_tokens": 12, "logprobs": 0}
    candidates = complete(client, STORY, n=5, **options).choices
    likeliest = max(candidates, key=lambda c: sum(c.logprobs.token_logprobs) / len(c.logprobs.token_logprobs))
    best = complete(client, STORY, best_of=5, **options)
    assert [choice.text for choice in best.choices] == [likeliest.text]
    assert best.usage.completion_tokens == sum(len(c.logprobs.tokens) for c in candidates)


@pytest.mark.parametrize("name, value", [
    ("presence_penalty", 2.1), ("frequency_penalty", -3), ("logit_bias", {"49152": 1}), ("logit_bias", {"x": 1}),
    ("logit_bias", {"1": 101}), ("logprobs", 21), ("best_of", 17), ("best_of", 0), ("max_tokens", 0), ("suffix", "end"),
])
def test_what_cannot_be_is_refused_by_name(client, name, value):
    with pytest.raises(openai.BadRequestError) as caught:
        complete(client, STORY, **{name: value})
    assert caught.value.param.startswith(name)
    assert "found" in str(caught.value)


def test_a_huge_bias_is_refused(client):
    with pytest.raises(openai.BadRequestError):
        complete(client, STORY, logit_bias={str(i): 1 for i in range(100_000)})
