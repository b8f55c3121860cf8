#!/usr/bin/env python3
"""What one NVIDIA card reaches, beside what it can do: decode, prompts, many streams, HTTP, start. One table.

    bench/cuda/table.py FOLDER [--lmdeploy build/cuda/lmdeploy] [--make-model build/cuda/make_model] [--parts decode prefill ..]

FOLDER is where folders of random weights at the shapes of InternLM2.5 are written (40 GB; kept for the next run).
"of the floor" is the time that reading weights and cache once takes at the read rate measured in the same run; for
prompts, the floor is their multiplications at the measured matmul peak, so that 1.00 is the least. Needs Python's
standard library only. Nothing else should run on the card.
"""
import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bars import latency, seconds_to_first_token, show  # noqa: E402

AWQ, FP8 = ("--format", "awq"), ("--format", "fp8")
SHAPES = {"7B": ("internlm2_5-7b",), "7B W4": ("internlm2_5-7b", *AWQ), "7B FP8": ("internlm2_5-7b", *FP8),
          "1.8B": ("internlm2_5-1_8b",), "1.8B W4": ("internlm2_5-1_8b", *AWQ)}
KV = {0: "", 8: " + KV8", 4: " + KV4"}

# (model, bits of the cache): {context: least share of the floor that issue 6 asks for, or None}
DECODE = {("7B", 0): {1024: .80, 32000: .70}, ("7B W4", 0): {1024: .55, 32000: .70}, ("7B W4", 8): {1024: .55, 32000: .70},
          ("7B W4", 4): {1024: None, 32000: .70}, ("7B FP8", 0): {1024: None}, ("1.8B", 0): {1024: None},
          ("1.8B W4", 0): {1024: None}, ("1.8B W4", 4): {1024: .35}}
PREFILL = {("7B", 0): {512: None, 1024: 1.35, 4096: None, 8192: 1.5}, ("7B W4", 0): {1024: None, 8192: None}}
# (model, bits, streams): (requests, least share of the floor in decode steps)
STREAMS = {("7B", 0, 64): (192, .65), ("7B", 0, 256): (512, None), ("7B W4", 8, 64): (192, .50),
           ("7B W4", 8, 256): (512, None), ("1.8B W4", 4, 64): (192, None), ("1.8B W4", 4, 256): (512, None)}


class Models:
    """Folders of random weights, made when they are first asked for."""

    def __init__(self, options):
        self.options = options

    def __getitem__(self, name):
        folder = Path(self.options.folder) / name.replace(" ", "_")
        if not (folder / "config.json").exists():
            subprocess.run([self.options.make_model, *SHAPES[name], str(folder), "--seed", "1"], check=True,
                           stdout=subprocess.DEVNULL)
        return str(folder)


def decode(options, models):
    for (name, bits), contexts in DECODE.items():
        for context, least in contexts.items():
            run = latency(options, models[name], device="cuda", input_len=context, output_len=128, num_iters=2,
                          num_iters_warmup=1, quant_policy=bits, session_len=context + 128)
            show(f"{name}{KV[bits]}, one stream, context {context}, of the floor", f">= {least}" if least else "-",
                 run["decode_fraction_of_read_rate"],
                 f"{run['decode_tokens_per_s']:.0f} tok/s at {run['machine_read_gb_per_s']:.0f} GB/s")


def prefill(options, models):
    for (name, bits), lengths in PREFILL.items():
        for length, most in lengths.items():
            run = latency(options, models[name], device="cuda", input_len=length, output_len=1, num_iters=5,
                          num_iters_warmup=2, quant_policy=bits)
            show(f"{name}{KV[bits]}, prompt of {length}, times its floor", f"<= {most}" if most else "-",
                 1 / run["prefill_fraction_of_dot_peak"],
                 f"{run['median_ttft_ms']:.1f} ms at {run['machine_dot_gflop_per_s'] / 1e3:.0f} TFLOP/s")


