"""A quantised folder's weights as the tools that made its format unpack them, in a transformers model in fp32.

The unpacking is the tools' own code: compressed-tensors' compressors, GPTQModel's TorchLinear for GPTQ, AutoAWQ's
dequantize_gemm for AWQ (GPTQModel's copy of it where AutoAWQ is not installed), transformers' for FP8. Only their 16-bit scales are widened
before, so that their products are not rounded. Used by make_quantized_goldens.py and check_quantized.py, whose
texts name the versions.
"""
import json
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

from relayout_internlm2 import read_tensors

Tensors = dict[str, torch.Tensor]


def unpack_awq(packed: Tensors, quantization: dict) -> torch.Tensor:
    try:
        from awq.utils.packing_utils import dequantize_gemm
    except ImportError:
        from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm
    return dequantize_gemm(packed["qweight"], packed["qzeros"], packed["scales"].float(), quantization["bits"],
                           quantization["group_size"]).T


def unpack_gptq(packed: Tensors, quantization: dict) -> torch.Tensor:
    from gptqmodel.nn_modules.qlinear.torch import TorchLinear
    from gptqmodel.utils.model import convert_gptq_v1_to_v2_format_module

    bits = quantization["bits"]
    linear = TorchLinear(bits=bits, group_size=quantization["group_size"], sym=quantization["sym"],
                         desc_act=quantization["desc_act"], in_features=packed["qweight"].shape[0] * 32 // bits,
                         out_features=packed["qweight"].shape[1], bias=False, register_buffers=True)
    linear.load_state_dict({name: packed[name] for name in ["qweight", "qzeros", "scales", "g_idx"]})
    if quantization.get("checkpoint_format", "gptq") == "gptq":
        convert_gptq_v1_to_v2_format_module(linear, bits, torch.int32)
    linear.scales = linear.scales.float()
    return linear.eval().dequantize_weight().T


def unpack_compressed(packed: Tensors, quantization: dict) -> torch.Tensor:
    from compressed_tensors.compressors import BaseCompressor

    scheme = compressed_scheme(quantization)
    packed = {name: value.float() if value.is_floating_point() else value for name, value in packed.items()}
    compressor = BaseCompressor.get_value_from_registry(scheme.format or quantization["format"])
    return compressor.decompress(packed, scheme)["weight"]


def unpack_fp8(packed: Tensors, quantization: dict) -> torch.Tensor:
    from transformers.integrations.finegrained_fp8 import _dequantize_fp8_weight

    scale = packed.get("weight_scale_inv", packed.get("weight_scale"))
    return _dequantize_fp8_weight(packed["weight"], scale, quantization.get("weight_block_size"), torch.float32)


def compressed_scheme(quantization: dict):
    from compressed_tensors.quantization import QuantizationScheme

    (group,) = quantization["config_groups"].values()
    return QuantizationScheme.model_validate(group)


# quant_method: (the tensors of which one marks a quantised linear, their siblings, how they become [out, in] f32)
FORMATS = {
    "awq": (["qweight"], ["qzeros", "scales"], unpack_awq),
    "gptq": (["qweight"], ["qzeros", "scales", "g_idx"], unpack_gptq),
    "fp8": (["weight_scale_inv", "weight_scale"], ["weight", "input_scale"], unpack_fp8),
    "compressed-tensors": (["weight_scale"], ["weight", "weight_packed", "weight_shape", "weight_zero_point",
                                              "input_scale"], unpack_compressed),
}


def unpack(folder: Path, quantization: dict) -> tuple[Tensors, list[str]]:
    """Weights in f32 under the folder's names, and the linear layers that were quantised."""
    tensors = read_tensors(folder)
    marks, others, unpack_one = FORMATS[quantization["quant_method"]]
    linears = [name.rpartition(".")[0] for name in tensors if name.rpartition(".")[2] in marks]
    dense = {}
    for linear in linears:
        packed = {name: tensors.pop(f"{linear}.{name}") for name in [*marks, *others] if f"{linear}.{name}" in tensors}
        dense[f"{linear}.weight"] = unpack_one(packed, quantization)
    weights = {name: value.float() for name, value in (tensors | dense).items()
               if not name.endswith((".k_scale", ".v_scale"))}  # the cache's
    return weights, linears


def as_llama(dense: Tensors, config: dict) -> Tensors:
    """InternLM2's weights under Llama's names: what relayout_internlm2.py does, backwards."""
    head_dim = config["hidden_size"] // config["num_attention_heads"]
    heads_per_group = config["num_attention_heads"] // config["num_key_value_heads"]
    renamed = [("model.tok_embeddings", "model.embed_tokens"), ("output.", "lm_head."),
               ("attention.wo", "self_attn.o_proj"), ("attention_norm", "input_layernorm"),
               ("ffn_norm", "post_attention_layernorm"), ("feed_forward.w1", "mlp.gate_proj"),
               ("feed_forward.w3", "mlp.up_proj"), ("feed_forward.w2", "mlp.down_proj")]
    result = {}
    for name, value in dense.items():
        if "attention.wqkv" in name:
            groups = value.reshape(config["num_key_value_heads"], heads_per_group + 2, head_dim, -1)
            parts = {"q": groups[:, :heads_per_group], "k": groups[:, -2], "v": groups[:, -1]}
            for part, rows in parts.items():
                result[name.replace("attention.wqkv", f"self_attn.{part}_proj")] = rows.reshape(-1, value.shape[1])
            continue
        for theirs, llamas in renamed:
            name = name.replace(theirs, llamas)
        result[name] = value
    return result


def quantize_activations(model: torch.nn.Module, linears: list[str]) -> None:
    """Every token's input of these layers in 127 steps to either side, as in vLLM's kernels, which such folders are
    written for. compressed-tensors' own simulation takes 127.5 and clamps, so transformers differs a little."""
    def round_input(module, args):
        largest = args[0].abs().amax(-1, keepdim=True)
        return (torch.round(args[0] * (127 / largest)) * largest / 127,)

    for linear in linears:
        model.get_submodule(linear).register_forward_pre_hook(round_input)


def load_unpacked(folder: Path) -> torch.nn.Module:
    """The folder's model in fp32: other code's weights in other code's arithmetic."""
    raw = json.loads((folder / "config.json").read_text())
    quantization = raw.pop("quantization_config")
    dense, linears = unpack(folder, quantization)
    if raw["model_type"] == "internlm2":
        dense = as_llama(dense, raw)
        config = LlamaConfig.from_dict(raw | {"model_type": "llama", "architectures": ["LlamaForCausalLM"]})
    else:
        config = AutoConfig.for_model(**raw)
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config).float().eval()
    missing, unexpected = model.load_state_dict(dense, strict=False)
    model.tie_weights()
    if unexpected or [name for name in missing if name != "lm_head.weight"]:
        raise SystemExit(f"{folder}: missing {missing}, unexpected {unexpected}")
    inputs = compressed_scheme(quantization).input_activations if "config_groups" in quantization else None
    if inputs and inputs.type == "int":  # against weights of floats we leave them as they are
        quantize_activations(model, linears)
    return model
