#!/usr/bin/env python3
"""Makes the small GGUF files of the converter's tests and what they must become.

    /path/to/python make_models.py     # needs gguf 0.17, tokenizers 0.23, sentencepiece 0.2, numpy

Each model starts as a Hugging Face model with random weights and a trained tokenizer. It is written as llama.cpp
writes it (names by gguf's own table, llama's q and k rows permuted, rope_freqs for llama3), NAME.gguf; what the
converter must give back, NAME.json, comes from the Hugging Face side: config.json's fields, the hash of every
tensor (quantised and dequantised by gguf, rounded to bf16), and the ids of sample texts by the library that the
tokenizer was trained with.
"""
import io
import json
import math
import pathlib

import gguf
import numpy as np
import sentencepiece
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent
Q = gguf.GGMLQuantizationType

TRAINING_TEXT = [
    "The quick brown fox jumps over the lazy dog. It's 1234 times that they've seen 56 of them, hasn't it?",
    "int main() {\n\tfor (int i = 0; i < 10; ++i)  printf(\"%d\\n\", i);\n}\n\n",
    "Once upon a time there was a little girl who lived with her mother in a village near the wood.",
    "naïve café, Straße, 中文分词, 日本語, émigré, Привет мир, 😀 emoji",
] * 4
SAMPLES = TRAINING_TEXT[:4] + [
    "", " ", "   leading and trailing   ", "a", "\n\n\n  \n", "2024-11-23 12:34:56.789", "DON'T STOP'LL'VE",
    "unseen: ξένος ☃ \u200b\u00a0 ﬁ", "tabs\t\tand\r\nline ends\r", "x" * 50, " " * 37 + "after a run of spaces",
    "so: <|im_start|>user\nhi<|im_end|>", "under_score-and/slash\\back",
]


def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return f"{value:016x}"


