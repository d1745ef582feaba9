# SPDX-License-Identifier: Apache-2.0
"""Model folders whose tokenizer files are combined in many ways: every id, special id and decoded
text is that of transformers' AutoTokenizer, or the folder is refused by name.

    folder_parity.py TOKENIZE_IDS [--only TEXT]      (environment: ORGAN_SHARED, ORGAN_PEERS)

Made from GPT-2's pair (cut short), the tokenizer of stories260K and small WordPiece and Unigram
vocabularies of their words. Exits 77 with the reason when transformers or the data are missing.
"""
import argparse
import itertools
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

import components

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent.parent / "support"))
import peers  # noqa: E402

NAMES = ("bos_token", "eos_token", "unk_token", "pad_token")
TEXTS = ["", "Hello world", "  two  spaces  12 345\n\n7", " lead", "I'LL I'll don't 3.14", "\t\n x",
         "Cafe\u0301 Caf\u00e9 \u00c5NGSTR\u00d6M", "\u65e5\u672c\u8a9e text", "\U0001f642 \u00bd \ufb01",
         "<s>one</s> two <unk>three <pad>", " <s> spaces </s> ", "a<|endoftext|>b <|im_start|>c<|im_end|>",
         "<|im_end|>  <extra>x<extra> y <EXTRA> z", "<new> word<new>word <NEW>", "[CLS] a [MASK] b[SEP] [PAD]",
         "<extra_id_0> once <extra_id_1> upon", "<image>pic</image> <own>", "1 200 3000", "a\u2581b\u2581 \u2581c",
         "<0x41>\x00\x01", "once upon a time there was a little girl named Lily. " * 3]
UNSAID = object()


def token(content, **flags):
    return {"content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
            "special": True} | flags


def typed(content, **flags):
    return {"__type": "AddedToken", "content": content, "lstrip": False, "normalized": True, "rstrip": False,
            "single_word": False} | flags


