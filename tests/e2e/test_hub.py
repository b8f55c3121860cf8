"""MODEL as a hub name: downloaded once, resumed after a cut, checked; against a stand-in hub."""

from program import MODEL, run
from stand_in_hub import COMMIT, REPO, StandInHub

QUESTION = "What is the capital of France?"
PARIS = "The capital of France is Paris."
WEIGHTS = "model.safetensors"


def chat(hub, home, **env):
    settings = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home), "HF_TOKEN": "", "HF_HUB_OFFLINE": ""}
    return run("chat", REPO, "--temperature", "0", stdin=QUESTION, env={**settings, **env}, timeout=90)


def test_a_cut_download_goes_on_where_it_ended_and_is_used_again(tmp_path):
    with StandInHub(MODEL, num_cuts=2) as hub:
        first = chat(hub, tmp_path, HF_TOKEN="secret")
        assert PARIS in first.stdout, first.stderr
        ranges = [headers.get("Range") for _, _, _, headers in hub.requests_for(WEIGHTS, "cdn")]
        assert len(ranges) == 3
        assert ranges[0] in (None, "bytes=0-")
        assert None not in ranges[1:] and "bytes=0-" not in ranges[1:]

        token_at = {(host, headers.get("Authorization")) for host, _, _, headers in hub.seen}
        assert ("hub", "Bearer secret") in token_at
        assert not any(host == "cdn" and token for host, token in token_at)

        snapshot = tmp_path / "hub" / f"models--{REPO.replace('/', '--')}" / "snapshots" / COMMIT
        assert (snapshot / WEIGHTS).read_bytes() == (MODEL / WEIGHTS).read_bytes()

        hub.seen.clear()
        again = chat(hub, tmp_path)
        assert PARIS in again.stdout, again.stderr
        assert not hub.requests_for(WEIGHTS)
        hub.seen.clear()
        offline = chat(hub, tmp_path, HF_HUB_OFFLINE="1")
        assert PARIS in offline.stdout, offline.stderr
        assert not hub.seen


def test_damaged_weights_are_never_used(tmp_path):
    with StandInHub(MODEL, damage=True) as hub:
        result = chat(hub, tmp_path)
        assert result.returncode == 1
        assert WEIGHTS in result.stderr
        assert not list(tmp_path.rglob(f"snapshots/*/{WEIGHTS}"))


def test_a_name_that_the_hub_lacks_is_said(tmp_path):
    with StandInHub(MODEL) as hub:
        result = run("chat", "nobody/nothing", stdin="", env={"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path)})
        assert result.returncode == 1
        assert "nobody/nothing" in result.stderr


def test_offline_without_a_copy_is_said(tmp_path):
    with StandInHub(MODEL) as hub:
        result = chat(hub, tmp_path, HF_HUB_OFFLINE="1")
        assert result.returncode == 1
        assert REPO in result.stderr
        assert not hub.seen
