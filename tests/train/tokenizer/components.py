# SPDX-License-Identifier: Apache-2.0
"""Synthetic tokenizer.json documents that exercise one component each, on GPT-2's vocabulary."""
import base64
import json
import random

from charsmap import charsmap

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
              "use_regex": True}
BYTES_ONLY = BYTE_LEVEL | {"use_regex": False}
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+"
          r"[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
         r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
         r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?"
            r"[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DIALECT = r"^\S+$|\d{2,}|[\S]+?\u0041|[a-f\x{e9}-\u00FF]+|\p{Nd}\P{L}|(?<=a)[^b\s]|(?>\D)."


# Keys that begin others, that a cluster begins with, of one to five bytes, and empty values.
RULES = {"a": "A", "ab": "never", "e\u0301": "É", "\u0301": "'", "\r\n": " ", "\r": "R", "ﬁ": "fi",
         "Ａ": "A", "\u00ad": "", "©": "(c)", "각": "GAG", "ᆨ": "g",
         "क": "ka", "🙂": ":)", "\u0600": "#",
         "é": "e", "　": " ", "\u200d": "", "ab\u0301": "never either"}


def added(token_id, content, **flags):
    return {"id": token_id, "content": content, "single_word": False, "lstrip": False,
            "rstrip": False, "normalized": False, "special": True} | flags


def with_model(model, **parts):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
            "normalizer": None, "pre_tokenizer": None, "post_processor": None,
            "decoder": None} | parts | {"model": model}


def document(vocab, merges, **parts):
    model = {"type": "BPE", "dropout": None, "unk_token": None,
             "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
             "byte_fallback": False, "ignore_merges": False} | parts.pop("model", {})
    return with_model(model | {"vocab": vocab, "merges": merges}, **parts)


def precompiled(data):
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(data).decode()}


def bert_normalizer(clean=True, chinese=True, strip=None, lower=True):
    return {"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese,
            "strip_accents": strip, "lowercase": lower}


def wordpiece(vocab, lower=True, cleanup=True, **model):
    """As Google's BERT is converted; the vocabulary holds [UNK], [CLS] and [SEP]."""
    return with_model(
        {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
         "max_input_chars_per_word": 100, "vocab": vocab} | model,
        added_tokens=[added(vocab[name], name) for name in ("[UNK]", "[CLS]", "[SEP]")],
        normalizer=bert_normalizer(lower=lower), pre_tokenizer={"type": "BertPreTokenizer"},
        post_processor={"type": "BertProcessing", "sep": ["[SEP]", vocab["[SEP]"]],
                        "cls": ["[CLS]", vocab["[CLS]"]]},
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": cleanup})


METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}


def t5_like(pieces, unk_id, end_id, normalizer, byte_fallback=False):
    """As T5 is converted from sentencepiece; pieces are [text, score]."""
    text, end = {"Sequence": {"id": "A", "type_id": 0}}, pieces[end_id][0]
    last = {"SpecialToken": {"id": end, "type_id": 0}}
    return with_model(
        {"type": "Unigram", "unk_id": unk_id, "vocab": pieces, "byte_fallback": byte_fallback},
        added_tokens=[added(i, pieces[i][0]) for i in sorted({unk_id, end_id})],
        normalizer=normalizer, pre_tokenizer=METASPACE,
        post_processor={"type": "TemplateProcessing", "single": [text, last],
                        "pair": [text, last], "special_tokens": {
                            end: {"id": end, "ids": [end_id], "tokens": [end]}}},
        decoder=METASPACE)


def llama_like(vocab, merges):
    template = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    return document(
        vocab, merges,
        added_tokens=[added(vocab[name], name) for name in ("<unk>", "<s>", "</s>")],
        normalizer={"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        post_processor={"type": "TemplateProcessing", "single": [template, text],
                        "pair": [template, text],
                        "special_tokens": {"<s>": {"id": "<s>", "ids": [vocab["<s>"]],
                                                   "tokens": ["<s>"]}}},
        decoder={"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        model={"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True})


