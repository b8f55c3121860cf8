"""Compares text_probe's ids and texts with Hugging Face's tokenizers, or with Python SentencePiece.

    compare_tokenizers.py PROBE FOLDER CORPUS...      FOLDER: tokenizer.json, or tokenizer.model

Prints the SHA-256 of the first 32768 ids of each corpus (uint32, little endian), as the project's quality table
does, and every difference. Needs the PyPI packages tokenizers and sentencepiece.
"""
import hashlib
import json
import os
import random
import re
import struct
import subprocess
import sys

SAMPLES = [
    "", " ", "  ", "\n", "\n\n\n", "\t \t", "a", " a", "a ", "  a  b   c    d ", "\0", "a\0b", "\x01\x02\x1f\x7f", "\r\n x\r\n",
    "你好，世界！今天天气怎么样？", "中文 English 混合 text 123,456.78", "日本語テキスト", "한국어 텍스트", "עברית العربية", "ไทย",
    "👍🏽👨‍👩‍👧‍👦🇩🇪 emoji😀😀", "e\u0301 é ﬁ ① ㍿", "\u00a0\u2003\u3000|", "▁▁ ▁a", "\ufffd\ufeff", "𝕳𝖊𝖑𝖑𝖔 𐍈 \U0010fffd",
    "def f(x):\n    return x ** 2  # ok\n\n\tif x:\n\t\tpass\n", "for (int i=0;i<10;++i) { a[i] += 0x1F; }",
    "1234567890 3.14159 1e-5 0b1011", "don't I'll we've it's", "A" * 300, "ab" * 500, " " * 100, "\n" * 50, "!?" * 40,
    "<s>", "</s>", "<unk>", "a<s>b", "<|im_start|>user\nHi<|im_end|>\n", "[UNUSED_TOKEN_146]x[UNUSED_TOKEN_141]", "<|im_start|",
    " <|im_end|> <|im_end|>", "<|im_start|><|im_start|>x", "<0x41><0xE4>", "<|endoftext|> hello", "<think>\nx\n</think>\n\n",
]


class Probe:
    def __init__(self, program, folder):
        self.process = subprocess.Popen([program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer


class JsonReference:
    def __init__(self, folder):
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.vocab_size = self.tokenizer.get_vocab_size()

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids):
        return self.tokenizer.decode(ids, skip_special_tokens=True)


class SentencePieceReference:
    """Added tokens cut the text; Python SentencePiece does each stretch. A replaced piece's spelling must not come out."""

    def __init__(self, folder):
        import sentencepiece

        self.processor = sentencepiece.SentencePieceProcessor(os.path.join(folder, "tokenizer.model"))
        self.vocab_size = self.processor.vocab_size()
        self.added, self.special = {}, set()
        path = os.path.join(folder, "tokenizer_config.json")
        if os.path.exists(path):
            for digits, token in json.load(open(path))["added_tokens_decoder"].items():
                self.added[token["content"]] = int(digits)
                if token["special"]:
                    self.special.add(int(digits))
        self.cut = re.compile("(" + "|".join(re.escape(t) for t in sorted(self.added, key=len, reverse=True)) + ")")
        self.replaced = {
            self.processor.id_to_piece(i) for t, i in self.added.items() if i < self.vocab_size and self.processor.id_to_piece(i) != t
        }

    def encode(self, text):
        ids = []
        for stretch in self.cut.split(text) if self.added else [text]:
            if stretch in self.added:
                ids.append(self.added[stretch])
            elif stretch:
                ids += self.processor.encode(stretch)
        return ids

    def comparable(self, text):
        return not any(piece in text for piece in self.replaced)

    def decode(self, ids):
        return self.processor.decode([i for i in ids if i not in self.special])


def differ(what, text, ours, theirs):
    where = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    differ.count = getattr(differ, "count", 0) + 1
    if differ.count <= 12:
        print(f"DIFFERENT {what} {text[:60]!r} at {where}: ours {ours[where:where + 12]!r}, reference {theirs[where:where + 12]!r}")
    return 1


def random_texts(generator, count):
    alphabet = list("abcXYZ019 .,!?'\"\n\t<>|_[]{}()#*-+=/\\") + ["  ", "中", "文", "é", "😀", "▁", "\0", "\x7f", "<s>", "<|im_end|>", " the", "ing"]
    for _ in range(count):
        yield "".join(generator.choice(alphabet) for _ in range(generator.randrange(1, 60)))


def main():
    program, folder, corpora = sys.argv[1], sys.argv[2], sys.argv[3:]
    probe = Probe(program, folder)
    is_json = os.path.exists(os.path.join(folder, "tokenizer.json"))
    reference = JsonReference(folder) if is_json else SentencePieceReference(folder)
    generator = random.Random(7)
    num_different = num_compared = 0
    for path in corpora:
        text = open(path, "rb").read().decode("utf-8")
        ours, theirs = probe.ask(op="encode", text=text)["ids"], reference.encode(text)
        num_different += ours != theirs and differ("ids", path, ours, theirs)
        digest = hashlib.sha256(struct.pack(f"<{min(len(ours), 32768)}I", *ours[:32768])).hexdigest()
        print(f"{os.path.basename(path)}: {len(ours)} tokens, {ours[:8]}, sha256 {digest[:16]}")
        num_compared += 1
    for text in SAMPLES + list(random_texts(generator, 3000)):
        ours, theirs = probe.ask(op="encode", text=text)["ids"], reference.encode(text)
        if not is_json and not reference.comparable(text):
            continue
        num_different += ours != theirs and differ("ids", text, ours, theirs)
        rendered = probe.ask(op="encode_rendered", text=text, plain=[[len(text.encode()), len(text.encode())]])["ids"]
        num_different += rendered != theirs and differ("rendered ids", text, rendered, theirs)
        ours, theirs = probe.ask(op="decode", ids=theirs)["text"], reference.decode(theirs)
        num_different += ours != theirs and differ("text", text, ours, theirs)
        num_compared += 3
    for i in range(2000):
        top = 400 if i % 3 == 0 else reference.vocab_size
        ids = [generator.randrange(top) for _ in range(generator.randrange(1, 40))]
        ours = probe.ask(op="decode", ids=ids)["text"]
        theirs = reference.decode(ids)
        num_different += ours != theirs and differ("decoded random ids", str(ids), ours, theirs)
        pieces = probe.ask(op="stream", ids=ids)["pieces"]
        num_different += "".join(pieces) != ours and differ("streamed random ids", str(ids), "".join(pieces), ours)
        num_compared += 2
    print(f"{num_compared} compared, {num_different} different")
    return min(num_different, 1)


if __name__ == "__main__":
    sys.exit(main())
