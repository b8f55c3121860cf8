"""Talking: streams, stop, edit, regenerate, continue, branches, copies, deleting."""

import re

from playwright.sync_api import expect

QUESTION = "What is the capital of France?"


def test_an_answer_streams_in_and_says_how_fast(chat):
    chat.type_and_send(QUESTION)
    expect(chat.questions).to_have_text(QUESTION)
    chat.wait_for_answer()
    assert "Paris" in chat.answer()
    stats = chat.answers.last.locator(".stats").inner_text()
    assert "tokens/s" in stats and "s to first token" in stats and "tokens" in stats
    expect(chat.page.get_by_role("img", name="Context:")).to_have_attribute("aria-label", re.compile(r"Context: \d+ of 8,192 tokens"))


def test_stop_keeps_what_has_come_and_continue_goes_on(open_page, server):
    chat = open_page(server.url, {"sampling": {"max_tokens": 400, "ignore_eos": True, "temperature": 0}})
    chat.type_and_send("Count from one to one hundred.")
    expect(chat.answers.last.locator(".markdown")).to_be_visible()
    chat.page.wait_for_timeout(300)
    chat.button("Stop").click()
    expect(chat.answers.last).to_contain_text("Stopped.")
    before = chat.answers.last.locator(".markdown").inner_text()
    assert before
    chat.act(chat.answers.last, "Continue")
    chat.page.wait_for_timeout(400)
    chat.page.keyboard.press("Escape")
    chat.wait_for_answer()
    after = chat.answers.last.locator(".markdown").inner_text()
    assert len(after) > len(before) and after.startswith(before[:20])
    expect(chat.answers).to_have_count(1)


def test_edited_and_regenerated_messages_are_branches(chat):
    first = chat.ask(QUESTION)
    chat.act(chat.questions.first, "Edit")
    editor = chat.page.get_by_role("textbox", name="Edit")
    editor.fill("What is the capital of Italy?")
    chat.button("Send", chat.page.locator(".editor")).click()
    expect(chat.questions.first).to_contain_text("Italy")
    chat.wait_for_answer()
    expect(chat.questions.first.locator(".branches")).to_have_text("2/2")
    chat.button("Previous version", chat.questions.first).click()
    assert chat.answer() == first
    chat.act(chat.answers.last, "Regenerate")
    expect(chat.answers.last.locator(".branches")).to_have_text("2/2")
    assert chat.answer() == first  # temperature 0
    chat.page.reload()
    expect(chat.answers.last.locator(".branches")).to_have_text("2/2")
    expect(chat.questions.first).to_contain_text("France")


def test_a_branch_becomes_a_conversation(chat):
    chat.ask(QUESTION)
    chat.ask("And of Italy?")
    chat.act(chat.answers.first, "Branch into a new chat")
    expect(chat.questions).to_have_count(1)
    expect(chat.sidebar().locator(".entry")).to_have_count(2)


def test_what_is_deleted_can_be_had_back(chat):
    chat.ask(QUESTION)
    chat.ask("And of Italy?")
    chat.act(chat.questions.last, "Delete")
    expect(chat.questions).to_have_count(1)
    chat.button("Undo").click()
    expect(chat.questions).to_have_count(2)
    expect(chat.answers).to_have_count(2)


def test_copies_also_without_a_secure_context(open_page, server):
    """Over plain http from another machine browsers offer neither the clipboard nor randomUUID."""
    chat = open_page(server.url.replace("127.0.0.1", "lan.test"))
    assert chat.page.evaluate("[isSecureContext, typeof navigator.clipboard, typeof crypto.randomUUID]") \
        == [False, "undefined", "undefined"]
    answer = chat.ask(QUESTION)
    chat.act(chat.answers.last, "Copy")
    expect(chat.page.get_by_text("Copied")).to_be_visible()
    chat.composer.focus()
    chat.page.keyboard.press("Control+V")
    assert chat.composer.input_value() == answer


def test_an_input_method_may_use_enter(chat):
    chat.composer.fill("ni")
    chat.composer.dispatch_event("keydown", {"key": "Enter", "keyCode": 229, "isComposing": True})
    assert chat.composer.input_value() == "ni"
    chat.composer.press("Shift+Enter")
    assert chat.composer.input_value() == "ni\n"
    expect(chat.questions).to_have_count(0)


def test_answers_go_on_while_another_conversation_is_read(open_page, server):
    chat = open_page(server.url, {"sampling": {"max_tokens": 60, "ignore_eos": True, "temperature": 0}})
    chat.type_and_send("Tell me a story.")
    expect(chat.answers.last.locator(".markdown")).to_be_visible()
    chat.button("New chat", chat.sidebar()).click()
    expect(chat.questions).to_have_count(0)
    chat.ask(QUESTION)
    chat.sidebar().get_by_role("button", name="Tell me a story.", exact=True).click()
    expect(chat.questions).to_have_text("Tell me a story.")
    chat.wait_for_answer()
    expect(chat.answers.last.locator(".stats")).to_contain_text("60 tokens")


def test_text_files_go_along(chat, tmp_path):
    notes, picture = tmp_path / "notes.txt", tmp_path / "picture.png"
    notes.write_text("The code word is heron.")
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\xff")
    requests = chat.script([{"content": "heron"}])
    chooser = chat.page.locator(".composer input[type=file]")
    chooser.set_input_files([notes, picture])
    expect(chat.page.get_by_text("picture.png is not a text file")).to_be_visible()
    expect(chat.page.locator(".files li")).to_have_text("notes.txt")
    chat.ask("What is the code word?")
    assert requests[0]["messages"][-1]["content"] == \
        "notes.txt:\n```\nThe code word is heron.\n```\n\nWhat is the code word?"
    expect(chat.questions.last.locator("summary")).to_contain_text("notes.txt")


def test_files_can_be_dropped(chat):
    chat.page.evaluate("""() => {
        const data = new DataTransfer();
        data.items.add(new File(['x = 1'], 'a.py'));
        for (const type of ['dragover', 'drop'])
            dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
    }""")
    expect(chat.page.locator(".files li")).to_have_text("a.py")
