# SPDX-License-Identifier: Apache-2.0
"""A Llama of a few kilobytes as a Hugging Face folder, in one shard or two, written by hand."""
import json
import pathlib
import random
import struct

HIDDEN, INNER, HEADS, KV_HEADS, VOCAB = 16, 24, 2, 1, 32


def config(layers):
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
        "intermediate_size": INNER, "num_hidden_layers": layers, "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS, "vocab_size": VOCAB, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False,
        "torch_dtype": "float32",
    }


def shapes(layers):
    key = HIDDEN // HEADS * KV_HEADS
    out = {"model.embed_tokens.weight": [VOCAB, HIDDEN], "model.norm.weight": [HIDDEN]}
    for i in range(layers):
        prefix = f"model.layers.{i}."
        out |= {
            prefix + "self_attn.q_proj.weight": [HIDDEN, HIDDEN],
            prefix + "self_attn.k_proj.weight": [key, HIDDEN],
            prefix + "self_attn.v_proj.weight": [key, HIDDEN],
            prefix + "self_attn.o_proj.weight": [HIDDEN, HIDDEN],
            prefix + "mlp.gate_proj.weight": [INNER, HIDDEN],
            prefix + "mlp.up_proj.weight": [INNER, HIDDEN],
            prefix + "mlp.down_proj.weight": [HIDDEN, INNER],
            prefix + "input_layernorm.weight": [HIDDEN],
            prefix + "post_attention_layernorm.weight": [HIDDEN],
        }
    return out


def count(shape):
    total = 1
    for dimension in shape:
        total *= dimension
    return total


def write_shard(path, tensors, rng):
    """F32 tensors under a header with white space and unsorted keys: nobody's canonical form."""
    header, data = {}, b""
    for name, shape in tensors:
        total = count(shape)
        values = struct.pack(f"<{total}f", *(rng.gauss(0, 0.05) for _ in range(total)))
        header[name] = {"shape": shape, "data_offsets": [len(data), len(data) + len(values)],
                        "dtype": "F32"}
        data += values
    text = json.dumps(header, indent=1).encode() + b"   "
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_model(folder, layers=4, shards=2, seed=0):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    rng = random.Random(seed)
    (folder / "config.json").write_text(json.dumps(config(layers), indent=2) + "\n")
    (folder / "generation_config.json").write_text("{}\n")
    tensors = list(shapes(layers).items())
    rng.shuffle(tensors)
    if shards == 1:
        write_shard(folder / "model.safetensors", tensors, rng)
        return folder
    weight_map, total = {}, 0
    for i in range(shards):
        name = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        part = tensors[i::shards]
        write_shard(folder / name, part, rng)
        weight_map |= {tensor: name for tensor, _ in part}
        total += sum(4 * count(shape) for _, shape in part)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    return folder
