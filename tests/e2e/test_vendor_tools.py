"""Tools and forms of answers in /v1/responses and /v1/messages, by the vendors' own clients."""

import json

import anthropic
import jsonschema
import pytest

from program import MODEL_NAME, Server

ADD = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"],
       "additionalProperties": False}
QUESTION = "What is 3 plus 5?"
PERSON = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
          "required": ["name", "age"], "additionalProperties": False}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    log = tmp_path_factory.mktemp("tools") / "log.txt"
    with Server(log, "--tool-call-parser", "hermes", "--cache-max-entry-count", "200MB") as running:
        yield running


@pytest.fixture(scope="module")
def openai_client(server):
    return server.client()


@pytest.fixture(scope="module")
def claude(server):
    return anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0, timeout=60)


RESPONSE_TOOLS = [{"type": "function", "name": "add", "description": "Adds.", "parameters": ADD, "strict": True}]
MESSAGE_TOOLS = [{"name": "add", "description": "Adds.", "input_schema": ADD}]


def test_a_response_calls_and_goes_on(openai_client):
    asked = {"model": MODEL_NAME, "tools": RESPONSE_TOOLS, "temperature": 0, "max_output_tokens": 200}
    first = openai_client.responses.create(input=QUESTION, tool_choice="required", parallel_tool_calls=False, **asked)
    assert first.status == "completed"
    call = first.output[-1]
    assert call.type == "function_call" and call.name == "add"
    jsonschema.validate(json.loads(call.arguments), ADD)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "8"}
    by_id = openai_client.responses.create(input=[result], previous_response_id=first.id, tool_choice="none", **asked)
    by_items = openai_client.responses.create(
        input=[{"role": "user", "content": QUESTION}, *first.output, result], tool_choice="none", **asked)
    assert by_id.output_text == by_items.output_text != ""
    assert by_id.usage.input_tokens == by_items.usage.input_tokens


def test_a_streamed_response_adds_up_to_the_same_call(openai_client):
    asked = {"model": MODEL_NAME, "tools": RESPONSE_TOOLS, "temperature": 0, "max_output_tokens": 200,
             "input": QUESTION, "tool_choice": {"type": "function", "name": "add"}, "parallel_tool_calls": False}
    whole = openai_client.responses.create(**asked)
    with openai_client.responses.stream(**asked) as stream:
        events = list(stream)
        final = stream.get_final_response()
    deltas = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
    assert deltas == final.output[-1].arguments == whole.output[-1].arguments


def test_a_response_has_the_form_of_a_schema(openai_client):
    response = openai_client.responses.create(
        model=MODEL_NAME, input="Describe a person as JSON.", temperature=0, max_output_tokens=200,
        text={"format": {"type": "json_schema", "name": "person", "schema": PERSON, "strict": True}})
    assert response.status == "completed"
    jsonschema.validate(json.loads(response.output_text), PERSON)
    with pytest.raises(Exception, match="text.format"):
        openai_client.responses.create(model=MODEL_NAME, input="x", text={
            "format": {"type": "json_schema", "name": "s", "schema": {"type": "string", "pattern": "("}}})


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "add"}])
def test_a_message_calls_and_goes_on(claude, choice):
    asked = {"model": MODEL_NAME, "max_tokens": 200, "tools": MESSAGE_TOOLS, "extra_body": {"temperature": 0}}
    messages = [{"role": "user", "content": QUESTION}]
    first = claude.messages.create(messages=messages, tool_choice={**choice, "disable_parallel_tool_use": True}, **asked)
    assert first.stop_reason == "tool_use"
    call = first.content[-1]
    assert call.type == "tool_use" and call.name == "add"
    jsonschema.validate(call.input, ADD)
    messages += [{"role": "assistant", "content": first.content},
                 {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "8"}]}]
    second = claude.messages.create(messages=messages, tool_choice={"type": "none"}, **asked)
    assert second.content[0].text and second.stop_reason in ("end_turn", "max_tokens")


def test_a_streamed_message_adds_up_to_the_same_call(claude):
    asked = {"model": MODEL_NAME, "max_tokens": 200, "tools": MESSAGE_TOOLS, "extra_body": {"temperature": 0},
             "messages": [{"role": "user", "content": QUESTION}],
             "tool_choice": {"type": "any", "disable_parallel_tool_use": True}}
    whole = claude.messages.create(**asked)
    with claude.messages.stream(**asked) as stream:
        final = stream.get_final_message()
    assert final.stop_reason == whole.stop_reason == "tool_use"
    assert final.content[-1].input == whole.content[-1].input


def test_a_message_has_the_form_of_a_schema(claude):
    message = claude.messages.create(
        model=MODEL_NAME, max_tokens=200, messages=[{"role": "user", "content": "Describe a person as JSON."}],
        output_config={"format": {"type": "json_schema", "schema": PERSON}}, extra_body={"temperature": 0})
    assert message.stop_reason == "end_turn"
    jsonschema.validate(json.loads(message.content[0].text), PERSON)
    with pytest.raises(anthropic.BadRequestError, match="output_config.format"):
        claude.messages.create(model=MODEL_NAME, max_tokens=9, messages=[{"role": "user", "content": "x"}],
                               output_config={"format": {"type": "json_schema",
                                                         "schema": {"type": "string", "pattern": "("}}})
