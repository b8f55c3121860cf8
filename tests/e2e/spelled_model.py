"""Writes a small InternLM2 model whose weights spell what it says: a call of add, and once a result has come a call
of mul. What follows depends on the last token and on whether the prompt has a turn of the environment."""

import array
import json
import struct
from pathlib import Path

SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|action_start|>", "<|action_end|>", "<|interpreter|>",
           "<|plugin|>"]
ADD = '\n{"name": "add", "parameters": {"a": 3, "b": 5}}'
MUL = '\n{"name": "mul", "parameters": {"a": 8, "b": 2}}'
ENVIRONMENT = "environment"
TEMPLATE = ("{{ bos_token }}{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
            "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")

HIDDEN, HEADS, HEAD_DIM, INTER = 16, 2, 8, 16
NEWLINE, START, PLUGIN, CALL, RESULT = range(5)  # what each of the first dimensions stands for


def bytes_as_characters() -> list[str]:
    """GPT-2's characters for the bytes, in the order of the bytes."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]


def vocabulary() -> dict[str, int]:
    words = [*SPECIAL, ADD, MUL, ENVIRONMENT, *bytes_as_characters()]
    return {word: index for index, word in enumerate(words)}


def tokenizer_json(vocab: dict[str, int]) -> dict:
    added = [{"id": vocab[word], "content": word, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": word in SPECIAL} for word in [*SPECIAL, ADD, MUL, ENVIRONMENT]]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {"version": "1.0", "added_tokens": added, "pre_tokenizer": byte_level, "decoder": byte_level,
            "model": {"type": "BPE", "vocab": vocab, "merges": []}}


def matrix(rows: int, columns: int, entries: dict) -> tuple[list[int], bytes]:
    values = array.array("f", bytes(4 * rows * columns))
    for (row, column), value in entries.items():
        values[row * columns + column] = value
    return [rows, columns], values.tobytes()


def ones(size: int) -> tuple[list[int], bytes]:
    return [size], array.array("f", [1.0] * size).tobytes()


def tensors(vocab: dict[str, int]) -> dict:
    newline = vocab[bytes_as_characters()[ord("\n")]]
    embeddings = {(newline, NEWLINE): 1, (vocab["<|action_start|>"], START): 1, (vocab["<|plugin|>"], PLUGIN): 1,
                  (vocab[ADD], CALL): 1, (vocab[MUL], CALL): 1, (vocab[ENVIRONMENT], RESULT): 1}
    logits = {(vocab["<|action_start|>"], NEWLINE): 20, (vocab["<|plugin|>"], START): 20,
              (vocab[ADD], PLUGIN): 20, (vocab[MUL], PLUGIN): 18, (vocab[MUL], RESULT): 7,
              (vocab["<|action_end|>"], CALL): 20}
    # Queries and keys are 0, so that attention is the mean over the prompt; the value is whether there is a result.
    value_row = (HEADS + 1) * HEAD_DIM
    layer = "model.layers.0."
    return {
        "model.tok_embeddings.weight": matrix(len(vocab), HIDDEN, embeddings),
        layer + "attention_norm.weight": ones(HIDDEN),
        layer + "attention.wqkv.weight": matrix((HEADS + 2) * HEAD_DIM, HIDDEN, {(value_row, RESULT): 1}),
        layer + "attention.wo.weight": matrix(HIDDEN, HEADS * HEAD_DIM, {(RESULT, 0): 60}),
        layer + "ffn_norm.weight": ones(HIDDEN),
        layer + "feed_forward.w1.weight": matrix(INTER, HIDDEN, {}),
        layer + "feed_forward.w3.weight": matrix(INTER, HIDDEN, {}),
        layer + "feed_forward.w2.weight": matrix(HIDDEN, INTER, {}),
        "model.norm.weight": ones(HIDDEN),
        "output.weight": matrix(len(vocab), HIDDEN, logits),
    }


def safetensors(weights: dict) -> bytes:
    header, data = {}, b""
    for name, (shape, values) in weights.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def write(folder: Path):
    vocab = vocabulary()
    config = {"architectures": ["InternLM2ForCausalLM"], "model_type": "internlm2", "bias": False, "hidden_act": "silu",
              "hidden_size": HIDDEN, "intermediate_size": INTER, "max_position_embeddings": 4096,
              "num_attention_heads": HEADS, "num_hidden_layers": 1, "num_key_value_heads": 1, "rms_norm_eps": 1e-5,
              "rope_theta": 10000.0, "rope_scaling": None, "tie_word_embeddings": False, "torch_dtype": "float32",
              "vocab_size": len(vocab), "bos_token_id": 0, "eos_token_id": 1}
    tokenizer_config = {"bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "PreTrainedTokenizerFast",
                        "chat_template": TEMPLATE}
    files = {"config.json": config, "tokenizer.json": tokenizer_json(vocab), "tokenizer_config.json": tokenizer_config,
             "generation_config.json": {"eos_token_id": [1, vocab["<|im_end|>"]]}}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "model.safetensors").write_bytes(safetensors(tensors(vocab)))
