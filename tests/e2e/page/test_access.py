"""For everybody: screen readers, keyboards, both languages, both themes; fast, and from this server only."""

import time

import pytest
from playwright.sync_api import expect

ANSWER = [{"reasoning_content": "Hm."}, {"content": "A table:\n\n| a |\n|---|\n| 1 |\n\n```python\nprint(1)  # x\n```\n\n$x^2$ [l](https://example.org)"}]


def serious(page, source):
    page.evaluate(source)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [(each["id"], [node["any"][0]["message"] if node["any"] else node["html"][:150] for node in each["nodes"]]) for each in found
            if each["impact"] in ("serious", "critical")]


@pytest.mark.scripted
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page, server, axe_source, theme):
    chat = open_page(server.url, {"toolsOn": True, "schemaOn": True, "schema": "{}"}, color_scheme=theme, reduced_motion="reduce")
    assert serious(chat.page, axe_source) == []
    chat.script(ANSWER)
    chat.ask("Hello")
    expect(chat.answers.last.locator(".katex")).to_be_visible()
    chat.answers.last.locator("summary").first.click()
    chat.answers.last.hover()
    chat.page.get_by_role("button", name="Server:").click()
    assert serious(chat.page, axe_source) == []
    chat.page.keyboard.press("Escape")
    chat.settings()
    assert serious(chat.page, axe_source) == []
    chat.button("Define a tool").click()
    assert serious(chat.page, axe_source) == []
    chat.page.keyboard.press("Escape")
    chat.close_settings()
    chat.sidebar()
    assert serious(chat.page, axe_source) == []


@pytest.mark.scripted
def test_everything_is_reached_by_keyboard(chat):
    chat.script([{"content": "One."}], [{"content": "Two."}])
    chat.page.get_by_text("Skip to the message field").focus()
    chat.page.keyboard.press("Enter")
    expect(chat.composer).to_be_focused()
    chat.page.keyboard.type("Hello")
    chat.page.keyboard.press("Enter")
    chat.wait_for_answer()
    expect(chat.composer).to_be_focused()
    for _ in range(12):
        chat.page.keyboard.press("Shift+Tab")
        if chat.page.evaluate("document.activeElement.getAttribute('aria-label')") == "Regenerate":
            break
    chat.page.keyboard.press("Enter")
    expect(chat.answers.last).to_contain_text("Two.")
    expect(chat.page.get_by_text("The answer is complete.")).to_be_attached()
    chat.page.keyboard.press("Control+K")
    expect(chat.page.get_by_role("searchbox", name="Search conversations")).to_be_focused()
    chat.page.keyboard.press("Control+Shift+O")
    expect(chat.questions).to_have_count(0)


def test_chinese(open_page, server):
    chat = open_page(server.url, locale="zh-CN")
    page = chat.page
    expect(page.get_by_role("heading", name="有什么可以帮你？")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.get_by_role("button", name="设置").click()
    expect(page.get_by_role("heading", name="采样")).to_be_visible()
    page.get_by_role("button", name="关闭", exact=True).click()
    if chat.narrow:
        page.get_by_role("button", name="显示对话列表").click()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("button", name="New chat").first).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="What can I do for you?")).to_be_visible()


def test_the_theme_follows_the_system_and_the_user(open_page, server):
    chat = open_page(server.url, color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    assert chat.page.evaluate(background) == "rgb(22, 22, 21)"
    chat.page.emulate_media(color_scheme="light")
    expect(chat.page.locator("html")).to_have_attribute("data-theme", "light")
    chat.sidebar().get_by_role("button", name="Theme: as the system").click()
    chat.sidebar().get_by_role("button", name="Theme: light").click()
    expect(chat.page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_first_paint_is_soon_and_all_comes_from_here(browser, server, screen):
    context = browser.new_context(viewport=screen)
    page = context.new_page()
    urls = []
    page.on("request", lambda request: urls.append(request.url))
    begin = time.monotonic()
    page.goto(server.url + "/chat")
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    assert time.monotonic() - begin < 2  # with the browser's own start of a tab
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint < 1000, paint
    assert all(url.startswith(server.url) for url in urls)
    context.close()


def test_nothing_is_wider_than_the_screen(chat):
    for open_more in (lambda: None, chat.settings, lambda: (chat.close_settings(), chat.sidebar())):
        open_more()
        assert chat.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
