"""Makes tests/golden/text and tests/golden/templates/expected.json with Python's own libraries as the reference.

    python tools/make_text_goldens.py

Needs the PyPI packages sentencepiece, tokenizers and transformers. Small vocabularies are trained on the text
below, so that the tests need no model's files.
"""
import json
import pathlib
import random
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "text"))

import compare_templates  # noqa: E402
import compare_tokenizers  # noqa: E402

CORPUS = """The miller's daughter spun straw into gold while the little man sang by the fire.
Once upon a time there was a dear little girl who was loved by everyone who looked at her.
def spin(straw, hours=3):\n    return [gold(s) for s in straw if s is not None]
从前有一个小女孩，大家都喜欢她。今天天气很好，我们去公园散步。人工智能语言模型很有意思。
Il était une fois une petite fille; naïve, déjà vu, garçon, œuvre. Über die Straße läuft ein Mädchen.
1 2 3 12 123 1234, 3.14 and 2.71; 50 % of 1,000 is 500. (yes) [no] {maybe} <tag> "quoted" 'single'
the the the and and of of to to in in that that was was he she it with as his on be at by had not but from
""".splitlines() * 20

# InternLM2.5's way: these entries of the vocabulary are given new texts by tokenizer_config.json.
REPLACEMENTS = ["<|plugin|>", "<|interpreter|>", "<|action_end|>", "<|action_start|>", "<|im_end|>", "<|im_start|>"]


def added(content, special=True):
    return {"content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": special}


def make_sentencepiece(folder, add_dummy_prefix):
    import sentencepiece

    folder.mkdir(parents=True, exist_ok=True)
    unused = [f"[UNUSED_TOKEN_{i}]" for i in range(141, 147)]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as corpus:
        corpus.write("\n".join(CORPUS))
        corpus.flush()
        sentencepiece.SentencePieceTrainer.train(
            input=corpus.name, model_prefix=str(folder / "tokenizer"), model_type="bpe", vocab_size=700, byte_fallback=True,
            split_digits=True, normalization_rule_name="identity", add_dummy_prefix=add_dummy_prefix, remove_extra_whitespaces=False,
            user_defined_symbols=unused, num_threads=1, minloglevel=2)
    (folder / "tokenizer.vocab").unlink()
    processor = sentencepiece.SentencePieceProcessor(str(folder / "tokenizer.model"))
    decoder = {0: added("<unk>"), 1: added("<s>"), 2: added("</s>")}
    decoder.update({processor.piece_to_id(old): added(new) for old, new in zip(unused, REPLACEMENTS)})
    write(folder / "tokenizer_config.json", {
        "add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
        "tokenizer_class": "InternLM2Tokenizer", "added_tokens_decoder": {str(i): decoder[i] for i in sorted(decoder)}})
    return compare_tokenizers.SentencePieceReference(str(folder))


def make_byte_level(folder):
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        show_progress=False))
    tokenizer.add_tokens([AddedToken("<think>", normalized=False), AddedToken("</think>", normalized=False)])
    tokenizer.save(str(folder / "tokenizer.json"))
    write(folder / "tokenizer_config.json", {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "tokenizer_class": "PreTrainedTokenizerFast"})
    return compare_tokenizers.JsonReference(str(folder))


def make_byte_fallback(folder):
    """Llama 2's way: spaces are U+2581, one is put before the text, bytes stand in for unknown characters."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors, trainers

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=700, special_tokens=specials, show_progress=False))
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [token for token in data["added_tokens"] if token["id"] < 3]
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.add_tokens([AddedToken("<mask>", normalized=False, lstrip=True, special=True)])
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B", [("<s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    write(folder / "tokenizer_config.json", {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})
    return compare_tokenizers.JsonReference(str(folder))


def expectations(reference, is_comparable):
    generator = random.Random(3)
    texts = compare_tokenizers.SAMPLES + CORPUS[:7] + list(compare_tokenizers.random_texts(generator, 150))
    texts = [text for text in texts if is_comparable(text)]
    cases = [{"text": text, "ids": reference.encode(text)} for text in texts]
    for case in cases:
        case["decoded"] = reference.decode(case["ids"])
    return cases


def write(path, value, indent=1):
    path.write_text(json.dumps(value, ensure_ascii=True, indent=indent) + "\n")


def make_tokenizers():
    golden = ROOT / "tests" / "golden" / "text"
    for name, add_dummy_prefix in [("sentencepiece", False), ("sentencepiece_prefix", True)]:
        reference = make_sentencepiece(golden / name, add_dummy_prefix)
        write(golden / name / "expected.json", expectations(reference, reference.comparable), None)
    for name, make in [("byte_level", make_byte_level), ("byte_fallback", make_byte_fallback)]:
        write(golden / name / "expected.json", expectations(make(golden / name), lambda text: True), None)


def make_templates():
    folder = ROOT / "tests" / "golden" / "templates"
    cases = []
    for path in sorted(folder.glob("*.jinja")):
        source = path.read_text()
        for name, messages in compare_templates.CONVERSATIONS.items():
            for tools, add_generation_prompt, kwargs in [(None, True, {}), (compare_templates.TOOLS, False, {"enable_thinking": False})]:
                rendered, error = compare_templates.reference(source, messages, tools, add_generation_prompt, kwargs)
                cases.append({"template": path.name, "conversation": name, "messages": messages, "tools": tools, "kwargs": kwargs,
                              "add_generation_prompt": add_generation_prompt, "rendered": rendered})
                raised = re.match(r"TemplateError: (.*)", error or "", re.DOTALL)
                if raised:
                    cases[-1]["raised"] = raised[1]
    write(folder / "expected.json", cases, None)


if __name__ == "__main__":
    make_tokenizers()
    make_templates()
