"""What the browser keeps: conversations, settings, exports; and a very long history."""

import json
import time

from playwright.sync_api import expect


def test_conversations_are_there_after_a_reload_and_can_be_found(chat):
    answer = chat.ask("What is the capital of France?")
    chat.button("New chat", chat.sidebar()).click()
    chat.ask("Name a heron.")
    chat.page.reload()
    expect(chat.questions).to_have_text("Name a heron.")
    search = chat.sidebar().get_by_role("searchbox", name="Search conversations")
    search.fill(answer.split()[-1].strip(".")[:12])
    expect(chat.sidebar().locator(".entry")).to_have_count(1)
    search.fill("capital of")
    expect(chat.sidebar().locator(".entry")).to_have_text("What is the capital of France?")
    search.fill("no such words")
    expect(chat.sidebar().get_by_text("Nothing found")).to_be_visible()


def test_conversations_are_renamed_and_deleted(chat):
    chat.ask("What is the capital of France?")
    chat.menu("What is the capital", "Rename")
    chat.page.get_by_role("textbox", name="Rename").fill("Capitals")
    chat.page.keyboard.press("Enter")
    expect(chat.sidebar().locator(".entry")).to_have_text("Capitals")
    chat.menu("Capitals", "Delete")
    expect(chat.sidebar().locator(".entry")).to_have_count(0)
    chat.button("Undo").click()
    expect(chat.sidebar().locator(".entry")).to_have_text("Capitals")


def export(chat, how):
    with chat.page.expect_download() as download:
        chat.menu("What is the capital", how)
    chat.close_sidebar()
    return download.value.path()


def test_exports_come_back_whole(chat, tmp_path):
    answer = chat.ask("What is the capital of France?")
    chat.act(chat.answers.last, "Regenerate")
    chat.wait_for_answer()
    as_json, as_markdown = tmp_path / "chat.json", tmp_path / "chat.md"
    as_json.write_bytes(export(chat, "Export as JSON").read_bytes())
    as_markdown.write_bytes(export(chat, "Export as Markdown").read_bytes())
    assert len(json.loads(as_json.read_text())["conversations"][0]["nodes"]) == 3
    assert f"## Assistant\n\n{answer}" in as_markdown.read_text()
    chat.menu("What is the capital", "Delete")
    for file, num_branches in ((as_json, 1), (as_markdown, 0)):
        chat.sidebar().locator("input[type=file]").set_input_files(file)
        expect(chat.page.get_by_text("Imported: 1").first).to_be_visible()
        expect(chat.questions).to_have_text("What is the capital of France?")
        expect(chat.answers.last.locator(".answer")).to_have_text(answer)
        expect(chat.answers.locator(".branches")).to_have_count(num_branches)


def test_a_damaged_export_says_what_is_wrong(chat, tmp_path):
    for name, text, problem in [
            ("a.json", "{", "JSON"),
            ("b.json", '{"format": "lmdeploy-chat", "conversations": [{"nodes": [{"id": "x", "parent": "y"}]}]}', "missing"),
            ("c.md", "# no conversation", "expected a conversation")]:
        (tmp_path / name).write_text(text)
        chat.sidebar().locator("input[type=file]").set_input_files(tmp_path / name)
        expect(chat.page.locator(".toast", has_text=name)).to_contain_text(problem)
    expect(chat.sidebar().locator(".entry")).to_have_count(0)


