"""The Python listings of InternLM's LMDeploy tutorial, line by line: only the address is another."""

import pytest

from openai import OpenAI
from program import Server
from spelled_model import write


@pytest.fixture(scope="module")
def internlm(tmp_path_factory):
    """A model with InternLM2's form of tool calls."""
    folder = tmp_path_factory.mktemp("spelled")
    write(folder / "internlm2_5-spelled")
    with Server(folder / "log.txt", model=folder / "internlm2_5-spelled") as running:
        yield running


def test_chat_listing(server):
    client = OpenAI(
        api_key='YOUR_API_KEY',
        base_url=server.url + "/v1"
    )
    model_name = client.models.list().data[0].id
    response = client.chat.completions.create(
        model=model_name,
        messages=[
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "What is the capital of France?"},
        ],
        temperature=0.8,
        top_p=0.8
    )
    assert response.choices[0].message.content


def test_streamed_listing(server):
    client = OpenAI(api_key='YOUR_API_KEY', base_url=server.url + "/v1")
    model_name = client.models.list().data[0].id
    stream = client.chat.completions.create(
        model=model_name,
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        temperature=0.8,
        top_p=0.8,
        stream=True,
        max_tokens=24
    )
    said = ""
    for chunk in stream:
        if chunk.choices[0].delta.content is not None:
            said += chunk.choices[0].delta.content
    assert said


def test_tools_listing(internlm):
    def add(a: int, b: int):
        return a + b

    def mul(a: int, b: int):
        return a * b

    tools = [{
        'type': 'function',
        'function': {
            'name': 'add',
            'description': 'Compute the sum of two numbers',
            'parameters': {
                'type': 'object',
                'properties': {
                    'a': {
                        'type': 'int',
                        'description': 'A number',
                    },
                    'b': {
                        'type': 'int',
                        'description': 'A number',
                    },
                },
                'required': ['a', 'b'],
            },
        }
    }, {
        'type': 'function',
        'function': {
            'name': 'mul',
            'description': 'Calculate the product of two numbers',
            'parameters': {
                'type': 'object',
                'properties': {
                    'a': {
                        'type': 'int',
                        'description': 'A number',
                    },
                    'b': {
                        'type': 'int',
                        'description': 'A number',
                    },
                },
                'required': ['a', 'b'],
            },
        }
    }]
    messages = [{'role': 'user', 'content': 'Compute (3+5)*2'}]

    client = OpenAI(api_key='YOUR_API_KEY', base_url=internlm.url + "/v1")
    model_name = client.models.list().data[0].id
    response = client.chat.completions.create(
        model=model_name,
        messages=messages,
        temperature=0.8,
        top_p=0.8,
        stream=False,
        tools=tools)
    print(response)
    func1_name = response.choices[0].message.tool_calls[0].function.name
    func1_args = response.choices[0].message.tool_calls[0].function.arguments
    func1_out = eval(f'{func1_name}(**{func1_args})')
    print(func1_out)

    messages.append({
        'role': 'assistant',
        'content': response.choices[0].message.content
    })
    messages.append({
        'role': 'environment',
        'content': f'3+5={func1_out}',
        'name': 'plugin'
    })
    response = client.chat.completions.create(
        model=model_name,
        messages=messages,
        temperature=0.8,
        top_p=0.8,
        stream=False,
        tools=tools)
    print(response)
    func2_name = response.choices[0].message.tool_calls[0].function.name
    func2_args = response.choices[0].message.tool_calls[0].function.arguments
    func2_out = eval(f'{func2_name}(**{func2_args})')
    print(func2_out)

    assert (func1_name, func1_out) == ("add", 8)
    assert (func2_name, func2_out) == ("mul", 16)
    assert response.choices[0].finish_reason == "tool_calls"


def test_tools_with_openais_own_messages(internlm):
    """The same session with OpenAI's way to send calls and results back, streamed."""
    number = {"type": "integer"}
    parameters = {"type": "object", "properties": {"a": number, "b": number}, "required": ["a", "b"]}
    tools = [{"type": "function", "function": {"name": name, "parameters": parameters}} for name in ("add", "mul")]
    client = internlm.client()
    model = client.models.list().data[0].id
    messages = [{"role": "user", "content": "Compute (3+5)*2"}]
    first = client.chat.completions.create(model=model, messages=messages, tools=tools, temperature=0)
    call = first.choices[0].message.tool_calls[0]
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "8"}]
    with client.chat.completions.stream(model=model, messages=messages, tools=tools, temperature=0) as stream:
        last = stream.get_final_completion()
    assert last.choices[0].message.tool_calls[0].function.name == "mul"
    assert last.choices[0].finish_reason == "tool_calls"
