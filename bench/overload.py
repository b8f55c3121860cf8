#!/usr/bin/env python3
"""Offers a server twice what it can serve, and counts how each request ends.

First a closed loop says how many requests per second it serves, then --requests come at --factor times that rate. Each
has to end in a whole answer or in a 429; afterwards blocks, descriptors and memory have to be where they were.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/e2e"))
from hostile import KEY, resident_bytes, settled  # noqa: E402
from program import BINARY, MODEL, Server  # noqa: E402

MAX_GROWTH = 64 << 20  # bytes of resident memory that the burst may leave in the allocator


def bench(server: Server, folder: Path, num_prompts: int, *options) -> dict:
    """Runs `lmdeploy bench serve` and returns its file."""
    command = [BINARY, "bench", "serve", "--base-url", server.url, "--api-key", KEY, "--tokenizer", MODEL,
               "--num-prompts", num_prompts, "--random-input-len", 32, "--random-output-len", 16, "--ignore-eos",
               "--save-detailed", "--result-dir", folder, "--result-filename", "result.json", "--disable-tqdm", *options]
    done = subprocess.run(list(map(str, command)), text=True, capture_output=True, check=False)
    print(done.stdout)
    return json.loads((folder / "result.json").read_text())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--factor", type=float, default=2.0)
    parser.add_argument("--max-batch-size", type=int, default=32)
    parser.add_argument("--max-queue-len", type=int, default=256)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, \
         Server(Path(name) / "log.txt", "--api-keys", KEY, "--max-batch-size", arguments.max_batch_size,
                "--max-queue-len", arguments.max_queue_len) as server:
        folder = Path(name)
        capacity = bench(server, folder, 8 * arguments.max_batch_size, "--max-concurrency",
                         arguments.max_batch_size)["request_throughput"]
        base, memory = settled(server), resident_bytes(server)
        result = bench(server, folder, arguments.requests, "--seed", 1, "--request-rate", arguments.factor * capacity)
        end, grown = settled(server), resident_bytes(server) - memory
    ends = Counter("answered" if not error else error.split(":")[0] for error in result["errors"])
    print(f"served {capacity:.1f} requests/s alone; offered {arguments.factor * capacity:.1f}")
    print("ended as: " + ", ".join(f"{count} {end}" for end, count in ends.most_common()))
    print(f"{base} -> {end}, resident memory {grown / 2**20:+.1f} MiB")
    passed = set(ends) <= {"answered", "status 429"} and ends["answered"] > 0 and end == base and grown < MAX_GROWTH
    print("overload: " + ("each ended in an answer or a 429, and nothing is left" if passed else "FAILED"))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
