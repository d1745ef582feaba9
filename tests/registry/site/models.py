# SPDX-License-Identifier: Apache-2.0
"""Tiny models of every family that organ knows: config.json as it is told, weights that are all zero."""
import json
import struct
from pathlib import Path

# (model_type, stack) -> what the names of its layers begin with.
PREFIXES = {("bert", ""): "encoder.layer.", ("gpt2", ""): "h.", ("gpt_oss", ""): "layers.",
            ("llama", ""): "layers.", ("mistral", ""): "layers.", ("qwen2", ""): "layers.",
            ("qwen3", ""): "layers.", ("t5", "decoder"): "decoder.block.", ("t5", "encoder"): "encoder.block."}
SHARED = "layer.0.SelfAttention.relative_attention_bias.weight"


def llama(**changes):
    return {"model_type": "llama", "vocab_size": 8, "hidden_size": 16, "intermediate_size": 32,
            "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2,
            "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "max_position_embeddings": 64} | changes


def gpt2(**changes):
    return {"model_type": "gpt2", "vocab_size": 8, "n_embd": 16, "n_layer": 4, "n_head": 4,
            "n_positions": 32} | changes


def gpt_oss(**changes):
    return llama(model_type="gpt_oss", head_dim=8, num_local_experts=4, num_experts_per_tok=2,
                 sliding_window=8, hidden_size=32) | changes


def bert(**changes):
    return {"model_type": "bert", "vocab_size": 8, "hidden_size": 16, "intermediate_size": 32,
            "num_hidden_layers": 4, "num_attention_heads": 4, "max_position_embeddings": 32} | changes


def t5(**changes):
    return {"model_type": "t5", "vocab_size": 8, "d_model": 16, "d_ff": 32, "d_kv": 4, "num_heads": 4,
            "num_layers": 3, "is_encoder_decoder": True} | changes


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}
# Each is a recipient; those without a mark are donors too.
CONFIGS = {
    "llama": llama(), "llama deep": llama(num_hidden_layers=9), "llama short": llama(num_hidden_layers=2),
    "llama wide": llama(hidden_size=32), "llama inner": llama(intermediate_size=48),
    "llama heads": llama(num_attention_heads=8), "llama kv": llama(num_key_value_heads=4),
    "llama kv null": llama(num_key_value_heads=None), "llama eps": llama(rms_norm_eps=1e-6),
    "llama theta": llama(rope_theta=500000.0), "llama theta integer": llama(rope_theta=10000),
    "llama bias": llama(attention_bias=True, mlp_bias=True), "llama head dim": llama(head_dim=8),
    "llama gelu": llama(hidden_act="gelu_pytorch_tanh"), "llama swish": llama(hidden_act="swish"),
    "llama linear": llama(rope_scaling={"type": "linear", "factor": 2.0}),
    "llama dynamic": llama(rope_scaling={"rope_type": "dynamic", "factor": 2.0}),
    "llama 3": llama(rope_scaling=LLAMA3), "llama yarn": llama(rope_scaling=YARN),
    "llama yarn by lengths": llama(rope_scaling=YARN | {"factor": None}),
    "llama yarn now": llama(rope_parameters=YARN | {"rope_theta": 10000.0, "truncate": None}),
    "llama empty scaling": llama(rope_scaling={}),
    "mistral": llama(model_type="mistral", sliding_window=None),
    "mistral window": llama(model_type="mistral", sliding_window=16), "mistral default": llama(model_type="mistral"),
    "qwen2": llama(model_type="qwen2"), "qwen2 window": llama(model_type="qwen2", use_sliding_window=True,
                                                              sliding_window=8, max_window_layers=3),
    "qwen3": llama(model_type="qwen3", head_dim=4), "qwen3 default head": llama(model_type="qwen3"),
    "qwen3 types": llama(model_type="qwen3", head_dim=4, use_sliding_window=True, sliding_window=8,
                         layer_types=["full_attention", "sliding_attention"] * 3),
    "gpt2": gpt2(), "gpt2 inner": gpt2(n_inner=48), "gpt2 alias": gpt2(hidden_size=16, n_embd=24),
    "gpt2 unscaled": gpt2(scale_attn_weights=False), "gpt2 by index": gpt2(scale_attn_by_inverse_layer_idx=True),
    "gpt_oss": gpt_oss(), "gpt_oss scaling": gpt_oss(rope_scaling=YARN), "gpt_oss experts": gpt_oss(num_experts=2),
    "gpt_oss mxfp4": gpt_oss(quantization_config={"quant_method": "mxfp4"}),
    "bert": bert(), "bert wide": bert(hidden_size=32), "t5": t5(), "t5 gated": t5(feed_forward_proj="gated-gelu"),
    "t5 buckets": t5(relative_attention_num_buckets=16), "t5 deep": t5(num_decoder_layers=5),
}
# Recipients that are refused, as corrupt or as layers whose maths is not known.
REFUSED = {
    "no type": {key: value for key, value in llama().items() if key != "model_type"},
    "no vocabulary": {key: value for key, value in llama().items() if key != "vocab_size"},
    "no heads": llama(num_attention_heads=0), "half heads": llama(num_key_value_heads=3),
    "odd head": llama(head_dim=3), "negative": llama(hidden_size=-16), "text": llama(hidden_size="16"),
    "eps": llama(rms_norm_eps=1.5), "unknown family": llama(model_type="brontosaurus"),
    "softcap": llama(attn_logit_softcapping=30.0), "no softcap": llama(attn_logit_softcapping=None),
    "unknown rope": llama(rope_scaling={"rope_type": "longrope", "factor": 2.0}),
    "partial": llama(partial_rotary_factor=0.5), "two thetas": llama(rope_parameters={"rope_theta": 5.0}),
    "two types": llama(rope_scaling={"rope_type": "linear", "type": "dynamic", "factor": 2.0}),
    "bidirectional": llama(is_causal=False), "own code": llama(auto_map={"AutoModel": "x.X"}),
    "own tokenizer": llama(auto_map={"AutoTokenizer": "x.X"}), "relu2": llama(hidden_act="relu2"),
    "decoder": bert(is_decoder=True), "positions": bert(position_embedding_type="relative_key"),
    "buckets": t5(relative_attention_num_buckets=2), "quantised": llama(quantization_config={"bits": 4}),
    "no text among types": llama(layer_types=["chunked_attention", 5] * 3),
    "wrong types": llama(layer_types=["full_attention"] * 2), "wrong window": llama(layer_types=["sliding_attention"] * 6),
}


def shapes_of(layers, prefix, tensors):
    shapes = {f"{prefix}{i}.{name}": shape for i in range(layers) for name, shape in tensors.items()}
    return shapes


def write_safetensors(path, shapes):
    header, offset = {}, 0
    for name, shape in shapes.items():
        packed = name.endswith(("_blocks", "_scales"))
        size = (1 if packed else 2)
        for extent in shape:
            size *= extent
        header[name] = {"dtype": "U8" if packed else "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % 64)
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(offset))


def write_model(folder, config, shapes):
    folder = Path(folder)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    write_safetensors(folder / "model.safetensors", shapes)
    return folder
