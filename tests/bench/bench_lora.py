# SPDX-License-Identifier: Apache-2.0
"""`organ baseline lora` against PEFT in a plain transformers loop: LoRA r=8, alpha 16 on q and v of
all layers of SmolLM2-135M, batch 4 x 512, AdamW: tokens per second of a step, peak resident memory.

    bench_lora.py BUILD_FOLDER [--rounds 3] [--steps 4] [--threads 2] [--precision bf16 fp32]

Each program's first step is left out (it warms allocators and kernels). The loop runs a second time
with glibc told to keep large blocks, which organ does for itself.
"""
import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from bench_train import KEEP_BLOCKS, TEXT, TOKENS, medians_of_organ
from rounds import interleave, ratio_text, run_child_with_peak, spread, verdict


def organ_runner(organ, model, scratch, precision, options):
    count = 0

    def run():
        nonlocal count
        count += 1
        out = scratch / f"{precision}-{count}"
        wall, peak, _ = run_child_with_peak(
            [organ, "baseline", "lora", model, "--rank", "8", "--alpha", "16", "--data", TEXT,
             "--batch", "4", "--context", "512", "--steps", str(options.steps + 1), "--lr", "1e-4",
             "--precision", precision, "--threads", str(options.threads), "--seed", "1",
             "--run-dir", out / "run", "--out", out / "lora"])
        return medians_of_organ(out / "run" / "metrics.jsonl")[0], peak, wall

    return run


def peft_runner(model, precision, options, environment):
    script = Path(__file__).parent / "peft_loop.py"

    def run():
        wall, peak, output = run_child_with_peak(
            [sys.executable, script, model, TEXT, "--steps", str(options.steps),
             "--precision", precision, "--threads", str(options.threads)],
            env=os.environ | environment)
        seconds = json.loads(output.splitlines()[-1])["step_seconds"]
        return TOKENS / statistics.median(seconds), peak, wall

    return run


def report(precision, results):
    print(f"{precision}:")
    for name, runs in results.items():
        rates, peaks, walls = zip(*runs)
        print(f"  {name:20} {spread(rates, 'tok/s', 0)}   peak {max(peaks) / 1e9:.2f} GB   "
              f"process {statistics.median(walls):.0f} s")
    ours = [r[0] for r in results["organ baseline lora"]]
    for name in list(results)[1:]:
        speed, text = ratio_text(ours, [r[0] for r in results[name]])
        print(f"  against {name}: speed {text} target 1.5: {verdict(speed >= 1.5)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("bf16", "fp32"), nargs="*", default=["bf16"])
    options = parser.parse_args()
    organ = (options.build / "cli" / "organ").absolute()
    model = Path(os.environ["ORGAN_MODELS"]) / "smollm2"
    with tempfile.TemporaryDirectory() as scratch:
        for precision in options.precision:
            report(precision, interleave({
                "organ baseline lora": organ_runner(organ, model, Path(scratch), precision, options),
                "PEFT loop": peft_runner(model, precision, options, {}),
                "PEFT loop, tuned": peft_runner(model, precision, options, KEEP_BLOCKS),
            }, options.rounds))


if __name__ == "__main__":
    main()
