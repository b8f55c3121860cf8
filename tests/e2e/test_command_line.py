"""Commands that end by themselves, and the tutorial's command lines."""

import json
import math

import pytest

from program import GGUF, MODEL, ROOT, run


@pytest.mark.parametrize("words", [[], ["serve"], ["eval"], ["bench"], ["lite"], ["chat"], ["convert"], ["check_env"],
                                   ["list"], ["serve", "api_server"], ["serve", "api_client"], ["serve", "gradio"], ["eval", "ppl"],
                                   ["eval", "compare"], ["plan"],
                                   ["bench", "latency"], ["bench", "throughput"], ["lite", "auto_awq"]])
def test_help_at_every_level(words):
    result = run(*words, "--help")
    assert result.returncode == 0
    assert "lmdeploy" in result.stdout and "--help" in result.stdout
    assert result.stderr == ""


def test_version():
    version = (ROOT / "VERSION").read_text().strip()
    for flag in ("-v", "--version"):
        assert run(flag).stdout == f"lmdeploy {version}\n"


def test_check_env_shows_the_machine(tmp_path):
    dump = tmp_path / "env.json"
    result = run("check_env", "--dump-file", dump)
    assert result.returncode == 0
    assert (ROOT / "VERSION").read_text().strip() in result.stdout
    assert isinstance(json.loads(dump.read_text()), dict)


def test_list_names_the_architectures():
    names = run("list").stdout
    for name in ("InternLM2ForCausalLM", "LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM",
                 "Qwen3ForCausalLM"):
        assert name in names


@pytest.mark.parametrize("words, hint", [
    (["chat", MODEL, "--cache-max-entry-cuont", "0.4"], "--cache-max-entry-count"),
    (["serve", "api_server", MODEL, "--server_prot", "1"], "--server-port"),
    (["serve", "api_servr", MODEL], "api_server"),
    (["chta", MODEL], "chat"),
    (["chat", MODEL, "--dtype", "bfloat61"], "bfloat16"),
])
def test_a_slip_gets_the_nearest_known_word(words, hint):
    result = run(*words)
    assert result.returncode == 2
    assert hint in result.stderr
    assert result.stdout == ""


# Each line of the tutorial is understood: what fails is the missing folder, or what is not built, by its name.
TUTORIAL = [
    ("chat /nowhere --cache-max-entry-count 0.4", 1, "/nowhere"),
    ("chat /nowhere --cache_max_entry_count 0.4 --trust-remote-code True", 1, "/nowhere"),
    ("chat /nowhere --model-format awq", 1, "/nowhere"),
    ("serve api_server /nowhere --model-format hf --quant-policy 0 --server-name 0.0.0.0 --server-port 23333 --tp 1",
     1, "/nowhere"),
    ("serve api_server /nowhere --model-format awq --quant-policy 4 --cache-max-entry-count 0.4 --server-name 0.0.0.0 "
     "--server-port 23333 --tp 1", 1, "/nowhere"),
    ("chat /nowhere --model-format fp8", 1, "/nowhere"),
    ("chat /nowhere --model-format mxfp4", 2, "model-format"),
    ("serve api_server /nowhere --quant-policy 4 --cache-max-entry-count 0.4", 1, "/nowhere"),
    ("chat /nowhere --quant-policy 42", 2, "quant-policy"),
    ("serve gradio /nowhere --server-name 0.0.0.0 --server-port 6006", 1, "/nowhere"),
    ("serve gradio http://localhost:23333 --server-name 0.0.0.0 --server-port 6006 --share", 2, "--share"),
    ("lite auto_awq /nowhere --calib-dataset ptb --calib-samples 128 --calib-seqlen 2048 --w-bits 4 "
     "--w-group-size 128 --batch-size 1 --search-scale False --work-dir OUT", 1, "/nowhere"),
]


@pytest.mark.parametrize("line, status, named", TUTORIAL)
def test_the_tutorials_lines_are_understood(line, status, named):
    result = run(*line.split())
    assert named in result.stderr
    assert result.returncode == status, result.stderr