def throughput(options, model, bits, num_streams, num_prompts, input_len=1024, output_len=256):
    command = [options.lmdeploy, "bench", "throughput", model, "--json", "--device", "cuda", "--quant-policy", str(bits),
               "--max-batch-size", str(num_streams), "--num-prompts", str(num_prompts), "--input-len", str(input_len),
               "--output-len", str(output_len), "--session-len", str(input_len + output_len)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def streams(options, models):
    """1,024 tokens in, 256 out, never more than so many at once; and the decode steps of one batch alone."""
    for (name, bits, count), (num_prompts, least) in STREAMS.items():
        run = throughput(options, models[name], bits, count, num_prompts)
        show(f"{name}{KV[bits]}, {count} streams, 1024 in / 256 out, tok/s out", "-", run["output_tokens_per_s"],
             f"{run['output_tokens_per_s'] / run['machine_read_gb_per_s']:.2f} tok/s for each GB/s; first token after "
             f"{run['p50_ttft_ms']:.0f} ms, TPOT {run['p50_tpot_ms']:.1f} ms")
        if least:
            steps = latency(options, models[name], device="cuda", input_len=1024, output_len=128, num_iters=1,
                            num_iters_warmup=1, batch_size=count, quant_policy=bits, max_batch_size=count)
            show(f"{name}{KV[bits]}, {count} streams, decode steps, of the floor", f">= {least}",
                 steps["decode_fraction_of_read_rate"], f"{steps['decode_tokens_per_s']:.0f} tok/s")


class Server:
    """`lmdeploy serve api_server` on a port of its own."""

    def __init__(self, options, model, *flags):
        self.log = tempfile.TemporaryFile("w+")
        command = [options.lmdeploy, "serve", "api_server", model, "--device", "cuda", "--server-port", "23399", *flags]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT)
        self.url = "http://127.0.0.1:23399"

    def __enter__(self):
        while self.process.poll() is None:
            self.log.seek(0)
            if re.search(r":23399\b", self.log.read()):
                return self
            time.sleep(0.1)
        self.log.seek(0)
        sys.exit(f"the server ended:\n{self.log.read()}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def load(self, options, tokenizer, *flags):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([options.lmdeploy, "bench", "serve", "--base-url", self.url, "--tokenizer", tokenizer, "--ignore-eos",
                            "--disable-tqdm", "--save-result", "--result-dir", folder, "--result-filename", "run.json", *flags],
                           check=True, stdout=subprocess.DEVNULL)
            return json.loads((Path(folder) / "run.json").read_text())


def serve(options, models):
    """64 streams through HTTP beside the same in the process; then W3: 512 requests of very different lengths at once."""
    name, bits, count, num_prompts = "7B W4", 8, 64, 192
    inside = throughput(options, models[name], bits, count, num_prompts)
    with Server(options, models[name], "--quant-policy", str(bits), "--max-batch-size", str(count)) as server:
        run = server.load(options, models[name], "--num-prompts", str(num_prompts), "--max-concurrency", str(count),
                          "--num-warmups", "2", "--random-input-len", "1024", "--random-output-len", "256")
    show(f"{name}{KV[bits]}, {count} streams through HTTP, of the rate inside", ">= 0.95",
         run["output_throughput"] / inside["output_tokens_per_s"],
         f"{run['output_throughput']:.0f} against {inside['output_tokens_per_s']:.0f} tok/s")

    rng = random.Random(0)
    length = lambda mu: round(min(max(rng.lognormvariate(mu, 1), 4), 1024))
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for _ in range(512):
            words = [str(rng.randrange(10)) for _ in range(length(5.00) // 2)]  # two tokens each
            file.write(json.dumps({"prompt": " ".join(words), "output_tokens": length(5.05)}) + "\n")
        file.flush()
        for model, bits in (("7B", 0), ("7B W4", 8)):
            with Server(options, models[model], "--quant-policy", str(bits), "--max-batch-size", "256") as server:
                run = server.load(options, models[model], "--dataset-name", "custom", "--dataset-path", file.name,
                                  "--custom-output-len", "-1", "--num-prompts", "512")
            show(f"{model}{KV[bits]}, W3: 512 requests at once, tok/s out", "-", run["output_throughput"],
                 f"{run['total_input_tokens']} tokens in, {run['total_output_tokens']} out, {run['completed']} answered")


def deterministic(options, models):
    for name in ("7B", "7B W4"):
        fast, same = (latency(options, models[name], device="cuda", input_len=1024, output_len=64, num_iters=1, **flags)
                      for flags in ({}, {"deterministic": "True"}))
        for phase, key in (("decode", "median_tpot_ms"), ("prompt of 1024", "median_ttft_ms")):
            show(f"{name}, --deterministic, {phase}, times the time", "-", same[key] / fast[key],
                 f"{same[key]:.2f} against {fast[key]:.2f} ms")


def first_token(options, models):
    for name in ("7B", "7B W4"):
        seconds_to_first_token(options, models[name])  # brings the folder into the page cache
        show(f"{name}, first token after the start, s", "<= 8",
             statistics.median(seconds_to_first_token(options, models[name]) for _ in range(2)))


PARTS = {"first_token": first_token, "prefill": prefill, "decode": decode, "streams": streams, "serve": serve,
         "deterministic": deterministic}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--lmdeploy", default="build/cuda/lmdeploy")
    parser.add_argument("--make-model", default="build/cuda/make_model")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    print(f"{'':<58} {'wanted':>9} {'seen':>8}")
    models = Models(options)
    for part in options.parts:
        PARTS[part](options, models)


if __name__ == "__main__":
    main()
