"""POST /v1/messages through the real anthropic client."""

import anthropic
import pytest

from program import MODEL_NAME

FRANCE = [{"role": "user", "content": "What is the capital of France?"}]
PARIS = "The capital of France is Paris."


@pytest.fixture(scope="module")
def claude(server):
    return anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0, timeout=60)


def ask(client, **options):
    options = {"messages": FRANCE, "max_tokens": 40, **options}
    return client.messages.create(model=MODEL_NAME, extra_body={"temperature": 0, **options.pop("more", {})}, **options)


def test_paris(claude):
    message = ask(claude)
    assert [block.text for block in message.content] == [PARIS]
    assert message.role == "assistant" and message.stop_reason == "end_turn" and message.stop_sequence is None
    usage = message.usage
    assert usage.input_tokens + usage.cache_read_input_tokens == 37
    assert usage.output_tokens == 8


def test_a_stream_is_what_the_client_adds_up(claude):
    with claude.messages.stream(model=MODEL_NAME, messages=FRANCE, max_tokens=40,
                                extra_body={"temperature": 0}) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == PARIS
    assert final.content[0].text == PARIS
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == 8


def test_stop_sequences(claude):
    message = ask(claude, stop_sequences=[" France", "no such"])
    assert message.content[0].text == "The capital of"
    assert message.stop_reason == "stop_sequence" and message.stop_sequence == " France"
    assert ask(claude, max_tokens=2).stop_reason == "max_tokens"


def test_system_counts(claude):
    plain = claude.messages.count_tokens(model=MODEL_NAME, messages=FRANCE).input_tokens
    assert plain == 37
    system = [{"type": "text", "text": "You are a pirate.", "cache_control": {"type": "ephemeral"}}]
    told = claude.messages.count_tokens(model=MODEL_NAME, messages=FRANCE, system=system).input_tokens
    message = ask(claude, system=system, max_tokens=1)
    assert message.usage.input_tokens + message.usage.cache_read_input_tokens == told != plain


def test_the_answer_goes_on_where_the_last_turn_ends(claude):
    begun = [*FRANCE, {"role": "assistant", "content": "The capital of France"}]
    assert ask(claude, messages=begun).content[0].text == " is Paris."


def test_a_seed_holds(claude):
    texts = {ask(claude, max_tokens=8, more={"temperature": 1, "seed": 3}).content[0].text for _ in range(2)}
    assert len(texts) == 1


def test_errors_are_the_clients_own(claude):
    with pytest.raises(anthropic.NotFoundError) as unknown:
        claude.messages.create(model="nobody", messages=FRANCE, max_tokens=1)
    assert unknown.value.body["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.BadRequestError) as refused:
        ask(claude, more={"thinking": {"type": "enabled", "budget_tokens": 2000}})
    assert "thinking.budget_tokens" in refused.value.message


def test_a_key_is_asked_for_as_anthropic_sends_it(guarded):
    server, _ = guarded
    from hostile import KEY
    client = lambda key: anthropic.Anthropic(base_url=server.url, api_key=key, max_retries=0)
    with client("wrong") as stranger, pytest.raises(anthropic.AuthenticationError):
        ask(stranger)
    with client(KEY) as known:  # closed: the tests behind this one count the server's connections
        assert ask(known, max_tokens=1).content
