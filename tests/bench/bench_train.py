# SPDX-License-Identifier: Apache-2.0
"""`organ train` against a plain transformers loop that trains the same three layers of SmolLM2-135M:
tokens per second of a step and peak resident memory, batch 4 x 512, AdamW, fp32 and bf16.

    bench_train.py BUILD_FOLDER [--rounds 3] [--steps 4] [--threads 2]

Each program's first step is left out (it warms allocators and kernels). organ computes the output of
the frozen layers below once and keeps it; its step rate is with that cache, and the time of the whole
process is printed beside it. The loop runs a second time with glibc told to keep large blocks, which
organ does for itself.
"""
import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from rounds import interleave, ratio_text, run_child_with_peak, spread, verdict

TEXT = Path("/usr/share/common-licenses/GPL-3")
KEEP_BLOCKS = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296"}
LAYERS, TOKENS = "10:13", 4 * 512


# Against the plain loop: tokens per second at least, peak memory at most.
SPEED, MEMORY = {"bf16": 2.2, "fp32": 1.5}, 0.4


def medians_of_organ(metrics):
    """Tokens per second and share of the machine's GEMM rate, medians of the steps."""
    records = map(json.loads, metrics.read_text().splitlines())
    steps = [r for r in records if r["event"] == "step"][1:]
    return [statistics.median(s[name] for s in steps) for name in ("tokens_per_second", "gemm_share")]


def organ_runner(organ, model, scratch, precision, options):
    count = 0

    def run():
        nonlocal count
        count += 1
        out = scratch / f"{precision}-{count}"
        wall, peak, _ = run_child_with_peak(
            [organ, "train", model, "--layers", LAYERS, "--data", TEXT, "--batch", "4",
             "--context", "512", "--steps", str(options.steps + 1), "--lr", "1e-4",
             "--precision", precision, "--threads", str(options.threads), "--seed", "1",
             "--run-dir", out / "run", "--out", out / "organ"])
        rate, share = medians_of_organ(out / "run" / "metrics.jsonl")
        return rate, peak, wall, share

    return run


def loop_runner(model, precision, options, environment):
    script = Path(__file__).parent / "transformers_loop.py"

    def run():
        wall, peak, output = run_child_with_peak(
            [sys.executable, script, model, TEXT, "--layers", LAYERS, "--steps", str(options.steps),
             "--precision", precision, "--threads", str(options.threads)],
            env=os.environ | environment)
        seconds = json.loads(output.splitlines()[-1])["step_seconds"]
        return TOKENS / statistics.median(seconds), peak, wall, None

    return run


def report(precision, results):
    print(f"{precision}:")
    for name, runs in results.items():
        rates, peaks, walls, shares = zip(*runs)
        print(f"  {name:28} {spread(rates, 'tok/s', 0)}   peak {max(peaks) / 1e9:.2f} GB   "
              f"process {statistics.median(walls):.0f} s"
              + (f"   {statistics.median(shares):.0%} of the GEMM rate" if shares[0] else ""))
    ours = results["organ train"]
    for name in list(results)[1:]:
        theirs = results[name]
        speed, text = ratio_text([r[0] for r in ours], [r[0] for r in theirs])
        memory = max(r[1] for r in ours) / max(r[1] for r in theirs)
        bounds = ("", "")
        if name == "transformers loop":
            bounds = (f" target {SPEED[precision]}: {verdict(speed >= SPEED[precision])}",
                      f" target {MEMORY}: {verdict(memory <= MEMORY)}")
        print(f"  against {name}: speed {text}{bounds[0]}; peak memory {memory:.2f} x{bounds[1]}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("bf16", "fp32"), nargs="*",
                        default=["bf16", "fp32"])
    options = parser.parse_args()
    organ = (options.build / "cli" / "organ").absolute()
    model = Path(os.environ["ORGAN_MODELS"]) / "smollm2"
    with tempfile.TemporaryDirectory() as scratch:
        for precision in options.precision:
            runners = {
                "organ train": organ_runner(organ, model, Path(scratch), precision, options),
                "transformers loop": loop_runner(model, precision, options, {}),
                "transformers loop, tuned": loop_runner(model, precision, options, KEEP_BLOCKS),
            }
            report(precision, interleave(runners, options.rounds))


if __name__ == "__main__":
    main()
