"""The documentation page at /, as a browser loads it, and the document that it shows."""

import json
import re
import shutil
import subprocess
import urllib.request

import pytest

from program import MODEL_NAME


def get(server, path):
    with urllib.request.urlopen(server.url + path, timeout=10) as answer:
        return answer.headers, answer.read()


def test_the_page_is_whole_and_comes_from_here_only(server):
    headers, page = get(server, "/")
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "http" not in policy
    files = re.findall(r'(?:src|href)="(docs/[^"]+)"', page.decode())
    assert len(files) == 3
    for file in files:
        headers, body = get(server, "/" + file)
        assert len(body) == int(headers["Content-Length"]) > 100
        assert headers["Content-Security-Policy"] == policy
    assert not re.search(r"<script>|<style|\son\w+=|style=", page.decode())


def keys(value):
    """The names in a JSON value, without the rest."""
    if isinstance(value, dict):
        return {name: keys(field) for name, field in value.items()}
    return [keys(value[0])] if isinstance(value, list) and value else None


def test_each_example_of_the_document_is_answered(server):
    """What the page offers to send is taken as it stands, with the name of the model that is served."""
    document = json.loads(get(server, "/openapi.json")[1])
    posts = {path: methods["post"] for path, methods in document["paths"].items() if "post" in methods}
    assert {"/v1/chat/completions", "/v1/completions"} <= posts.keys()
    for path, operation in posts.items():
        if "requestBody" not in operation:  # its path says all
            continue
        example = operation["requestBody"]["content"]["application/json"]["example"]
        if "prompt" in example or "messages" in example:
            schema = document["components"]["schemas"][
                operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].split("/")[-1]]
            if "max_tokens" in schema["properties"]:
                example["max_tokens"] = 4
        request = urllib.request.Request(server.url + path, json.dumps(example).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200, path
            shown = operation["responses"]["200"]["content"]["application/json"]["example"]
            assert keys(json.loads(answer.read())) == keys(shown), path


def test_the_documented_ranges_are_the_servers(server, client):
    document = json.loads(get(server, "/openapi.json")[1])
    properties = document["components"]["schemas"]["ChatCompletionRequest"]["properties"]
    bounded = {name: schema["maximum"] for name, schema in properties.items() if "maximum" in schema}
    assert {"temperature", "top_p", "n"} <= bounded.keys()
    for name, maximum in bounded.items():
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(
                server.url + "/v1/chat/completions",
                json.dumps({"model": MODEL_NAME, "messages": "x", "max_tokens": 1, name: maximum + 1}).encode(),
                {"Content-Type": "application/json"}), timeout=10)
        assert caught.value.code == 400
        assert json.loads(caught.value.read())["error"]["param"] == name


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
def test_a_browser_renders_the_routes_without_breaking_the_policy(server, tmp_path):
    result = subprocess.run(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--enable-logging=stderr", f"--user-data-dir={tmp_path}", "--virtual-time-budget=8000", "--dump-dom",
         server.url + "/"], capture_output=True, text=True, timeout=60, check=False)
    assert "/v1/chat/completions" in result.stdout
    assert "Content Security Policy" not in result.stderr
