"""What a person can do while typing in either chat."""

import json
import stat

import pexpect
import pytest

from program import MODEL, terminal
from talk import PARIS, PROMPT, QUESTION, leave, say

UP, LEFT = "\x1b[A", "\x1b[D"
CHEAP = (MODEL, "--session-len", "1024", "--temperature", "0", "--max-new-tokens", "8")


def paste(text):
    """As a terminal marks it, with its return key for line feeds."""
    return "\x1b[200~" + text.replace("\n", "\r") + "\x1b[201~"


def saved(child, path):
    """The conversation's messages."""
    child.expect_exact(PROMPT)
    child.send(f"/save {path}\r")
    child.expect_exact(f"Saved to {path}")
    return json.loads(path.read_text())["messages"]


def questions(messages):
    return [message["content"] for message in messages if message["role"] == "user"]


def test_earlier_messages_come_back_also_in_the_next_chat(chat, tmp_path):
    env = {"XDG_STATE_HOME": str(tmp_path / "state")}
    child = terminal(*chat, env=env)
    say(child, "What is the capital\nof France?")
    child.expect_exact("Paris")
    say(child, UP)
    child.expect_exact("Paris")
    messages = saved(child, tmp_path / "chat.json")
    assert questions(messages) == ["What is the capital\nof France?"] * 2
    leave(child)
    child = terminal(*chat, env=env)
    say(child, UP + UP)  # the last one is /save
    child.expect_exact("Paris")
    assert questions(saved(child, tmp_path / "next.json")) == ["What is the capital\nof France?"]
    leave(child)
    history = tmp_path / "state/lmdeploy/chat_history.jsonl"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert json.loads(history.read_text().splitlines()[0]) == "What is the capital\nof France?"


def test_lines_can_be_edited_in_any_script(chat, tmp_path):
    child = terminal(*chat, env={"LC_ALL": "C"})
    say(child, "/system né 中文" + LEFT * 2 + "x\x7f" + "和")
    child.expect_exact("The system prompt is set.")
    say(child, "/system")
    child.expect_exact("[né 和中文]")
    leave(child)


def test_a_paste_with_empty_lines_is_one_message(chat, tmp_path):
    text = "What is the capital\n\n\nof France?\n\nend\n\nexit"
    child = terminal(*chat)
    child.expect_exact(PROMPT)
    child.send(paste(text + "\n"))
    child.expect_exact("exit")
    child.send("\r\r")
    assert questions(saved(child, tmp_path / "chat.json")) == [text]
    leave(child)


def test_a_long_paste_arrives_whole():
    """As a system prompt, which nobody has to answer."""
    text = "\n\n".join(f"{i}: {'é' * 50}" for i in range(300))
    child = terminal("chat", *CHEAP)
    child.expect_exact(PROMPT)
    child.send("/system " + paste(text) + "\r")
    child.expect_exact("The system prompt is set.")
    say(child, "/system")
    child.expect_exact("\x1b[2m")
    child.expect_exact("\x1b[0m")
    assert child.before.replace("\r\n", "\n") == text
    leave(child)


def test_ctrl_c_drops_what_was_typed_and_stops_answers(chat, tmp_path):
    child = terminal(*chat)
    child.expect_exact(PROMPT)
    child.send("This is not\rmeant")
    child.expect_exact("meant")
    child.sendintr()
    child.expect_exact("Dropped what was typed.")
    say(child, "Count from one to one thousand, in words, with every number on a line of its own.")
    child.expect_exact("One")
    child.sendintr()
    child.expect_exact("Stopped.")
    messages = saved(child, tmp_path / "chat.json")
    assert len(messages) == 2
    assert messages[0]["content"].startswith("Count")
    leave(child)


def test_the_window_may_change_its_size(chat):
    child = terminal(*chat)
    child.expect_exact(PROMPT)
    child.send("What is the capital of")
    child.expect_exact("capital of")
    child.setwinsize(30, 60)
    child.expect_exact(PROMPT + "\x1b[0m What is the capital of")
    child.send(" France?\r\r")
    child.expect_exact(PARIS)
    leave(child)


def test_a_history_that_cannot_be_written_stops_nobody():
    child = terminal("chat", *CHEAP, env={"XDG_STATE_HOME": "/proc"})
    say(child, QUESTION)
    child.expect_exact(PARIS)
    leave(child)


@pytest.mark.parametrize("term", ["dumb", "no-such-terminal"])
def test_a_terminal_that_can_do_nothing_is_still_talked_to(chat, term):
    child = terminal(*chat, env={"TERM": term})
    say(child, QUESTION)
    child.expect_exact(PARIS)
    child.expect_exact(PROMPT)
    child.sendeof()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
