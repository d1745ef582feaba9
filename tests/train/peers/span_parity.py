# SPDX-License-Identifier: Apache-2.0
"""`organ eval` of a T5 and transformers agree on the loss of dropped spans; `organ train` lowers it.

usage: span_parity.py ORGAN

transformers makes a tiny T5, and this test draws the spans anew from the documented rule
(train/data/span_denoising.h) to compute the loss with transformers. Then layers of each stack are trained,
measured, installed and taken out again. Needs $ORGAN_PEERS; exits 77 without it.
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

CONTEXT, SENTINELS = 40, 10
PROMPT, TOKENS = "liver <extra_id_0> heart kidney <extra_id_1> organ", 24
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


def divide(items, parts, state):
    lengths, begin, cuts = [], 0, parts - 1
    for i in range(1, items):
        if cuts == 0:
            break
        if state.below(items - i) < cuts:
            lengths.append(i - begin)
            begin, cuts = i, cuts - 1
    return lengths + [items - begin]


def drop(text, seed, start, sentinels):
    """(what the encoder reads, what the decoder writes)."""
    dropped = min(max(round(0.15 * len(text)), 1), len(text) - 1)
    spans = max(1, round(min(dropped, len(text) - dropped) / 3))
    state = SplitMix64(SplitMix64(seed).next() ^ SplitMix64(start).next())
    of_target = divide(dropped, spans, state)
    of_source = divide(len(text) - dropped, spans, state)
    source, target, at = [], [], 0
    for i, (kept, gone) in enumerate(zip(of_source, of_target)):
        source += text[at:at + kept] + [sentinels[i]]
        target += [sentinels[i]] + text[at + kept:at + kept + gone]
        at += kept + gone
    return source + [1], target + [1]


def write_tokenizer(folder):
    """One id per byte, padding and end before them, sentinels behind."""
    from tokenizers import Tokenizer
    special = {"<pad>": 0, "</s>": 1}
    vocabulary = letters.byte_ids(len(special)) | special
    sentinels = {  # the last id is the first sentinel's
        f"<extra_id_{SENTINELS - 1 - i}>": len(vocabulary) + i for i in range(SENTINELS)}
    letters.write_byte_level(folder, vocabulary, special | sentinels, letters.NO_FAMILY)
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def make_model(folder, gated):
    import torch
    import transformers
    tokenizer = write_tokenizer(folder)
    torch.manual_seed(3)
    config = transformers.T5Config(
        vocab_size=tokenizer.get_vocab_size() + 3, d_model=32, d_kv=6, d_ff=48, num_layers=3,
        num_decoder_layers=2, num_heads=4, dropout_rate=0.0, decoder_start_token_id=0,
        feed_forward_proj="gated-gelu" if gated else "relu", tie_word_embeddings=not gated,
        initializer_factor=1.0)
    model = transformers.T5ForConditionalGeneration(config)
    if gated:  # T5 1.1: a head of its own
        model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight) * 0.1)
    model.save_pretrained(folder)
    return tokenizer


def expected_loss(folder, tokenizer, text, seed):
    import torch
    import transformers
    model = transformers.T5ForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32).eval()
    ids = tokenizer.encode(text).ids
    sentinels = [tokenizer.token_to_id(f"<extra_id_{i}>") for i in range(SENTINELS)]
    total, count = 0.0, 0
    with torch.inference_mode():
        for start in range(0, len(ids), CONTEXT):
            source, target = drop(ids[start:start + CONTEXT], seed, start, sentinels)
            labels = torch.tensor([target])
            # transformers shifts the labels itself.
            logits = model(input_ids=torch.tensor([source]), labels=labels).logits
            total += torch.nn.functional.cross_entropy(logits[0], labels[0],
                                                       reduction="sum").item()
            count += len(target)
    return total / count, count


def run(organ, *arguments):
    done = subprocess.run([organ, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"organ {arguments[0]}: exit {done.returncode}: {done.stderr}")
    return done.stdout


def refused(organ, *arguments):
    done = subprocess.run([organ, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode == 0:
        raise SystemExit(f"organ {' '.join(map(str, arguments))}: was not refused")
    return done.stderr


def evaluate(organ, folder, text, *options):
    return json.loads(run(organ, "eval", folder, "--data", text, "--context", CONTEXT, "--json",
                          "--precision", "fp32", *options))


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def train_stack(organ, work, model, tokenizer, test, stack, layers):
    """Trains layers of one stack, installs them, asks transformers, and takes them out."""
    out = work / f"{model.name}-{stack}"
    before_files = contents(model)
    run(organ, "train", model, "--stack", stack, "--layers", layers, "--data", work / "train.txt",
        "--held-out", work / "test.txt", "--context", CONTEXT, "--steps", 30, "--lr", 1e-2,
        "--precision", "fp32", "--out", out)
    manifest = json.loads((out / "organ.json").read_text())
    evaluations = manifest["evaluations"]
    before, after = (e["nll"] for e in evaluations)
    if {e["protocol"] for e in evaluations} != {"SPAN"} or not after < before - 0.1:
        raise SystemExit(f"train {stack}: {evaluations}")
    untouched, _ = expected_loss(model, tokenizer, test, 0)
    assert abs(before - untouched) < 1e-5 * untouched, (before, untouched)
    assert manifest["architecture"]["layer"]["stack"] == stack
    assert (out / "shared.safetensors").is_file()
    verdict = json.loads(run(organ, "check", out, "--recipient", model, "--at",
                             layers.split(":")[0], "--json"))
    assert verdict["level"] == "A", verdict
    run(organ, "install", out, "--into", model, "--at", layers.split(":")[0], "--allow-unsigned")
    found = evaluate(organ, model, work / "test.txt")
    nll, _ = expected_loss(model, tokenizer, test, 0)
    if not (abs(found["nll"] - nll) < TOLERANCE * nll and abs(nll - after) < 1e-4 * nll):
        raise SystemExit(f"installed: nll {found['nll']}, transformers {nll}, training {after}")
    run(organ, "uninstall", model)
    assert contents(model) == before_files
    print(f"{stack}: trained from {before:.4f} to {after:.4f}; transformers says {nll:.4f}")


def cut_and_put_back(organ, work, model, tokenizer, test):
    """A decoder layer in the place of another, as it is, and out again."""
    before, cut = contents(model), work / f"{model.name}-cut"
    run(organ, "extract", model, "--layers", "1:2", "--out", cut)
    run(organ, "install", cut, "--into", model, "--at", 0, "--allow-unsigned")
    found = evaluate(organ, model, work / "test.txt")
    nll, _ = expected_loss(model, tokenizer, test, 0)
    assert abs(found["nll"] - nll) < TOLERANCE * nll, (found["nll"], nll)
    run(organ, "uninstall", model)
    assert contents(model) == before


def generate(organ, model, *options):
    record = json.loads(run(organ, "generate", model, "--prompt", PROMPT, "--max-tokens", TOKENS,
                            "--json", *options))
    return record["continuations"]


def texts(organ, work, model, tokenizer):
    """Greedy ids are transformers'; an organ of either stack beside what was before."""
    import torch
    import transformers

    def expected():
        peer = transformers.T5ForConditionalGeneration.from_pretrained(
            model, dtype=torch.float32).eval()
        ids = torch.tensor([tokenizer.encode(PROMPT).ids])
        with torch.inference_mode():
            answer = peer.generate(ids, do_sample=False, max_new_tokens=TOKENS)[0].tolist()
        return [i for i in answer[1:] if i != 1]  # behind the start, before the end

    before = generate(organ, model)[0]
    assert before["ids"] == expected(), (before, expected())
    assert before["text"] == tokenizer.decode(before["ids"], skip_special_tokens=False), before
    assert before["prompt_tokens"] == len(tokenizer.encode(PROMPT).ids)
    for stack in ("encoder", "decoder"):
        run(organ, "install", work / f"{model.name}-{stack}", "--into", model, "--at",
            1 if stack == "encoder" else 0, "--allow-unsigned")
        changed, untouched = generate(organ, model, "--compare-untouched")
        assert changed["ids"] == expected(), (changed, expected())
        assert untouched["ids"] == before["ids"] != changed["ids"], (stack, changed, before)
        run(organ, "uninstall", model)
    print(f"{model.name}: {len(before['ids'])} ids equal transformers': {before['text']!r}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    peers.enter("torch", "transformers", "tokenizers")
    organ = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        os.environ["HOME"] = name  # no registry, no policy of the user's
        words = ["organ", "layer", "kidney", "liver", "heart"]
        rng = random.Random(5)
        text = [" ".join(rng.choice(words) for _ in range(count)) for count in (2000, 300)]
        for file, part in zip(("train.txt", "test.txt"), text):
            (work / file).write_text(part)
        for gated in (False, True):
            model = work / ("gated" if gated else "relu")
            model.mkdir()
            tokenizer = make_model(model, gated)
            for seed in (0, 11):
                found = evaluate(organ, model, work / "test.txt", "--mask-seed", seed)
                nll, count = expected_loss(model, tokenizer, text[1], seed)
                if found["protocol"] != "SPAN" or found["tokens"] != count:
                    raise SystemExit(f"eval: {found}, expected {count} targets")
                if not abs(found["nll"] - nll) < TOLERANCE * nll:
                    raise SystemExit(f"seed {seed}: nll {found['nll']}, transformers {nll}")
            print(f"{model.name}: {count} targets, nll {found['nll']:.6f}, transformers {nll:.6f}")
            train_stack(organ, work, model, tokenizer, text[1], "encoder", "1:3")
            train_stack(organ, work, model, tokenizer, text[1], "decoder", "0:2")
            cut_and_put_back(organ, work, model, tokenizer, text[1])
            texts(organ, work, model, tokenizer)
        common = ("--data", work / "train.txt", "--context", CONTEXT, "--steps", 1, "--layers",
                  "0:1", "--out", work / "no")
        assert "wrapper" in refused(organ, "train", model, *common, "--mode", "wrapper")
        assert "sentinels" in refused(organ, "eval", model, "--data", work / "test.txt",
                                      "--context", 400)
        assert "SPAN alone" in refused(organ, "eval", model, "--data", work / "test.txt",
                                       "--context", CONTEXT, "--protocol", "P4")
        assert "--max-tokens" in refused(organ, "generate", model, "--prompt", "a heart",
                                         "--max-tokens", 0)


if __name__ == "__main__":
    main()
