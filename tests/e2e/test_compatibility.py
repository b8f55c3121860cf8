"""docs/compatibility.md says of each field what the server does with it: each row is sent."""

import json
import re

import pytest
from anthropic.types import message_count_tokens_params, message_create_params
from openai.types import completion_create_params, embedding_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import response_create_params

from program import MODEL_NAME, ROOT, Server

CHAT = {"model": MODEL_NAME, "messages": [{"role": "user", "content": "x"}]}
# What each route needs, and the fields that the vendor's client can send to it.
ROUTES = {
    "/v1/chat/completions": ({**CHAT, "max_completion_tokens": 1}, chat_create_params.CompletionCreateParamsBase),
    "/v1/completions": ({"model": MODEL_NAME, "prompt": "x", "max_tokens": 1},
                        completion_create_params.CompletionCreateParamsBase),
    "/v1/responses": ({"model": MODEL_NAME, "input": "x", "max_output_tokens": 1},
                      response_create_params.ResponseCreateParamsBase),
    "/v1/embeddings": ({"model": MODEL_NAME, "input": "x"}, embedding_create_params.EmbeddingCreateParams),
    "/v1/messages": ({**CHAT, "max_tokens": 1}, message_create_params.MessageCreateParamsBase),
    "/v1/messages/count_tokens": (CHAT, message_count_tokens_params.MessageCountTokensParams),
}
STREAMS = {"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"}
ROW = re.compile(r"^\| (\w+) \| `(.+)` \| (honoured|no effect|refused) \|")


def read_tables() -> list[tuple]:
    rows, path = [], None
    for line in (ROOT / "docs/compatibility.md").read_text().splitlines():
        if line.startswith("## POST "):
            path = line.removeprefix("## POST ")
        elif line.startswith("| ") and not line.startswith("| field"):
            row = ROW.match(line)
            assert row, f"not a row of a table: {line}"
            rows.append((path, row[1], json.loads("{" + row[2] + "}"), row[3]))
    return rows


ROWS = read_tables()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The demo model's template does not know tools: the option tells how it calls them."""
    log = tmp_path_factory.mktemp("compatibility") / "log.txt"
    with Server(log, "--tool-call-parser", "hermes", "--cache-max-entry-count", "200MB") as running:
        yield running


@pytest.mark.parametrize("path", ROUTES)
def test_no_field_of_the_client_is_missing(path):
    params = ROUTES[path][1]
    fields = set(params.__required_keys__) | set(params.__optional_keys__) | ({"stream"} if path in STREAMS else set())
    assert {row[1] for row in ROWS if row[0] == path} == fields


@pytest.mark.parametrize("path,field,sent,said", ROWS, ids=lambda value: str(value)[:60])
def test_the_server_does_what_the_table_says(server, path, field, sent, said):
    assert field in sent
    body = {**ROUTES[path][0], **sent}
    if "max_tokens" in sent:
        body.pop("max_completion_tokens", None)
    status, _, answer = server.post(path, body)
    if said != "refused":
        assert status == 200, answer
        return
    error = json.loads(answer)["error"]
    assert status in (400, 404), answer
    assert field in (error.get("param") or error["message"]).replace("`", "")
