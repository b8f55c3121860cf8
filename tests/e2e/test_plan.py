"""`lmdeploy plan`, the table that `serve` begins with, and whether what they say is what a server takes."""

import json

import pytest

from program import MODEL, Server, run
from server_memory import measured, planned
from stand_in_hub import REPO, StandInHub

GIB = 1 << 30
BATCH = 32  # so many that a cache of 4 bits is not capped


def test_the_table_and_its_numbers():
    text = run("plan", MODEL, "--memory", "24GB")
    assert text.returncode == 0, text.stderr
    for row in ("weights", "KV cache", "workspace", "other", "total", "left"):
        assert row in text.stdout
    plan = planned(MODEL, "--memory", "24GB")
    cache = plan["kv_cache"]
    assert plan["memory_bytes"] == 24 * GIB
    assert plan["total_bytes"] == sum((plan["weight_bytes"], cache["bytes"], plan["workspace_bytes"],
                                       plan["other_bytes"]))
    assert plan["left_bytes"] == 24 * GIB - plan["total_bytes"]
    assert cache["bytes"] == cache["blocks"] * cache["block_len"] * cache["token_bytes"]
    assert cache["token_bytes"] == 30 * 3 * 64 * 2 * 2  # layers, kv heads, head_dim, K and V, bf16
    assert cache["sessions"] == pytest.approx(cache["tokens"] / 8192)


def test_devices_share_weights_and_heads():
    one, three = planned(MODEL, "--memory", "24GB"), planned(MODEL, "--memory", "24GB", "--tp", "3")
    assert three["weight_bytes"] == pytest.approx(one["weight_bytes"] / 3, abs=1)
    assert three["kv_cache"]["token_bytes"] * 3 == one["kv_cache"]["token_bytes"]
    refused = run("plan", MODEL, "--tp", "2")
    assert refused.returncode == 1
    assert "3 kv heads" in refused.stderr


def test_what_does_not_fit_is_said():
    result = run("plan", MODEL, "--memory", "300MB")
    assert result.returncode == 1
    assert "missing" in result.stdout
    assert "does not fit" in result.stderr
    assert json.loads(run("plan", MODEL, "--memory", "300MB", "--json").stdout)["fits"] is False
    served = run("serve", "api_server", MODEL, "--memory", "300MB", "--server-port", "0")
    assert served.returncode == 1
    assert "does not fit" in served.stderr


def test_a_dry_run_says_what_serve_says_and_stops(tmp_path):
    options = ["--memory", "2GB", "--cache-max-entry-count", "0.4"]
    dry = run("serve", "api_server", MODEL, *options, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    with Server(tmp_path / "log.txt", *options) as server:
        for line in dry.stdout.splitlines():
            assert line in server.log.read_text()


def test_of_a_hub_name_only_headers_are_asked_for(tmp_path):
    with StandInHub(MODEL) as hub:
        settings = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path), "HF_TOKEN": "", "HF_HUB_OFFLINE": ""}
        result = run("plan", REPO, "--memory", "24GB", "--json", env=settings)
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout) == planned(MODEL, "--memory", "24GB")
        ranges = [headers.get("Range") for _, _, _, headers in hub.requests_for("model.safetensors", "cdn")]
        assert ranges == ["bytes=0-65535"]
        assert not list(tmp_path.rglob("model.safetensors"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict:
    """The demo model in 16 bits, and in 4 as `lite auto_awq` writes it."""
    w4 = tmp_path_factory.mktemp("plan") / "w4"
    made = run("lite", "auto_awq", MODEL, "--calib-samples", 0, "--w-group-size", 64, "--no-eval", "--work-dir", w4,
               timeout=120)
    assert made.returncode == 0, made.stderr
    return {"16 bits": MODEL, "W4": w4}


def test_what_auto_awq_would_make_is_planned_of_the_floats(folders):
    supposed = run("plan", MODEL, "--model-format", "awq", "--memory", "24GB", "--json")
    assert json.loads(supposed.stdout)["weight_bytes"] == planned(folders["W4"], "--memory", "24GB")["weight_bytes"]
    served = run("serve", "api_server", MODEL, "--model-format", "awq", "--dry-run")
    assert served.returncode == 1  # as without --dry-run
    assert "was asked for as awq" in served.stderr


@pytest.mark.parametrize("fraction", ["0.8", "0.4"])
@pytest.mark.parametrize("quant_policy", [0, 8, 4])
@pytest.mark.parametrize("weights", ["16 bits", "W4"])
def test_a_server_takes_what_was_planned(tmp_path, folders, weights, quant_policy, fraction):
    options = ["--memory", "2GB", "--quant-policy", quant_policy, "--cache-max-entry-count", fraction,
               "--max-batch-size", BATCH]
    plan = planned(folders[weights], *options)
    assert not plan["kv_cache"]["capped"]  # else both fractions would be one test
    real = measured(tmp_path / "log.txt", folders[weights], plan, BATCH, *options)
    assert real["reserved"] == plan["kv_cache"]["bytes"]
    assert real["reserved"] + real["resident"] == pytest.approx(plan["total_bytes"], rel=0.02)
