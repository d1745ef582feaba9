# SPDX-License-Identifier: Apache-2.0
"""Configs of small models, and the changes of them that variants.py tries.

A change is a dict that is laid over the family's base config; GONE takes a key out of it.
"""
GONE = object()  # the key is absent

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 97, "hidden_size": 32,
         "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
         "hidden_act": "silu", "rope_theta": 10000.0, "tie_word_embeddings": False}
BASES = {
    "llama": LLAMA,
    "mistral": {**LLAMA, "model_type": "mistral", "architectures": ["MistralForCausalLM"]},
    "qwen2": {**LLAMA, "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]},
    "qwen3": {**LLAMA, "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "head_dim": 16},
    "gpt2": {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 97, "n_positions": 64,
             "n_embd": 32, "n_layer": 3, "n_head": 4},
    "gpt_oss": {"model_type": "gpt_oss", "architectures": ["GptOssForCausalLM"], "vocab_size": 97,
                "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 4,
                "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
                "num_local_experts": 8, "num_experts_per_tok": 3, "sliding_window": 5,
                "max_position_embeddings": 64},
    "bert": {"model_type": "bert", "architectures": ["BertForMaskedLM"], "vocab_size": 261, "hidden_size": 32,
             "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
             "max_position_embeddings": 32},
    "t5": {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "vocab_size": 271,
           "d_model": 32, "d_kv": 6, "d_ff": 48, "num_layers": 3, "num_decoder_layers": 2,
           "num_heads": 4, "decoder_start_token_id": 0},
}
CAUSAL = [family for family in BASES if family not in ("bert", "t5")]
ROTARY = [family for family in CAUSAL if family != "gpt2"]

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}
SLIDING, FULL = "sliding_attention", "full_attention"


def inside(**members):
    """rope_parameters of today, which hold theta too."""
    return {"rope_theta": GONE, "rope_parameters": {"rope_theta": 77.0, **members}}


# What the first review of training tried by hand: 65 configs of the families of that day.
REVIEWED = {
    "llama": [
        {},
        {"rope_scaling": {"type": "linear", "factor": 4.0}},
        inside(rope_type="linear", factor=4.0, rope_theta=5e5),
        {"rope_scaling": {"type": "dynamic", "factor": 3.0}, "max_position_embeddings": 16},
        {"rope_scaling": LLAMA3},
        {"rope_scaling": LLAMA3, "original_max_position_embeddings": 32},
        {"rope_scaling": YARN},
        {"rope_scaling": {**YARN, "attention_factor": 1.7}},
        {"rope_scaling": {**YARN, "factor": 40.0, "mscale": 0.707, "mscale_all_dim": 1.3,
                          "beta_fast": 8, "beta_slow": 2}},
        {"rope_scaling": {**YARN, "factor": 40.0, "mscale": 0.707}},
        {"rope_scaling": {**YARN, "truncate": False}},
        {"rope_scaling": {**YARN, "factor": None}},
        {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
        {"rope_scaling": {"rope_type": "longrope", "factor": 4.0, "short_factor": [1.0] * 4,
                          "long_factor": [2.0] * 4, "original_max_position_embeddings": 16}},
        {"head_dim": 24},
        {"attention_bias": True, "mlp_bias": True},
        {"hidden_act": "gelu"},
        {"hidden_act": "gelu_pytorch_tanh"},
        {"hidden_act": "relu2"},
        {"tie_word_embeddings": True},
        {"tie_word_embeddings": GONE},
        {"rms_norm_eps": GONE},
        {"num_key_value_heads": None},
        inside(rope_type="default"),
        {"rope_parameters": {"rope_type": "default", "rope_theta": 77.0}},
        {"rope_scaling": {}},
        {"partial_rotary_factor": 0.5},
        inside(rope_type="default", partial_rotary_factor=0.5),
        {"sliding_window": 4},
        {"sliding_window": 4, "layer_types": [SLIDING] * 4},
        {"pretraining_tp": 2},
        {"attention_multiplier": 0.5},
        {"logit_scale": 0.5},
        {"final_logit_softcapping": 2.0},
        {"rope_interleave": True},
    ],
    "mistral": [
        {},
        {"sliding_window": None},
        {"sliding_window": 4},
        {"sliding_window": 4, "attention_bias": True},
        {"sliding_window": 4, "layer_types": [FULL, SLIDING] * 2},
    ],
    "qwen2": [
        {"sliding_window": 4, "max_window_layers": 1},
        {"sliding_window": 4, "max_window_layers": 1, "use_sliding_window": True},
        {"sliding_window": 4, "use_sliding_window": True, "layer_types": [SLIDING, FULL] * 2},
        {"attention_bias": False},
        {"head_dim": 24},
        {"rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}},
        {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}},
    ],
    "qwen3": [
        {},
        {"attention_bias": True},
        {"sliding_window": 4, "max_window_layers": 2, "use_sliding_window": True},
    ],
    "gpt2": [
        {},
        {"n_inner": 40},
        {"scale_attn_weights": False},
        {"scale_attn_by_inverse_layer_idx": True},
        {"reorder_and_upcast_attn": True},
        {"activation_function": "relu"},
        {"activation_function": "silu"},
        {"tie_word_embeddings": False},
        {"n_embd": GONE, "n_positions": GONE, "n_layer": GONE, "n_head": GONE, "hidden_size": 32,
         "max_position_embeddings": 64, "num_hidden_layers": 3, "num_attention_heads": 4},
        {"layer_norm_epsilon": 0.1},
    ],
    "gpt_oss": [
        {},
        {"rope_theta": 300.0, "rope_scaling": {**YARN, "beta_fast": 32.0, "beta_slow": 1.0,
                                               "truncate": False}},
        {"layer_types": [FULL] * 3 + [SLIDING]},
        {"attention_bias": False},
        {"swiglu_limit": 0.3, "swiglu_alpha": 0.9},
    ],
}
assert sum(map(len, REVIEWED.values())) == 65

# Combinations that no sweep of single keys reaches.
COMBINED = {
    "llama": [
        {"rope_scaling": {}, "rope_parameters": {"rope_type": "linear", "factor": 4.0}},
        {"rope_scaling": {"type": "linear", "factor": 2.0},
         "rope_parameters": {"rope_type": "linear", "factor": 4.0}},
        {"rope_scaling": {"type": "linear", "rope_type": "default", "factor": 2.0}},
        {"rope_scaling": YARN, "original_max_position_embeddings": 24},
        {"rope_scaling": {**YARN, "factor": None}, "max_position_embeddings": 128},
        {"num_attention_heads": 3, "head_dim": 8, "num_key_value_heads": 1, "hidden_size": 33},
        {"num_attention_heads": 2, "head_dim": 10, "num_key_value_heads": 1},
        {"hidden_act": "gelu_new", "attention_bias": True, "tie_word_embeddings": True},
    ],
    "mistral": [
        {"num_key_value_heads": 4, "head_dim": 12, "sliding_window": 3},
        {"sliding_window": 4, "rope_scaling": YARN},
        {"sliding_window": GONE, "max_position_embeddings": GONE},
    ],
    "qwen2": [
        {"use_sliding_window": True, "sliding_window": None},
        {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": GONE},
        {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0},
        {"use_sliding_window": True, "layer_types": [SLIDING] * 4},
        {"layer_types": [SLIDING] * 4, "sliding_window": 4},
        {"num_attention_heads": 8, "num_key_value_heads": None},
    ],
    "qwen3": [
        {"head_dim": GONE, "num_key_value_heads": 1},
        {"rms_norm_eps": 0.01, "head_dim": 10},
        {"num_key_value_heads": None},
        {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1,
         "rope_scaling": LLAMA3},
    ],
    "gpt2": [
        {"n_head": 8, "num_attention_heads": 4},
        {"n_positions": 48, "max_position_embeddings": 64},
        {"scale_attn_weights": False, "scale_attn_by_inverse_layer_idx": True},
        {"reorder_and_upcast_attn": True, "scale_attn_by_inverse_layer_idx": True},
        {"n_inner": None, "activation_function": "gelu"},
    ],
    "gpt_oss": [
        {"rope_scaling": {}},
        {"rope_parameters": {}},
        {"rope_parameters": {"rope_type": "default"}},
        {"rope_theta": 300.0},
        {"num_local_experts": GONE, "num_experts": 8},
        {"num_local_experts": 4, "num_experts": 8},
        {"experts_per_token": 3},
        {"experts_per_token": 2},
        {"num_experts_per_tok": 8},
        {"num_experts_per_tok": 1, "swiglu_limit": 0.2},
        {"layer_types": [FULL] * 4, "sliding_window": 2},
        {"attention_bias": False, "num_key_value_heads": 4, "tie_word_embeddings": True},
    ],
    "bert": [
        {"hidden_act": "silu", "tie_word_embeddings": False},
        {"num_attention_heads": 3, "hidden_size": 33},
    ],
    "t5": [
        {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        {"tie_word_embeddings": False, "scale_decoder_outputs": True},
        {"tie_word_embeddings": True, "scale_decoder_outputs": False},
        {"feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu"},
        {"feed_forward_proj": "gated-gelu", "is_gated_act": False},
        {"feed_forward_proj": "relu", "is_gated_act": True},
        {"feed_forward_proj": "relu", "dense_act_fn": "silu"},
        {"num_decoder_layers": GONE, "num_layers": 2},
        {"num_decoder_layers": GONE, "num_hidden_layers": 2},
        {"num_decoder_layers": None},
        {"d_kv": 6, "head_dim": 8},
        {"num_heads": 2, "num_attention_heads": 4},
        {"d_model": 32, "hidden_size": 48},
        {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 16},
        {"relative_attention_num_buckets": 7},
        {"relative_attention_num_buckets": 9, "relative_attention_max_distance": 20},
        {"relative_attention_num_buckets": 6, "relative_attention_max_distance": 7},
    ],
}

# Keys whose values transformers computes and organ must, not refuse.
COMPUTED = {
    "gpt2": {"scale_attn_weights", "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn"},
}

# How many configs of each family are equal at least, without those of --every-key.
LEAST_EQUAL = {"llama": 34, "mistral": 9, "qwen2": 13, "qwen3": 9, "gpt2": 17, "gpt_oss": 18, "bert": 5,
               "t5": 18}

# Each kind of rotary scaling with its own members, and odd values of every member there is.
ROPE_KINDS = {
    "default": {},
    "linear": {"factor": 4.0},
    "dynamic": {"factor": 3.0},
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 16},
    "llama3": {key: value for key, value in LLAMA3.items() if key != "rope_type"},
    "longrope": {"factor": 4.0, "original_max_position_embeddings": 16, "short_factor": [1.0, 1.5, 2.0, 2.5],
                 "long_factor": [2.0, 2.5, 3.0, 4.0]},
    "proportional": {"factor": 2.0, "partial_rotary_factor": 0.5},
    "mrope": {"mrope_section": [1, 1, 2]},
    "su": {"factor": 4.0, "short_factor": [1.0] * 4, "long_factor": [2.0] * 4},
}
ROPE_MEMBERS = {
    "rope_theta": [500.0, 500000, None],
    "rope_type": [None],
    "partial_rotary_factor": [0.5, 1.0, None],
    "factor": [1.0, 2.5, 0.5, 3, None],
    "original_max_position_embeddings": [24, None],
    "attention_factor": [1.3, 2, 0.0, None],
    "beta_fast": [16, 0, None],
    "beta_slow": [2.5, 0, None],
    "short_factor": [[1.5] * 4],
    "long_factor": [[1.5] * 4],
    "low_freq_factor": [2.0],
    "high_freq_factor": [6.0, 0.5],
    "mscale": [0.7, 0.0],
    "mscale_all_dim": [0.9],
    "truncate": [True, False, None],
    "mrope_section": [[1, 1, 2]],
}
# By member the kinds that read it; every kind where it is not named.
ROPE_READERS = {
    "original_max_position_embeddings": ["dynamic", "yarn", "llama3"],
    **dict.fromkeys(["attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"],
                    ["yarn"]),
    **dict.fromkeys(["short_factor", "long_factor"], ["longrope"]),
    **dict.fromkeys(["low_freq_factor", "high_freq_factor"], ["llama3"]), "mrope_section": ["mrope", "default"],
}


def rope_cases():
    """(family, change): every kind in both generations, every member in the kinds that read it."""
    for kind, members in ROPE_KINDS.items():
        for family in ROTARY:
            yield family, {"rope_scaling": {"type": kind, **members}}
            yield family, inside(rope_type=kind, **members)
        for key, values in ROPE_MEMBERS.items():
            # "linear" stands for the kinds that do not read a member.
            for value in values if kind == "linear" or kind in ROPE_READERS.get(key, [kind]) else []:
                yield "llama", inside(**{"rope_type": kind, **members, key: value})
    for family in ROTARY:
        yield family, inside(**YARN, mscale=0.7, mscale_all_dim=0.9)
        yield family, inside(**{**YARN, "factor": 0.5})
        yield family, inside(**YARN, truncate=None)


TYPES = [SLIDING, FULL, FULL, SLIDING]
# Values of every key of the families' configuration classes; a class with another key fails the test.
VALUES = {
    "vocab_size": [61], "hidden_size": [48], "intermediate_size": [40], "num_hidden_layers": [2],
    "num_attention_heads": [2], "num_key_value_heads": [1, 4, 0], "head_dim": [12, 8],
    "max_position_embeddings": [48, 4096], "initializer_range": [0.3], "rms_norm_eps": [1e-3, 0.0, 1],
    "use_cache": [False], "pad_token_id": [5], "bos_token_id": [5], "eos_token_id": [5, [5, 6]],
    "pretraining_tp": [2], "tie_word_embeddings": [True, False], "rope_parameters": [{}],
    "attention_bias": [True, False], "attention_dropout": [0.5], "mlp_bias": [True, False],
    "sliding_window": [4, 1, 64, 0], "use_sliding_window": [True, False], "max_window_layers": [1, 0, 9],
    "layer_types": [TYPES, [FULL] * 4, [SLIDING] * 4, ["attention"] * 4, ["chunked_attention"] * 4,
                    [FULL] * 3],
    "n_positions": [48, 4096], "n_embd": [48], "n_layer": [2], "n_head": [2], "n_inner": [40],
    "resid_pdrop": [0.5], "embd_pdrop": [0.5], "attn_pdrop": [0.5], "layer_norm_epsilon": [0.1, 1e-9],
    "summary_type": ["mean"], "summary_use_proj": [False], "summary_activation": ["tanh"],
    "summary_proj_to_labels": [False], "summary_first_dropout": [0.5], "scale_attn_weights": [False],
    "scale_attn_by_inverse_layer_idx": [True], "reorder_and_upcast_attn": [True],
    "add_cross_attention": [True],
    "num_local_experts": [4], "num_experts_per_tok": [1, 8, 9], "swiglu_alpha": [0.9],
    "swiglu_limit": [0.3], "router_aux_loss_coef": [0.5], "output_router_logits": [True],
    "hidden_dropout_prob": [0.5], "attention_probs_dropout_prob": [0.5], "type_vocab_size": [1, 3],
    "layer_norm_eps": [0.1, 1e-7], "classifier_dropout": [0.5], "is_decoder": [True],
    "d_model": [48], "d_kv": [8], "d_ff": [40], "num_layers": [2], "num_decoder_layers": [3],
    "num_heads": [2], "relative_attention_num_buckets": [16], "relative_attention_max_distance": [17],
    "dropout_rate": [0.5], "initializer_factor": [2.0], "is_encoder_decoder": [True, False],
    "transformers_version": ["4.1.0"], "architectures": [["Other"], []],
    "output_hidden_states": [True], "return_dict": [False], "dtype": ["bfloat16"],
    "chunk_size_feed_forward": [8], "id2label": [{"0": "a", "1": "b", "2": "c"}],
    "label2id": [{"a": 0, "b": 1}], "problem_type": ["regression"],
}
ACTIVATION = {"gpt2": "activation_function", "t5": "feed_forward_proj"}
# Keys that classes do not name and transformers reads of any config.
READ_OF_ALL = {
    "is_causal": [True, False, None], "per_layer_config": [{}, {"1": {"rms_norm_eps": 0.3}}],
    "fusion_config": [{}], "transformers_weights": ["other.safetensors"],
    "auto_map": [{"AutoModelForCausalLM": "own.Model"}],
    "quantization_config": [{"quant_method": "fp8"}],
}
# Those that it reads of some, or read once.
READ_OF_SOME = {
    "rope_theta": [500.0], "rope_scaling": [{}, None, "linear"], "partial_rotary_factor": [0.5, 1.0],
    "original_max_position_embeddings": [16], "torch_dtype": ["float16"],
    "attn_implementation": ["sdpa", "eager"], "experts_implementation": ["eager"],
    "output_attentions": [True], "head_dim": [24], "sliding_window": [4],
    "attention_chunk_size": [4], "layer_types": [TYPES], "use_bidirectional_attention": [True],
    "num_labels": [3], "gradient_checkpointing": [True], "is_decoder": [True], "is_encoder_decoder": [True],
    "add_cross_attention": [True], "mlp_layer_types": [["dense"] * 4],
}
# What changes the layers of other families.
OTHER_FAMILIES = {
    "attn_logit_softcapping": 5.0, "final_logit_softcapping": 2.0, "logit_scale": 0.5,
    "logits_scaling": 2.0, "embedding_multiplier": 2.0, "residual_multiplier": 0.5,
    "attention_multiplier": 0.5, "query_pre_attn_scalar": 4, "clip_qkv": 0.5, "alibi": True,
    "qk_layernorm": True, "use_qk_norm": True, "no_rope_layers": [0, 1, 0, 1], "rope_interleave": True,
    "num_experts": 4, "n_routed_experts": 4, "norm_topk_prob": True, "position_embedding_type": "relative_key",
    "dense_act_fn": "silu", "is_gated_act": True, "scale_decoder_outputs": False, "n_embd": 48,
    "hidden_activation": "gelu", "activation_function": "relu", "layer_norm_epsilon": 0.3, "norm_eps": 0.3,
    "rotary_pct": 0.5, "use_mrope": True, "pruned_heads": {"0": [1]}, "embedding_size": 16, "n_shared_experts": 1,
    "attn_temperature_tuning": True, "kv_lora_rank": 4, "scale_depth": 1.4, "tie_encoder_decoder": True,
    "attention_out_bias": True, "qkv_bias": True, "use_parallel_residual": True, "parallel_attn": True,
}
OWN_CODE = {"llama", "gpt2", "bert", "t5"}  # organ reads the others as it reads llama
FEW = ["silu", "gelu", "gelu_pytorch_tanh", "relu2"]


def forms_of_activation(family, activations):
    names = activations if family in OWN_CODE else FEW
    return names + [f"gated-{name}" for name in FEW] if family == "t5" else names


def single_cases(family, keys, activations, aliases):
    """One key of the family's class at a time; then what is read elsewhere. `keys`: by name, whether
    null is a value."""
    for key, nullable in sorted(keys.items()):
        own = key == ACTIVATION.get(family, "hidden_act")
        values = forms_of_activation(family, activations) if own else VALUES[key]
        for value in values + [None] * nullable:
            yield {key: value}
    for key, values in READ_OF_SOME.items() if family in OWN_CODE else []:
        for value in values if key not in keys else []:
            yield {key: value}
    for alias, key in aliases.items():
        for value in VALUES[key]:
            yield {alias: value}
    if family in OWN_CODE:
        for key, value in OTHER_FAMILIES.items():
            if key not in keys and key not in aliases:
                yield {key: value}
