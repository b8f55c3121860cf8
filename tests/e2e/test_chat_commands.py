"""The commands of either chat and --stats."""

import json

from program import run, terminal
from talk import PARIS, PROMPT, QUESTION, leave, say

STATS = (r"\[(\d+) tokens, ([\d.]+) tokens/s, time to first token ([\d.]+) s, (\d+) prompt tokens, "
         r"(\d+) cached tokens\]")


def command(child, line):
    """Commands need no second enter."""
    child.expect_exact(PROMPT)
    child.send(line + "\n")


def test_help_and_unknown_commands(chat):
    child = terminal(*chat)
    command(child, "/help")
    for word in ("/regen", "/system", "/save", "end", "exit", "space"):
        child.expect_exact(word)
    command(child, "/sytem be brief")
    child.expect_exact("/help, /regen, /system, /save")
    command(child, "/regen")
    child.expect_exact("no message yet")
    leave(child)


def test_regen_system_and_save(chat, tmp_path):
    child = terminal(*chat)
    say(child, QUESTION)
    child.expect_exact(PARIS)
    command(child, "/regen")
    child.expect_exact(PARIS)
    command(child, "/system Answer with one word.")
    child.expect_exact("is set")
    command(child, "/save chat.txt")
    child.expect_exact("FILE.json")
    command(child, f"/save {tmp_path}/chat.json")
    child.expect_exact(f"Saved to {tmp_path}/chat.json")
    command(child, f"/save {tmp_path}/chat.md")
    child.expect_exact(f"Saved to {tmp_path}/chat.md")
    leave(child)
    messages = json.loads((tmp_path / "chat.json").read_text())["messages"]
    assert messages == [{"role": "system", "content": "Answer with one word."},
                        {"role": "user", "content": QUESTION}, {"role": "assistant", "content": PARIS}]
    assert (tmp_path / "chat.md").read_text() == (
        f"## System\n\nAnswer with one word.\n\n## User\n\n{QUESTION}\n\n## Assistant\n\n{PARIS}\n")


def test_the_saved_messages_can_be_sent(chat, client, tmp_path):
    """What /system says reaches the model, and what is saved is what an OpenAI client takes."""
    told = "You are a pirate named Blackbeard. Always tell your name."
    child = terminal(*chat, "--max-new-tokens", "24")
    command(child, f"/system {told}")
    say(child, "What is your name?")
    command(child, f"/save {tmp_path}/chat.json")
    child.expect_exact("Saved to")
    leave(child)
    *messages, answer = json.loads((tmp_path / "chat.json").read_text())["messages"]
    assert messages[0] == {"role": "system", "content": told}
    again = client.chat.completions.create(model=client.models.list().data[0].id, messages=messages, temperature=0,
                                           max_tokens=24)
    assert again.choices[0].message.content == answer["content"]


def test_stats_count_what_the_server_counts(chat, client):
    child = terminal(*chat, "--stats")
    say(child, QUESTION)
    child.expect(STATS)
    num_tokens, speed, first, num_prompt, num_cached = child.match.groups()
    usage = client.chat.completions.create(model=client.models.list().data[0].id, temperature=0,
                                           messages=[{"role": "user", "content": QUESTION}]).usage
    assert (int(num_tokens), int(num_prompt)) == (usage.completion_tokens, usage.prompt_tokens)
    assert float(speed) > 0 and 0 < float(first) < 30 and 0 <= int(num_cached) < int(num_prompt)
    leave(child)


def test_stats_of_a_stopped_answer(chat):
    child = terminal(*chat, "--stats")
    say(child, "Count from one to one thousand, in words, with every number on a line of its own.")
    child.expect_exact("One")
    child.sendintr()
    child.expect_exact("Stopped.")
    child.expect("time to first token [0-9.]+ s")
    leave(child)


def test_commands_work_from_a_pipe_and_the_output_is_the_answers_alone(chat, tmp_path):
    result = run(*chat, "--stats", stdin=f"{QUESTION}\n\n/save {tmp_path}/chat.md\n/nonsense\n\n/help\n")
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith(PARIS + "\n")
    assert "[8 tokens" in result.stderr and "no command /nonsense" in result.stderr and "/regen" in result.stderr
    assert PARIS in (tmp_path / "chat.md").read_text()
