# SPDX-License-Identifier: Apache-2.0
"""A tokenizer saved as vocab.json, merges.txt and added_tokens.json by another class than GPT-2's: the
tokens are those of that class.

    vocab_and_merges.py ORGAN_PROGRAM
"""
import json
import sys

from support import Case, make, peers, tiny

peers.enter("torch", "transformers", "safetensors")
import transformers  # noqa: E402

TEXT = "ab 12 1212 I'LL <|im_start|>ab<|im_end|> cafe\u0301\n" * 10


def write(model, kind):
    vocab = {c: i for i, c in enumerate(tiny.byte_characters())}
    merges = [("1", "2"), ("I", "'"), ("L", "L"), ("\u0120", "1"), ("a", "b")]
    for pair in merges:
        vocab["".join(pair)] = len(vocab)
    added = {c: len(vocab) + i for i, c in enumerate(("<|endoftext|>", "<|im_start|>",
                                                      "<|im_end|>"))}
    (model / "vocab.json").write_text(json.dumps(vocab))
    (model / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    (model / "added_tokens.json").write_text(json.dumps(added))
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
             "special": True}
    (model / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": kind, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
        "unk_token": None, "bos_token": None,
        "added_tokens_decoder": {str(i): flags | {"content": c} for c, i in added.items()}}))


def main():
    case = Case(sys.argv[1])
    if not case.can_measure:
        peers.skip("organ-train is not built")
    text = case.folder / "a.txt"
    text.write_text(TEXT)
    for family, kind in (("qwen2", "Qwen2Tokenizer"), ("qwen2", "Qwen2TokenizerFast"),
                         ("gpt2", "GPT2Tokenizer")):
        model = make(family, case.folder / kind, vocab_size=300)
        write(model, kind)
        tokenizer = transformers.AutoTokenizer.from_pretrained(model)
        right = len(tokenizer(TEXT, add_special_tokens=False).input_ids)
        done = case.organ("eval", model, "--data", text, "--context", 32, "--json")
        if done.returncode != 0:
            case.expect(f"{kind}: or refused by name", done.returncode == 3 and kind in done.stderr,
                        f"exit {done.returncode}: {done.stderr}")
            continue
        got = json.loads(done.stdout)["dataset"]["files"][0]["tokens"]
        case.expect(f"{kind}: as many tokens as transformers", got == right, (got, right))
    case.end()


main()
