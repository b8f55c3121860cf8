"""GET /metrics, read by Prometheus' own Python parser: it counts what clients were sent, and nothing is left over."""

import re
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from metrics import idle, scrape, value
from program import MODEL, MODEL_NAME, ROOT, Server, wait_until

HISTOGRAMS = ["time_to_first_token_seconds", "inter_token_latency_seconds", "time_per_output_token_seconds",
              "e2e_request_latency_seconds", "request_queue_time_seconds", "request_prefill_time_seconds",
              "request_decode_time_seconds", "request_inference_time_seconds", "request_prompt_tokens",
              "request_generation_tokens", "request_params_max_tokens"]
GAUGES = ["num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "kv_blocks", "kv_cache_resident_bytes",
          "cache_config_info"]
COUNTERS = ["prefix_cache_queries", "prefix_cache_hits", "num_preemptions", "prompt_tokens", "generation_tokens",
            "computed_tokens", "request_success", "http_requests"]
MODEL_LABELS = {"engine": "0", "model_name": str(MODEL)}


def ask(client, **options):
    return client.completions.create(model=MODEL_NAME, prompt="Once upon a time", temperature=0,
                                     **{"max_tokens": 8, "extra_body": {"ignore_eos": True}, **options})


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """A server that nobody else asks."""
    with Server(tmp_path_factory.mktemp("metrics") / "log.txt", "--max-concurrent-requests", "64") as server:
        yield server


def test_names_types_and_labels_are_vllms(counted):
    families = scrape(counted)
    for names, kind in ((HISTOGRAMS, "histogram"), (GAUGES, "gauge"), (COUNTERS, "counter")):
        for name in names:
            assert families[name].type == kind
            assert families[name].documentation
            for sample in families[name].samples:
                assert name == "http_requests" or MODEL_LABELS.items() <= sample.labels.items()
    for name in HISTOGRAMS:
        bounds = [float(sample.labels["le"]) for sample in families[name].samples if "le" in sample.labels]
        assert bounds == sorted(bounds) and bounds[-1] == float("inf")
    assert {sample.labels["finished_reason"] for sample in families["request_success"].samples} == {
        "stop", "length", "abort", "error", "timeout"}


def test_the_documents_and_examples_know_these_names(counted):
    names = {sample.name for family in scrape(counted).values() for sample in family.samples}
    document = (ROOT / "docs/metrics.md").read_text()
    for name in names:
        if name.startswith("lmdeploy:"):
            base = re.sub(r"_(bucket|sum|count)$", "", name.removeprefix("lmdeploy:"))
            assert re.search(rf"`{base}[`{{]", document), name
    for example in (ROOT / "examples/monitoring").iterdir():
        used = set(re.findall(r"\b(?:lmdeploy:|process_)[a-z0-9_]+", example.read_text()))
        assert used <= names, example


def test_counters_agree_with_what_was_sent(counted):
    before = scrape(counted)
    client = counted.client()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda i: ask(client, max_tokens=4 + i, n=1 + i % 2), range(6)))
    num_answers = sum(len(answer.choices) for answer in answers)

    def counted_all():  # a client may have its answer before it is counted
        families = scrape(counted)
        done = value(families, "request_queue_time_seconds", "_count") - \
            value(before, "request_queue_time_seconds", "_count")
        sent = value(families, "http_requests", "_total", route="/v1/completions") - \
            value(before, "http_requests", "_total", route="/v1/completions")
        return (done, sent) == (num_answers, 6) and families
    after = wait_until(counted_all, 5, "each answer is counted once")

    def grown(family, suffix, **labels):
        return value(after, family, suffix, **labels) - value(before, family, suffix, **labels)
    num_prompt_tokens = sum(answer.usage.prompt_tokens * len(answer.choices) for answer in answers)
    num_completion_tokens = sum(answer.usage.completion_tokens for answer in answers)
    assert grown("prompt_tokens", "_total") == num_prompt_tokens
    assert grown("generation_tokens", "_total") == num_completion_tokens
    assert grown("request_success", "_total", finished_reason="length") == num_answers
    assert grown("request_success", "_total") == num_answers
    assert grown("http_requests", "_total", route="/v1/completions", status="200") == 6
    assert grown("time_to_first_token_seconds", "_count") == num_answers
    assert grown("inter_token_latency_seconds", "_count") == num_completion_tokens - num_answers
    assert grown("request_prompt_tokens", "_sum") == num_prompt_tokens
    assert grown("request_generation_tokens", "_sum") == num_completion_tokens
    assert 0 < grown("time_to_first_token_seconds", "_sum") < grown("e2e_request_latency_seconds", "_sum")


def test_clients_that_leave_leave_no_block_in_use(counted):
    """Half in the middle of a stream, half before their first token; over real connections that are closed."""
    client = counted.client()
    endless = {"max_tokens": 4000, "stream": True}
    streams = [ask(client, **endless) for _ in range(32)]
    for stream in streams[::2]:
        next(iter(stream))
    wait_until(lambda: value(scrape(counted), "kv_blocks", state="used") > 0, 10, "blocks are in use")
    for stream in streams:
        stream.close()
    families = wait_until(lambda: idle(counted), 5, "all blocks are back")
    assert value(families, "kv_cache_usage_perc") == 0
    wait_until(lambda: value(scrape(counted), "request_success", "_total", finished_reason="abort") == 32, 5,
               "each of them is an abort")
    total = sum(sample.value for sample in families["kv_blocks"].samples)
    assert value(families, "cache_config_info", num_gpu_blocks=str(int(total))) == 1


def test_descriptors_of_connections_come_back(counted):
    before = value(scrape(counted), "process_open_fds")
    client = counted.client()
    streams = [ask(client, max_tokens=4000, stream=True) for _ in range(8)]
    assert value(scrape(counted), "process_open_fds") >= before + 8 - 2  # two of the client's pool may be reused
    for stream in streams:
        stream.close()
    client.close()
    wait_until(lambda: value(scrape(counted), "process_open_fds") <= before, 5, "the descriptors are closed")


def test_metrics_can_be_turned_off(tmp_path):
    with Server(tmp_path / "log.txt", "--disable-metrics", "--disable-fastapi-docs") as server:
        for path in ("/metrics", "/", "/docs", "/openapi.json"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(server.url + path, timeout=10)
            assert caught.value.code == 404
        assert ask(server.client()).usage.completion_tokens == 8
