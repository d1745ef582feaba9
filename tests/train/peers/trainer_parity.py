# SPDX-License-Identifier: Apache-2.0
"""Schedules, accumulation, clipping and the moving average are those of transformers and torch.

usage: trainer_parity.py ORGAN_TRAIN MODEL_FIXTURE

The learning rate of each step equals transformers' schedule. A run that accumulates passes of few
windows, clips hard and averages its weights equals a torch loop over whole batches: losses and
gradient norms within 1e-4 relative, the change of the averaged weights within 1e-3. One window is
part padding, so a mean of means would show. Needs $ORGAN_PEERS; exits 77 without it.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import peers  # noqa: E402
import letters  # noqa: E402

PROGRAM, FIXTURE = sys.argv[1], pathlib.Path(sys.argv[2])
CONTEXT, ROWS, RATE, STEPS, LAYER, DECAY, CLIP = 16, 6, 3e-3, 8, 1, 0.4, 0.2


def train(model, folder, name, *options):
    """The step records of a run on train.txt."""
    command = [PROGRAM, "train", model, "--layers", f"{LAYER}:{LAYER + 1}", "--data",
               folder / "train.txt", "--context", CONTEXT, "--lr", RATE, "--precision", "fp32",
               "--out", folder / name, *options]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    lines = (folder / f"{name}.run" / "metrics.jsonl").read_text().splitlines()
    return [r for r in map(json.loads, lines) if r["event"] == "step"]


def compare_schedules(model, folder):
    import torch
    import transformers
    for kind in ("cosine", "linear", "constant"):
        for share, warmup in ((0, 0), (0.2, 5), (0.5, 13)):
            name = f"{kind}-{warmup}"
            steps = train(model, folder, name, "--steps", 25, "--schedule", kind,
                          "--warmup-share", share, "--batch", 1)
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
            schedule = transformers.get_scheduler(
                "constant_with_warmup" if kind == "constant" else kind, optimizer,
                num_warmup_steps=warmup, num_training_steps=25)
            for step in steps:
                expected = schedule.get_last_lr()[0]
                assert abs(step["learning_rate"] - expected) <= 1e-12 * RATE, (name, step, expected)
                optimizer.step()
                schedule.step()


def windows_of(text):
    import torch
    ids = letters.ids_of(text) + [letters.EOS]
    rows = [ids[start:start + CONTEXT] for start in range(0, len(ids), CONTEXT)]
    padding = [CONTEXT - len(row) for row in rows]
    assert padding[-1] > CONTEXT // 2
    return (torch.tensor([row + [0] * n for row, n in zip(rows, padding)]),
            torch.tensor([row + [-100] * n for row, n in zip(rows, padding)]))


def compare_steps(model_folder, folder, text):
    import safetensors.torch
    import torch
    import transformers
    steps = train(model_folder, folder, "organ", "--steps", STEPS, "--schedule", "constant",
                  "--warmup-share", 0, "--decay-all", "--batch", 2, "--accumulate", ROWS // 2,
                  "--clip-norm", CLIP, "--ema", DECAY)
    ids, labels = windows_of(text)
    model = transformers.AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    model.requires_grad_(False)
    layer = model.model.layers[LAYER].requires_grad_(True)
    before = {name: value.detach().clone() for name, value in layer.state_dict().items()}
    average = torch.optim.swa_utils.AveragedModel(
        layer, avg_fn=lambda mean, now, t: torch.lerp(mean, now, 1 - min(
            DECAY, (1 + t.item()) / (10 + t.item()))))
    average.update_parameters(layer)  # the first call copies, the next one is update 1
    optimizer = torch.optim.AdamW(layer.parameters(), lr=RATE, weight_decay=0.01)
    worst, clipped, padded = 0, 0, 0
    for step in steps:
        logits = model(input_ids=ids[step["windows"]]).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), labels[step["windows"]][:, 1:].reshape(-1))
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(layer.parameters(), CLIP).item()
        optimizer.step()
        optimizer.zero_grad()
        average.update_parameters(layer)
        worst = max(worst, abs(step["loss"] / loss.item() - 1), abs(step["gradient_norm"] / norm - 1))
        clipped += norm > CLIP
        padded += len(ids) - 1 in step["windows"]
    print(f"{STEPS} steps, {clipped} clipped, {padded} with padding: losses and gradient norms "
          f"within {worst:.1e}")
    assert clipped and padded and worst < 1e-4
    trained = safetensors.torch.load_file(folder / "organ" / "layer.00.safetensors")
    worst = 0
    for name, value in average.module.state_dict().items():
        change = (value - before[name]).abs().max().item()
        worst = max(worst, (trained[name] - value).abs().max().item() / change)
    print(f"averaged weights within {worst:.1e} of their change")
    assert worst < 1e-3


def main():
    peers.enter("torch", "transformers")
    with tempfile.TemporaryDirectory(prefix="organ-parity") as name:
        folder = pathlib.Path(name)
        model = folder / "model"
        shutil.copytree(FIXTURE, model)
        letters.write_tokenizer(model)
        text = "the quick brown fox jumps over the lazy dog and then sleeps in the warm sun all " \
               "the long day while cats pass by unseen"
        (folder / "train.txt").write_text(text)
        compare_schedules(model, folder)
        compare_steps(model, folder, text)


main()
