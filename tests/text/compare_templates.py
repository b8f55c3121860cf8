"""Compares text_probe's rendering of chat templates with that of transformers' apply_chat_template.

    compare_templates.py PROBE TEMPLATE.jinja...

Every template meets every conversation below, with and without tools and generation prompt. Where transformers
raises, ours must fail too. Needs the PyPI package transformers; the templates that llama-cpp-python's sdist
carries in vendor/llama.cpp/models/templates are a good set.
"""
import collections
import datetime
import itertools
import json
import os
import re
import subprocess
import sys

from transformers.utils import chat_template_utils

TOOLS = [
    {"type": "function", "function": {"name": "add", "description": "Adds <two> & 'three' \"numbers\"", "parameters": {
        "type": "object", "properties": {"a": {"type": "int", "description": "first"}, "b": {"type": "number", "enum": [1, 2.5, 1e20]}},
        "required": ["a", "b"], "additionalProperties": False}}},
    {"type": "function", "function": {"name": "weather", "description": "天气 é", "parameters": {
        "type": "object", "properties": {"city": {"type": "string", "default": None}, "days": {"type": ["integer", "null"]},
                                         "list": {"type": "array", "items": {"type": "string"}}}, "required": ["city"]}}},
]


def call(name, arguments, id):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


CONVERSATIONS = {
    "user": [{"role": "user", "content": "Hi there"}],
    "system": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 1 < 2 & 3 > 2?"}],
    "turns": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "More\n\nplease"}],
    "spaces": [{"role": "system", "content": "  \n s \t"}, {"role": "user", "content": "\n  a b \u3000"}, {"role": "assistant", "content": " x\n"}, {"role": "user", "content": " "}],
    "unicode": [{"role": "user", "content": "你好 👍🏽 é \u2028 \x7f \"quoted\" 'single' \\ back"}, {"role": "assistant", "content": "日本"}, {"role": "user", "content": "ñ"}],
    "special text": [{"role": "user", "content": "<|im_start|>system\n<s></s> [INST] x [/INST] <|eot_id|> <｜User｜> <|im_"}, {"role": "assistant", "content": "<|im_end|>"}, {"role": "user", "content": "end|> <bos>"}],
    "thinking": [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "<think>\nhm, 2\n</think>\n\n2"}, {"role": "user", "content": "sure?"}],
    "reasoning": [{"role": "user", "content": "1+1?"}, {"role": "assistant", "reasoning_content": "let me see", "content": "2"}, {"role": "user", "content": "sure?"}],
    "calls": [{"role": "user", "content": "add 1 and 2"}, {"role": "assistant", "content": "", "tool_calls": [call("add", {"a": 1, "b": 2.0}, "call00001")]},
              {"role": "tool", "name": "add", "tool_call_id": "call00001", "content": "3"}, {"role": "assistant", "content": "It is 3."}, {"role": "user", "content": "thanks"}],
    "two calls": [{"role": "system", "content": "s"}, {"role": "user", "content": "weather"}, {"role": "assistant", "content": None, "tool_calls": [
        call("weather", {"city": "Köln", "days": None, "list": []}, "call00001"), call("weather", {"city": "<b>", "deep": {"x": [1, {"y": True}]}}, "call00002")]},
        {"role": "tool", "name": "weather", "tool_call_id": "call00001", "content": "{\"t\": 1.50}"}, {"role": "tool", "name": "weather", "tool_call_id": "call00002", "content": "rain"}],
    "string arguments": [{"role": "user", "content": "add"}, {"role": "assistant", "content": "ok", "tool_calls": [call("add", "{\"a\": 1}", "call00001")]}, {"role": "tool", "tool_call_id": "call00001", "content": "1"}],
    "parts": [{"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}],
    "image": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what?"}]}],
    "two users": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
    "assistant last": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
    "environment": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "environment", "name": "plugin", "content": "c"}],
    "developer": [{"role": "developer", "content": "d"}, {"role": "user", "content": "a"}],
    "null": [{"role": "user", "content": None}],
    "number": [{"role": "user", "content": 1.0}, {"role": "assistant", "content": True}],
    "none": [],
}

KWARGS = [{}, {"enable_thinking": False}, {"enable_thinking": True, "xml_tools": False, "builtin_tools": ["brave_search"]}]


class Probe:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def render(self, **request):
        self.process.stdin.write(json.dumps({"op": "render", **request}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def reference(source, messages, tools, add_generation_prompt, kwargs):
    variables = {"bos_token": "<s>", "eos_token": "</s>", **kwargs}
    try:
        rendered, _ = chat_template_utils.render_jinja_template(
            [json.loads(json.dumps(messages))], tools=tools, chat_template=source, add_generation_prompt=add_generation_prompt, **variables)
        return rendered[0], None
    except Exception as error:  # whatever the template or jinja2 raises
        return None, f"{type(error).__name__}: {error}"


def first_difference(a, b):
    where = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f"at {where}: ours {a[max(0, where - 30):where + 50]!r}, transformers {b[max(0, where - 30):where + 50]!r}"


def compare(probe, source, conversation, tools, add_generation_prompt, kwargs):
    messages = CONVERSATIONS[conversation]
    theirs, their_error = reference(source, messages, tools, add_generation_prompt, kwargs)
    answer = probe.render(source=source, bos_token="<s>", eos_token="</s>", messages=messages, tools=tools, kwargs=kwargs,
                          add_generation_prompt=add_generation_prompt,
                          special_tokens=["<|im_start|>", "<|im_end|>", "<|eot_id|>", "[INST]", "[/INST]", "<｜User｜>", "<bos>"])
    ours, our_error = answer.get("text"), answer.get("error")
    if ours == theirs:
        return None
    if ours is None:
        return f"ours fails: {our_error}"
    if theirs is None:
        return f"transformers fails: {their_error}; ours {ours[:60]!r}"
    return first_difference(ours, theirs)


def main():
    probe = Probe(sys.argv[1])
    num_equal, differences = 0, collections.defaultdict(list)
    for path in sys.argv[2:]:
        source = open(path, encoding="utf-8").read()
        cases = itertools.product(CONVERSATIONS, [None, TOOLS], [True, False], KWARGS)
        for conversation, tools, add_generation_prompt, kwargs in cases:
            difference = compare(probe, source, conversation, tools, add_generation_prompt, kwargs)
            if difference is None:
                num_equal += 1
            else:
                differences[os.path.basename(path)].append(f"{conversation}, tools {tools is not None}, {add_generation_prompt}, {kwargs}: {difference}")
    for name, problems in differences.items():
        print(f"{name}: {len(problems)} different\n    " + "\n    ".join(problem[:400] for problem in problems[:2]))
    num_different = sum(map(len, differences.values()))
    print(f"{len(sys.argv) - 2} templates, {num_equal} renderings equal, {num_different} different in {len(differences)} templates")
    return min(num_different, 1)


if __name__ == "__main__":
    sys.exit(main())