def to_bf16(values):
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def permute(weights, num_heads):
    """Rows as llama.cpp stores them: the two halves of a head's rope pairs become neighbours."""
    return (weights.reshape(num_heads, 2, weights.shape[0] // num_heads // 2, *weights.shape[1:])
            .swapaxes(1, 2).reshape(weights.shape))


def weight_shapes(config, biases, qk_norm):
    hidden, inter, dim = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    yield "model.embed_tokens.weight", (config["vocab_size"], hidden)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        for name, shape in (("self_attn.q_proj", (heads * dim, hidden)), ("self_attn.k_proj", (kv_heads * dim, hidden)),
                            ("self_attn.v_proj", (kv_heads * dim, hidden)), ("self_attn.o_proj", (hidden, heads * dim)),
                            ("mlp.gate_proj", (inter, hidden)), ("mlp.up_proj", (inter, hidden)),
                            ("mlp.down_proj", (hidden, inter))):
            yield layer + name + ".weight", shape
            if name in biases:
                yield layer + name + ".bias", shape[:1]
        yield layer + "input_layernorm.weight", (hidden,)
        yield layer + "post_attention_layernorm.weight", (hidden,)
        if qk_norm:
            yield layer + "self_attn.q_norm.weight", (dim,)
            yield layer + "self_attn.k_norm.weight", (dim,)
    yield "model.norm.weight", (hidden,)
    if not config["tie_word_embeddings"]:
        yield "lm_head.weight", (config["vocab_size"], hidden)


def llama3_divisors(config):
    scaling, dim = config["rope_scaling"], config["head_dim"]
    old, low, high = (scaling[k] for k in ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor"))
    divisors = []
    for i in range(0, dim, 2):
        wavelength = 2 * math.pi * config["rope_theta"] ** (i / dim)
        smooth = min(1, max(0, (old / wavelength - low) / (high - low)))
        divisors.append(1 / ((1 - smooth) / scaling["factor"] + smooth))
    return np.array(divisors, dtype=np.float32)


class Model:
    def __init__(self, name, arch, config, seed, biases=(), qk_norm=False, qtypes=(Q.F32, Q.F16, Q.BF16, Q.Q8_0)):
        self.name, self.config, self.expected = name, config, {"config": config, "tensors": {}}
        self.biases, self.qk_norm, self.qtypes = biases, qk_norm, qtypes
        self.rng = np.random.default_rng(seed)
        self.arch = arch
        self.writer = gguf.GGUFWriter(HERE / f"{name}.gguf", arch)

    def write_tensors(self):
        arch = {v: k for k, v in gguf.MODEL_ARCH_NAMES.items()}[self.arch]
        names = gguf.get_tensor_name_map(arch, self.config["num_hidden_layers"])
        for i, (name, shape) in enumerate(weight_shapes(self.config, self.biases, self.qk_norm)):
            weights = (self.rng.standard_normal(shape) * 0.2).astype(np.float32)
            qtype = self.qtypes[i % len(self.qtypes)] if len(shape) > 1 else Q.F32
            data = weights
            if self.arch == "llama":
                if ".q_proj." in name:
                    data = permute(weights, self.config["num_attention_heads"])
                if ".k_proj." in name:
                    data = permute(weights, self.config["num_key_value_heads"])
            stored = gguf.quants.quantize(np.ascontiguousarray(data), qtype)
            self.writer.add_tensor(names.get_name(name, (".weight", ".bias")), stored, raw_dtype=qtype)
            rows = gguf.quants.dequantize(gguf.quants.quantize(weights, qtype), qtype)
            self.expected["tensors"][name] = {"shape": list(shape), "fnv": fnv(to_bf16(rows).tobytes())}
        if (self.config.get("rope_scaling") or {}).get("rope_type") == "llama3":
            self.writer.add_tensor("rope_freqs.weight", llama3_divisors(self.config), raw_dtype=Q.F32)

    def write_sizes(self):
        w, c = self.writer, self.config
        w.add_block_count(c["num_hidden_layers"])
        w.add_context_length(c["max_position_embeddings"])
        w.add_embedding_length(c["hidden_size"])
        w.add_feed_forward_length(c["intermediate_size"])
        w.add_head_count(c["num_attention_heads"])
        w.add_head_count_kv(c["num_key_value_heads"])
        w.add_layer_norm_rms_eps(c["rms_norm_eps"])
        w.add_rope_freq_base(c["rope_theta"])
        if c["head_dim"] != c["hidden_size"] // c["num_attention_heads"]:
            w.add_key_length(c["head_dim"])
            w.add_value_length(c["head_dim"])
        scaling = c.get("rope_scaling") or {}
        if scaling.get("rope_type") == "yarn":
            w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
            w.add_rope_scaling_factor(scaling["factor"])
            w.add_rope_scaling_orig_ctx_len(scaling["original_max_position_embeddings"])
        if scaling.get("rope_type") == "linear":
            w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
            w.add_rope_scaling_factor(scaling["factor"])

    def finish(self, samples):
        self.expected["samples"] = samples
        self.write_sizes()
        self.write_tensors()
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()
        text = json.dumps(self.expected, ensure_ascii=False, indent=1)
        (HERE / f"{self.name}.json").write_text(text + "\n", encoding="utf-8")


def byte_level(model, pre, patterns, special, bos=None, add_bos=False, ignore_merges=False):
    """Trains a byte-level BPE, puts it into the file and returns the ids of the samples."""
    steps = [pre_tokenizers.Split(tokenizers.Regex(p), "isolated") for p in patterns]
    tokenizer = tokenizers.Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps + [pre_tokenizers.ByteLevel(False, use_regex=False)])
    trainer = trainers.BpeTrainer(vocab_size=320, show_progress=False, special_tokens=special,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(TRAINING_TEXT, trainer)
    state = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(state["vocab"], key=state["vocab"].get)
    model.config["vocab_size"] = len(tokens)
    w = model.writer
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(pre)
    w.add_token_list(tokens)
    w.add_token_types([3 if t in special else 1 for t in tokens])
    w.add_token_merges([" ".join(m) for m in state["merges"]])
    w.add_eos_token_id(tokens.index(special[-1]))
    if bos:
        w.add_bos_token_id(tokens.index(bos))
    w.add_chat_template("{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>\n{% endfor %}")
    first = [tokens.index(bos)] if add_bos else []
    return [{"text": s, "ids": first + tokenizer.encode(s).ids} for s in SAMPLES]


def sentencepiece_bpe(model):
    """Trains a SentencePiece BPE with byte fallback, puts it into the file and returns the ids of the samples."""
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(t for text in TRAINING_TEXT for t in text.split("\n")), model_writer=trained,
        model_type="bpe", vocab_size=400, byte_fallback=True, character_coverage=0.98, num_threads=1,
        normalization_rule_name="identity", remove_extra_whitespaces=False, allow_whitespace_only_pieces=True,
        split_digits=True, minloglevel=2)
    processor = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    kinds = ((processor.is_unknown, 2), (processor.is_control, 3), (processor.is_unused, 5), (processor.is_byte, 6))
    ids = range(processor.get_piece_size())
    model.config["vocab_size"] = len(ids)
    w = model.writer
    w.add_tokenizer_model("llama")
    w.add_tokenizer_pre("default")
    w.add_token_list([processor.id_to_piece(i) for i in ids])
    w.add_token_scores([processor.get_score(i) for i in ids])
    w.add_token_types([next((kind for test, kind in kinds if test(i)), 1) for i in ids])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_add_bos_token(True)
    return [{"text": s, "ids": [1] + processor.encode(s)} for s in SAMPLES]


def config(hf_class, **fields):
    return {"architectures": [hf_class], "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 256,
            "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": None, "tie_word_embeddings": True,
            "hidden_act": "silu", "torch_dtype": "bfloat16"} | fields


GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
          r"\s*[\r\n]+|\s+(?!\S)|\s+")
