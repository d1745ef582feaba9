# SPDX-License-Identifier: Apache-2.0
"""What a wrong protocol does to a figure, and that the self-tests catch it.

usage: wrong_protocol.py ORGAN_TRAIN

A small model of a made-up language is trained on (the two middle layers, in a second language) in
three ways by a plain transformers loop: correctly, with padding in the loss, with labels that are
not shifted. The losses that the wrong loops print make the worse models look far better; `organ
eval --protocol` prints the same figures under a watermark, and P0 tells the truth. Then each wrong
set-up is given to organ itself, which must refuse it. Needs $ORGAN_PEERS (torch, transformers);
exits 77 without it.
"""
import json
import math
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import peers  # noqa: E402

PROGRAM = sys.argv[1]
TOOLS = pathlib.Path(__file__).parents[2] / "tools"
VOCABULARY, LENGTH, PAD = 120, 48, 0
BASE_STEPS, STEPS, BATCH = 120, 50, 16


def language(seed, like=None, changed=1.0):
    """Four followers of each word, with odds; `changed` of the words differ from `like`."""
    rng = random.Random(seed)
    words = range(1, VOCABULARY)
    followers = {word: rng.sample(words, 4) for word in words}
    if like:
        followers |= {w: like[w] for w in words if rng.random() > changed}
    return followers


