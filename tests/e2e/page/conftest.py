"""A browser in front of the real server; each test gets a page of its own, on a desktop and on a phone."""

import importlib.resources
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent))

from chat_page import PHONE, DESKTOP, ChatPage  # noqa: E402
CHROMIUM = os.environ.get("LMDEPLOY_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
# lan.test is another machine to the browser: no secure context, so no clipboard and no randomUUID.
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP lan.test 127.0.0.1"]


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.exit("no chromium: run `tools/setup.sh browser`, or name one in LMDEPLOY_CHROMIUM", returncode=3)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def screen(request):
    return request.param


@pytest.fixture
def open_page(browser, screen, request):
    """open_page(url, settings={...}, **context options): the page, whose faults fail the test."""
    opened = []

    def open_at(url, settings=None, path="/chat", **options):
        options = {"viewport": screen, "locale": "en-US", "accept_downloads": True, "has_touch": screen is PHONE, **options}
        context = browser.new_context(**options)
        context.set_default_timeout(15_000)
        stored = json.dumps({"sampling": {"max_tokens": 24, "temperature": 0}, **(settings or {})})
        context.add_init_script(f"localStorage['lmdeploy-settings'] ??= {json.dumps(stored)}")
        chat = ChatPage(context.new_page(), narrow=screen["width"] <= 760)
        opened.append((context, chat))
        chat.goto(url + path)
        return chat

    yield open_at
    for context, chat in opened:
        faults = chat.faults
        context.close()
        assert not faults, faults


@pytest.fixture
def chat(open_page, server):
    return open_page(server.url)


@pytest.fixture(scope="session")
def axe_source():
    return (importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text()
