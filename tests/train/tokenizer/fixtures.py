# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files of tokenizer_test.cc with the PyPI package `tokenizers`.

    fixtures.py FOLDER

Four small tokenizer.json files (byte-level, Llama-like with byte fallback, BERT-like WordPiece,
T5-like Unigram with a character map), trained on nothing but the sentences below, and for each
`NAME.cases.json`: texts, their ids, and the decoded texts.
"""
import json
import pathlib
import sys

import components

SENTENCES = ["The cat sat on the mat, and the cat's hat sat on the cat.",
             "Once upon a time there was a little cat named Tim."]
TEXTS = ["", " ", "the cat", "The cat's hat.", "the  cat\n\nsat \t on", "naïve café",
         "e\u0301 日本語 한국어", "🐈‍⬛ cat", "<s>the</s> cat<|end|>s", "x" * 300, "123 4567",
         "Ａ\u0301 e\u0301clair ﬁne © क\u094d\u200dक\u0301 \r\n각ᆨ",
         "The ÉCLAIR isn't 中国 . .", "cat\u0000s \ufffd\u00ad",
         "\u1680\u180e\u200b", "\u01ae'LL 'll", "▁the▁ cat", "a\u0000b", "\U00031350\U0002ebf0 \U000e0001"]


def learn(words, count):
    """Plain BPE training: the most frequent pair, ties by text."""
    merges = []
    words = [list(word) for word in words]
    for _ in range(count):
        pairs = {}
        for word in words:
            for pair in zip(word, word[1:]):
                pairs[pair] = pairs.get(pair, 0) + 1
        if not pairs:
            break
        best = max(sorted(pairs), key=lambda pair: pairs[pair])
        merges.append(list(best))
        for word in words:
            i = 0
            while i + 1 < len(word):
                if (word[i], word[i + 1]) == best:
                    word[i:i + 2] = [word[i] + word[i + 1]]
                i += 1
    return merges


def byte_level():
    from tokenizers import pre_tokenizers
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words = [piece for s in SENTENCES for piece, _ in cut.pre_tokenize_str(s)]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = learn(words, 60)
    tokens = ["<|end|>", *dict.fromkeys([*alphabet, *("".join(m) for m in merges)])]
    vocab = {token: i for i, token in enumerate(tokens)}
    return components.document(
        vocab, merges, added_tokens=[components.added(0, "<|end|>")],
        pre_tokenizer=components.sequence({"type": "Digits", "individual_digits": True},
                                          components.BYTE_LEVEL),
        decoder=components.BYTE_LEVEL)


def llama_like():
    words = [word for s in SENTENCES for word in ("▁" + s.replace(" ", " ▁")).split(" ")]
    merges = learn(words, 60)
    letters = sorted({c for word in words for c in word})
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)),
              *dict.fromkeys([*letters, *("".join(m) for m in merges)])]
    return components.llama_like({token: i for i, token in enumerate(tokens)}, merges)


def wordpiece():
    words = [word for s in SENTENCES
             for word in s.lower().replace(".", " .").replace(",", " ,").split()]
    pieces = {piece for word in words for piece in (word, word[:2], word[:1], *(
        "##" + word[i:] for i in range(1, len(word))))}
    tokens = ["[UNK]", "[CLS]", "[SEP]", *sorted(pieces), "中", "e", "##é", "##t", "'", "isn", "n"]
    return components.wordpiece({token: i for i, token in enumerate(tokens)})


def unigram():
    words = ["▁" + word for s in SENTENCES for word in s.split()]
    pieces = sorted({word[i:j] for word in words for i in range(len(word))
                     for j in range(i + 1, min(len(word), i + 4) + 1)})
    vocab = [["<unk>", 0.0], ["</s>", 0.0], *([f"<0x{b:02X}>", -40.5] for b in range(256)),
             *([piece, -9.1 + 0.3 * (i % 7) - 0.1 * len(piece)] for i, piece in enumerate(pieces))]
    return components.t5_like(vocab, 0, 1, components.precompiled(
        components.charsmap(components.RULES)), byte_fallback=True)


def write(folder, name, document):
    from tokenizers import Tokenizer
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n",
                    encoding="utf-8")
    tokenizer = Tokenizer.from_file(str(path))
    cases = []
    for text in TEXTS:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        cases.append({"text": text, "ids": ids,
                      "with_special": tokenizer.encode(text).ids,
                      "decoded": tokenizer.decode(ids, skip_special_tokens=False)})
    lines = ",\n".join(json.dumps(case) for case in cases)
    (folder / f"{name}.cases.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = pathlib.Path(sys.argv[1])
    write(target, "byte_level", byte_level())
    write(target, "llama_like", llama_like())
    write(target, "wordpiece", wordpiece())
    write(target, "unigram", unigram())
