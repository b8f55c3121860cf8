#!/usr/bin/env python3
"""What a long prompt costs the streams that run: their gaps before and while it is computed.

    bench/long_prompt.py [--model models/SmolLM2-135M-Instruct] [--prompt-len 7000] [--streams 8] [--runs 3]

Prints for each run, in milliseconds, the gaps between tokens in the three seconds before the prompt arrives and from
then on until its first token; beside them the time that the prompt takes alone, which is the gap that a step of the
whole prompt would make. Nothing else should run on the machine. Needs Python's standard library only.
"""
import argparse
import random
import statistics
import threading
import time

from streams import Server, default_program, percentile

STORY = "Once upon a time there was a lighthouse keeper who counted the ships that passed in the night, and number "


def random_ids(seed, count):
    rng = random.Random(seed)
    return [rng.randrange(1000, 40000) for _ in range(count)]


def one_run(server, options, seed):
    arrivals = [[] for _ in range(options.streams)]  # times of each stream's pieces
    done = threading.Event()

    def note(idx):
        arrivals[idx].append(time.monotonic())
        return not done.is_set()

    def stream(idx):
        try:
            server.complete(f"{STORY}{seed * 100 + idx} was", options.answer_len, lambda: note(idx))
        except SystemExit as error:
            failures.append(error)

    failures = []
    threads = [threading.Thread(target=stream, args=(idx,), daemon=True) for idx in range(options.streams)]
    for thread in threads:
        thread.start()
    while not all(len(times) > options.settle for times in arrivals):
        if failures:
            raise failures[0]
        time.sleep(0.01)
    ids = random_ids(seed + 1, options.prompt_len)
    begin = time.monotonic()
    ttft = server.complete(ids, 1)[0][0]
    end = begin + ttft
    if not all(thread.is_alive() for thread in threads):
        raise SystemExit("a stream ended before the prompt: give a longer --answer-len")
    gaps = lambda first, last: [b - a for times in list(map(list, arrivals)) for a, b in zip(times, times[1:])
                                if b > first and a < last]
    done.set()
    before = gaps(begin - 3, begin)[: -options.streams]  # not the one in which it arrives
    for thread in threads:
        thread.join()
    return before, gaps(begin, end), ttft


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=default_program())
    parser.add_argument("--model", default="models/SmolLM2-135M-Instruct")
    parser.add_argument("--prompt-len", type=int, default=7000)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--answer-len", type=int, default=4000, help="tokens of each stream")
    parser.add_argument("--settle", type=int, default=60, help="tokens of each stream before the prompt arrives")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with Server(options.program, options.model) as server:
        alone = server.complete(random_ids(0, options.prompt_len), 1)[0][0]
        print(f"the prompt of {options.prompt_len} tokens alone: {1e3 * alone:.0f} ms")
        print(f"{'':>15}gaps before: median {'p99.9':>8}   beside: median {'p99.9':>8}  {'p99.9 / median before':>22} (wanted <= 4)")
        for run in range(options.runs):
            before, beside, ttft = one_run(server, options, run)
            median, tail = statistics.median(before), percentile(beside, 0.999)
            print(f"{'run ' + str(run + 1):>15}{1e3 * median:>19.1f} {1e3 * percentile(before, 0.999):>8.1f} "
                  f"{1e3 * statistics.median(beside):>17.1f} {1e3 * tail:>8.1f}  {tail / median:>22.2f}   ({len(beside)} gaps, "
                  f"prompt {1e3 * ttft:.0f} ms; in one step {alone / median:.0f} x)", flush=True)


if __name__ == "__main__":
    main()
