# SPDX-License-Identifier: Apache-2.0
"""A tokenizer with one id per letter, and texts for it."""
import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tools"))
import make_tiny_model as tiny  # noqa: E402

EOS = 28
IDS = {chr(ord("a") + i): i for i in range(26)} | {"\n": 26, " ": 27}
# Beside the tokens of other families a tokenizer is that of none.
NO_FAMILY = {"tokenizer_class": "PreTrainedTokenizerFast"}


def write_byte_level(folder, vocabulary, special, settings):
    """The files of a byte-level BPE without merges (make_tiny_model.tokenizer)."""
    (folder / "tokenizer.json").write_text(json.dumps(tiny.tokenizer(vocabulary, special)))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def byte_ids(first):
    """One id per byte, in the order of the characters that stand for them."""
    return {c: first + i for i, c in enumerate(sorted(tiny.byte_characters()))}


def write_tokenizer(folder, special=()):
    """One id per letter; a line feed and a space are U+010A, U+0120. `special`: tokens with the ids
    behind the end's."""
    vocabulary = {{"\n": "\u010a", " ": "\u0120"}.get(c, c): i for c, i in IDS.items()}
    tokens = [tiny.END, *special]
    vocabulary |= {token: EOS + i for i, token in enumerate(tokens)}
    write_byte_level(folder, vocabulary, tokens,
                     {"eos_token": tiny.END} | (NO_FAMILY if special else {}))


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
