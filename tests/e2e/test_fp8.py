"""A folder of 8-bit floats, from a file to an answer: the demo model rounded here, one scale for each tensor."""

import functools
import json
import math
import struct
from array import array

import pytest

from program import MODEL, ROOT, Server, run
from server_memory import planned

TEXT = ROOT / "tests/e2e/lighthouse.txt"


def e4m3(magnitude: float) -> int:
    """The nearest code; what is too large is the largest one."""
    exponent = max(math.frexp(magnitude)[1] - 1, -6) if magnitude > 0 else -6
    return min((exponent + 6) * 8 + round(math.ldexp(magnitude, 3 - exponent)), 0x7e)


@functools.cache
def codes_of_bf16(scale: float) -> bytes:
    """For each pattern of 16 bits; infinities and NaN, which no weight is, become 0."""
    codes = bytearray()
    for bits in range(1 << 15):
        (value,) = struct.unpack("<f", struct.pack("<I", bits << 16))
        codes.append(e4m3(value / scale) if math.isfinite(value) else 0)
    return bytes(codes) + bytes(code | 0x80 for code in codes)


def rounded(bf16: bytes) -> tuple[bytes, float]:
    """Codes and their scale: a power of two, so that few tables do."""
    words = array("H", bf16)
    (largest,) = struct.unpack("<f", struct.pack("<I", max(map((0x7fff).__and__, set(words))) << 16))
    scale = math.ldexp(1, math.frexp(largest / 448)[1])
    return bytes(map(codes_of_bf16(scale).__getitem__, words)), scale


def rounded_tensors(data: bytes) -> dict[str, tuple[str, list[int], bytes]]:
    """Name: type, shape, bytes. The linear layers' weights in 8 bits with their scales, and scales that a server
    which rounds activations and its cache would use."""
    (length,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        if len(entry["shape"]) != 2 or "layers" not in name:
            tensors[name] = entry["dtype"], entry["shape"], data[begin:end]
            continue
        assert entry["dtype"] == "BF16"
        codes, scale = rounded(data[begin:end])
        tensors[name] = "F8_E4M3", entry["shape"], codes
        tensors[name + "_scale"] = "F32", [], struct.pack("<f", scale)
        tensors[name.replace("weight", "input_scale")] = "F32", [1], struct.pack("<f", 0.125)
        if "k_proj" in name:
            tensors[name.replace("k_proj.weight", "k_scale")] = "F32", [], struct.pack("<f", 0.25)
    return tensors


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("fp8")
    for path in MODEL.iterdir():
        if path.suffix in (".json", ".jinja") and path.name != "config.json":
            (out / path.name).symlink_to(path)
    config = json.loads((MODEL / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8", "activation_scheme": "static", "ignored_layers": ["lm_head"]}
    (out / "config.json").write_text(json.dumps(config))
    header, offset = {}, 0
    tensors = rounded_tensors((MODEL / "model.safetensors").read_bytes())
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(content)]}
        offset += len(content)
    text = json.dumps(header).encode()
    with (out / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, _, content in tensors.values():
            file.write(content)
    return out


def test_it_computes_nearly_what_the_model_computes(folder):
    result = run("eval", "compare", MODEL, folder, "--text", TEXT, "--window", "128", "--json", timeout=300)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert 0 < report["kl"]["mean"] < 0.02
    linear_bytes = 30 * 3 * 576 * (2 * 1536 + 2 * 576 + 2 * 192) // 3
    assert report["a"]["weight_bytes"] - report["b"]["weight_bytes"] > 2.5 * linear_bytes  # of four, in float32


def test_a_plan_counts_less_for_it(folder):
    """Less than half of the layers' share is saved: matrices as small as these fill up huge pages."""
    plain, rounded = (planned(model, "--memory", "4GB")["weight_bytes"] for model in (MODEL, folder))
    assert 0.75 < rounded / plain < 0.87


def test_it_answers(folder, tmp_path):
    options = ["--model-format", "fp8", "--session-len", 512]
    with Server(tmp_path / "log.txt", *options, model=folder) as server:
        answer = server.client().completions.create(
            model=server.client().models.list().data[0].id, temperature=0, max_tokens=8,
            prompt="one, two, three, four,")
        assert answer.choices[0].text == " five, six, seven, eight,"
        log = server.log.read_text()
    assert "FP8, 8 bits, whole rows" in log
    assert "240 scales of activations or of the KV cache are not used" in log


def test_another_format_is_named(folder):
    result = run("eval", "ppl", folder, "--text", TEXT, "--model-format", "awq")
    assert result.returncode == 1
    assert "model format fp8" in result.stderr
