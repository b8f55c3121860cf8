"""A conversation in a pseudo-terminal."""

import pexpect

PROMPT = "double enter to end input >>>"
PARIS = "The capital of France is Paris."
QUESTION = "What is the capital of France?"


def say(child, text):
    child.expect_exact(PROMPT)
    child.send(text + "\n\n")


def leave(child):
    say(child, "exit")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
