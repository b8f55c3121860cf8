"""POST /v1/responses through the real openai client."""

import openai
import pytest

from program import MODEL_NAME, Server

FRANCE = "What is the capital of France?"
PARIS = "The capital of France is Paris."


def ask(client, **options):
    return client.responses.create(model=MODEL_NAME, **{"input": FRANCE, "temperature": 0, **options})


def test_paris(client):
    response = ask(client, metadata={"a": "b"})
    assert response.output_text == PARIS
    assert response.status == "completed" and response.incomplete_details is None
    assert response.usage.input_tokens == 37
    assert response.usage.output_tokens == 8
    assert response.usage.total_tokens == 45
    assert response.metadata == {"a": "b"}
    assert response.temperature == 0


def test_a_stream_is_what_the_client_adds_up(client):
    with client.responses.stream(model=MODEL_NAME, input=FRANCE, temperature=0) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == PARIS
    assert events[0].type == "response.created" and events[-1].type == "response.completed"
    assert final.output_text == PARIS
    assert final.output[0].content[0].text == PARIS


def test_goes_on_and_is_read_and_deleted(client):
    first = ask(client, input="My name is Ann. Remember it.", max_output_tokens=12)
    second = ask(client, input="What is my name?", previous_response_id=first.id, max_output_tokens=24)
    alone = ask(client, input="What is my name?", max_output_tokens=24)
    assert second.usage.input_tokens > alone.usage.input_tokens
    by_items = ask(client, max_output_tokens=24, input=[
        {"role": "user", "content": "My name is Ann. Remember it."},
        *first.output,
        {"role": "user", "content": [{"type": "input_text", "text": "What is my name?"}]}])
    assert by_items.output_text == second.output_text
    assert client.responses.retrieve(second.id).output_text == second.output_text
    client.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(second.id)


def test_length_instructions_and_logprobs(client):
    short = ask(client, max_output_tokens=3)
    assert short.status == "incomplete" and short.incomplete_details.reason == "max_output_tokens"
    assert short.usage.output_tokens == 3
    told = ask(client, instructions="Answer in French.", max_output_tokens=3, top_logprobs=2)
    assert told.usage.input_tokens != short.usage.input_tokens
    logprobs = told.output[0].content[0].logprobs
    assert len(logprobs) == 3 and all(len(token.top_logprobs) == 2 for token in logprobs)
    seeded = [ask(client, temperature=1, max_output_tokens=8, extra_body={"seed": 7}).output_text for _ in range(2)]
    assert seeded[0] == seeded[1]


def test_another_key_finds_nothing(tmp_path):
    with Server(tmp_path / "log.txt", "--api-keys", "one", "two", "--cache-max-entry-count", "200MB") as server:
        one, two = server.client("one"), server.client("two")
        response = ask(one, max_output_tokens=2)
        assert one.responses.retrieve(response.id).id == response.id
        with pytest.raises(openai.NotFoundError):
            two.responses.retrieve(response.id)
        with pytest.raises(openai.NotFoundError):
            ask(two, previous_response_id=response.id)
        with pytest.raises(openai.NotFoundError):
            two.responses.cancel(response.id)
        with pytest.raises(openai.BadRequestError):
            one.responses.cancel(response.id)
