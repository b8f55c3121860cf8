#!/usr/bin/env python3
"""The speed and memory bars of the CPU path, each as a ratio to a ceiling or a peer of the same run.

    bench/bars.py --small models/SmolLM2-135M-Instruct --large FOLDER \\
        [--llama-bench PATH --small-gguf FILE --large-gguf FILE] [--rounds 3]

FOLDER comes from `build/release/make_model internlm2_5-1_8b FOLDER`; the GGUF files hold the same weights in bf16
(llama.cpp's convert_hf_to_gguf.py on the small folder and on one made with --arch llama). With `--w4 FOLDER` (the same
with --format awq) and `--q4-gguf FILE` (llama-quantize FILE Q4_0) the bars of 4-bit weights follow; without --small
they come alone. Runs are interleaved, the figure is the median of the rounds. Nothing else should run on the machine. Needs Python's standard library only.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time


def latency(options, model, **flags):
    command = [options.lmdeploy, "bench", "latency", model, "--json"]
    for name, value in flags.items():
        command += ["--" + name.replace("_", "-"), str(value)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def llama(options, gguf, prompt_len, output_len):
    """Tokens per second of (prefill, decode) of llama-bench."""
    command = [options.llama_bench, "-m", gguf, "-t", str(os.cpu_count()), "-p", str(prompt_len), "-n", str(output_len),
               "-r", "2", "-o", "json"]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return tuple(next(row["avg_ts"] for row in rows if row[key] > 0) for key in ("n_prompt", "n_gen"))


def seconds_to_first_token(options, model):
    """From the start of the process to the first byte of an answer of `lmdeploy chat`."""
    begin = time.monotonic()
    with subprocess.Popen([options.lmdeploy, "chat", model, "--max-new-tokens", "8", "--temperature", "0"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdin.write(b"What is the capital of France?\n\n")
        process.stdin.close()
        while byte := process.stdout.read(1):
            if not byte.isspace():  # random weights may say a special token first, which is not shown
                break
        seconds = time.monotonic() - begin
        process.stdout.read()
    if not byte:
        sys.exit(f"{model}: no answer came")
    return seconds


def show(bar, wanted, seen, detail=""):
    print(f"{bar:<58} {wanted:>9} {seen:>8.2f}   {detail}", flush=True)


def spread(values):
    return f"{min(values):.1f} to {max(values):.1f}"


def ceilings(options, model):
    runs = [(latency(options, model, input_len=512, output_len=64, num_iters=2),
             latency(options, model, input_len=32, output_len=64, num_iters=2),
             latency(options, model, input_len=32, output_len=64, num_iters=2, batch_size=8))
            for _ in range(options.rounds)]
    median = lambda idx, key: statistics.median(run[idx][key] for run in runs)
    show("1.8B decode, batch 1, of the read rate", ">= 0.85", median(1, "decode_fraction_of_read_rate"),
         spread([run[1]["decode_tokens_per_s"] for run in runs]) + " tok/s, read "
         + spread([run[1]["machine_read_gb_per_s"] for run in runs]) + " GB/s")
    show("1.8B prefill of 512 tokens, of the dot peak", ">= 0.75", median(0, "prefill_fraction_of_dot_peak"),
         spread([run[0]["prefill_tokens_per_s"] for run in runs]) + " tok/s, peak "
         + spread([run[0]["machine_dot_gflop_per_s"] for run in runs]) + " GFLOP/s")
    show("1.8B decode, 8 together, of the rate of one", ">= 4.5",
         statistics.median(run[2]["decode_tokens_per_s"] / run[1]["decode_tokens_per_s"] for run in runs))
    weights = os.path.getsize(os.path.join(model, "model.safetensors"))
    show("1.8B peak RSS beyond the weights, MB (KV included)", "<= 400",
         max(r["peak_resident_bytes"] - weights for run in runs for r in run) / 1e6)


def peer(options, name, model, gguf, output_len, wanted_of_peer=(">= 2", ">= 1.05"), **flags):
    """llama-bench decodes from an empty context, so ours begins with one token."""
    ours, theirs = [], []
    for _ in range(options.rounds):
        theirs.append(llama(options, gguf, 512, output_len))
        ours.append((latency(options, model, input_len=512, output_len=1, num_iters=2, **flags)["prefill_tokens_per_s"],
                     latency(options, model, input_len=1, output_len=output_len, num_iters=2, **flags)["decode_tokens_per_s"]))
    for idx, (phase, wanted) in enumerate(zip(("prefill", "decode"), wanted_of_peer)):
        show(f"{name} {phase}, of llama.cpp's", wanted,
             statistics.median(mine[idx] / other[idx] for mine, other in zip(ours, theirs)),
             f"{spread([run[idx] for run in ours])} against {spread([run[idx] for run in theirs])} tok/s")


def peer_in_context(options, model, gguf):
    """Decode behind 4,096 tokens with a cache of 8 bits, and of 8 streams behind 512 tokens each (llama-batched-bench,
    which is built beside llama-bench)."""
    threads = str(os.cpu_count())
    command = [options.llama_bench, "-m", gguf, "-t", threads, "-p", "0", "-n", "16", "-d", "4096", "-r", "1", "-fa", "1",
               "-ctk", "q8_0", "-ctv", "q8_0", "-o", "json"]
    theirs = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)[0]["avg_ts"]
    ours = latency(options, model, input_len=4096, output_len=16, num_iters=1, quant_policy=8,
                   head_bits=8)["decode_tokens_per_s"]
    show("1.8B W4, KV int8, context 4k, of llama.cpp's decode", "> 1", ours / theirs,
         f"{ours:.1f} against {theirs:.1f} tok/s")
    command = [os.path.join(os.path.dirname(options.llama_bench), "llama-batched-bench"), "-m", gguf, "-t", threads,
               "-c", "6144", "-b", "2048", "-npp", "512", "-ntg", "32", "-npl", "8", "--output-format", "jsonl"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    theirs = next(json.loads(line)["speed_tg"] for line in lines if line.startswith("{"))
    ours = latency(options, model, input_len=512, output_len=32, num_iters=1, batch_size=8,
                   head_bits=8)["decode_tokens_per_s"]
    show("1.8B W4, 8 together, context 512, of llama.cpp's decode", "> 1", ours / theirs,
         f"{ours:.1f} against {theirs:.1f} tok/s")


def quantised(options, model):
    short = [latency(options, model, input_len=32, output_len=64, num_iters=2) for _ in range(options.rounds)]
    prompt = [latency(options, model, input_len=512, output_len=2, num_iters=3) for _ in range(options.rounds)]
    long = latency(options, model, input_len=4096, output_len=32, num_iters=1, quant_policy=8)
    eight = latency(options, model, input_len=512, output_len=64, num_iters=1, batch_size=8)
    show("1.8B W4 decode, batch 1, of the read rate", ">= 0.85",
         statistics.median(run["decode_fraction_of_read_rate"] for run in short),
         spread([run["decode_tokens_per_s"] for run in short]) + " tok/s")
    show("1.8B W4 prefill of 512 tokens, of the int8 peak", ">= 0.46",
         statistics.median(run["prefill_fraction_of_dot_peak"] for run in prompt),
         spread([run["prefill_tokens_per_s"] for run in prompt]) + " tok/s, peak "
         + spread([run["machine_int8_gop_per_s"] for run in prompt]) + " GOP/s")
    show("1.8B W4, KV int8, context 4k, of the read rate", ">= 0.8", long["decode_fraction_of_read_rate"],
         f"{long['decode_tokens_per_s']:.1f} tok/s")
    show("1.8B W4, 8 together, context 512, of the read rate", ">= 0.6", eight["decode_fraction_of_read_rate"],
         f"{eight['decode_tokens_per_s']:.1f} tok/s")
    weights = os.path.getsize(os.path.join(model, "model.safetensors"))
    show("1.8B W4 peak RSS beyond the file, MB (KV included)", "<= 400",
         max(run["peak_resident_bytes"] - weights for run in short + prompt) / 1e6)


def contention(options, model):
    ratios = []
    for _ in range(options.rounds):
        quiet = latency(options, model, input_len=32, output_len=128, num_iters=2)
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())]
        try:
            loud = latency(options, model, input_len=32, output_len=128, num_iters=2)
        finally:
            for process in busy:
                process.kill()
                process.wait()
        ratios.append(loud["decode_tokens_per_s"] / quiet["decode_tokens_per_s"])
    show("SmolLM2 decode beside as many busy loops as cores", ">= 0.3", statistics.median(ratios))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lmdeploy", default="build/release/lmdeploy")
    parser.add_argument("--small")
    parser.add_argument("--large")
    parser.add_argument("--llama-bench")
    parser.add_argument("--small-gguf")
    parser.add_argument("--large-gguf")
    parser.add_argument("--w4")
    parser.add_argument("--q4-gguf")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"{'bar':<58} {'wanted':>9} {'seen':>8}")
    starts = [("SmolLM2", options.small, "<= 0.5"), ("1.8B", options.large, "<= 3"), ("1.8B W4", options.w4, "<= 3")]
    for name, model, wanted in starts:
        if not model:
            continue
        seconds_to_first_token(options, model)  # brings the folder into the page cache
        show(f"{name} first token after the start, s", wanted,
             statistics.median(seconds_to_first_token(options, model) for _ in range(options.rounds)))
    if options.large:
        ceilings(options, options.large)
    if options.llama_bench and options.small and options.small_gguf:
        peer(options, "SmolLM2", options.small, options.small_gguf, 128)
    if options.llama_bench and options.large_gguf and options.large:
        peer(options, "1.8B", options.large, options.large_gguf, 32)
    if options.w4:
        quantised(options, options.w4)
    if options.llama_bench and options.w4 and options.q4_gguf:
        # llama-quantize gives the head 6 bits
        peer(options, "1.8B W4, head of 8 bits,", options.w4, options.q4_gguf, 32, ("> 1", "> 1"), head_bits=8)
        peer_in_context(options, options.w4, options.q4_gguf)
    if options.small:
        contention(options, options.small)


if __name__ == "__main__":
    main()
