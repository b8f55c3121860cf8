#!/usr/bin/env python3
"""What structured output costs: tokens per second with and without it, on one server, pairs taken in turns.

1. 16 guided streams against 16 that are not.
2. 16 streams that are not guided beside 16 that are, each by a schema of its own, against the same beside 16 that are not.
"""
import argparse
import statistics
import threading

from streams import Server, default_program, percentile

NUM_STREAMS = 16
PROMPT = "Here is a long list of people, with what is known of each of them.\n"


def people(number):
    """A schema that no answer comes to the end of."""
    person = {"type": "object", "required": [f"name{number}", "age", "likes"], "additionalProperties": False, "properties": {
        f"name{number}": {"type": "string", "maxLength": 40}, "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "likes": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 4}}}
    return {"type": "array", "items": person, "minItems": 1000}


def free(number):
    return {}


def guided(number):
    return {"guided_json": people(number), "ignore_eos": False}


def guided_alike(number):
    return guided(0)


def rate(server, num_tokens, kinds):
    """Tokens per second of the streams of the first kind, while those of all kinds run: each from its first token to
    its last."""
    rates, lock = [], threading.Lock()
    barrier = threading.Barrier(NUM_STREAMS * len(kinds))

    def stream(kind_idx, number):
        barrier.wait()
        fields = kinds[kind_idx](number)
        seconds, usage = server.complete(f"{number} {PROMPT}", num_tokens, seed=number, temperature=1, **fields)
        if usage["completion_tokens"] != num_tokens:
            raise SystemExit(f"a stream ended after {usage['completion_tokens']} of {num_tokens} tokens")
        if kind_idx == 0:
            with lock:
                rates.append((num_tokens - 1) / (seconds[-1] - seconds[0]))

    threads = [threading.Thread(target=stream, args=(kind_idx, number)) for kind_idx in range(len(kinds))
               for number in range(NUM_STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(rates)


def compare(server, title, num_tokens, num_pairs, with_forms, without):
    ratios = []
    for i in range(num_pairs + 1):
        order = (with_forms, without) if i % 2 == 0 else (without, with_forms)
        measured = {kinds: rate(server, num_tokens, kinds) for kinds in order}
        if i > 0:  # the first pair compiles the schemas and fills the caches
            ratios.append(measured[with_forms] / measured[without])
            print(f"  {measured[with_forms]:8.1f} {measured[without]:8.1f} tokens/s {ratios[-1]:.3f}", flush=True)
    print(f"{title}: median ratio {statistics.median(ratios):.3f}, {percentile(ratios, 0.1):.3f} to "
          f"{percentile(ratios, 0.9):.3f} (10 % to 90 %)", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--program", default=default_program())
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("options", nargs="*", help="of the server, behind --")
    args = parser.parse_args()
    with Server(args.program, args.model, *args.options) as server:
        compare(server, "16 guided by one schema / 16 free", args.tokens, args.pairs, (guided_alike,), (free,))
        compare(server, "16 guided by 16 schemas / 16 free", args.tokens, args.pairs, (guided,), (free,))
        compare(server, "16 free beside 16 guided / beside 16 free", args.tokens, args.pairs, (free, guided), (free, free))


if __name__ == "__main__":
    main()
