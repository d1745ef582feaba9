# SPDX-License-Identifier: Apache-2.0
"""Builds a Hugging Face tokenizer.json from the metadata of a GGUF file (byte-level BPE only).

    gguf_tokenizer.py MODEL.gguf TOKENIZER.json

As a module: write_tokenizer(gguf_path, folder) writes tokenizer.json and tokenizer_config.json.
"""
import json
import pathlib
import sys

CONTROL, USER_DEFINED = 3, 4  # tokenizer.ggml.token_type

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
              "use_regex": True}
PRE_TOKENIZERS = {
    "smollm": {"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": True}, BYTE_LEVEL]},
    "gpt-2": BYTE_LEVEL,
}


def added_token(token_id, content, special):
    return {"id": token_id, "content": content, "single_word": False, "lstrip": False,
            "rstrip": False, "normalized": False, "special": special}


def tokenizer_json(fields):
    """The tokenizer.json of a mapping from GGUF key to value."""
    model, pre = fields["tokenizer.ggml.model"], fields["tokenizer.ggml.pre"]
    if model != "gpt2" or pre not in PRE_TOKENIZERS:
        raise ValueError(f"GGUF tokenizer {model!r} with pre-tokenizer {pre!r} is not supported")
    tokens = fields["tokenizer.ggml.tokens"]
    types = fields["tokenizer.ggml.token_type"]
    added = [added_token(i, token, kind == CONTROL)
             for i, (token, kind) in enumerate(zip(tokens, types, strict=True))
             if kind in (CONTROL, USER_DEFINED)]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": None, "pre_tokenizer": PRE_TOKENIZERS[pre], "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                    "use_regex": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None,
            "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
            "byte_fallback": False, "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in fields["tokenizer.ggml.merges"]],
        },
    }


def tokenizer_config(fields):
    tokens = fields["tokenizer.ggml.tokens"]
    names = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown",
             "pad_token": "padding"}
    config = {name: tokens[fields[f"tokenizer.ggml.{key}_token_id"]]
              for name, key in names.items() if f"tokenizer.ggml.{key}_token_id" in fields}
    return config | {"tokenizer_class": "PreTrainedTokenizerFast",
                     "add_bos_token": bool(fields.get("tokenizer.ggml.add_bos_token", False)),
                     "clean_up_tokenization_spaces": False}


def read_fields(gguf_path):
    from gguf import GGUFReader
    fields = GGUFReader(str(gguf_path)).fields
    return {key: field.contents() for key, field in fields.items()
            if key.startswith("tokenizer.ggml.")}


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_tokenizer(gguf_path, folder):
    fields = read_fields(gguf_path)
    write_json(pathlib.Path(folder) / "tokenizer.json", tokenizer_json(fields))
    write_json(pathlib.Path(folder) / "tokenizer_config.json", tokenizer_config(fields))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    write_json(pathlib.Path(sys.argv[2]), tokenizer_json(read_fields(sys.argv[1])))
