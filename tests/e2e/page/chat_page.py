"""The chat page as a user sees it."""

import json

from playwright.sync_api import Page, expect

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


class ChatPage:
    def __init__(self, page: Page, narrow: bool):
        self.page = page
        self.narrow = narrow
        self.faults = []  # what the console says; a request that is refused says so by itself
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: message.type == "error" and "Failed to load resource" not in message.text
                and self.faults.append(message.text))

    def goto(self, url: str):
        self.page.goto(url)
        expect(self.composer).to_be_visible()

    @property
    def composer(self):
        return self.page.locator("#composer")

    @property
    def answers(self):
        return self.page.locator("article.assistant")

    @property
    def questions(self):
        return self.page.locator("article.user")

    def button(self, name: str, within=None):
        return (within or self.page).get_by_role("button", name=name, exact=True)

    def look_at_server(self):
        """Now, as a page does that is shown again, instead of within five seconds."""
        self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    def type_and_send(self, text: str):
        self.composer.fill(text)
        self.composer.press("Enter")

    def wait_for_answer(self, timeout=30_000):
        expect(self.button("Send")).to_be_visible(timeout=timeout)

    def ask(self, text: str) -> str:
        """Sends a message; the text of the whole answer."""
        self.type_and_send(text)
        expect(self.button("Stop").or_(self.button("Send"))).to_be_visible()
        expect(self.answers.last).to_be_visible()
        self.wait_for_answer()
        return self.answer()

    def answer(self) -> str:
        return self.answers.last.locator(".answer").inner_text().strip()

    def act(self, message, name: str):
        """Presses one of the buttons below a message."""
        message.hover()
        self.button(name, message).click()

    def sidebar(self):
        if self.narrow and not self.page.get_by_role("navigation").is_visible():
            self.button("Show conversations").click()
        return self.page.get_by_role("navigation")

    def close_sidebar(self):
        if self.narrow:
            self.button("Hide conversations", self.page.get_by_role("navigation")).click()

    def menu(self, title: str, item: str):
        entry = self.sidebar().locator("li", has_text=title)
        entry.hover()
        entry.locator("summary").click()
        self.button(item, entry).click()

    def settings(self):
        panel = self.page.get_by_role("complementary", name="Settings")
        if not panel.is_visible():
            self.button("Settings").click()
        return panel

    def close_settings(self):
        self.button("Close", self.page.get_by_role("complementary", name="Settings")).click()

    def script(self, *answers):
        """Answers the next requests in the server's stead, each a list of deltas or a whole list of chunks."""
        left = list(answers)
        requests = []

        def fulfill(route):
            requests.append(route.request.post_data_json)
            body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks_of(left.pop(0)))
            route.fulfill(content_type="text/event-stream", body=body + "data: [DONE]\n\n")

        self.page.route("**/v1/chat/completions", fulfill)
        return requests


def chunks_of(deltas: list) -> list:
    finish = "tool_calls" if any("tool_calls" in delta for delta in deltas) else "stop"
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    usage = {"prompt_tokens": 20, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 8}}
    return [*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}, {"choices": [], "usage": usage}]