def test_convert_writes_the_same_bytes_every_time(tmp_path):
    result = run("convert", GGUF, "--work-dir", tmp_path / "model")
    assert result.returncode == 0, result.stderr
    names = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert names == sorted(path.name for path in MODEL.iterdir())
    assert {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"} <= set(names)
    for name in names:
        assert (tmp_path / "model" / name).read_bytes() == (MODEL / name).read_bytes(), \
            f"{name}: `rm -r {MODEL}; make model` if the converter has changed"


def test_convert_refuses_what_is_no_gguf(tmp_path):
    for content in (b"", b"GGUF", b"not a model", b"version https://git-lfs.github.com/spec/v1\n"):
        (tmp_path / "file.gguf").write_bytes(content)
        result = run("convert", tmp_path / "file.gguf", "--work-dir", tmp_path / "out")
        assert result.returncode == 1
        assert "file.gguf" in result.stderr
        assert not (tmp_path / "out" / "config.json").exists()


# What reference_perplexity.py printed (transformers 5.17, fp32) for lighthouse.txt in windows of 128.
LIGHTHOUSE_NLL = 3.991179
LIGHTHOUSE_SCORED = 3 * 127


def test_perplexity_of_a_text_is_hugging_faces():
    result = run("eval", "ppl", MODEL, "--text", ROOT / "tests/e2e/lighthouse.txt", "--window", "128", "--json",
                 "--dtype", "float32")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["tokens"] == LIGHTHOUSE_SCORED
    assert report["seconds"] > 0
    assert report["nll"] == pytest.approx(LIGHTHOUSE_NLL, rel=1e-4)
    assert report["perplexity"] == pytest.approx(math.exp(report["nll"]), rel=1e-6)


def test_compare_tells_what_bf16_loses_against_fp32():
    result = run("eval", "compare", MODEL, "--text", ROOT / "tests/e2e/lighthouse.txt", "--window", "128", "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["positions"] == 3 * 128
    assert report["a"]["nll"] == pytest.approx(LIGHTHOUSE_NLL, rel=1e-4)
    assert report["b"]["nll"] == pytest.approx(LIGHTHOUSE_NLL, rel=1e-2)
    assert 1e-4 < report["kl"]["mean"] < 1e-2  # 0.000981 over 16 windows of 2048 of another text
    assert report["kl"]["mean"] < report["kl"]["p99"] < report["kl"]["max"]
    assert report["changed_tokens"] == round(report["changed_share"] * report["positions"])
    assert report["a"]["weight_bytes"] == pytest.approx(2 * report["b"]["weight_bytes"], rel=1e-3)


def test_compare_with_itself_finds_nothing():
    result = run("eval", "compare", MODEL, MODEL, "--text", ROOT / "tests/e2e/lighthouse.txt", "--window", "64",
                 "--max-windows", "2", "--dtype-a", "bfloat16", "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["kl"] == {"mean": 0, "p99": 0, "max": 0}
    assert report["changed_tokens"] == 0
    assert report["a"]["nll"] == report["b"]["nll"]


def test_bench_latency_stays_below_the_machines_ceilings():
    result = run("bench", "latency", MODEL, "--input-len", "64", "--output-len", "8", "--num-iters", "1", "--json",
                 timeout=110)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["input_len"], report["output_len"], report["batch_size"]) == (64, 8, 1)
    assert report["median_ttft_ms"] > 0 and report["median_tpot_ms"] > 0
    assert 0 < report["decode_fraction_of_read_rate"] < 1.5  # weights may come from a cache
    assert 0 < report["prefill_fraction_of_dot_peak"] < 1
    assert report["peak_resident_bytes"] < 900 << 20  # weights 257 MiB, KV, 400 MB


def test_bench_throughput_counts_every_token():
    result = run("bench", "throughput", MODEL, "--input-len", "16", "--output-len", "4", "--num-prompts", "3", "--json",
                 timeout=110)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["output_tokens_per_s"] * report["seconds"] == pytest.approx(12, rel=1e-3)
    assert report["total_tokens_per_s"] * report["seconds"] == pytest.approx(60, rel=1e-3)