def documents(followers, count, seed):
    """Rows of 9 to 21 words, filled up with PAD: three tenths of a row are text."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        row = [rng.randrange(1, VOCABULARY)]
        for _ in range(rng.randint(8, 20)):
            row += rng.choices(followers[row[-1]], weights=(8, 4, 2, 1))
        rows.append(row + [PAD] * (LENGTH - len(row)))
    return rows


def loss_of(model, ids, protocol):
    import torch
    logits = model(input_ids=ids).logits
    if protocol == "P4":  # labels not shifted
        labels = ids.masked_fill(ids == PAD, -100)
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    labels = ids[:, 1:] if protocol == "P1" else ids[:, 1:].masked_fill(ids[:, 1:] == PAD, -100)
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels.flatten())


def train(model, parameters, rows, steps, protocol, rate):
    import torch
    optimizer = torch.optim.AdamW(parameters, lr=rate)
    order = random.Random(1)
    for _ in range(steps):
        batch = torch.tensor(order.sample(rows, BATCH))
        loss_of(model, batch, protocol).backward()
        optimizer.step()
        optimizer.zero_grad()


def make_models(folder, base_rows, rows):
    import torch
    import transformers
    torch.manual_seed(1)
    torch.set_num_threads(1)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=48, intermediate_size=96, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
        tie_word_embeddings=True, bos_token_id=None, eos_token_id=None, pad_token_id=None)
    base = transformers.LlamaForCausalLM(config)
    train(base, base.parameters(), base_rows, BASE_STEPS, "P0", 5e-3)
    base.save_pretrained(folder / "base")
    for name, protocol in (("correct", "P0"), ("pads", "P1"), ("unshifted", "P4")):
        model = transformers.LlamaForCausalLM.from_pretrained(folder / "base")
        model.requires_grad_(False)
        middle = [p for layer in model.model.layers[1:3] for p in layer.parameters()]
        for parameter in middle:
            parameter.requires_grad_(True)
        train(model, middle, rows, STEPS, protocol, 5e-3)
        model.save_pretrained(folder / name)


def write_ids(path, rows):
    import torch
    from safetensors.torch import save_file
    save_file({"ids": torch.tensor(rows)}, path)
    return path


def organ(*arguments, code=0):
    result = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != code:
        sys.exit(f"organ-train {' '.join(map(str, arguments))}: exit {result.returncode}, expected "
                 f"{code}: {result.stderr}")
    return result


def printed(folder, name, rows, protocol):
    """The perplexity that the wrong loop itself prints."""
    import torch
    import transformers
    model = transformers.LlamaForCausalLM.from_pretrained(folder / name)
    with torch.inference_mode():
        return math.exp(loss_of(model, torch.tensor(rows), protocol).item())


def show_figures(folder, held_out, rows):
    figures = {}
    for name in ("base", "correct", "pads", "unshifted"):
        for protocol in ("P0", "P1", "P4"):
            record = json.loads(organ("eval", folder / name, "--ids", held_out, "--pad-id", PAD,
                                      "--protocol", protocol, "--json").stdout)
            figures[name, protocol] = record["ppl"]
            assert record["comparable"] is (protocol == "P0"), record
            if protocol != "P0":
                assert "NOT THE MODEL'S PERPLEXITY" in record["watermark"], record
        print(f"{name:10}  P0 {figures[name, 'P0']:9.3f}   P1 {figures[name, 'P1']:9.3f}   "
              f"P4 {figures[name, 'P4']:9.3f}")
    for name, protocol in (("pads", "P1"), ("unshifted", "P4")):
        theirs = printed(folder, name, rows, protocol)
        assert abs(figures[name, protocol] / theirs - 1) < 1e-3, (name, figures, theirs)
    return figures


def check_story(figures):
    # The truth: correct training helps; padding in the loss helps less; no shift ruins the model.
    assert figures["correct", "P0"] < figures["base", "P0"]
    assert figures["pads", "P0"] > figures["correct", "P0"]
    assert figures["unshifted", "P0"] > 2 * figures["base", "P0"]
    # What the wrong losses say: the worse of each two models is the better one, by far.
    assert figures["pads", "P1"] < figures["correct", "P1"] / 2
    assert figures["pads", "P1"] < figures["base", "P0"] / 2
    assert figures["unshifted", "P4"] < figures["correct", "P4"] / 2
    assert figures["unshifted", "P4"] < figures["correct", "P0"]


def check_self_tests(folder, held_out, train_ids):
    """Each wrong set-up, given to organ itself."""
    base = folder / "base"
    found = organ("eval", base, "--ids", held_out, code=2).stderr
    assert "self-test padding FAILED" in found and "--pad-id" in found, found
    found = organ("train", base, "--layers", "1:3", "--ids", train_ids, "--steps", 1, "--out",
                  folder / "out", code=2).stderr
    assert "self-test padding FAILED" in found, found
    assert not (folder / "out").exists()
    organ("train", base, "--layers", "1:3", "--ids", train_ids, "--pad-id", PAD, "--steps", 1,
          "--out", folder / "out")
    for protocol, name in (("P1", "padding"), ("P3", "shift"), ("P4", "shift"),
                           ("P5", "causality")):
        result = organ("eval", base, "--ids", held_out, "--pad-id", PAD, "--protocol", protocol,
                       "--json")
        assert name in json.loads(result.stdout)["failed_self_tests"], (protocol, result.stdout)
        assert f"self-test {name} FAILED" in result.stderr, (protocol, result.stderr)


def check_overlap(folder):
    """A held-out text that is the training text but for its first word."""
    model = folder / "tiny"
    subprocess.run([sys.executable, TOOLS / "make_tiny_model.py", model, "--layers", "3"],
                   check=True)
    rng = random.Random(4)
    words = ["".join(rng.choices("abcdefgh", k=5)) for _ in range(300)]
    (folder / "train.txt").write_text(" ".join(words))
    (folder / "held_out.txt").write_text(" ".join(["other", *words[1:]]))
    for held_out, caught in (("held_out.txt", True), ("fresh.txt", False)):
        (folder / "fresh.txt").write_text(" ".join("".join(rng.choices("ijklmnop", k=5))
                                                   for _ in range(300)))
        shutil.rmtree(folder / "out", ignore_errors=True)
        found = organ("train", model, "--layers", "1:2", "--data", folder / "train.txt",
                      "--held-out", folder / held_out, "--context", 64, "--steps", 1, "--out",
                      folder / "out").stderr
        assert "FAILED" not in found, found  # what follows says that the self-tests passed
        assert "self-tests passed: " in found and "self-test overlap" not in found, found
        assert ("warning: held-out figures are partly memory: " in found) is caught, found


def main():
    peers.enter("torch", "transformers")
    with tempfile.TemporaryDirectory(prefix="organ-wrong") as name:
        folder = pathlib.Path(name)
        first = language(1)
        second = language(2, first, 0.5)
        base_rows, rows = documents(first, 2000, 1), documents(second, 600, 2)
        held_rows = documents(second, 150, 3)
        make_models(folder, base_rows, rows)
        held_out = write_ids(folder / "held_out.safetensors", held_rows)
        check_story(show_figures(folder, held_out, held_rows))
        check_self_tests(folder, held_out, write_ids(folder / "train.safetensors", rows))
        check_overlap(folder)


main()
