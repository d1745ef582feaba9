# SPDX-License-Identifier: Apache-2.0
"""Writes a small random Llama-family model as a Hugging Face folder, without any library.

    make_tiny_model.py OUT_FOLDER [--hidden 64] [--layers 6] [--heads 4] [--kv-heads 2]
                       [--intermediate 128] [--seed 1] [--name TEXT] [--shards 1]

Equal arguments give equal bytes. The tokenizer is byte-level with no merges: one id per byte.
"""
import argparse
import json
import os
import random
import struct

END = "<|endoftext|>"


def bfloat16(value):
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) & 0xFFFF


def gaussian_tensors(seed):
    """The default source of weights: a function of shape and scale."""
    rng = random.Random(seed)

    def make(shape, scale):
        count = 1
        for extent in shape:
            count *= extent
        values = [bfloat16(rng.gauss(0.0, scale)) for _ in range(count)]
        return shape, struct.pack(f"<{count}H", *values)

    return make


def ones(extent):
    return [extent], struct.pack("<H", bfloat16(1.0)) * extent


def layer_tensors(random_tensor, options):
    hidden, inner, scale = options.hidden, options.intermediate, options.hidden ** -0.5
    kv = hidden // options.heads * options.kv_heads
    shapes = {
        "self_attn.q_proj": [hidden, hidden], "self_attn.k_proj": [kv, hidden],
        "self_attn.v_proj": [kv, hidden], "self_attn.o_proj": [hidden, hidden],
        "mlp.gate_proj": [inner, hidden], "mlp.up_proj": [inner, hidden],
        "mlp.down_proj": [hidden, inner],
    }
    tensors = {f"{name}.weight": random_tensor(shape, scale) for name, shape in shapes.items()}
    tensors["input_layernorm.weight"] = ones(hidden)
    tensors["post_attention_layernorm.weight"] = ones(hidden)
    return tensors


def model_tensors(options, vocab_size, random_tensor):
    tensors = {"model.embed_tokens.weight": random_tensor([vocab_size, options.hidden], 0.5),
               "model.norm.weight": ones(options.hidden)}
    for layer in range(options.layers):
        for name, tensor in layer_tensors(random_tensor, options).items():
            tensors[f"model.layers.{layer}.{name}"] = tensor
    return tensors


def write_safetensors(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % 64)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(d for _, d in tensors.values()))


def write_weights(out, tensors, shards):
    if shards == 1:
        write_safetensors(os.path.join(out, "model.safetensors"), tensors)
        return
    names, weight_map = sorted(tensors), {}
    for shard in range(shards):
        file_name = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        part = {name: tensors[name] for name in names[shard::shards]}
        write_safetensors(os.path.join(out, file_name), part)
        weight_map |= {name: file_name for name in part}
    total = sum(len(data) for _, data in tensors.values())
    write_json(os.path.join(out, "model.safetensors.index.json"),
               {"metadata": {"total_size": total}, "weight_map": weight_map})


def byte_characters():
    """GPT-2's printable stand-ins for the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b if b in printable else next(others)) for b in range(256)]


def tokenizer(vocab, special=(END,)):
    """Byte-level BPE without merges. `special`: tokens of `vocab`, or the ids of tokens that stand
    beside it."""
    ids = special if isinstance(special, dict) else {token: vocab[token] for token in special}
    added = [{"id": number, "content": token, "single_word": False, "lstrip": False,
              "rstrip": False, "normalized": False, "special": True}
             for token, number in ids.items()]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                  "use_regex": True}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": None, "pre_tokenizer": byte_level, "post_processor": None,
            "decoder": byte_level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": vocab, "merges": []}}


def config(options, vocab):
    return {"_name_or_path": options.name, "architectures": ["LlamaForCausalLM"],
            "model_type": "llama", "attention_bias": False, "attention_dropout": 0.0,
            "bos_token_id": vocab[END], "eos_token_id": vocab[END],
            "head_dim": options.hidden // options.heads, "hidden_act": "silu",
            "hidden_size": options.hidden, "initializer_range": 0.02,
            "intermediate_size": options.intermediate, "max_position_embeddings": 512,
            "mlp_bias": False, "num_attention_heads": options.heads,
            "num_hidden_layers": options.layers, "num_key_value_heads": options.kv_heads,
            "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 10000.0,
            "tie_word_embeddings": True, "torch_dtype": "bfloat16", "use_cache": True,
            "vocab_size": len(vocab)}


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    for name, default in (("hidden", 64), ("layers", 6), ("heads", 4), ("kv-heads", 2),
                          ("intermediate", 128), ("seed", 1), ("shards", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--name", default="tiny-llama")
    return parser.parse_args(arguments)


def make_model(options, random_tensor):
    vocab = {c: i for i, c in enumerate(byte_characters())}
    vocab[END] = len(vocab)
    try:
        os.makedirs(options.out)
    except FileExistsError:
        raise SystemExit(f"'{options.out}': is there already") from None
    write_weights(options.out, model_tensors(options, len(vocab), random_tensor), options.shards)
    write_json(os.path.join(options.out, "config.json"), config(options, vocab))
    write_json(os.path.join(options.out, "tokenizer.json"), tokenizer(vocab))
    write_json(os.path.join(options.out, "tokenizer_config.json"),
               {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END,
                "model_max_length": 512, "clean_up_tokenization_spaces": False})


def main():
    options = parse_arguments()
    make_model(options, gaussian_tensors(options.seed))


if __name__ == "__main__":
    main()
