# SPDX-License-Identifier: Apache-2.0
"""`organ eval` of a BERT and transformers agree on the loss of hidden tokens; `organ train` lowers it.

usage: mlm_parity.py ORGAN

transformers makes a tiny BERT, and this test draws the hidden tokens anew from the documented rule
(train/data/masking.h) to compute the loss with transformers. Then two layers are trained, measured and
installed. Needs $ORGAN_PEERS; exits 77 without it.
"""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import letters  # noqa: E402
import peers  # noqa: E402

CONTEXT, SPECIAL = 32, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TOLERANCE = 1e-5  # relative
BITS = (1 << 64) - 1


class SplitMix64:
    def __init__(self, state):
        self.state = state

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & BITS
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & BITS
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & BITS
        return z ^ (z >> 31)

    def below(self, bound):
        limit = BITS - BITS % bound
        value = self.next()
        while value >= limit:
            value = self.next()
        return value % bound


def hide(ids, seed, start, vocabulary, mask, special):
    """(what the model sees, what it is asked for)."""
    state = SplitMix64(SplitMix64(seed).next() ^ SplitMix64(start).next())
    shown, targets = list(ids), [-1] * len(ids)
    for i, token in enumerate(ids):
        chosen, fate, other = state.below(100) < 15, state.below(100), SplitMix64(state.next())
        if not chosen or token in special:
            continue
        targets[i] = token
        if fate < 80:
            shown[i] = mask
        elif fate < 90:
            shown[i] = other.below(vocabulary)
            while shown[i] in special:
                shown[i] = other.below(vocabulary)
    return shown, targets


def write_tokenizer(folder):
    """One id per byte behind the special ones."""
    from tokenizers import Tokenizer
    special = {token: i for i, token in enumerate(SPECIAL)}
    letters.write_byte_level(folder, letters.byte_ids(len(special)) | special, SPECIAL, letters.NO_FAMILY)
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def make_model(folder):
    import torch
    import transformers
    tokenizer = write_tokenizer(folder)
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=3,
        num_attention_heads=4, intermediate_size=48, max_position_embeddings=CONTEXT,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.2)
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    return tokenizer


def expected_loss(folder, tokenizer, text, seed):
    import torch
    import transformers
    model = transformers.BertForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = tokenizer.encode(text).ids
    mask, special = SPECIAL.index("[MASK]"), set(range(len(SPECIAL)))
    total, count = 0.0, 0
    with torch.inference_mode():
        for start in range(0, len(ids), CONTEXT):
            shown, targets = hide(ids[start:start + CONTEXT], seed, start,
                                  model.config.vocab_size, mask, special)
            logits = model(torch.tensor([shown])).logits[0]
            total += torch.nn.functional.cross_entropy(logits, torch.tensor(targets),
                                                       ignore_index=-1, reduction="sum").item()
            count += sum(target >= 0 for target in targets)
    return total / count, count


def run(organ, *arguments):
    done = subprocess.run([organ, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"organ {arguments[0]}: exit {done.returncode}: {done.stderr}")
    return done.stdout


def evaluate(organ, folder, text, *options):
    return json.loads(run(organ, "eval", folder, "--data", text, "--context", CONTEXT, "--json",
                          *options))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    peers.enter("torch", "transformers", "tokenizers")
    organ = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        os.environ["HOME"] = name  # no registry, no policy of the user's
        (work / "model").mkdir()
        tokenizer = make_model(work / "model")
        words = ["organ", "layer", "kidney", "liver", "heart"]
        rng = random.Random(5)
        texts = [" ".join(rng.choice(words) for _ in range(count)) for count in (2000, 300)]
        for file, text in zip(("train.txt", "test.txt"), texts):
            (work / file).write_text(text)
        for seed in (0, 11):
            found = evaluate(organ, work / "model", work / "test.txt", "--mask-seed", seed)
            nll, count = expected_loss(work / "model", tokenizer, texts[1], seed)
            if found["protocol"] != "MLM" or found["tokens"] != count:
                raise SystemExit(f"eval: {found}, expected {count} hidden tokens")
            if not abs(found["nll"] - nll) < TOLERANCE * nll:
                raise SystemExit(f"seed {seed}: nll {found['nll']}, transformers {nll}")
        print(f"{count} hidden tokens: nll {found['nll']:.6f}, transformers {nll:.6f}")
        run(organ, "train", work / "model", "--layers", "1:3", "--data", work / "train.txt",
            "--held-out", work / "test.txt", "--context", CONTEXT, "--steps", 40, "--lr", 1e-2,
            "--precision", "fp32", "--out", work / "cut")
        evaluations = json.loads((work / "cut/organ.json").read_text())["evaluations"]
        before, after = (e["nll"] for e in evaluations)
        if {e["protocol"] for e in evaluations} != {"MLM"} or not after < before - 0.5:
            raise SystemExit(f"train: {evaluations}")
        run(organ, "install", work / "cut", "--into", work / "model", "--allow-unsigned")
        found = evaluate(organ, work / "model", work / "test.txt")
        nll, _ = expected_loss(work / "model", tokenizer, texts[1], 0)
        if not (abs(found["nll"] - nll) < TOLERANCE * nll and abs(nll - after) < 1e-4 * nll):
            raise SystemExit(f"installed: nll {found['nll']}, transformers {nll}, training {after}")
        print(f"trained from {before:.4f} to {after:.4f}; transformers says {nll:.4f}")


if __name__ == "__main__":
    main()
