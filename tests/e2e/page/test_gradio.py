"""`lmdeploy serve gradio`: the page with a model, or with the URL of a server whose API passes through its port."""

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request

import openai
import pytest
from playwright.sync_api import expect

from chat_page import DESKTOP
from program import BINARY, MODEL, Server, free_port, wait_until

on_a_desktop = pytest.mark.parametrize("screen", [DESKTOP], ids=["desktop"])


class Gradio:
    def __init__(self, *words):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [BINARY, "serve", "gradio", *words, "--server-name", "127.0.0.1", "--server-port", self.port]
        self.process = subprocess.Popen([str(word) for word in command], stderr=subprocess.PIPE, text=True, env=os.environ)

    def get(self, path):
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def __enter__(self):
        wait_until(lambda: self.get("/")[0] == 200, 20, "the page is there")
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        self.words = self.process.stderr.read()


@on_a_desktop
def test_a_url_s_api_passes_through_the_pages_port(server, open_page):
    with Gradio(server.url) as gradio:
        chat = open_page(gradio.url, path="/")
        assert "Paris" in chat.ask("What is the capital of France?")
        client = openai.OpenAI(base_url=gradio.url + "/v1", api_key="none", max_retries=0)
        stream = client.chat.completions.create(model=client.models.list().data[0].id, max_tokens=8, stream=True,
                                                messages=[{"role": "user", "content": "Hi"}])
        assert len(list(stream)) >= 3
        assert gradio.get("/metrics")[0] == 200
    assert gradio.process.returncode == 0
    assert f"Chat page: {gradio.url}" in gradio.words


@on_a_desktop
def test_a_server_that_is_not_there_yet(tmp_path, open_page):
    port = free_port()
    with Gradio(f"127.0.0.1:{port}") as gradio:
        status, body = gradio.get("/v1/models")
        assert status == 502 and "does not answer" in json.loads(body)["error"]["message"]
        chat = open_page(gradio.url, path="/")
        chat.type_and_send("What is the capital of France?")
        expect(chat.answers.last).to_contain_text("The server cannot be reached.")
        with Server(tmp_path / "log.txt", port=port):
            expect(chat.answers.last).to_contain_text("Paris", timeout=20_000)
    assert "does not answer yet" in gradio.words


@on_a_desktop
def test_a_model_is_served_with_its_page(open_page, screen):
    with Gradio(MODEL, "--session-len", "512") as gradio:
        chat = open_page(gradio.url, path="/")
        assert "Paris" in chat.ask("What is the capital of France?")
        assert b"swagger-ui" in gradio.get("/docs")[1]
        assert gradio.get("/health")[0] == 200