def gpt2_pair(shared):
    """The first 600 merges and what they need."""
    folder = shared / "gpt2-tokenizer"
    everything = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    merges = [line for line in (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
              if line and not line.startswith("#")][:600]
    texts = [t for t in everything if len(t) == 1] + ["".join(merge.split()) for merge in merges]
    vocab = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return vocab | {"<|endoftext|>": len(vocab)}, merges


def words(shared):
    text = (shared / "wikitext2" / "valid.txt").read_text(encoding="utf-8").lower()[:200_000]
    count = {}
    for word in text.split():
        if word.isalpha():
            count[word] = count.get(word, 0) + 1
    return sorted(count, key=lambda word: (-count[word], word))[:400]


class Bases:
    """Vocabularies as files: name -> {file name: JSON or text}."""

    def __init__(self, shared):
        vocab, merges = gpt2_pair(shared)
        pairs = [merge.split() for merge in merges]
        end = components.added(vocab["<|endoftext|>"], "<|endoftext|>")
        letters = [chr(c) for c in range(ord("!"), ord("~") + 1)]
        common = words(shared)
        pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters), *common,
                  "Hello", "\u65e5", "cafe", "caf\u00e9"]
        wordpiece = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
        scored = [["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["\u2581", -2.0],
                  *([c, -7.25 - i / 7] for i, c in enumerate(letters)),
                  *(["\u2581" + word, -3.0 - i / 3] for i, word in enumerate(common)), ["<extra_id_0>", 0.0]]
        self.pair = vocab
        self.files = {
            "bytes": {"tokenizer.json": components.document(vocab, pairs, added_tokens=[end],
                                                            pre_tokenizer=components.BYTE_LEVEL,
                                                            decoder=components.BYTE_LEVEL)},
            "cl100k": {"tokenizer.json": components.document(
                vocab, merges, added_tokens=[end], normalizer={"type": "NFC"}, decoder=components.BYTE_LEVEL,
                pre_tokenizer={"type": "Sequence", "pretokenizers": [
                    {"type": "Split", "pattern": {"Regex": components.CL100K}, "behavior": "Isolated",
                     "invert": False}, components.BYTES_ONLY]})},
            "stories": {"tokenizer.json": json.loads(
                (shared / "stories260K" / "tokenizer.json").read_text(encoding="utf-8"))},
            "wordpiece": {"tokenizer.json": components.wordpiece(wordpiece)},
            "cased": {"tokenizer.json": components.wordpiece(wordpiece, lower=False)},
            "unigram": {"tokenizer.json": components.t5_like(scored, 2, 1, {"type": "Sequence", "normalizers": [
                components.precompiled(components.charsmap(components.RULES)),
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]})},
            "pair": {"vocab.json": vocab, "merges.txt": "#version: 0.2\n" + "\n".join(merges) + "\n"},
            "lines": {"vocab.txt": "\n".join(wordpiece) + "\n"},
            "nothing": {},
        }


CLASSES = ["PreTrainedTokenizerFast", "TokenizersBackend", "GPT2Tokenizer", "GPT2TokenizerFast", "LlamaTokenizer",
           "LlamaTokenizerFast", "Qwen2Tokenizer", "BertTokenizer", "T5Tokenizer", "RobertaTokenizer", "NoSuchTokenizer"]
FAMILIES = ["llama", "mistral", "qwen2", "qwen3", "gpt2", "gpt_oss", "bert", "t5"]
# Family, vocabulary and class that are met in models; every edit is tried on each.
USUAL = [("llama", "stories", "LlamaTokenizer"), ("llama", "stories", "PreTrainedTokenizerFast"),
         ("llama", "bytes", "LlamaTokenizerFast"), ("llama", "bytes", None), ("llama", "pair", "GPT2Tokenizer"),
         ("mistral", "stories", "LlamaTokenizer"), ("qwen2", "pair", "Qwen2Tokenizer"),
         ("qwen2", "cl100k", "PreTrainedTokenizerFast"), ("qwen3", "cl100k", "Qwen2Tokenizer"),
         ("qwen3", "cl100k", "PreTrainedTokenizerFast"), ("gpt2", "pair", None), ("gpt2", "bytes", "GPT2Tokenizer"),
         ("gpt_oss", "bytes", "PreTrainedTokenizerFast"), ("bert", "wordpiece", "BertTokenizer"),
         ("bert", "cased", "BertTokenizer"), ("bert", "lines", None), ("bert", "wordpiece", None),
         ("t5", "unigram", "T5Tokenizer"), ("t5", "unigram", "PreTrainedTokenizerFast")]
SAID = {"content": "said", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}


def edits(first):
    """name -> (additions to tokenizer_config.json, other files, changes of tokenizer.json). `first` is the first
    id that no token of the vocabulary has."""
    table = {str(first): token("<extra>"), str(first + 1): token("<new>", special=False, normalized=True),
             str(first + 2): token("<|im_start|>"), str(first + 3): token("<|im_end|>")}
    added = {"<extra>": first, "<|im_end|>": first + 1, "<new>": first + 2}
    return {
        "plain": ({}, {}, {}),
        "names": ({"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}, {}, {}),
        "eos of another": ({"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}, {}, {}),
        "null names": ({"bos_token": None, "pad_token": None}, {}, {}),
        "typed name": ({"eos_token": typed("<|im_end|>", lstrip=True), "bos_token": typed("<new>")}, {}, {}),
        "table": ({"added_tokens_decoder": table}, {}, {}),
        "table and names": ({"added_tokens_decoder": table, "eos_token": "<|im_end|>", "bos_token": "<new>"}, {}, {}),
        "strips": ({"added_tokens_decoder": {str(first): token("<extra>", lstrip=True, rstrip=True),
                                             str(first + 1): token("<new>", single_word=True, special=False)}},
                   {}, {}),
        "empty table": ({"added_tokens_decoder": {}}, {"added_tokens.json": added,
                                                       "special_tokens_map.json": {"eos_token": "<extra>"}}, {}),
        "short entries": ({"added_tokens_decoder": {str(first): {"content": "<extra>"},
                                                    str(first + 1): {"content": "<NEW>", "special": True}}}, {}, {}),
        "added file": ({}, {"added_tokens.json": added}, {}),
        "added and names": ({"eos_token": "<|im_end|>"}, {"added_tokens.json": added}, {}),
        "map": ({}, {"special_tokens_map.json": {"eos_token": "<extra>", "pad_token": "<new>"}}, {}),
        "map over names": ({"eos_token": "<new>"}, {"special_tokens_map.json": {"eos_token": "<extra>"}}, {}),
        "map objects": ({}, {"special_tokens_map.json": {"eos_token": SAID | {"content": "<extra>", "lstrip": True},
                                                         "bos_token": SAID | {"content": "<new>"}}}, {}),
        "map null": ({"eos_token": "<new>"}, {"special_tokens_map.json": {"eos_token": None}}, {}),
        "map additional": ({}, {"special_tokens_map.json": {"additional_special_tokens": ["<extra>", "<new>"]}}, {}),
        "map additional objects": ({}, {"special_tokens_map.json": {"additional_special_tokens": [token("<extra>")]}}, {}),
        "map and added": ({}, {"special_tokens_map.json": {"eos_token": "<extra>"}, "added_tokens.json": added}, {}),
        "additional": ({"additional_special_tokens": ["<extra>", "<new>"]}, {}, {}),
        "additional none": ({"additional_special_tokens": None}, {}, {}),
        "additional typed": ({"additional_special_tokens": [typed("<extra>", lstrip=True)]}, {}, {}),
        "extra list": ({"extra_special_tokens": ["<extra>"], "additional_special_tokens": ["<new>"]}, {}, {}),
        "extra table": ({"extra_special_tokens": {"image_token": "<image>"}}, {}, {}),
        "extra table of two": ({"extra_special_tokens": {"z_token": "<image>", "a_token": "<own>"}}, {}, {}),
        "own name": ({"image_token": "<image>"}, {}, {}),
        "own typed": ({"image_token": typed("<image>", lstrip=True, normalized=False)}, {}, {}),
        "own in the map": ({}, {"special_tokens_map.json": {"image_token": "<image>"}}, {}),
        "split": ({"split_special_tokens": True, "added_tokens_decoder": table}, {}, {}),
        "bos asked": ({"add_bos_token": True, "add_eos_token": True, "bos_token": "<s>"}, {}, {}),
        "bos not asked": ({"add_bos_token": False}, {}, {}),
        "no prefix": ({"add_prefix_space": False}, {}, {}),
        "prefix": ({"add_prefix_space": True}, {}, {}),
        "prefix null": ({"add_prefix_space": None}, {}, {}),
        "legacy": ({"legacy": True}, {}, {}),
        "not legacy": ({"legacy": False}, {}, {}),
        "cased": ({"do_lower_case": False}, {}, {}),
        "lower": ({"do_lower_case": True}, {}, {}),
        "accents": ({"strip_accents": True, "do_lower_case": False}, {}, {}),
        "no accents": ({"strip_accents": False}, {}, {}),
        "no chinese": ({"tokenize_chinese_chars": False}, {}, {}),
        "extra ids": ({"extra_ids": 2}, {}, {}),
        "own class code": ({"auto_map": {"AutoTokenizer": ["a.B", None]}}, {}, {}),
        "vocabulary in the settings": ({"vocab": {"a": 0}}, {}, {}),
        "padding section": ({}, {}, {"padding": {"strategy": "BatchLongest", "direction": "Right",
                                                 "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
                                                 "pad_token": "<new>"}}),
        "template": ({}, {}, {"post_processor": {
            "type": "TemplateProcessing", "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                                                   {"Sequence": {"id": "B", "type_id": 1}}],
            "single": [{"SpecialToken": {"id": "x", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {"x": {"id": "x", "ids": [300], "tokens": ["x"]}}}}),
        "class in the config": (UNSAID, {}, {}),
        "table in tokenizer.json": ({}, {}, {"added_tokens": [
            components.added(first, "<extra>", normalized=True, special=False),
            components.added(first + 1, "<new>", lstrip=True)]}),
        "promoted": ({"eos_token": "<extra>"}, {}, {"added_tokens": [
            components.added(first, "<extra>", normalized=True, special=False)]}),
        "promoted by the table": ({"added_tokens_decoder": {str(first): token("<EXTRA>")}}, {}, {"added_tokens": [
            components.added(first, "<EXTRA>", normalized=True, special=False)]}),
        "demoted by the table": ({"added_tokens_decoder": {str(first): token("<extra>", special=False)}}, {},
                                 {"added_tokens": [components.added(first, "<extra>")]}),
        "ignored merges": ({}, {}, {"model": {"ignore_merges": True}}),
        "unknown token": ({}, {}, {"model": {"unk_token": "<unk>"}}),
        "other normaliser": ({}, {}, {"normalizer": {"type": "Lowercase"}}),
        "no normaliser": ({}, {}, {"normalizer": None}),
        "other pre-tokeniser": ({}, {}, {"pre_tokenizer": {"type": "Whitespace"}}),
    }


def cases(bases):
    """(name, family, class, files)."""
    for family, base, named in USUAL:
        for edit in edits(0):
            yield f"{family} {base} {named} {edit}", family, base, named, edit
    for family, base, named in itertools.product(FAMILIES, bases.files, [None, *CLASSES]):
        if (family, base, named) not in USUAL:
            yield f"{family} {base} {named} plain", family, base, named, "plain"


def vocabulary_size(files):
    document = files.get("tokenizer.json")
    vocab = document["model"]["vocab"] if document else files.get("vocab.json", files.get("vocab.txt", "").split())
    return len(vocab)


def write_case(folder, bases, family, base, named, edit):
    files = dict(bases.files[base])
    settings, others, changes = edits(vocabulary_size(files))[edit]
    config = {"model_type": family}
    if settings is UNSAID:
        settings, config["tokenizer_class"] = {}, named
    elif named:
        settings = settings | {"tokenizer_class": named}
    if "tokenizer.json" in files and changes:
        document = dict(files["tokenizer.json"])
        document["model"] = document["model"] | changes.get("model", {})
        files["tokenizer.json"] = document | {k: v for k, v in changes.items() if k != "model"}
    if settings or named:
        files["tokenizer_config.json"] = settings
    files |= others | {"config.json": config}
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        (folder / name).write_text(text, encoding="utf-8")


class Ours:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def run(self, action, data=b"", *options):
        return subprocess.run([self.program, action, str(self.folder), *options], input=data, capture_output=True)

    def encode(self, special):
        done = self.run("encode", b"".join(t.encode() + b"\0" for t in TEXTS if "\0" not in t),
                        *(["special"] if special else []))
        return [[int(n) for n in line.split()] for line in done.stdout.decode().split("\n")[:-1]]

    def decode(self, rows, skip):
        done = self.run("decode", "".join(" ".join(map(str, r)) + "\n" for r in rows).encode(),
                        *(["skip"] if skip else []))
        return [t.decode() for t in done.stdout.split(b"\0")[:-1]]


def load(folder):
    import transformers
    try:
        return transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False), None
    except Exception as error:  # whatever it is, it gives no ids
        return None, f"{type(error).__name__}: {str(error)[:120]}"


def differences(ours, theirs, names):
    """What is not transformers' answer, one line each."""
    found = []
    for name, mine in zip(NAMES, names, strict=True):
        other = getattr(theirs, name + "_id")
        if name == "unk_token" and other is None:
            continue  # ours is then the model's
        if mine != ("none" if other is None else str(other)):
            found.append(f"{name}: {mine}, transformers {other}")
    texts = [t for t in TEXTS if "\0" not in t]
    for special in (False, True):
        expected = [theirs(t, add_special_tokens=special).input_ids for t in texts]
        for text, mine, other in zip(texts, ours.encode(special), expected, strict=True):
            if mine != other:
                found.append(f"{text[:40]!r} special={special}: {mine[:12]}, transformers {other[:12]}")
    expected = [theirs(t, add_special_tokens=True).input_ids for t in texts]
    for skip in (False, True):
        decoded = [theirs.backend_tokenizer.decode(ids, skip_special_tokens=skip) for ids in expected]
        for ids, mine, other in zip(expected, ours.decode(expected, skip), decoded, strict=True):
            if mine != other:
                found.append(f"decoded {ids[:12]} skip={skip}: {mine[:60]!r}, transformers {other[:60]!r}")
    return found


LEAST_EQUAL = 1200  # of about 1,900 folders; fewer: hardly anything was compared

# What may be refused although transformers reads it; anything else must be read.
REFUSED = ["tokenizer_class", "of class", "auto_map", "'vocab'", "model ", "extra_special_tokens", "without an id",
           "normalise to", "without tokenizer.json", "additional_special_tokens", "needs a", "Metaspace 'first'",
           "instead of", "is there twice", "is not in the vocabulary", "holds no", "is unknown"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--only")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    assert math.gcd(options.every, len(edits(0))) == 1, "some edits would have no turn"
    peers.enter("transformers", "tokenizers")
    shared = peers.shared_data("gpt2-tokenizer")
    bases = Bases(shared)
    count = {"equal": 0, "refused by both": 0, "refused": 0, "read by organ alone": 0, "wrong": 0}
    reasons = {}
    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, family, base, named, edit) in enumerate(cases(bases)):
            if number % options.every or (options.only and options.only not in name):
                continue
            folder = pathlib.Path(scratch) / str(number)
            folder.mkdir()
            write_case(folder, bases, family, base, named, edit)
            theirs, reason = load(folder)
            ours = Ours(options.program, folder)
            names = ours.run("names")
            message = names.stderr.decode().strip().replace(str(folder), "FOLDER")
            if names.returncode not in (0, 3, 4, 6):
                count["wrong"] += 1
                print(f"{name}: exit {names.returncode}: {message}")
            elif names.returncode:
                count["refused by both" if theirs is None else "refused"] += 1
                if theirs is not None:
                    reasons.setdefault(message, []).append(name)
            elif theirs is None:
                count["read by organ alone"] += 1
                if options.verbose:
                    print(f"{name}: read by organ alone; transformers: {reason}")
            elif found := differences(ours, theirs, names.stdout.decode().split()):
                count["wrong"] += 1
                print(f"{name}: " + "; ".join(found[:3]))
            else:
                count["equal"] += 1
    for message, names in sorted(reasons.items()):
        known = any(part in message for part in REFUSED)
        count["wrong"] += not known
        print(f"refused {len(names)} times{'' if known else ', which is not in the list'}: {message} ({names[0]})")
    print(", ".join(f"{number} {what}" for what, number in count.items()))
    if not options.only and count["equal"] < LEAST_EQUAL // options.every:
        print(f"{count['equal']} folders are equal, expected {LEAST_EQUAL // options.every} or more")
        return True
    return count["wrong"] > 0


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("RAYON_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main())
