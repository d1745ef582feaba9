# SPDX-License-Identifier: Apache-2.0
"""A tokenizer with one id per letter, and texts for it."""
import json
import random

EOS = 28
IDS = {chr(ord("a") + i): i for i in range(26)} | {"\n": 26, " ": 27}


def write_tokenizer(folder, special=()):
    """tokenizer.json as byte-level BPE without merges; a line feed and a space are U+010A, U+0120.

    `special`: tokens with the ids behind the end's.
    """
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                  "use_regex": True}
    vocabulary = {{"\n": "\u010a", " ": "\u0120"}.get(c, c): i for c, i in IDS.items()}
    added = list(enumerate(["<|endoftext|>", *special], EOS))
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": number, "content": token, "single_word": False, "lstrip": False,
                          "rstrip": False, "normalized": False, "special": True}
                         for number, token in added],
        "normalizer": None, "pre_tokenizer": byte_level, "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False,
                  "vocab": vocabulary | {token: number for number, token in added},
                  "merges": []}}))
    # With tokens of other families it is the tokenizer of none.
    own = {"tokenizer_class": "PreTrainedTokenizerFast"} if special else {}
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|endoftext|>", **own}))


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
