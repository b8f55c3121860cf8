#!/usr/bin/env python3
"""What the prefix cache saves: prompt tokens computed, and the time to the first token of a hit against a miss.

    build/release/make_model internlm2_5-1_8b FOLDER --layers 4
    bench/prefix_cache.py --model FOLDER [--prefixes 64] [--requests 8] [--cache 3.5GiB]

Every prefix is shared by --requests prompts that end differently; all of them are shuffled, 16 at once. Tokens are
computed at best once for each prefix and each end. Hits and misses are then timed one at a time with new prefixes.
Needs Python's standard library only.
"""
import argparse
import random
import statistics
import threading
import time

from streams import Server, default_program


def random_ids(rng, count):
    return [rng.randrange(1000, 90000) for _ in range(count)]


def all_at_once(server, prompts, num_clients):
    """(prompt tokens computed, seconds)."""
    lock, computed, failures = threading.Lock(), [0], []

    def client():
        while True:
            with lock:
                if not prompts or failures:
                    return
                prompt = prompts.pop()
            try:
                usage = server.complete(prompt, 1)[1]
            except SystemExit as error:
                failures.append(error)
                return
            with lock:
                computed[0] += usage["prompt_tokens"] - usage["prompt_tokens_details"]["cached_tokens"]

    begin = time.monotonic()
    clients = [threading.Thread(target=client) for _ in range(num_clients)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    if failures:
        raise failures[0]
    return computed[0], time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=default_program())
    parser.add_argument("--model", required=True)
    parser.add_argument("--prefixes", type=int, default=64)
    parser.add_argument("--requests", type=int, default=8, help="for each prefix")
    parser.add_argument("--prefix-len", type=int, default=2048)
    parser.add_argument("--tail-len", type=int, default=128)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--timed", type=int, default=5, help="prefixes whose miss and hit are timed")
    parser.add_argument("--cache", default="3.5GiB")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    prompts = []
    for _ in range(options.prefixes):
        prefix = random_ids(rng, options.prefix_len)
        prompts += [prefix + random_ids(rng, options.tail_len) for _ in range(options.requests)]
    rng.shuffle(prompts)
    num_asked = sum(map(len, prompts))
    num_unique = options.prefixes * (options.prefix_len + options.requests * options.tail_len)
    with Server(options.program, options.model, "--cache-max-entry-count", options.cache) as server:
        computed, seconds = all_at_once(server, prompts, options.clients)
        print(f"{num_asked} prompt tokens asked, {num_unique} unique, {computed} computed in {seconds:.1f} s: "
              f"{computed / num_unique:.3f} of the unique ones (wanted <= 1.05)", flush=True)
        misses, hits = [], []
        for _ in range(options.timed):
            prefix = random_ids(rng, options.prefix_len)
            for times in (misses, hits):
                times.append(server.complete(prefix + random_ids(rng, options.tail_len), 1)[0][0])
        miss, hit = statistics.median(misses), statistics.median(hits)
        print(f"first token after {1e3 * miss:.0f} ms on a miss, {1e3 * hit:.0f} ms on a hit: {hit / miss:.3f} "
              f"(wanted <= 0.15)")


if __name__ == "__main__":
    main()
