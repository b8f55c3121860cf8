"""`lmdeploy bench serve` against the real server, and its file as other tools read vLLM's."""

import json
import re

import pytest

from program import MODEL, MODEL_NAME, free_port, run, terminal

KINDS = ("ttft", "tpot", "itl", "e2el")


def bench(server, *options, **kwargs):
    return run("bench", "serve", "--base-url", server.url, "--tokenizer", MODEL, *options, **kwargs)


def test_random_prompts_and_the_result_file(server, tmp_path):
    done = bench(server, "--num-prompts", 6, "--num-warmups", 1, "--random-input-len", 40, "--random-output-len", 8,
                 "--ignore-eos", "--max-concurrency", 3, "--request-rate", 50, "--seed", 11,
                 "--metric-percentiles", "50,99", "--goodput", "e2el:60000", "--save-result", "--save-detailed",
                 "--result-dir", tmp_path, "--result-filename", "result.json", "--metadata", "run=first")
    assert done.returncode == 0, done
    for line in ("Successful requests: +6", "Failed requests: +0", "Maximum request concurrency: +3",
                 r"Request rate configured \(RPS\): +50.00", "Total input tokens: +240", "Total generated tokens: +48",
                 r"Request goodput \(req/s\): +\d", r"Median TTFT \(ms\): +\d", r"P99 E2EL \(ms\): +\d"):
        assert re.search(line, done.stdout), (line, done.stdout)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["model_id"].endswith(MODEL_NAME) and result["run"] == "first" and result["max_concurrency"] == 3
    assert result["completed"] == 6 and result["failed"] == 0 and result["max_concurrent_requests"] <= 3
    assert result["total_input_tokens"] == 240 and result["total_output_tokens"] == 48
    assert result["request_goodput"] == pytest.approx(result["request_throughput"])
    for kind in KINDS:
        assert 0 < result[f"p50_{kind}_ms"] == result[f"median_{kind}_ms"] <= result[f"p99_{kind}_ms"]
    assert len(result["ttfts"]) == len(result["itls"]) == len(result["generated_texts"]) == 6
    assert result["output_lens"] == [8] * 6 and result["input_lens"] == [40] * 6
    assert all(0 < ttft for ttft in result["ttfts"]) and set(result["errors"]) == {""}


def test_the_server_counts_as_many_tokens_as_were_asked_for(server, client, tmp_path):
    """What the client counts is what the server computes: same prompts, told by its own usage."""
    prompts = tmp_path / "prompts.jsonl"
    texts = ["The river runs to the sea.", "One, two, three: four!", "\u00dcber den Wolken"]
    prompts.write_text("".join(json.dumps({"prompt": text, "output_tokens": 2}) + "\n" for text in texts))
    done = bench(server, "--dataset-name", "custom", "--dataset-path", prompts, "--custom-output-len", -1,
                 "--num-prompts", 3, "--save-detailed", "--result-dir", tmp_path, "--result-filename", "r.json")
    assert done.returncode == 0, done
    counts = [client.completions.create(model=MODEL_NAME, prompt=text, max_tokens=1).usage.prompt_tokens for text in texts]
    assert json.loads((tmp_path / "r.json").read_text())["input_lens"] == counts


def test_chat_says_what_the_server_says_to_others(server, client, tmp_path):
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "What is the capital of France?"}\n')
    done = bench(server, "--backend", "openai-chat", "--dataset-name", "custom", "--dataset-path", prompts,
                 "--custom-output-len", 12, "--num-prompts", 1, "--save-detailed", "--result-dir", tmp_path,
                 "--result-filename", "r.json")
    assert done.returncode == 0, done
    answer = client.chat.completions.create(model=MODEL_NAME, temperature=0, max_tokens=12,
                                            messages=[{"role": "user", "content": "What is the capital of France?"}])
    assert json.loads((tmp_path / "r.json").read_text())["generated_texts"] == [answer.choices[0].message.content]


def test_failures_are_counted_by_cause(server):
    done = bench(server, "--num-prompts", 2, "--random-input-len", 10, "--random-output-len", 4,
                 "--extra-body", '{"temperature": -1}')
    assert done.returncode == 1
    assert re.search(r"Failed requests: +2", done.stdout)
    assert re.search(r" 2 x status 400: .*temperature", done.stdout)


def test_nobody_there_and_bad_options(server):
    done = run("bench", "serve", "--base-url", f"http://127.0.0.1:{free_port()}", "--tokenizer", MODEL)
    assert done.returncode == 1 and "no answer from" in done.stderr
    for options in (["--request-rate", "fast"], ["--goodput", "itl:5"], ["--metric-percentiles", "101"],
                    ["--dataset-name", "custom"], ["--backend", "vllm"]):
        assert bench(server, *options).returncode in (1, 2)


def test_a_progress_line_and_ctrl_c(server):
    child = terminal("bench", "serve", "--base-url", server.url, "--tokenizer", MODEL, "--num-prompts", 1000,
                     "--random-input-len", 16, "--random-output-len", 16, "--ignore-eos", "--max-concurrency", 2)
    child.expect(r"requests +\d+ % +\d+ of 1000")
    child.sendintr()
    child.expect("Serving Benchmark Result")
    child.expect(r"x interrupted")
    child.wait()
