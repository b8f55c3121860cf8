"""What the page says of the server, and that it loses no text whatever the server does."""

import json
import re
import signal
import threading

import pytest
from playwright.sync_api import expect

from chat_page import DESKTOP, PHONE
from program import MODEL, Server

# What the page says does not depend on the screen, and waiting is slow: one screen each for some.
on_a_desktop = pytest.mark.parametrize("screen", [DESKTOP], ids=["desktop"])
on_a_phone = pytest.mark.parametrize("screen", [PHONE], ids=["phone"])
LONG = {"sampling": {"max_tokens": 60, "ignore_eos": True, "temperature": 0}}


@pytest.fixture
def own_server(tmp_path):
    """own_server(*options, port=...): a server of the test's own."""
    started = []

    def start(*options, port=None):
        server = Server(tmp_path / f"log{len(started)}.txt", *options, **({"port": port} if port else {}))
        started.append(server)
        return server

    yield start
    for server in started:
        server.__exit__()


def test_the_servers_load_is_a_live_chart(open_page, server):
    chat = open_page(server.url, LONG)
    chat.type_and_send("Tell me a story.")
    chat.page.get_by_role("button", name="Server:").click()
    panel = chat.page.get_by_role("region", name="Server")
    for name in ("Running", "Waiting", "KV cache in use"):
        expect(panel.get_by_role("img", name=name)).to_be_visible()
    expect(panel.locator(".running polyline")).to_have_count(1, timeout=6000)
    expect(panel.locator(".running polyline")).to_have_attribute("points", re.compile(r"\S+ \S+"))
    chat.wait_for_answer()


def test_cached_tokens_are_counted(chat):
    chat.ask("Tell me in three sentences what a lighthouse is, who keeps it, what it is good for, and whether there "
             "are any left today that are not run by machines but by people who live in them all year long.")
    chat.act(chat.answers.last, "Regenerate")
    expect(chat.answers.last.locator(".stats")).to_contain_text("prompt tokens from cache")


def test_a_server_with_keys_is_asked_with_one(open_page, own_server):
    server = own_server("--api-keys", "secret")
    chat = open_page(server.url)
    dialog = chat.page.get_by_role("dialog", name="API key")
    expect(dialog).to_be_visible()
    chat.button("Close", dialog).click()
    chat.type_and_send("What is the capital of France?")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Key", exact=True).fill("wrong")
    chat.button("Use key", dialog).click()
    expect(dialog.get_by_label("Key", exact=True)).to_have_value("wrong")
    dialog.get_by_label("Key", exact=True).fill("secret")
    chat.button("Use key", dialog).click()
    expect(chat.answers.last).to_contain_text("Paris", timeout=10_000)
    assert chat.page.evaluate("Object.values(sessionStorage)") == ["secret"]
    assert "secret" not in chat.page.evaluate("JSON.stringify(localStorage)")
    other = chat.page.context.new_page()  # another tab
    other.goto(server.url + "/chat")
    expect(other.get_by_role("dialog", name="API key")).to_be_visible()


@on_a_phone
def test_a_full_server_answers_later(open_page, own_server):
    server = own_server("--max-concurrent-requests", "1")
    blocker = threading.Thread(target=lambda: server.ask("/v1/completions", {
        "model": MODEL.name, "prompt": "x", "max_tokens": 300, "ignore_eos": True}))
    blocker.start()
    chat = open_page(server.url)
    chat.type_and_send("What is the capital of France?")
    expect(chat.page.get_by_text("The server is full.")).to_be_visible()
    expect(chat.answers.last).to_contain_text("Paris", timeout=20_000)
    blocker.join()


@on_a_desktop
def test_an_answer_goes_on_when_the_server_is_back(open_page, own_server):
    server = own_server()
    chat = open_page(server.url, {"sampling": {"max_tokens": 500, "ignore_eos": True, "temperature": 0}})
    chat.type_and_send("Tell me a story.")
    expect(chat.answers.last.locator(".markdown")).to_be_visible()
    chat.page.wait_for_timeout(200)
    server.process.kill()
    expect(chat.page.get_by_text("The server cannot be reached.").first).to_be_visible()
    before = chat.answers.last.locator(".markdown").inner_text()
    assert before
    chat.composer.fill("a draft")
    own_server(port=server.port)
    chat.wait_for_answer(40_000)
    after = chat.answers.last.locator(".markdown").inner_text()
    assert after.startswith(before[:20]) and len(after) > len(before)
    assert chat.composer.input_value() == "a draft"
    expect(chat.page.get_by_role("button", name="Server: Ready")).to_be_visible()
    expect(chat.page.locator(".banner")).to_have_count(0)


def unavailable(route):
    route.fulfill(status=503, content_type="application/json", headers={"Retry-After": "1"},
                  body=json.dumps({"status": "loading", "message": "the model is being loaded"}))


@pytest.mark.scripted
@on_a_desktop
def test_a_message_to_a_loading_server_waits(open_page, server):
    """The server's part of this is tests/server/page_test.cc: the page is there before the model is."""
    chat = open_page(server.url)
    for pattern in ("**/health?ready", "**/v1/**"):
        chat.page.route(pattern, unavailable)
    chat.look_at_server()
    expect(chat.page.locator(".banner")).to_contain_text("The model is being loaded.", timeout=8000)
    chat.type_and_send("What is the capital of France?")
    expect(chat.answers.last).to_contain_text("The model is being loaded.")
    chat.page.unroute_all()
    expect(chat.answers.last).to_contain_text("Paris", timeout=10_000)
    expect(chat.page.locator(".banner")).to_have_count(0)


@on_a_phone
def test_a_draining_server_is_named(open_page, own_server):
    server = own_server("--drain-timeout", "20")
    chat = open_page(server.url, {"sampling": {"max_tokens": 2000, "ignore_eos": True}})
    chat.type_and_send("Tell me a story.")
    expect(chat.answers.last.locator(".markdown")).to_be_visible()
    server.process.send_signal(signal.SIGTERM)
    chat.look_at_server()
    expect(chat.page.locator(".banner")).to_contain_text("shutting down", timeout=8000)
    chat.button("Stop").click()


@pytest.mark.scripted
def test_a_refusal_is_shown_in_the_servers_words(chat):
    message = "temperature: expected at most 2, found 3"
    chat.page.route("**/v1/chat/completions", lambda route: route.fulfill(
        status=400, content_type="application/json", body=json.dumps({"error": {"message": message}})))
    chat.ask("Hello")
    expect(chat.answers.last.get_by_role("alert")).to_contain_text(message)
    chat.page.unroute("**/v1/chat/completions")
    chat.act(chat.answers.last, "Regenerate")
    chat.wait_for_answer()
    expect(chat.answers.last.get_by_role("alert")).to_have_count(0)