def test_settings_reach_the_server_and_presets_keep_them(chat):
    requests = chat.script([{"content": "a"}], [{"content": "b"}])
    panel = chat.settings()
    assert panel.get_by_role("spinbutton", name="Top p").get_attribute("placeholder") == "1"  # the server's
    panel.get_by_role("textbox", name="System prompt").fill("Be brief.")
    panel.get_by_role("spinbutton", name="Top p").fill("0.5")
    panel.get_by_role("spinbutton", name="Seed").fill("7")
    panel.get_by_role("textbox", name="Stop strings").fill("END\nSTOP")
    panel.get_by_role("textbox", name="Further fields").fill('{"logit_bias": {"5": -1}}')
    panel.get_by_role("textbox", name="Name of the preset").fill("Mine")
    chat.button("Save as preset", panel).click()
    chat.close_settings()
    chat.ask("Hello")
    request = requests[0]
    assert request["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (request["top_p"], request["seed"], request["stop"]) == (0.5, 7, ["END", "STOP"])
    assert request["logit_bias"] == {"5": -1}
    chat.page.reload()
    panel = chat.settings()
    chat.button("Server defaults", panel).click()
    expect(panel.get_by_role("spinbutton", name="Top p")).to_have_value("")
    chat.button("Mine", panel).click()
    expect(panel.get_by_role("spinbutton", name="Top p")).to_have_value("0.5")


def test_the_server_honours_what_the_page_sends(open_page, server):
    sampling = {"temperature": 0.9, "top_p": 0.9, "top_k": 40, "min_p": 0.01, "typical_p": 0.95, "repetition_penalty": 1.1,
                "presence_penalty": 0.1, "frequency_penalty": 0.1, "max_tokens": 5, "min_new_tokens": 2, "seed": 1,
                "stop": ["zzz"], "ignore_eos": True, "skip_special_tokens": False}
    chat = open_page(server.url, {"sampling": sampling, "system": "Be brief.", "logprobs": True})
    chat.ask("Hello")
    expect(chat.answers.last.locator(".stats")).to_contain_text("5 tokens")


def bundle(num_messages):
    nodes = [{"id": f"n{i}", "parent": f"n{i - 1}" if i else None, "role": "assistant" if i % 2 else "user",
              "content": f"Message {i}\n\n```python\nprint({i})\n```\n\n$x^{{{i}}}$" if i % 2 else f"Question {i}"}
             for i in range(num_messages)]
    return json.dumps({"format": "lmdeploy-chat", "version": 1, "conversations": [{"title": "Long", "nodes": nodes}]})


def test_five_thousand_messages_stay_smooth(chat, tmp_path):
    (tmp_path / "long.json").write_text(bundle(5000))
    chat.sidebar().locator("input[type=file]").set_input_files(tmp_path / "long.json")
    expect(chat.page.get_by_text("Message 4999")).to_be_visible(timeout=10_000)
    chat.close_sidebar()
    begin = time.monotonic()
    chat.page.reload()
    expect(chat.page.get_by_text("Message 4999")).to_be_visible()
    assert time.monotonic() - begin < 3
    # Frames while the reader scrolls up through a few hundred of them.
    frames = chat.page.evaluate("""async () => {
        const box = document.querySelector('.messages');
        const times = [];
        for (let i = 0, last = performance.now(); i < 90; ++i) {
            box.scrollTop -= 400;
            await new Promise(requestAnimationFrame);
            times.push(performance.now() - last);
            last = performance.now();
        }
        return times.sort((a, b) => a - b);
    }""")
    assert frames[45] < 35, frames  # milliseconds, on two cores that others use too
    assert chat.page.locator("article").count() <= 200
    assert int(chat.page.locator("article.user .bubble").first.text_content().split()[1]) < 4900
    typing = chat.page.evaluate("""async () => {
        const begin = performance.now();
        const box = document.querySelector('#composer');
        for (let i = 0; i < 20; ++i) {
            box.value += 'x';
            box.dispatchEvent(new Event('input', {bubbles: true}));
            await new Promise(requestAnimationFrame);
        }
        return (performance.now() - begin) / 20;
    }""")
    assert typing < 50
    chat.page.keyboard.press("Control+F")
    chat.page.get_by_role("searchbox", name="Search in this chat").fill("Question 2500")
    chat.page.keyboard.press("Enter")
    expect(chat.page.get_by_text("Question 2500", exact=True)).to_be_in_viewport()
