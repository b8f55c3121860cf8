"""The prefix cache as its users see it: faster second prompts, the same answers, nothing across keys."""

import pytest

from program import MODEL_NAME, Server

STORY = "The lighthouse keeper counted the ships that passed in the night and wrote each name into a book. " * 12


def ask(server, prompt, key="none"):
    """(text, prompt tokens, cached prompt tokens)."""
    answer = server.client(key).completions.create(model=MODEL_NAME, prompt=prompt, max_tokens=80, temperature=0,
                                                   extra_body={"ignore_eos": True})
    return answer.choices[0].text, answer.usage.prompt_tokens, answer.usage.prompt_tokens_details.cached_tokens


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("keyed") / "log.txt", "--api-keys", "anna", "bert") as running:
        yield running


def test_keys_share_nothing(keyed):
    text, num_tokens, cached = ask(keyed, STORY, "anna")
    assert (cached, num_tokens > 200) == (0, True)
    assert ask(keyed, STORY, "bert") == (text, num_tokens, 0)
    for key in ("anna", "bert"):
        again, _, cached = ask(keyed, STORY, key)
        assert again == text and num_tokens - 64 <= cached < num_tokens and cached % 64 == 0


def test_the_next_turn_finds_the_answer(keyed):
    text, num_tokens, _ = ask(keyed, STORY + "On Monday", "anna")
    _, _, cached = ask(keyed, STORY + "On Monday" + text + " Then", "anna")
    assert cached > num_tokens


def test_off_gives_the_same_answers(keyed, tmp_path):
    with Server(tmp_path / "log.txt", "--enable-prefix-caching", "False") as off:
        answers = [ask(off, STORY) for _ in range(2)]
    assert answers[0] == answers[1] and answers[0][2] == 0
    assert answers[0][0] == ask(keyed, STORY, "anna")[0]
