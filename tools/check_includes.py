#!/usr/bin/env python3
"""Holds src/ to the direction of docs/structure.md: who may include whom, and who may touch the world.

Prints `file:line: rule` for every breach and exits 1 when there is one. Run as the ctest `check_includes`.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

# Folder -> folders of ours that it may include besides itself. "*": any.
ALLOWED = {
    "base": set(),
    "tensor": {"base"},
    "quant": {"base", "tensor"},
    "ops": {"base", "tensor", "quant"},
    "checkpoint": {"base", "tensor", "quant"},
    "convert": {"base", "tensor", "quant", "checkpoint"},
    "model": {"base", "tensor", "quant", "ops", "checkpoint"},
    "engine": {"base", "tensor", "ops", "model"},
    "text": {"base"},
    "dataset": {"base"},
    "quantize": {"base", "tensor", "quant", "ops", "checkpoint", "model"},
    "client": {"base"},
    "server": {"base", "text"},
    "proxy": {"base", "client", "server"},
    "cli": {"*"},
}

# Single headers that a folder may include beyond the table.
ALLOWED_HEADERS = {
    "text": {"engine/request.h", "engine/token_mask.h"},
    "server": {"engine/engine.h", "engine/request.h"},
}

# The engine's policy is integers: no tensors, no models.
ENGINE_POLICY = re.compile(
    r"engine/(scheduler|block_manager|block_index|prefix_cache|lru_list|keyed_hash|step_cost|cost_model|cache_plan|memory_plan"
    r"|sequence|request|token_mask)\.(h|cc)$")

# Headers of one device's kernels are private to ops.
OPS_PRIVATE = re.compile(r"^ops/(ref|cpu|cuda)/")


@dataclass(frozen=True)
class Rule:
    pattern: re.Pattern
    exempt: re.Pattern  # paths below src/ where the pattern is at home
    text: str


INCLUDE_RULES = [
    Rule(re.compile(r"^boost/(beast|asio|url)"), re.compile(r"^server/http"), "the HTTP library stays in src/server/http*"),
    Rule(re.compile(r"^curl/"), re.compile(r"^client/http_client"), "libcurl stays in src/client/http_client*"),
    Rule(re.compile(r"^(zlib|zstd|snappy)\.h$"), re.compile(r"^dataset/decompress"),
         "zlib, libzstd and snappy stay in src/dataset/decompress*"),
    Rule(re.compile(r"^prometheus/"), re.compile(r"^server/metric"), "prometheus-cpp stays in src/server/metric*"),
    Rule(re.compile(r"^iostream$"), re.compile(r"^cli/"), "<iostream> stays in src/cli"),
    Rule(re.compile(r"^(cuda|cublas|cub/|mma\.h)"), re.compile(r"(^|/)cuda/"), "CUDA headers stay in a cuda/ folder"),
    Rule(re.compile(r"(^|/)utils?\.h"), re.compile(r"$^"), "no header called utils: name what it holds"),
    Rule(re.compile(r"^\.\.?/"), re.compile(r"$^"), "include by path from src/"),
    Rule(re.compile(r"^nlohmann/"), re.compile(r"^(checkpoint|convert|text|dataset|quantize|client|server|cli)/"),
         "no JSON below the checkpoint, and none in the engine"),
]

CODE_RULES = [
    Rule(re.compile(r"\b(secure_)?getenv\s*\("), re.compile(r"^cli/"), "the environment is read in src/cli only"),
    Rule(re.compile(r"(?<![\w.>])(std::|::)?_?[eE]xit\s*\("), re.compile(r"^cli/"), "the process ends in src/cli only"),
    Rule(re.compile(r"\bstd::(cout|cerr|clog)\b"), re.compile(r"^cli/"), "the terminal belongs to src/cli"),
    Rule(re.compile(r"\bthread_local\b"), re.compile(r"$^"), "no thread_local: pass a context"),
]

HEADER_RULES = [
    Rule(re.compile(r"\busing\s+namespace\b"), re.compile(r"$^"), "no `using namespace` in a header"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')

# Comments and literals, in the order in which they win.
NOT_CODE = re.compile(
    r'R"(?P<mark>[^\s()\\]{0,16})\(.*?\)(?P=mark)"'
    r"|//[^\n]*|/\*.*?\*/"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",
    re.DOTALL,
)


def blank_out(text: str) -> str:
    """The text without comments and literals, every line where it was."""
    return NOT_CODE.sub(lambda match: "\n" * match.group().count("\n") or " ", text)


def may_include(path: str, header: str) -> str | None:
    """The rule that `#include "header"` in src/path breaks, or None. Other people's headers pass."""
    folder, target = path.split("/")[0], header.split("/")[0]
    if target not in ALLOWED or "/" not in header:
        return None
    if OPS_PRIVATE.match(header) and folder != "ops":
        return "headers of ops/ref, ops/cpu and ops/cuda are private to ops"
    if ENGINE_POLICY.match(path):
        policy = target == "base" or ENGINE_POLICY.match(header)
        return None if policy else "the engine's policy includes base only"
    if target == folder or target in ALLOWED[folder] or "*" in ALLOWED[folder]:
        return None
    if header in ALLOWED_HEADERS.get(folder, ()):
        return None
    allowed = sorted(ALLOWED[folder] | ALLOWED_HEADERS.get(folder, set())) or ["nothing of ours"]
    return f"{folder}/ may include {', '.join(allowed)}; not {header}"


def breaches(path: str, text: str):
    """Yields (line number, rule) for the file src/path."""
    folder = path.split("/")[0]
    if folder not in ALLOWED:
        yield 1, f"folder {folder}/ has no row in tools/check_includes.py"
        return
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        if broken := may_include(path, match[1]):
            yield number, broken
        for rule in INCLUDE_RULES:
            if rule.pattern.search(match[1]) and not rule.exempt.search(path):
                yield number, rule.text
    rules = CODE_RULES + (HEADER_RULES if path.endswith((".h", ".cuh")) else [])
    for number, line in enumerate(blank_out(text).splitlines(), 1):
        for rule in rules:
            if rule.pattern.search(line) and not rule.exempt.search(path):
                yield number, rule.text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    source = parser.parse_args().root / "src"
    files = sorted(file for ending in ("*.h", "*.cc", "*.cu", "*.cuh") for file in source.rglob(ending) if "target" not in file.parts)
    if not files:
        print(f"{source}: no sources found", file=sys.stderr)
        return 1
    count = 0
    for file in files:
        path = file.relative_to(source).as_posix()
        for number, rule in breaches(path, file.read_text(encoding="utf-8")):
            print(f"src/{path}:{number}: {rule}")
            count += 1
    print(f"check_includes: {len(files)} files, {count} breaches")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
