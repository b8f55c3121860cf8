#!/usr/bin/env python3
"""What share of a busy server's CPU time is not the model's: HTTP, JSON, text, scheduling, sampling, the system's calls.

Serves the demo model to --streams endless clients of `lmdeploy bench serve`, samples the server with perf, and sorts the
samples by symbol. Waiting of the pool's threads in a loop counts as nobody's.
"""

import argparse
import collections
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/e2e"))
from program import BINARY, MODEL, Server  # noqa: E402

SAMPLING = re.compile(r"ops::.*(sample|logprobs|allowed_tokens|penalt)")
MODEL_WORK = re.compile(r"lmdeploy::ops::|__sincosf|__expf")
SPINNING = re.compile(r"ThreadPool::")


def owner(symbol: str) -> str:
    if SAMPLING.search(symbol):
        return "sampling"
    if MODEL_WORK.search(symbol):
        return "model"
    return "spinning" if SPINNING.search(symbol) else "server"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--limit", type=float, default=5, help="percent; exit 1 above it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "log.txt") as server:
        load = subprocess.Popen(list(map(str, [
            BINARY, "bench", "serve", "--base-url", server.url, "--tokenizer", MODEL, "--num-prompts", arguments.streams,
            "--random-input-len", 16, "--random-output-len", 4000, "--ignore-eos", "--disable-tqdm"])),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(10)  # the prompts are through, and what is used once has been touched
        data = Path(folder) / "perf.data"
        subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "997", "-o", data, "-p", str(server.process.pid), "--",
                        "sleep", str(arguments.seconds)], check=True, capture_output=True)
        load.kill()
        load.wait()
        table = subprocess.run(["perf", "report", "-i", data, "--sort", "symbol", "--stdio", "-F", "overhead,sym"],
                               check=True, capture_output=True, text=True).stdout
    shares, symbols = collections.Counter(), collections.Counter()
    for line in table.splitlines():
        found = re.match(r"\s*([\d.]+)%\s+\[[.k]\]\s+(.*)", line)
        if found:
            shares[owner(found[2])] += float(found[1])
            if owner(found[2]) in ("server", "sampling"):
                symbols[found[2][:90]] += float(found[1])
    work = sum(shares.values()) - shares["spinning"]
    overhead = 100 * (shares["server"] + shares["sampling"]) / work
    for symbol, share in symbols.most_common(12):
        print(f"{100 * share / work:6.2f} %  {symbol}")
    print(f"{arguments.streams} streams: model {100 * shares['model'] / work:.1f} %, sampling {100 * shares['sampling'] / work:.1f} %, "
          f"the rest {100 * shares['server'] / work:.1f} % of {work:.1f} % of the samples (spinning: {shares['spinning']:.1f} %)")
    print(f"not the model's: {overhead:.1f} %, wanted: at most {arguments.limit:g} %")
    return 0 if overhead <= arguments.limit else 1


if __name__ == "__main__":
    sys.exit(main())
