#!/usr/bin/env python3
"""Whether `lmdeploy plan` tells what servers take of an NVIDIA card: the five memory rows of LMDeploy's tutorial.

    tools/check_card_plan.py --lmdeploy build/cuda/lmdeploy --make-model build/cuda/make_model

Makes folders of random weights at InternLM2.5 7B's shape (20 GB in all) where --folder has none, serves each row with
--memory-limit 24GB, has it compute long prompts and a batch of answers, and prints what the plan said beside what
nvidia-smi shows and what the tutorial reports. Exits 1 where a row is off its plan by more than 2 %, or off the
tutorial by more than 5 %. Needs Python's standard library alone, and a card that nothing else uses.
"""

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

GIB = 1 << 30
PLAN_TOLERANCE, TUTORIAL_TOLERANCE = 0.02, 0.05
# Folder, options, what the tutorial's nvidia-smi showed in GB (of 2^30 bytes, as there).
ROWS = [
    ("bf16", ["--cache-max-entry-count", "0.8"], 23.0),
    ("bf16", ["--cache-max-entry-count", "0.4"], 19.0),
    ("bf16", ["--quant-policy", "4", "--cache-max-entry-count", "0.4"], 19.0),
    ("awq", ["--model-format", "awq"], 20.9),
    ("awq", ["--model-format", "awq", "--quant-policy", "4", "--cache-max-entry-count", "0.4"], 13.5),
]
SHAPE = "internlm2_5-7b"
START_SECONDS, ANSWER_SECONDS = 120, 120
PROMPT_TOKENS, NUM_ANSWERS, ANSWER_TOKENS = 8000, 32, 16


def used_bytes() -> int:
    """Of the first card, by all programs: in a container nvidia-smi may not know a program's own share."""
    out = subprocess.run(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"],
                         check=True, capture_output=True, text=True).stdout
    return int(out) << 20


def make_folders(program: Path, folder: Path):
    for form in {form for form, _, _ in ROWS}:
        if not (folder / form / "config.json").exists():
            subprocess.run([program, SHAPE, folder / form, "--format", form], check=True)


def free_port() -> int:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


class Server:
    """A server of one row, from its start until it is gone and has given its memory back."""

    def __init__(self, program: Path, model: Path, options: list, log: Path):
        self.port = free_port()
        self.log = log
        with open(log, "w") as out:
            self.process = subprocess.Popen(
                [program, "serve", "api_server", model, "--server-name", "127.0.0.1", "--server-port", str(self.port),
                 "--model-name", "m", *options], stdout=out, stderr=subprocess.STDOUT)

    def __enter__(self):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5).close()
                return self
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        self.process.kill()
        self.process.wait()
        raise SystemExit(f"the server did not start:\n{self.log.read_text()}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=60)

    def ask(self, prompt: list, max_tokens: int):
        body = {"model": "m", "prompt": prompt, "max_tokens": max_tokens, "temperature": 0, "ignore_eos": True}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/completions", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            tokens = json.load(answer)["usage"]["completion_tokens"]
        if tokens != max_tokens:
            raise SystemExit(f"{tokens} tokens came of an answer of {max_tokens}")

    def compute(self):
        """What brings in every kernel of the row: a long prompt alone, and many answers at a time."""
        self.ask([7] * PROMPT_TOKENS, 4)
        asks = [threading.Thread(target=self.ask, args=([11 + i] * (20 + i), ANSWER_TOKENS)) for i in range(NUM_ANSWERS)]
        for ask in asks:
            ask.start()
        for ask in asks:
            ask.join()


def check_row(arguments, form: str, options: list, log: Path) -> tuple:
    model = arguments.folder / form
    options = ["--device", "cuda", "--memory-limit", arguments.memory_limit, *options]
    plan = subprocess.run([arguments.lmdeploy, "plan", model, "--json", *options], check=True, capture_output=True,
                          text=True).stdout
    before = used_bytes()
    with Server(arguments.lmdeploy, model, options, log) as server:
        at_start = used_bytes() - before
        server.compute()
        return json.loads(plan), at_start, used_bytes() - before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    program = lambda path: Path(path).resolve()
    parser.add_argument("--lmdeploy", type=program, default="build/cuda/lmdeploy")
    parser.add_argument("--make-model", type=program, default="build/cuda/make_model")
    parser.add_argument("--folder", type=Path, default="build/card-plan", help="of the two models")
    parser.add_argument("--memory-limit", default="24GB")
    arguments = parser.parse_args()
    make_folders(arguments.make_model, arguments.folder)

    failed = False
    print(f"{'weights':8}{'options':58}{'planned':>9}{'other':>8}{'start':>8}{'later':>8}{'off':>8}{'tutorial':>10}{'off':>8}")
    for form, options, tutorial in ROWS:
        with tempfile.TemporaryDirectory() as logs:
            plan, at_start, later = check_row(arguments, form, options, Path(logs) / "log.txt")
        off_plan, off_tutorial = later / plan["total_bytes"] - 1, later / GIB / tutorial - 1
        failed |= abs(off_plan) > PLAN_TOLERANCE or abs(off_tutorial) > TUTORIAL_TOLERANCE
        print(f"{form:8}{' '.join(options):58}{plan['total_bytes'] / GIB:>9.2f}{plan['other_bytes'] / GIB:>8.2f}"
              f"{at_start / GIB:>8.2f}{later / GIB:>8.2f}{off_plan:>+8.1%}{tutorial:>10.1f}{off_tutorial:>+8.1%}",
              flush=True)
    print(f"GiB; off the plan at most {PLAN_TOLERANCE:.0%}, off the tutorial at most {TUTORIAL_TOLERANCE:.0%}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
