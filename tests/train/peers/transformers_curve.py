# SPDX-License-Identifier: Apache-2.0
"""The losses of `organ train` are those of a plain transformers loop, and training helps.

usage: transformers_curve.py ORGAN_TRAIN SCHEMAS

stories260K in fp32 on tinyshakespeare, layers 1-3, AdamW with decay on every tensor, gradient
clipping as torch does it: the first ten losses and the norms of the gradients agree within 1e-4
relative, and the held-out loss falls. Then transformers loads a recovered checkpoint. Documents
written on the way validate against their schemas. Needs $ORGAN_PEERS (torch, transformers,
jsonschema) and $ORGAN_SHARED; exits 77 without them.
"""
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

for folder in ("support", "tools"):
    sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / folder))
import peers  # noqa: E402
from reference_training import train_curve, windows_of  # noqa: E402

PROGRAM, SCHEMAS = sys.argv[1], pathlib.Path(sys.argv[2])
LAYERS, STEPS, CONTEXT, BATCH, RATE = range(1, 4), 10, 128, 4, 1e-3


def organ(*arguments):
    result = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"organ-train {' '.join(map(str, arguments))}: {result.stderr}")
    return json.loads(result.stdout)


def validate(schema, *documents):
    import jsonschema
    rules = json.loads((SCHEMAS / f"{schema}.v1.schema.json").read_text())
    for document in documents:
        jsonschema.validate(document, rules)


def compare(model_folder, folder, shared):
    text = (shared / "tinyshakespeare.txt").read_text()
    train_file, held_out = folder / "train.txt", folder / "held_out.txt"
    train_file.write_text(text[:40000])
    held_out.write_text(text[-8000:])
    record = organ("train", model_folder, "--layers", "1:4", "--data", train_file, "--held-out",
                   held_out, "--context", CONTEXT, "--batch", BATCH, "--steps", STEPS, "--lr",
                   RATE, "--schedule", "constant", "--warmup-share", 0, "--decay-all",
                   "--precision", "fp32", "--out", folder / "organ", "--json")
    lines = (folder / "organ.run" / "metrics.jsonl").read_text().splitlines()
    records = list(map(json.loads, lines))
    validate("metrics", *records)
    steps = [r for r in records if r["event"] == "step"]
    assert len(steps) == STEPS
    rows = windows_of(model_folder, train_file.read_text(), CONTEXT)
    reference = train_curve(model_folder, LAYERS, rows, [s["windows"] for s in steps], RATE)
    worst = 0
    for step, (loss, norm) in zip(steps, reference, strict=True):
        worst = max(worst, abs(step["loss"] / loss - 1), abs(step["gradient_norm"] / norm - 1))
    print(f"largest relative difference of {STEPS} losses and gradient norms: {worst:.2e}")
    assert worst < 1e-4, (steps, reference)
    before, after = (e["nll"] for e in record["evaluations"])
    print(f"held out: {before:.4f} before, {after:.4f} after")
    assert after < before
    measured = organ("eval", model_folder, "--data", held_out, "--context", CONTEXT, "--json")
    validate("eval", measured)
    assert abs(measured["nll"] / before - 1) < 1e-6, (measured, before)


def interrupt(model_folder, folder):
    """A run that is interrupted leaves a train state that validates."""
    process = subprocess.Popen(
        [PROGRAM, "train", str(model_folder), "--layers", "1:4", "--data",
         str(folder / "train.txt"), "--steps", "100000", "--save-every", "1", "--out",
         str(folder / "endless")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run = folder / "endless.run"
    while process.poll() is None and not list(run.glob("step-*.json")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait() == -signal.SIGINT
    validate("train-state", *(json.loads(p.read_text()) for p in run.glob("step-*.json")))


def recover(model_folder, folder):
    import torch
    import transformers
    organ("recover", model_folder, "--layers", "1:3", "--data", folder / "train.txt", "--context",
          CONTEXT, "--steps", 3, "--precision", "fp32", "--out", folder / "recovered", "--json")
    before = transformers.AutoModelForCausalLM.from_pretrained(model_folder).state_dict()
    after = transformers.AutoModelForCausalLM.from_pretrained(folder / "recovered").state_dict()
    for name, tensor in before.items():
        trained = name.startswith(tuple(f"model.layers.{i}." for i in range(0, 4)))
        assert torch.equal(tensor, after[name]) != trained, name


def main():
    peers.enter("torch", "transformers", "jsonschema")
    shared = peers.shared_data("stories260K")
    model_folder = shared / "stories260K"
    with tempfile.TemporaryDirectory(prefix="organ-curve") as name:
        compare(model_folder, pathlib.Path(name), shared)
        recover(model_folder, pathlib.Path(name))
        interrupt(model_folder, pathlib.Path(name))


main()
