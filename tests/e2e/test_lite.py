"""`lmdeploy lite` on the real model, with few and short samples."""

import json
import shutil
import signal
import subprocess

import pytest

from program import BINARY, MODEL, ROOT, run, wait_until
from stand_in_hub import StandInHub

TEXT = ROOT / "tests/e2e/lighthouse.txt"
SMALL = ["--calib-dataset", TEXT, "--calib-samples", "8", "--calib-seqlen", "96", "--w-group-size", "64", "--no-eval"]


def lite(command, work_dir, *options, model=MODEL, env=None):
    return run("lite", command, model, "--work-dir", work_dir, *options, timeout=300, env=env)


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    """The tutorial's command, with a text file and a group size that divides this model's layers."""
    out = tmp_path_factory.mktemp("lite") / "awq"
    result = lite("auto_awq", out, *SMALL, "--w-bits", "4", "--batch-size", "1", "--search-scale", "False")
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{out}\n"
    assert "in two of them" in result.stderr  # the text is short
    assert not out.with_name("awq.partial").exists()
    return out


def test_the_folder_is_the_models_with_packed_weights(quantized):
    assert {path.name for path in MODEL.iterdir()} <= {path.name for path in quantized.iterdir()}
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        assert (quantized / name).read_bytes() == (MODEL / name).read_bytes(), name
    config = json.loads((quantized / "config.json").read_text())
    assert config["quantization_config"] == {"quant_method": "awq", "version": "gemm", "bits": 4, "group_size": 64,
                                             "zero_point": True, "modules_to_not_convert": ["lm_head"]}
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (MODEL, quantized)]
    assert sizes[1] < 0.5 * sizes[0]


def test_the_report_names_every_linear(quantized):
    report = json.loads((quantized / "quantization_report.json").read_text())
    linears = [linear for layer in report["layers"] for linear in layer["linears"]]
    assert len(linears) == 210
    assert all(0 < linear["relative_error"] < 0.3 for linear in linears)
    assert report["calibration"]["samples"] == 8 and report["calibration"]["overlap"] > 0
    assert report["bytes_after"] < report["bytes_before"]
    assert "model.layers.29.mlp.down_proj" in (quantized / "quantization_report.md").read_text()
    assert (quantized / "quantization_report.svg").read_text().startswith("<svg")


def test_what_was_interrupted_goes_on(quantized, tmp_path):
    out = tmp_path / "awq"
    command = [BINARY, "lite", "auto_awq", MODEL, "--work-dir", out, *SMALL]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    wait_until((tmp_path / "awq.partial/layer-00003/report.json").exists, 60, "three layers are finished")
    process.send_signal(signal.SIGINT)
    assert "--resume" in process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert not out.exists()

    assert "--resume" in lite("auto_awq", out, *SMALL).stderr  # not by itself
    other = lite("auto_awq", out, *SMALL, "--w-sym", "--resume")
    assert other.returncode == 1 and "w_sym was false and is true" in other.stderr
    result = lite("auto_awq", out, *SMALL, "--resume")
    assert result.returncode == 0, result.stderr
    assert (out / "model.safetensors").read_bytes() == (quantized / "model.safetensors").read_bytes()


def without(options, others):
    """Pairs of option and value, but those that `others` give too: no option may come twice."""
    pairs = zip(options[::2], options[1::2])
    return [word for pair in pairs if pair[0] not in others for word in pair]


@pytest.mark.parametrize("options, status, named", [
    (["--w-group-size", "128"], 1, "Those that do: 32, 64, -1"),
    (["--w-bits", "3"], 2, "--w-bits"),
    (["--w-bits", "8"], 1, "auto_gptq"),
    (["--w-grp-size", "64"], 2, "--w-group-size"),
    (["--calib-dataset", "/nowhere.txt"], 2, "/nowhere.txt"),
    (["--calib-dataset", "pbt"], 2, "ptb, wikitext2, c4, pileval"),
    (["--calib-samples", "9", "--calib-order", "sequential"], 1, "tokens"),
    (["--calib-seqlen", "10000"], 1, "--calib-seqlen"),
    (["--memory-limit", "much"], 2, "--memory-limit"),
    (["--resume"], 1, "no unfinished run"),
])
def test_what_cannot_work_is_refused_before_any_work(tmp_path, options, status, named):
    result = lite("auto_awq", tmp_path / "out", *without(SMALL, options), *options)
    assert result.returncode == status, result.stderr
    assert named in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_card_that_is_not_there_is_named(tmp_path):
    result = lite("auto_awq", tmp_path / "out", *SMALL, "--device", "cuda", env={"CUDA_VISIBLE_DEVICES": ""})
    assert result.returncode == 1
    assert "no NVIDIA card can be used" in result.stderr and "--device cpu" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "file").write_text("mine")
    result = lite("auto_awq", tmp_path, *SMALL)
    assert result.returncode == 1 and "not empty" in result.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_a_quantized_model_is_not_quantized_again(quantized, tmp_path):
    result = lite("auto_awq", tmp_path / "out", *SMALL, model=quantized)
    assert result.returncode == 1
    assert "quantised already (awq)" in result.stderr