CHATML = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def main():
    llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 8192}
    model = Model("llama3", "llama", config("LlamaForCausalLM", model_type="llama", rope_theta=500000.0, head_dim=16,
                                            rope_scaling=llama3, tie_word_embeddings=False, attention_bias=False,
                                            mlp_bias=False, eos_token_id=[2, 0], bos_token_id=1), seed=1)
    samples = byte_level(model, "llama-bpe", [LLAMA3], CHATML, "<|im_start|>", add_bos=True, ignore_merges=True)
    model.writer.add_eot_token_id(0)
    model.finish(samples)

    linear = {"rope_type": "linear", "factor": 2.0}
    model = Model("smollm", "llama", config("LlamaForCausalLM", model_type="llama", rope_scaling=linear,
                                            attention_bias=False, mlp_bias=False, eos_token_id=2), seed=2)
    model.finish(byte_level(model, "smollm", [r"\p{N}", GPT2], CHATML))

    model = Model("llama_spm", "llama", config("LlamaForCausalLM", model_type="llama", attention_bias=True,
                                               mlp_bias=True, eos_token_id=2, bos_token_id=1), seed=3,
                  biases=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                          "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"))
    model.finish(sentencepiece_bpe(model))

    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
    model = Model("qwen2", "qwen2", config("Qwen2ForCausalLM", model_type="qwen2", rope_scaling=yarn, eos_token_id=2),
                  seed=4, biases=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"))
    model.finish(byte_level(model, "qwen2", [LLAMA3.replace("{1,3}", "")], CHATML))

    model = Model("qwen3", "qwen3", config("Qwen3ForCausalLM", model_type="qwen3", head_dim=16, rms_norm_eps=1e-6,
                                           rope_theta=1000000.0, eos_token_id=2), seed=5, qk_norm=True)
    model.finish(byte_level(model, "qwen2", [LLAMA3.replace("{1,3}", "")], CHATML))


if __name__ == "__main__":
    main()
