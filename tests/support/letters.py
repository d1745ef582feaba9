# SPDX-License-Identifier: Apache-2.0
"""A tokenizer with one id per letter, and texts for it."""
import json
import random

EOS = 28
IDS = {chr(ord("a") + i): i for i in range(26)} | {"\n": 26, " ": 27}


def write_tokenizer(folder):
    """tokenizer.json as byte-level BPE without merges; a line feed and a space are U+010A, U+0120."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                  "use_regex": True}
    vocabulary = {{"\n": "\u010a", " ": "\u0120"}.get(c, c): i for c, i in IDS.items()}
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": EOS, "content": "<|endoftext|>", "single_word": False,
                          "lstrip": False, "rstrip": False, "normalized": False, "special": True}],
        "normalizer": None, "pre_tokenizer": byte_level, "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False,
                  "vocab": vocabulary | {"<|endoftext|>": EOS}, "merges": []}}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|endoftext|>"}))


def ids_of(text):
    return [IDS[c] for c in text]


def random_text(seed, documents, longest):
    """Documents of random words between blank lines."""
    rows = random.Random(seed)
    texts = []
    for _ in range(documents):
        length = rows.randrange(2, longest)
        texts.append("".join(rows.choice("abcdefgh ") for _ in range(length)).strip() or "a")
    return "\n\n".join(texts)
