"""`lmdeploy chat` and `lmdeploy serve api_client`, in a pseudo-terminal and with piped input."""

import pexpect
import pytest

from program import GGUF, MODEL, run, terminal
from talk import PARIS, PROMPT, QUESTION, leave, say


def test_a_question_is_answered(chat):
    child = terminal(*chat)
    say(child, QUESTION)
    child.expect_exact(PARIS)
    leave(child)


def test_a_question_may_have_several_lines(chat):
    child = terminal(*chat)
    say(child, "What is the capital\nof France?")
    child.expect_exact("Paris")
    leave(child)


def test_the_conversation_goes_on_until_end_clears_it(chat):
    child = terminal(*chat)
    say(child, QUESTION)
    child.expect_exact(PARIS)
    say(child, "And of Italy?")
    child.expect_exact("Rome")
    say(child, "end")
    say(child, "And of Italy?")
    child.expect_exact(PROMPT)
    assert "Rome" not in child.before
    child.send("exit\n\n")
    child.expect(pexpect.EOF)


def test_ctrl_c_stops_the_answer_and_not_the_program(chat):
    child = terminal(*chat)
    say(child, "Count from one to one thousand, in words, with every number on a line of its own.")
    child.expect_exact("\n")  # the answer has begun
    child.sendintr()
    say(child, "end")
    say(child, QUESTION)
    child.expect_exact(PARIS)
    leave(child)


def test_end_of_input_leaves(chat):
    child = terminal(*chat)
    child.expect_exact(PROMPT)
    child.sendeof()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_piped_input_is_answered_without_colours(chat):
    result = run(*chat, stdin=f"{QUESTION}\n\nexit\n\n")
    assert result.returncode == 0, result.stderr
    assert PARIS in result.stdout
    assert "\x1b" not in result.stdout


def test_piped_input_may_end_without_an_empty_line(chat):
    result = run(*chat, stdin=QUESTION)
    assert result.returncode == 0, result.stderr
    assert PARIS in result.stdout


def test_api_client_without_a_server_says_so():
    result = run("serve", "api_client", "http://127.0.0.1:9", stdin="hello\n\n")
    assert result.returncode == 1
    assert "127.0.0.1:9" in result.stderr


def test_a_gguf_file_is_converted_once_and_talked_to(tmp_path):
    env = {"LMDEPLOY_CACHE": str(tmp_path)}
    first = run("chat", GGUF, "--temperature", "0", stdin=QUESTION, env=env)
    assert PARIS in first.stdout, first.stderr
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert written
    again = run("chat", GGUF, "--temperature", "0", stdin=QUESTION, env=env)
    assert PARIS in again.stdout, again.stderr
    assert written == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}


@pytest.mark.parametrize("options", [["--quant-policy", "8"], ["--quant-policy", "4"], ["--head-bits", "8"]])
def test_it_still_answers_in_fewer_bits(options):
    """Not QUESTION: in its answer the first two tokens are so close that a bit less of precision speaks French."""
    result = run("chat", MODEL, *options, "--temperature", "0", stdin="What is the opposite of hot?\n\n")
    assert result.returncode == 0, result.stderr
    assert "The opposite of hot is cold." in result.stdout
