#include "checkpoint/config_fields.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "checkpoint/field_table.h"

namespace lmdeploy {
namespace {

using nlohmann::json;

// Read by hf_config.cc, rope_config.cc, window_config.cc and quantization_config.cc.
constexpr std::string_view kRead[] = {
    "architectures",
    "attention_bias",
    "bias",
    "bos_token_id",
    "dtype",
    "eos_token_id",
    "head_dim",
    "hidden_size",
    "intermediate_size",
    "layer_types",
    "max_position_embeddings",
    "max_window_layers",
    "mlp_bias",
    "model_type",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "original_max_position_embeddings",
    "pad_token_id",
    "quantization_config",
    "rms_norm_eps",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "sliding_window",
    "tie_word_embeddings",
    "torch_dtype",
    "use_sliding_window",
    "vocab_size",
};

// Of training, of other frameworks, of how transformers runs a model, or of its general-purpose base class:
// none of them changes what a decoder computes. Names that begin with "_" are private to transformers.
constexpr std::string_view kHarmless[] = {
    "attention_dropout",
    "attn_implementation",
    "auto_map",
    "begin_suppress_tokens",
    "cache_implementation",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "embd_pdrop",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "generation_config",
    "gradient_checkpointing",
    "hidden_dropout",
    "hidden_dropout_prob",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_llama_config",
    "keys_to_ignore_at_inference",
    "label2id",
    "length_penalty",
    "max_length",
    "max_sequence_length",
    "min_length",
    "model_max_length",
    "name_or_path",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_nextn_predict_layers",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "output_scores",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "pruned_heads",
    "remove_invalid_values",
    "repetition_penalty",
    "resid_pdrop",
    "return_dict",
    "return_dict_in_generate",
    "router_aux_loss_coef",
    "sep_token_id",
    "seq_length",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unk_token_id",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
    "use_flash_attn",
    "use_flash_attn_2",
};

// The values beside them are those that mean "as in Llama".
constexpr HonouredField kHonoured[] = {
    {"activation_function", R"(["silu"])"},
    {"add_cross_attention", "[false]"},
    {"add_qk_norm", "[false]"},
    {"alibi", "[false]"},
    {"attention_chunk_size", "[]"},
    {"attention_in_bias", "[false]"},
    {"attention_multiplier", "[]"},
    {"attention_out_bias", "[false]"},
    {"attn_logit_softcapping", "[]"},
    {"attn_temperature_tuning", "[false, 0]"},
    {"clip_qkv", "[]"},
    {"cross_attention_layers", "[[]]"},
    {"decoder_sparse_step", "[0]"},
    {"dim_model_base", "[]"},
    {"embedding_multiplier", "[1]"},
    {"final_logit_softcapping", "[]"},
    {"hidden_act", R"(["silu"])"},
    {"hidden_activation", R"(["silu"])"},
    {"is_encoder_decoder", "[false]"},
    {"kv_lora_rank", "[]"},
    {"logit_scale", "[1]"},
    {"logits_scaling", "[1]"},
    {"logn_attn", "[false]"},
    {"mlp_only_layers", "[[]]"},
    {"moe_intermediate_size", "[]"},
    {"n_routed_experts", "[0]"},
    {"n_shared_experts", "[0]"},
    {"no_rope_layer_interval", "[]"},
    {"no_rope_layers", "[[]]"},
    {"norm_type", R"(["rms_norm", "rmsnorm"])"},
    {"num_experts", "[0]"},
    {"num_experts_per_tok", "[0]"},
    {"num_local_experts", "[0]"},
    {"parallel_attn", "[false]"},
    {"partial_rotary_factor", "[1]"},
    {"position_embedding_type",
     R"(["rope", "absolute"])"},  // "absolute" is an old default that Llama ignores
    {"q_lora_rank", "[]"},
    {"qk_layernorm", "[false]"},
    {"qk_norm", "[false]"},
    {"qkv_bias", "[false]"},
    {"quantization", "[]"},
    {"query_pre_attn_scalar", "[]"},
    {"residual_multiplier", "[1]"},
    {"rope_local_base_freq", "[]"},
    {"rope_pct", "[1]"},
    {"rotary_pct", "[1]"},
    {"scale_depth", "[]"},
    {"scale_emb", "[1]"},
    {"sliding_window_pattern", "[1]"},
    {"use_alibi", "[false]"},
    {"use_bias", "[false]"},
    {"use_dynamic_ntk", "[false]"},
    {"use_logn_attn", "[false]"},
    {"use_mrope", "[false]"},
    {"use_parallel_residual", "[false]"},
    {"use_qk_norm", "[false]"},
    {"use_qkv_bias", "[false]"},
};

// A model of which the decoder is only a part.
constexpr std::string_view kNested[] = {"text_config",   "llm_config",   "language_config",
                                        "vision_config", "audio_config", "thinker_config"};

}  // namespace

void check_config_fields(const json& config, const std::string& origin) {
  for (const std::string_view part : kNested) {
    const auto found = config.find(part);
    if (found != config.end() && !found->is_null())
      throw Error(
          fmt::format("{}: \"{}\" describes a model of several parts (text, images, sound)", origin, part),
          "Only text models, whose fields stand at the top of config.json, can be run.");
  }
  check_fields(config, origin, {kRead, kHarmless, kHonoured});
}

}  // namespace lmdeploy
