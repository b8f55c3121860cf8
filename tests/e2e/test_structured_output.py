"""Answers that have to have a form, of the real model: response_format, structured_outputs, guided_*."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import jsonschema
import openai
import pytest

from json_schemas import make_schema
from program import MODEL_NAME

NUM_SCHEMAS = 200
PERSON = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer",
          "minimum": 0, "maximum": 120}}, "required": ["name", "age"], "additionalProperties": False}
TAGS = {"type": "structural_tag", "triggers": ["<call="],
        "structures": [{"begin": "<call=add>", "schema": {"const": [1, 2]}, "end": "</call>"},
                       {"begin": "<call=sub>", "schema": {"type": "null"}, "end": "</call>"}]}


def in_form(schema: dict) -> dict:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def ask(client, content="Describe a person.", **fields):
    known = {"response_format", "n", "seed", "stop", "logprobs", "top_logprobs", "stream"}
    return client.chat.completions.create(
        model=MODEL_NAME, messages=[{"role": "user", "content": content}], temperature=fields.pop("temperature", 1),
        max_tokens=fields.pop("max_tokens", 64), **{name: fields.pop(name) for name in known & set(fields)}, extra_body=fields)


def complete(client, prompt="The answer is", **fields):
    return client.completions.create(model=MODEL_NAME, prompt=prompt, temperature=fields.pop("temperature", 1),
                                     max_tokens=fields.pop("max_tokens", 64), seed=fields.pop("seed", 1), extra_body=fields)


def message_of(client, status=400, **fields) -> tuple[str, str]:
    """The error that a request with these fields gets, and the field that it names."""
    with pytest.raises(openai.APIStatusError) as caught:
        complete(client, max_tokens=1, **fields)
    assert caught.value.status_code == status
    return caught.value.body["message"], caught.value.body["param"]


def test_200_schemas(client):
    """Whatever the model would like to say, what it says in the end is valid."""
    def answer(number):
        schema = make_schema(number)
        jsonschema.Draft202012Validator.check_schema(schema)
        if number % 2 == 0:
            choice = complete(client, seed=number, guided_json=schema).choices[0]
            return schema, choice.finish_reason, choice.text
        choice = ask(client, "Make up some data.", seed=number, response_format=in_form(schema)).choices[0]
        return schema, choice.finish_reason, choice.message.content

    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(answer, range(NUM_SCHEMAS)))
    checker = jsonschema.FormatChecker(["date", "ipv4"])
    num_whole = 0
    for schema, reason, text in answers:
        if reason == "stop":
            num_whole += 1
            jsonschema.Draft202012Validator(schema, format_checker=checker).validate(json.loads(text))
        else:
            assert reason == "length", (schema, text)
    assert num_whole > 0.9 * NUM_SCHEMAS


def test_json_object(client):
    choice = ask(client, response_format={"type": "json_object"}, max_tokens=200, seed=1, temperature=0.5).choices[0]
    assert choice.message.content.startswith("{")
    assert choice.finish_reason == "length" or isinstance(json.loads(choice.message.content), dict)


def test_pydantic_models_through_the_openai_client(client):
    from pydantic import BaseModel, Field

    class Person(BaseModel):
        name: str = Field(max_length=12)
        age: int = Field(ge=0, le=120)
        colour: str | None = Field(max_length=8)

    answer = client.chat.completions.parse(model=MODEL_NAME, messages=[{"role": "user", "content": "Describe a person."}],
                                           response_format=Person, seed=5, max_tokens=100)
    person = answer.choices[0].message.parsed
    assert 0 <= person.age <= 120 and len(person.name) <= 12


@pytest.mark.parametrize("fields", [{"guided_regex": "[a-f]{3}-\\d{2}"}, {"structured_outputs": {"regex": "^[a-f]{3}-\\d{2}$"}},
                                    {"response_format": {"type": "regex_schema", "regex_schema": "[a-f]{3}-[0-9]{2}"}}])
def test_regex(client, fields):
    choice = complete(client, **fields).choices[0]
    assert re.fullmatch("[a-f]{3}-\\d{2}", choice.text) and choice.finish_reason == "stop"


@pytest.mark.parametrize("fields", [{"guided_choice": ["Paris", "New York", "Zürich"]},
                                    {"structured_outputs": {"choice": ["Paris", "New York", "Zürich"]}}])
def test_choice(client, fields):
    texts = {complete(client, "A city: ", seed=seed, **fields).choices[0].text for seed in range(8)}
    assert texts <= {"Paris", "New York", "Zürich"} and len(texts) > 1


LARK = 'start: expr\nexpr: NUMBER (OPERATOR NUMBER)~1..3\nOPERATOR: "+" | "*"\nNUMBER: /[1-9][0-9]{0,2}/\n'


@pytest.mark.parametrize("fields", [{"guided_grammar": LARK}, {"structured_outputs": {"grammar": LARK}}])
def test_lark(client, fields):
    choice = complete(client, **fields).choices[0]
    assert re.fullmatch(r"[1-9]\d{0,2}([+*][1-9]\d{0,2}){1,3}", choice.text) and choice.finish_reason == "stop"


@pytest.mark.parametrize("fields", [{"response_format": TAGS}, {"structured_outputs": {"structural_tag": json.dumps(TAGS)}},
                                    {"structured_outputs": {"structural_tag": {"format": {
                                        "type": "triggered_tags", "triggers": ["<call="], "at_least_one": True, "tags": [
                                            {"begin": "<call=add>", "content": {"type": "json_schema", "json_schema": {
                                                "const": [1, 2]}}, "end": "</call>"},
                                            {"begin": "<call=sub>", "content": {"type": "regex", "pattern": "null"},
                                             "end": "</call>"}]}}}}])
def test_structural_tags(client, fields):
    """The text is free, the tags are not: the model is made to begin with one by what the prompt has."""
    at_least_one = "at_least_one" in str(fields)
    prompt = "Calls:\n<call=add>[1,2]</call>\n<call=sub>null</call>\n" * 4
    for seed in range(4):
        text = complete(client, prompt, seed=seed, temperature=0.7, max_tokens=40, **fields).choices[0].text
        for call in text.split("<call=")[1:]:
            whole = re.match(r"add>\[\s*1\s*,\s*2\s*\]</call>|sub>null</call>", call)
            assert whole or len(text.split("<call=")[-1]) == len(call), text  # the last one may be cut off
        assert not at_least_one or text.startswith("<call="), text


def test_a_stream_is_the_same_answer(client):
    for fields in ({"response_format": in_form(PERSON)}, {"guided_regex": "(ä|ö|ü){4,9}"}, {"guided_grammar": LARK}):
        whole = ask(client, seed=3, **fields).choices[0]
        chunks = [chunk.choices[0] for chunk in ask(client, seed=3, stream=True, **fields) if chunk.choices]
        assert "".join(chunk.delta.content or "" for chunk in chunks) == whole.message.content
        assert chunks[-1].finish_reason == whole.finish_reason == "stop"


def test_what_the_form_allows_is_said_as_without_it(client):
    prompts = ["The capital of France is", "Once upon a time", "2 + 2 ="]
    for prompt in prompts:
        free = complete(client, prompt, temperature=0, max_tokens=24).choices[0].text
        for guided in (re.escape(free).replace("\\ ", " "), "(.|\\n)*"):
            assert complete(client, prompt, temperature=0, max_tokens=24, guided_regex=guided).choices[0].text == free


def test_choices_seeds_and_company(client):
    """Each of n answers has the form, and is what its seed gives alone."""
    choices = ask(client, response_format=in_form(PERSON), n=4, seed=10).choices
    alone = [ask(client, response_format=in_form(PERSON), seed=10 + i).choices[0].message.content for i in range(4)]
    assert [choice.message.content for choice in choices] == alone
    for text in alone:
        jsonschema.validate(json.loads(text), PERSON)


def test_logprobs_are_the_models_own(client):
    """They are read before the form shapes the draw: a token that it forced may be an unlikely one."""
    choice = ask(client, guided_choice=["zzz"], logprobs=True, top_logprobs=2).choices[0]
    first = choice.logprobs.content[0]
    assert choice.message.content == "zzz" and first.logprob < -2
    assert first.top_logprobs[0].logprob > first.logprob


def test_ends(client):
    cut = ask(client, response_format=in_form(PERSON), max_tokens=3).choices[0]
    assert cut.finish_reason == "length"
    stopped = ask(client, guided_choice=["one two three"], stop=" two").choices[0]
    assert (stopped.message.content, stopped.finish_reason) == ("one", "stop")
    whole = ask(client, guided_choice=["one"], min_tokens=30).choices[0]
    assert (whole.message.content, whole.finish_reason) == ("one", "stop")


def test_the_native_route(server):
    answer = server.ask("/generate", {"prompt": "A colour:", "guided_choice": ["red", "blue"]})
    assert answer["text"] in ("red", "blue")
    assert answer["meta_info"]["finish_reason"]["type"] == "stop"


@pytest.mark.parametrize("schema, word", [({"type": "array", "uniqueItems": True}, "uniqueItems"), ({"not": {}}, "not"),
                                          ({"if": {}, "then": {}}, "if"), ({"type": "object", "dependentRequired": {}}, "dependentRequired"),
                                          ({"contains": {}}, "contains"), ({"type": "strin"}, "strin"), ({"$ref": "#/$defs/x"}, "x"),
                                          ({"x-guidance": {"lenient": True}}, "x-guidance"), ({"$ref": "http://127.0.0.1:9/x"}, "$ref")])
def test_schemas_that_cannot_be_kept_to_are_refused_by_keyword(client, schema, word):
    for fields, field in (({"guided_json": schema}, "guided_json"), ({"response_format": in_form(schema)}, "response_format")):
        message, param = message_of(client, **fields)
        assert param == field and (word in message or "127.0.0.1" in message), message


@pytest.mark.parametrize("fields, param", [
    ({"guided_json": {}, "guided_regex": "a"}, "guided_regex"),
    ({"response_format": {"type": "json_object"}, "guided_choice": ["a"]}, "guided_choice"),
    ({"structured_outputs": {}}, "structured_outputs"), ({"structured_outputs": {"regex": "a", "choice": ["a"]}}, "structured_outputs"),
    ({"structured_outputs": {"json": 5}}, "structured_outputs.json"), ({"structured_outputs": {"jsn": {}}}, "structured_outputs.jsn"),
    ({"response_format": {"type": "xml"}}, "response_format.type"), ({"response_format": {}}, "response_format.type"),
    ({"response_format": 5}, "response_format"), ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format.json_schema.schema"),
    ({"response_format": {"type": "json_object", "extra": 1}}, "response_format.extra"),
    ({"guided_regex": "(a"}, "guided_regex"), ({"guided_regex": ""}, "guided_regex"), ({"guided_regex": "a(?=b)c\\b"}, "guided_regex"),
    ({"guided_choice": []}, "guided_choice"), ({"guided_choice": "a"}, "guided_choice"), ({"guided_choice": ["a", 1]}, "guided_choice[1]"),
    ({"guided_grammar": "start: other"}, "guided_grammar"), ({"guided_grammar": "root ::= \"a\""}, "guided_grammar"),
    ({"guided_json": "{"}, "guided_json"), ({"guided_json": "x" * 300_000}, "guided_json"),
    ({"guided_regex": "a", "ignore_eos": True}, "ignore_eos"), ({"guided_decoding_backend": "outlines"}, "guided_decoding_backend"),
    ({"response_format": {**TAGS, "triggers": ["<other"]}}, "response_format")])
def test_bad_forms(client, fields, param):
    message, found = message_of(client, **fields)
    assert found == param, message


@pytest.mark.parametrize("fields", [
    {"guided_regex": "(a+)+b"}, {"guided_regex": "((a{1,500}){1,500}){1,500}"}, {"guided_regex": "(.|\\n){1000000}"},
    {"guided_json": {"type": "array", "items": {"type": "null"}, "minItems": 10**9}}, {"guided_json": {"enum": list(range(30_000))}},
    {"guided_json": {"type": "object", "properties": {"a": {"$ref": "#"}}}}, {"guided_json": {"$ref": "#"}},
    {"guided_grammar": "start: start start | \"a\"\n"}, {"guided_grammar": "start: (\"a\"*)*\n"}])
def test_hostile_forms_cost_little(client, fields):
    """Refused, or kept to; others are answered meanwhile, and afterwards."""
    try:
        complete(client, max_tokens=20, **fields)
    except openai.APIStatusError as error:
        assert error.status_code in (400, 500), error
    assert complete(client, guided_choice=["ok"]).choices[0].text == "ok"


def test_many_forms_stay_within_the_cache(server, client):
    def resident():
        pages = (open(f"/proc/{server.process.pid}/statm").read()).split()[1]
        return int(pages) * 4096

    def one(number):
        text = complete(client, max_tokens=12, guided_regex=f"x{number}y*z").choices[0].text
        assert text.startswith(f"x{number}"[:len(text)])

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(one, range(100)))
        before = resident()
        list(threads.map(one, range(100, 600)))
    assert resident() - before < 160 << 20
