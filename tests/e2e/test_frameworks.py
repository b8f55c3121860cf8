"""One flow each of LangChain and LiteLLM: chat, stream, tools, structured output."""

import json

import pytest
from pydantic import BaseModel, Field

from program import MODEL_NAME

QUESTION = "What is the capital of France?"
PARIS = "The capital of France is Paris."


class Person(BaseModel):
    """Someone"""
    name: str = Field(max_length=20)
    age: int = Field(ge=0, le=150)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture(scope="module")
def chat_model(server):
    from langchain_openai import ChatOpenAI
    return ChatOpenAI(model=MODEL_NAME, base_url=server.url + "/v1", api_key="none", temperature=0, max_retries=0)


def test_langchain_chat_and_stream(chat_model):
    answer = chat_model.invoke(QUESTION)
    assert answer.content == PARIS
    assert answer.usage_metadata["output_tokens"] == 8
    assert "".join(chunk.content for chunk in chat_model.stream(QUESTION)) == PARIS


def test_langchain_tools(chat_model):
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool
    with_tools = chat_model.bind_tools([tool(add)], tool_choice="add")
    question = HumanMessage("What is 3 + 5?")
    answer = with_tools.invoke([question])
    call, = answer.tool_calls
    assert call["name"] == "add"
    assert {type(value) for value in call["args"].values()} == {int}
    streamed = None
    for chunk in with_tools.stream([question]):
        streamed = chunk if streamed is None else streamed + chunk
    assert streamed.tool_calls[0]["args"] == call["args"]
    result = ToolMessage(str(add(**call["args"])), tool_call_id=call["id"])
    last = chat_model.bind_tools([tool(add)], tool_choice="none").invoke([question, answer, result], max_tokens=32)
    assert last.content


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
def test_langchain_structured_output(chat_model, method):
    person = chat_model.with_structured_output(Person, method=method).invoke("Anna is 30 years old.", max_tokens=120)
    assert isinstance(person, Person)


@pytest.fixture(scope="module")
def completion(server):
    import litellm

    def complete(**options):
        return litellm.completion(model="openai/" + MODEL_NAME, api_base=server.url + "/v1", api_key="none",
                                  **{"temperature": 0, "max_tokens": 120, **options})

    return complete


def user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def test_litellm_chat_and_stream(completion):
    assert completion(messages=user(QUESTION)).choices[0].message.content == PARIS
    chunks = completion(messages=user(QUESTION), stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == PARIS


def test_litellm_tools(completion):
    import litellm
    tools = [{"type": "function", "function": {
        "name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
                                      "required": ["a", "b"]}}}]
    options = {"messages": user("What is 3 + 5?"), "tools": tools,
               "tool_choice": {"type": "function", "function": {"name": "add"}}}
    answer = completion(**options)
    call, = answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "tool_calls"
    assert set(json.loads(call.function.arguments)) == {"a", "b"}
    built = litellm.stream_chunk_builder(list(completion(**options, stream=True)))
    assert built.choices[0].message.tool_calls[0].function.arguments == call.function.arguments


def test_litellm_structured_output(completion):
    answer = completion(messages=user("Anna is 30 years old."), response_format=Person)
    assert answer.choices[0].finish_reason == "stop"
    Person.model_validate_json(answer.choices[0].message.content)