def sequence(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def pre_tokenizers():
    for name, regex in (("cl100k", CL100K), ("o200k", O200K), ("deepseek", DEEPSEEK),
                        ("dialect", DIALECT)):
        yield name, sequence(split(regex), BYTES_ONLY)
        yield f"{name}-removed-inverted", sequence(split(regex, "Removed", True), BYTES_ONLY)
    for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        for invert in (False, True):
            yield (f"split-{behavior}-{invert}",
                   sequence(split(r"\s|[e\p{N}]", behavior, invert), BYTES_ONLY))
        yield f"punctuation-{behavior}", sequence(
            {"type": "Punctuation", "behavior": behavior}, BYTES_ONLY)
        yield f"literal-{behavior}", sequence(split("a.", behavior, kind="String"), BYTES_ONLY)
    for name in ("Whitespace", "WhitespaceSplit"):
        yield name, sequence({"type": name}, BYTES_ONLY)
    for individual in (False, True):
        yield f"digits-{individual}", sequence(
            {"type": "Digits", "individual_digits": individual}, BYTE_LEVEL)
    for scheme in ("always", "first", "never"):
        for cut in (False, True):
            yield f"metaspace-{scheme}-{cut}", sequence(
                {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": cut},
                BYTES_ONLY)
    yield "metaspace-first-after-split", sequence(
        {"type": "WhitespaceSplit"},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True},
        BYTES_ONLY)
    yield "bert-pieces", sequence({"type": "BertPreTokenizer"}, BYTES_ONLY)
    yield "delimiter", sequence({"type": "CharDelimiterSplit", "delimiter": "e"}, BYTES_ONLY)
    yield "prefix-space", BYTE_LEVEL | {"add_prefix_space": True}


def normalizers():
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        yield form, {"type": form}
    yield "lowercase", {"type": "Lowercase"}
    for left in (False, True):
        for right in (False, True):
            yield f"strip-{left}-{right}", {"type": "Strip", "strip_left": left,
                                            "strip_right": right}
    yield "strip-accents", {"type": "StripAccents"}
    yield "nfd-strip-accents", {"type": "Sequence", "normalizers": [
        {"type": "NFD"}, {"type": "StripAccents"}]}
    for flags in range(16):
        options = [bool(flags >> bit & 1) for bit in range(4)]
        yield f"bert-{flags:04b}", bert_normalizer(*options)
    yield "bert-default", bert_normalizer(True, True, None, False)
    yield "precompiled", precompiled(charsmap(RULES))
    yield "replace-regex", {"type": "Sequence", "normalizers": [
        {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
        {"type": "Lowercase"}, {"type": "Prepend", "prepend": "é"}]}


def added_token_lists(vocab):
    words = [(" and", {}), ("the", {"single_word": True}), ("<s>", {"lstrip": True}),
             ("</s>", {"rstrip": True}), ("don't", {"lstrip": True, "rstrip": True}),
             ("e", {"single_word": True, "rstrip": True}), ("OF", {"rstrip": True}),
             ("O\u0301x", {"special": False})]
    for name, normalized in (("verbatim", False), ("normalized", True)):
        tokens = []
        for text, flags in words:
            fresh = len(vocab) + sum(token["id"] >= len(vocab) for token in tokens)
            tokens.append(added(vocab.get(text, fresh), text,
                                **({"normalized": normalized} | flags)))
        yield name, tokens


def small_models():
    """Character models with unknown tokens, affixes and byte fallback in part."""
    letters = {c: i for i, c in enumerate("abcdeght ▁'")}

    def grown(*more):
        return letters | {token: len(letters) + i for i, token in enumerate(more)}
    yield "unk-dropped", document(grown("he", "the"), [["h", "e"], ["t", "he"]])
    for fuse in (False, True):
        yield f"unk-fuse-{fuse}", document(
            grown("he", "the", "<unk>", "<unk><unk>", "<unk>a"),
            [["h", "e"], ["t", "he"], ["<unk>", "<unk>"], ["<unk>", "a"]],
            model={"unk_token": "<unk>", "fuse_unk": fuse})
        yield f"some-bytes-{fuse}", document(
            grown("he", "<unk>", *(f"<0x{b:02X}>" for b in range(0x41, 0xD0))), ["h e"],
            model={"unk_token": "<unk>", "fuse_unk": fuse, "byte_fallback": True},
            decoder={"type": "Sequence", "decoders": [{"type": "ByteFallback"}]})
    yield "affixes", document(
        grown("##h", "##e", "##t", "##he", "t##h", "the", "e</w>", "##e</w>", "##he</w>",
              "a</w>", "the</w>"),
        [["##h", "##e"], ["t", "##he"], ["##h", "##e</w>"], ["t", "##he</w>"]],
        pre_tokenizer={"type": "WhitespaceSplit"},
        model={"continuing_subword_prefix": "##", "end_of_word_suffix": "</w>"})
    yield "ignore-merges", document(grown("he", "the", "teh", "hee"), [["h", "e"], ["t", "he"]],
                                    pre_tokenizer={"type": "Whitespace"},
                                    model={"ignore_merges": True})
    yield "double-merge", document(grown("he", "th", "the"),
                                   [["h", "e"], ["t", "h"], ["th", "e"], ["h", "e"], ["t", "he"]])
    yield "metaspace-decoder", document(
        grown("he"), [["h", "e"]],
        pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first",
                       "split": True},
        decoder={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first",
                 "split": True})
    yield "strip-decoder", document(grown("he"), [["h", "e"]], decoder={
        "type": "Sequence", "decoders": [
            {"type": "Fuse"}, {"type": "Strip", "content": "▁", "start": 2, "stop": 0},
            {"type": "Replace", "pattern": {"Regex": "[aeh]+"}, "content": "_"}]})


def small_unigrams():
    """Many equal sums: scores that are added in another order, tokens with equal scores, and an
    unknown run that is a token itself."""
    rng = random.Random(5)
    letters = "abcdeght"
    for name, scores in (("tenths", [-0.1, -0.2, -0.3, -0.4, -0.7]), ("ones", [-1.0]),
                         ("drawn", [-rng.random() * 9 for _ in range(7)])):
        pieces = [["<unk>", 0.0], ["</s>", 0.0], ["zz", -50.0], ["日本", -90.25]]
        texts = {"".join(rng.choice(letters) for _ in range(rng.choice([2, 2, 3, 3, 4, 6])))
                 for _ in range(150)}
        pieces += [[text, rng.choice(scores)] for text in ["▁", *letters[:6], *sorted(texts)]]
        yield f"unigram-{name}", t5_like(pieces, 0, 1, None)
        yield f"unigram-{name}-whole", with_model(
            {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": False})
        some = [[f"<0x{b:02X}>", -60.0] for b in range(0x41, 0xE8)]
        every = [[f"<0x{b:02X}>", -60.0] for b in range(256)]
        for kind, fallback in (("some", some), ("every", every)):
            yield f"unigram-{name}-{kind}-bytes", t5_like(pieces + fallback, 0, 1, None, True)
        yield f"unigram-{name}-twice", t5_like([*pieces, *pieces[8:20]], 0, 1, None)


def small_wordpieces():
    words = ["[UNK]", "[CLS]", "[SEP]", "a", "b", "ab", "the", "he", "##a", "##b", "##he", "##the",
             "##", "t", "##t", "##h", "##e", "##日", "日", "'", ".", "##abab", "n",
             "##n", "do", "not"]
    vocab = {word: i for i, word in enumerate(words)}
    for cleanup in (False, True):
        yield f"wordpiece-{cleanup}", wordpiece(vocab, cleanup=cleanup)
    yield "wordpiece-short", wordpiece(vocab, max_input_chars_per_word=4)
    yield "wordpiece-no-prefix", wordpiece(vocab, continuing_subword_prefix="")
    yield "wordpiece-other-prefix", wordpiece(vocab, continuing_subword_prefix="日")
    roberta = wordpiece(vocab, lower=False)
    roberta["post_processor"] |= {"type": "RobertaProcessing", "trim_offsets": True,
                                  "add_prefix_space": False}
    yield "wordpiece-roberta", roberta


def documents(gpt2):
    vocab = json.loads((gpt2 / "vocab.json").read_text(encoding="utf-8"))
    lines = (gpt2 / "merges.txt").read_text(encoding="utf-8").split("\n")[1:]
    vocab = dict(list(vocab.items())[:6000])
    merges = [line.split(" ") for line in lines if line]
    merges = [m for m in merges if "".join(m) in vocab and m[0] in vocab and m[1] in vocab]
    shared = {"decoder": BYTE_LEVEL}
    for name, part in pre_tokenizers():
        yield name, document(vocab, merges, pre_tokenizer=part, **shared)
    for name, part in normalizers():
        yield name, document(vocab, merges, normalizer=part, pre_tokenizer=BYTE_LEVEL, **shared)
        for kind, tokens in added_token_lists(vocab):
            yield f"{name}-{kind}", document(vocab, merges, normalizer=part, added_tokens=tokens,
                                             pre_tokenizer=BYTE_LEVEL, **shared)
    yield from small_models()
    yield from small_unigrams()
    yield from small_wordpieces()
