# SPDX-License-Identifier: Apache-2.0
"""Compares every id and every decoded text with the PyPI package `tokenizers`.

    parity_test.py TOKENIZE_IDS          (environment: ORGAN_SHARED, ORGAN_PEERS, ORGAN_MODELS)

Tokenizers: stories260K, SmolLM2 and all-MiniLM-L6-v2 (where ORGAN_MODELS holds them), GPT-2's pair,
the Llama-2 SentencePiece model put into the form of a tokenizer.json, WordPiece, Unigram and BPE
tokenizers trained here on WikiText-2 (trained.py), and the synthetic components of components.py.
Texts: WikiText-2 test, tinyshakespeare, 10,000 seeded random Unicode strings.
Exits 77 with the reason when `tokenizers` or the data are missing.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import components
import trained

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent.parent / "support"))
import peers  # noqa: E402

SEED = 20260117
SCRIPTS = [
    (0x20, 0x7E), (0xA0, 0x17F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF),
    (0x600, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1E00, 0x1FFF),
    (0x2000, 0x206F), (0x2070, 0x218F), (0x2460, 0x24FF), (0x3000, 0x30FF), (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3), (0xE000, 0xF8FF), (0xFB00, 0xFB4F), (0xFE00, 0xFE0F), (0xFF00, 0xFFEF),
    (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF), (0x20000, 0x2FFFF), (0x30000, 0x33FFF),
    (0xE0000, 0xE01EF),
]
SPACES = " \t\n\r\x0b\x0c\x1c\x85\xa0\u1680\u180e\u2000\u200a\u200b\u200d\u2028\u2029\u202f\u3000\ufeff"
WORDS = ["the", "'s", "'ll", "'LL", "don't", "I'VE", "▁", "▁▁", "Ġ", "<s>", "</s>", "<unk>",
         "<0x41>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "123", "3.14", "e\u0301",
         "\u0130", "ſ", "K", "ß", "ﬁ", "->", "!!!", "http://a.b/c?d=e", "\n\n", "   "]


def random_character(rng):
    kind = rng.random()
    if kind < 0.25:
        low, high = rng.choice(SCRIPTS)
        return chr(rng.randint(low, high))
    if kind < 0.45:
        return rng.choice(SPACES)
    if kind < 0.5:
        return chr(rng.randrange(1, 0x20))
    if kind < 0.75:
        return rng.choice("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,'-_")
    while True:
        code_point = rng.randrange(1, 0x110000)  # 0 ends a record of the pipe
        if not 0xD800 <= code_point <= 0xDFFF:
            return chr(code_point)


def random_text(rng):
    length = rng.choice([1, 2, 3, 5, 8, 20, 60, 200])
    if rng.random() < 0.3:
        low, high = rng.choice(SCRIPTS)
        return "".join(chr(rng.randint(low, high)) for _ in range(length))
    return "".join(rng.choice(WORDS) if rng.random() < 0.15 else random_character(rng)
                   for _ in range(length))


def letter_texts(count, seed=SEED):
    """Texts of few letters, in which small vocabularies find many ways."""
    rng = random.Random(seed)
    return ["".join(rng.choice("aabbcdeeghhtt t.'z日本é\u0301n?") for _ in range(rng.randrange(40)))
            for _ in range(count)]


def random_texts(count, seed=SEED):
    rng = random.Random(seed)
    return [random_text(rng) for _ in range(count)]


class Ours:
    def __init__(self, program, path):
        self.program, self.path = program, path

    def run(self, action, data, *options):
        done = subprocess.run([self.program, action, self.path, *options], input=data,
                              stdout=subprocess.PIPE, check=True)
        return done.stdout

    def encode(self, texts, special):
        out = self.run("encode", b"".join(t.encode() + b"\0" for t in texts),
                       *(["special"] if special else []))
        return [[int(n) for n in line.split()] for line in out.decode().split("\n")[:-1]]

    def decode(self, rows, skip):
        out = self.run("decode", "".join(" ".join(map(str, r)) + "\n" for r in rows).encode(),
                       *(["skip"] if skip else []))
        return [t.decode() for t in out.split(b"\0")[:-1]]


def first_difference(texts, ours, theirs):
    for text, mine, other in zip(texts, ours, theirs, strict=True):
        if mine != other:
            at = next((i for i, pair in enumerate(zip(mine, other)) if pair[0] != pair[1]),
                      min(len(mine), len(other)))
            return (f"{str(text)[:80]!r}: position {at}: ours {mine[at:at + 8]!r}, "
                    f"theirs {other[at:at + 8]!r}")
    return None


def compare(name, reference, ours, texts):
    """Number of differences; prints one line each."""
    bad = []
    for special in (False, True):
        theirs = [e.ids for e in reference.encode_batch(texts, add_special_tokens=special)]
        bad.append(first_difference(texts, ours.encode(texts, special), theirs))
        if special:
            continue
        for skip in (False, True):
            expected = [reference.decode(ids, skip_special_tokens=skip) for ids in theirs]
            # NUL separates records and cannot come from our texts.
            bad.append(first_difference(theirs, ours.decode(theirs, skip), expected))
    for line in filter(None, bad):
        print(f"{name}: {line}")
    return sum(line is not None for line in bad)


def llama_tokenizer(model_path):
    """tokenizer.json of a SentencePiece BPE model: merges are all pairs of pieces whose joined
    text is a piece, by score of the result (as transformers' converter)."""
    import sentencepiece
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(model_path))
    vocab = {pieces.id_to_piece(i): i for i in range(pieces.get_piece_size())}
    merges = []
    for text, index in vocab.items():
        local = [(text[:cut], text[cut:]) for cut in range(1, len(text))
                 if text[:cut] in vocab and text[cut:] in vocab]
        local.sort(key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
        merges += [(pieces.get_score(index), index, pair) for pair in local]
    merges.sort(key=lambda entry: -entry[0])
    return components.llama_like(vocab, [list(pair) for _, _, pair in merges])


def gpt2_reference(folder):
    from tokenizers import AddedToken, ByteLevelBPETokenizer
    tokenizer = ByteLevelBPETokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    return tokenizer


def without_cuts(tokenizer):
    """Ours never cuts or fills a text, whatever the file says."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def subjects(shared, scratch):
    """(name, reference, path for ours, kind of texts)."""
    from tokenizers import Tokenizer

    def from_json(name, document, kind):
        path = scratch / f"{name}.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return name, Tokenizer.from_file(str(path)), path, kind

    stories = shared / "stories260K" / "tokenizer.json"
    yield "stories260K", Tokenizer.from_file(str(stories)), stories, "all"
    models = os.environ.get("ORGAN_MODELS")
    for name in ("smollm2", "minilm"):
        path = pathlib.Path(models) / name / "tokenizer.json" if models else None
        if path and path.exists():
            yield name, without_cuts(Tokenizer.from_file(str(path))), path, "all"
        else:
            print(f"{name}: left out, ORGAN_MODELS holds no {name}/tokenizer.json")
    gpt2 = shared / "gpt2-tokenizer"
    yield "gpt2", gpt2_reference(gpt2), gpt2, "all"
    yield from_json("llama2", llama_tokenizer(shared / "llama-tokenizer" / "tokenizer.model"),
                    "all")
    lines = (shared / "wikitext2" / "valid.txt").read_text(encoding="utf-8").split("\n")
    for name, document in trained.documents(lines):
        yield from_json(name, document, "all")
    for name, document in components.documents(gpt2):
        yield from_json(name, document,
                        "letters" if name.startswith(("unigram", "wordpiece")) else "random")


def report_speed(name, reference, ours, text):
    best = min(timed(reference, text) for _ in range(3))
    seconds, _ = ours.run("time", text.encode()).split()
    print(f"{name}: {len(text.encode()) / float(seconds) / 1e6:.1f} MB/s, "
          f"{best / float(seconds):.2f} x tokenizers on one thread")


def timed(reference, text):
    start = time.perf_counter()
    reference.encode(text, add_special_tokens=False)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--part", type=int, default=None, help="of the long texts only so many characters")
    parser.add_argument("--only", help="names that contain this")
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args()
    peers.enter("tokenizers", "sentencepiece")
    shared = peers.shared_data("wikitext2")
    wikitext = (shared / "wikitext2" / "test.txt").read_text(encoding="utf-8")[:options.part]
    plays = (shared / "tinyshakespeare.txt").read_text(encoding="utf-8")[:options.part]
    texts = random_texts(options.count, options.seed)
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, reference, path, kind in subjects(shared, pathlib.Path(scratch)):
            if options.only and options.only not in name:
                continue
            ours = Ours(options.program, str(path))
            chosen = [wikitext, plays, *texts] if kind == "all" else [wikitext[:20_000],
                                                                      *texts[:options.count // 10]]
            if kind == "letters":
                chosen += letter_texts(options.count)
            differences = compare(name, reference, ours, chosen)
            failures += differences
            print(f"{name}: {len(chosen)} texts, {differences} comparisons differ", flush=True)
            if options.speed and kind == "all":
                report_speed(name, reference, ours, wikitext)
    return failures > 0


if __name__ == "__main__":
    os.environ.setdefault("RAYON_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main())