def test_a_full_disk_says_what_is_missing(tmp_path):
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    script = f"mount -t tmpfs -o size=20m none {tmp_path} && exec {BINARY} lite auto_awq {MODEL} --work-dir " \
             f"{tmp_path}/out {' '.join(map(str, SMALL))}"
    result = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=False)
    if "unshare" in result.stderr or "mount" in result.stderr:
        pytest.skip("needs the right to mount")
    assert result.returncode == 1
    assert "are missing" in result.stderr and "--resume" not in result.stderr


@pytest.mark.parametrize("command, options, suffix, rounding", [
    ("auto_awq", ["--w-group-size", "64", "--gptq"], ".qzeros", "LMDeploy's rule, GPTQ"),
    ("auto_gptq", ["--w-group-size", "64"], ".g_idx", "none, GPTQ"),
    ("smooth_quant", [], ".weight_scale", "SmoothQuant, to nearest"),
])
def test_the_other_recipes(command, options, suffix, rounding, tmp_path):
    result = lite(command, tmp_path / "out", "--calib-dataset", TEXT, "--calib-samples", "2", "--calib-seqlen", "96",
                  "--no-eval", *options)
    assert result.returncode == 0, result.stderr
    header = (tmp_path / "out/model.safetensors").read_bytes()[:200_000].decode("latin-1")
    assert f"model.layers.29.mlp.down_proj{suffix}" in header
    recipe = json.loads((tmp_path / "out/quantization_report.json").read_text())["recipe"]
    assert f"{recipe['scaling']}, {recipe['rounding']}" == rounding


def test_statistics_alone(tmp_path):
    result = lite("calibrate", tmp_path / "out", "--calib-dataset", TEXT, "--calib-samples", "2", "--calib-seqlen", "96")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out/activation_statistics.safetensors").exists()
    report = json.loads((tmp_path / "out/calibration.json").read_text())
    assert report["calibration"]["samples"] == 2 and len(report["layers"]) == 30


def test_without_data(tmp_path):
    result = lite("auto_awq", tmp_path / "out", "--calib-samples", "0", "--w-group-size", "64", "--no-eval")
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "out/quantization_report.json").read_text())
    assert report["recipe"]["scaling"] == "none" and report["error_of"] == "weights"


PTB = "ptb-text-only/ptb_text_only"
PTB_FILE = "penn_treebank/train/0000.parquet"


def lite_on_ptb(folder, work_dir, endpoint, **env):
    """The tutorial's command, with few and short samples; caches below `folder`."""
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "hf"), "LMDEPLOY_CACHE": str(folder / "cache"),
                "HF_TOKEN": "", "HF_HUB_OFFLINE": "", **env}
    return lite("auto_awq", folder / work_dir, "--calib-dataset", "ptb", "--calib-samples", "2", "--calib-seqlen", "128",
                "--w-group-size", "64", "--no-eval", env=settings)


def test_a_data_set_comes_from_the_hub_once(tmp_path):
    content = (ROOT / "tests/golden/dataset/ptb.parquet").read_bytes()
    with StandInHub(datasets={PTB: {PTB_FILE: content}}) as hub:
        result = lite_on_ptb(tmp_path, "first", hub.endpoint)
        assert result.returncode == 0, result.stderr
        assert hub.requests_for(PTB_FILE, "cdn")
        assert any("/revision/refs%2Fconvert%2Fparquet" in path for _, _, path, _ in hub.seen)
    snapshot = next((tmp_path / "hf/hub/datasets--ptb-text-only--ptb_text_only/snapshots").iterdir())
    assert (snapshot / PTB_FILE).read_bytes() == content
    report = json.loads((tmp_path / "first/quantization_report.json").read_text())
    assert report["calibration"]["text"] == "ptb" and report["calibration"]["samples"] == 2

    again = lite_on_ptb(tmp_path, "second", "http://127.0.0.1:1")  # the hub is away
    assert again.returncode == 0, again.stderr
    assert "127.0.0.1" not in again.stderr
    assert (tmp_path / "second/model.safetensors").read_bytes() == (tmp_path / "first/model.safetensors").read_bytes()

    shutil.rmtree(tmp_path / "cache")  # what Python's huggingface_hub has downloaded will do too
    offline = lite_on_ptb(tmp_path, "third", "http://127.0.0.1:1", HF_HUB_OFFLINE="1")
    assert offline.returncode == 0, offline.stderr


def test_without_the_hub_a_data_set_says_what_to_give_instead(tmp_path):
    result = lite_on_ptb(tmp_path, "out", "http://127.0.0.1:1")
    assert result.returncode == 1
    for named in ("ptb", PTB, PTB_FILE, "cannot be reached", "HF_ENDPOINT", "--calib-dataset FILE.txt",
                  "--calib-samples 0"):
        assert named in result.stderr, result.stderr
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.partial").exists()


def test_a_damaged_data_set_is_not_kept(tmp_path):
    with StandInHub(datasets={PTB: {PTB_FILE: b"PAR1 <html>no such thing</html> PAR1"}}) as hub:
        result = lite_on_ptb(tmp_path, "out", hub.endpoint)
    assert result.returncode == 1
    assert "Parquet footer" in result.stderr and "--calib-dataset FILE.txt" in result.stderr
    assert not list(tmp_path.glob("cache/datasets/*"))
