"""What a server's /metrics says, by Prometheus' own parser."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families


def scrape(server) -> dict:
    """Families by name, without the prefix."""
    with urllib.request.urlopen(server.url + "/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        families = text_string_to_metric_families(answer.read().decode())
        return {family.name.removeprefix("lmdeploy:"): family for family in families}


def value(families, family, suffix="", **labels) -> float:
    """The sum of the samples that have these labels."""
    return sum(sample.value for sample in families[family].samples
               if sample.name.removeprefix("lmdeploy:") == family + suffix and labels.items() <= sample.labels.items())


def idle(server):
    """The families once no request runs or waits and no block is in use; else None. For wait_until()."""
    families = scrape(server)
    busy = value(families, "num_requests_running") + value(families, "num_requests_waiting") + \
        value(families, "kv_blocks", state="used")
    return None if busy else families
