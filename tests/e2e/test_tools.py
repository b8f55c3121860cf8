"""Tool calls of the demo model through the real openai client: they are forced, so that they fit their schemas."""

import json

import openai
import pytest

from program import MODEL, MODEL_NAME, run

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["celsius", "fahrenheit"]},
        "days": {"type": "int", "minimum": 1, "maximum": 7}}, "required": ["city", "unit", "days"]}}}
NOW = {"type": "function", "function": {"name": "now", "description": "The time of day"}}
ASKED = [{"role": "user", "content": "How will the weather in Paris be over the next three days?"}]


def ask(client, **options):
    return client.chat.completions.create(
        model=MODEL_NAME, **{"messages": ASKED, "tools": [WEATHER, NOW], "temperature": 0, "max_tokens": 120, **options})


def named(tool) -> dict:
    return {"type": "function", "function": {"name": tool["function"]["name"]}}


def check_weather(function):
    assert function.name == "get_weather"
    arguments = json.loads(function.arguments)
    assert set(arguments) == {"city", "unit", "days"}
    assert isinstance(arguments["city"], str)
    assert arguments["unit"] in ("celsius", "fahrenheit")
    assert 1 <= arguments["days"] <= 7


def test_a_named_tool_is_called(client):
    answer = ask(client, tool_choice=named(WEATHER))
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert len(choice.message.tool_calls) == 1
    check_weather(choice.message.tool_calls[0].function)


def test_a_tool_without_parameters_is_called_with_none(client):
    call, = ask(client, tool_choice=named(NOW)).choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("now", {})


@pytest.mark.parametrize("temperature", [0, 1.5])
def test_a_required_call_fits_its_schema(client, temperature):
    for seed in range(4):
        answer = ask(client, tool_choice="required", parallel_tool_calls=False, temperature=temperature, seed=seed)
        call, = answer.choices[0].message.tool_calls
        assert answer.choices[0].finish_reason == "tool_calls"
        assert call.function.name in ("get_weather", "now")
        if call.function.name == "get_weather":
            check_weather(call.function)


def test_a_stream_adds_up_to_the_whole_answer(client):
    options = {"tool_choice": named(WEATHER)}
    whole = ask(client, **options).choices[0].message.tool_calls[0].function
    name, arguments, reasons = "", "", []
    for chunk in ask(client, stream=True, **options):
        choice = chunk.choices[0]
        for call in choice.delta.tool_calls or []:
            assert call.index == 0
            assert not (call.function.name and name), "the name comes once"
            name += call.function.name or ""
            assert name or not call.function.arguments, "the name comes first"
            arguments += call.function.arguments
        reasons.append(choice.finish_reason)
    assert (name, arguments) == (whole.name, whole.arguments)
    assert [reason for reason in reasons if reason] == ["tool_calls"]


def test_the_clients_own_accumulator_understands_the_stream(client):
    with client.chat.completions.stream(model=MODEL_NAME, messages=ASKED, tools=[WEATHER], temperature=0,
                                        tool_choice=named(WEATHER)) as stream:
        completion = stream.get_final_completion()
    check_weather(completion.choices[0].message.tool_calls[0].function)


def test_calls_and_results_go_back(client):
    called = ask(client, tool_choice=named(WEATHER)).choices[0].message
    result = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "Sunny, 25 degrees"}
    answer = ask(client, messages=[*ASKED, called, result], tool_choice="none", max_tokens=40)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")


def test_several_choices_each_call(client):
    answer = ask(client, tool_choice=named(WEATHER), n=3, temperature=1.0, seed=1)
    ids = [choice.message.tool_calls[0].id for choice in answer.choices]
    assert len(set(ids)) == 3
    for choice in answer.choices:
        check_weather(choice.message.tool_calls[0].function)


def test_auto_may_answer_in_words(client):
    answer = ask(client, max_tokens=24)
    assert answer.choices[0].message.content or answer.choices[0].message.tool_calls


@pytest.mark.parametrize("options, param", [
    ({"tools": None, "tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
    ({"tools": [{"type": "function", "function": {"name": "not a name"}}]}, "tools[0].function.name"),
    ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "whole"}}}]},
     "tools[0].function.parameters.type"),
])
def test_what_cannot_be_honoured_is_refused_by_name(client, options, param):
    with pytest.raises(openai.BadRequestError) as refusal:
        ask(client, **options)
    assert refusal.value.param == param


@pytest.mark.parametrize("option, names", [("--tool-call-parser", "internlm, llama3_json, hermes, mistral"),
                                           ("--reasoning-parser", "qwen3, deepseek-r1")])
def test_an_unknown_parser_is_an_error_that_lists_them(option, names):
    ended = run("serve", "api_server", MODEL, option, "nonsense")
    assert ended.returncode != 0
    assert "nonsense" in ended.stderr and names in ended.stderr
