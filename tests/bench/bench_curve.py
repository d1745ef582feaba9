# SPDX-License-Identifier: Apache-2.0
"""The losses of `organ train` in bf16 and fp32 against transformers in fp32 over the same windows:
SmolLM2-135M, layers 10-12, batch 4 x 512, AdamW, constant rate 1e-4.

    bench_curve.py BUILD_FOLDER [--steps 50]
"""
import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from rounds import run_child, verdict

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))
from reference_training import train_curve, windows_of  # noqa: E402

TEXT = Path("/usr/lib/python3.11/pydoc_data/topics.py")
LAYERS, CONTEXT, BATCH, RATE = range(10, 13), 512, 4, 1e-4


def organ_steps(organ, model, precision, steps, scratch):
    out = scratch / precision
    run_child([organ, "train", model, "--layers", f"{LAYERS.start}:{LAYERS.stop}", "--data", TEXT,
               "--context", str(CONTEXT), "--batch", str(BATCH), "--steps", str(steps), "--lr",
               str(RATE), "--schedule", "constant", "--warmup-share", "0", "--decay-all", "--seed",
               "1", "--precision", precision, "--run-dir", out / "run", "--out", out / "organ"])
    records = map(json.loads, (out / "run" / "metrics.jsonl").read_text().splitlines())
    return [r for r in records if r["event"] == "step"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_args()
    organ = (options.build / "cli" / "organ").absolute()
    model = Path(os.environ["ORGAN_MODELS"]) / "smollm2"
    with tempfile.TemporaryDirectory() as scratch:
        runs = {precision: organ_steps(organ, model, precision, options.steps, Path(scratch))
                for precision in ("bf16", "fp32")}
    order = [step["windows"] for step in runs["fp32"]]
    assert order == [step["windows"] for step in runs["bf16"]]
    rows = windows_of(model, TEXT.read_text(), CONTEXT)
    reference = [loss for loss, _ in train_curve(model, LAYERS, rows, order, RATE)]
    print(f"transformers fp32: loss {reference[0]:.4f} -> {reference[-1]:.4f} in "
          f"{len(reference)} steps")
    for precision, steps in runs.items():
        apart = [abs(step["loss"] / loss - 1) for step, loss in zip(steps, reference, strict=True)]
        print(f"organ {precision}: largest difference {max(apart):.3%}, mean "
              f"{sum(apart) / len(apart):.3%}; target 1 %: {verdict(max(apart) <= 0.01)}")


if __name__ == "__main__":
    main()
