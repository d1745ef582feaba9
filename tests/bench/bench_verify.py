# SPDX-License-Identifier: Apache-2.0
"""`organ verify` of a signed 1 GB organ against `openssl dgst -sha256` over the same files and
against `model_signing verify key`, interleaved, warm cache; and the start time of `organ --version`.

    bench_verify.py BUILD_FOLDER [--rounds 9] [--scratch FOLDER_WITH_3_GB]
"""
import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

from rounds import interleave, ratio_text, run_child, spread, verdict

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))
import make_tiny_model  # noqa: E402  (found through the line above)

SHAPE = ["--hidden", "4096", "--intermediate", "11008", "--heads", "32", "--kv-heads", "8",
         "--layers", "3"]


def numpy_tensors(seed):
    rng = np.random.default_rng(seed)

    def make(shape, scale):
        values = rng.standard_normal(int(np.prod(shape)), dtype=np.float32) * np.float32(scale)
        return shape, (values.view(np.uint32) >> 16).astype("<u2").tobytes()

    return make


def make_signed_organ(organ, folder):
    donor, target = folder / "donor", folder / "organ"
    options = make_tiny_model.parse_arguments([str(donor), *SHAPE])
    make_tiny_model.make_model(options, numpy_tensors(1))
    run_child([organ, "extract", donor, "--layers", "0:3", "--name", "bench",
               "--organ-version", "1.0.0", "--out", target])
    run_child([organ, "key", "generate", folder / "bench"])
    run_child([organ, "sign", target, "--key", folder / "bench.key"])
    return target


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--scratch", type=Path)
    options = parser.parse_args()
    organ = (options.build / "cli" / "organ").absolute()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        folder = Path(scratch)
        target = make_signed_organ(organ, folder)
        files = sorted(f for f in target.iterdir() if f.name != "model.sig")
        size = sum(f.stat().st_size for f in files)
        key, signature = folder / "bench.pub", target / "model.sig"
        signing = Path(sys.executable).parent / "model_signing"
        commands = {
            "organ verify": [organ, "verify", target, "--key", key],
            "openssl dgst": ["openssl", "dgst", "-sha256", *files],
            "model_signing verify": [signing, "verify", "key", "--public_key", key,
                                     "--signature", signature, target],
        }
        runners = {name: (lambda c=command: run_child(c)[0]) for name, command in commands.items()}
        interleave(runners, 1)  # warms the page cache and checks that all three accept
        times = interleave(runners, options.rounds)
    starts = [1000 * run_child([organ, "--version"])[0] for _ in range(21)]

    print(f"organ of {size / 1e9:.3f} GB, {options.rounds} rounds interleaved, warm page cache")
    for name, values in times.items():
        print(f"  {name:22} {spread(values, 's')}  {size / 1e9 / statistics.median(values):.2f} GB/s")
    ours = times["organ verify"]
    against_openssl, text = ratio_text(times["openssl dgst"], ours)
    print(f"  openssl dgst / organ verify:          {text}  target 1.6: {verdict(against_openssl >= 1.6)}")
    against_signing, text = ratio_text(times["model_signing verify"], ours)
    print(f"  model_signing verify / organ verify:  {text}  target 1.0: {verdict(against_signing > 1)}")
    start = statistics.median(starts)
    print(f"  organ --version: {spread(starts, 'ms', 1)}  target 20 ms: {verdict(start < 20)}")


if __name__ == "__main__":
    main()
