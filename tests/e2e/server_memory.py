"""What a server really takes: its reserved cache and its resident memory outside of it, beside what was planned."""

import json
import threading

from metrics import idle, scrape, value
from program import Server, run, wait_until

CHUNK_TOKENS = 512  # of a prompt in one step, at most
BLOCK_LEN = 64
# A short prompt and its answer, less the last token, which is not computed, fill one block: then every block that
# was ever touched is whole, and stays among the cached ones.
SHORT_TOKENS = 4
ANSWER_TOKENS = BLOCK_LEN - SHORT_TOKENS + 1
ANSWER_SECONDS = 600


def planned(model, *options) -> dict:
    result = run("plan", model, "--json", *options)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def run_largest_steps(server, max_batch_size: int):
    """A prompt whose log probabilities are wanted; as many answers at once as the server computes, drawn (not
    greedy), beside long prompts. Several of these, because a server that does not know yet how fast it is cuts
    prompts into smaller chunks.
    """
    prompts = [[11 + i] * (SHORT_TOKENS + (CHUNK_TOKENS if i % 8 == 0 else 0)) for i in range(max_batch_size)]
    body = {"model": server.client().models.list().data[0].id, "max_tokens": ANSWER_TOKENS, "temperature": 1, "seed": 1,
            "ignore_eos": True}
    server.ask("/v1/completions", {**body, "prompt": [7] * (CHUNK_TOKENS + SHORT_TOKENS), "echo": True, "logprobs": 1},
               timeout=ANSWER_SECONDS)
    asks = [threading.Thread(target=server.ask, args=("/v1/completions", {**body, "prompt": prompt}),
                             kwargs={"timeout": ANSWER_SECONDS})
            for prompt in prompts]
    for ask in asks:
        ask.start()
    for ask in asks:
        ask.join()


def measured(log, model, plan: dict, max_batch_size: int, *options) -> dict:
    """Bytes of a server that has computed its largest steps: `reserved` by the cache, `resident` outside of it.

    options: with --max-batch-size.
    """
    with Server(log, *options, model=model) as server:
        run_largest_steps(server, max_batch_size)
        families = wait_until(lambda: idle(server), 10, "the server is idle")
        block_bytes = plan["kv_cache"]["token_bytes"] * plan["kv_cache"]["block_len"]
        blocks = sum(value(families, "kv_blocks", state=state) for state in ("used", "cached", "free"))
        return {"reserved": blocks * block_bytes,
                "resident": value(families, "process_resident_memory_bytes") - value(families, "kv_cache_resident_bytes")}
