# SPDX-License-Identifier: Apache-2.0
"""What a run does not change keeps its bytes, whatever type they are stored in and whatever the run
computes in: a step at learning rate 0 gives back the donor, by every method that writes weights, and
top_k leaves what it did not choose alone.

usage: stored_bytes.py ORGAN_TRAIN FIXTURES     (standard library only)
"""
import json
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

from tensor_file import read_safetensors, write_safetensors

PROGRAM, FIXTURES = sys.argv[1], pathlib.Path(sys.argv[2])
TYPES = {"F32": 4, "F16": 2, "BF16": 2}
PRECISIONS = ("fp32", "bf16")
# Negative zero, the smallest subnormal number and the largest one.
ODD = {"F32": [0x80000000, 0x00000001, 0x807fffff], "F16": [0x8000, 0x0001, 0x83ff],
       "BF16": [0x8000, 0x0001, 0x807f]}
# One step, the first of a warm-up: its rate is 0.
AT_RATE_0 = ["--steps", 1, "--warmup-share", 1]


def stored_as(dtype, values):
    """fp32 numbers in another type, with odd ones at the start."""
    if dtype == "F16":
        raw = struct.pack(f"<{len(values)}e", *values)
    else:
        raw = struct.pack(f"<{len(values)}f", *values)
        if dtype == "BF16":
            words = struct.unpack(f"<{len(values)}I", raw)
            raw = struct.pack(f"<{len(values)}H", *(word >> 16 for word in words))
    odd = struct.pack(f"<{len(ODD[dtype])}{'I' if dtype == 'F32' else 'H'}", *ODD[dtype])
    return odd + raw[len(odd):]


def make_donor(folder, fixture, dtype):
    shutil.copytree(FIXTURES / fixture, folder)
    tensors = read_safetensors(folder / "model.safetensors")
    for name, (was, shape, raw) in tensors.items():
        assert was == "F32", (name, was)
        values = struct.unpack(f"<{len(raw) // 4}f", raw)
        tensors[name] = (dtype, shape, stored_as(dtype, values))
    write_safetensors(folder / "model.safetensors", tensors)


def changed_numbers(before, after):
    dtype, shape, raw = before
    assert (dtype, shape) == after[:2], (before[:2], after[:2])
    width = TYPES[dtype]
    return sum(raw[at:at + width] != after[2][at:at + width] for at in range(0, len(raw), width))


class StoredBytes(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="organ-stored-bytes"))
        self.addCleanup(shutil.rmtree, self.folder)

    def donor(self, fixture, dtype):
        folder = self.folder / f"{fixture}-{dtype}"
        if not folder.exists():
            make_donor(folder, fixture, dtype)
            vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]
            rows = random.Random(1)
            ids = [rows.randrange(vocabulary) for _ in range(8 * 16)]
            write_safetensors(self.folder / "ids.safetensors",
                              {"ids": ("I64", [8, 16], struct.pack(f"<{len(ids)}q", *ids))})
        return folder

    def run_organ(self, out, *words):
        command = [PROGRAM, *words, "--ids", self.folder / "ids.safetensors", "--out", out,
                   "--threads", 2, "--batch", 2]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def assert_equal_models(self, out, donor):
        before = read_safetensors(donor / "model.safetensors")
        after = read_safetensors(out / "model.safetensors")
        self.assertEqual(before.keys(), after.keys())
        for name in before:
            self.assertEqual(changed_numbers(before[name], after[name]), 0, f"{out.name}: {name}")

    def assert_nothing_changed(self, changes):
        self.assertTrue(changes)
        for change in changes:
            self.assertEqual(number(change["relative_rms"]), 0, change)
            self.assertEqual(number(change["unchanged_fraction"]), 1, change)

    def each_donor(self, fixture):
        for dtype in TYPES:
            for precision in PRECISIONS:
                yield (self.donor(fixture, dtype), self.folder / f"{fixture}-{dtype}-{precision}",
                       ["--precision", precision, *AT_RATE_0])

    def test_an_organ_trained_at_rate_0_is_the_donors_layers(self):
        for fixture, prefix in (("llama", "model.layers.{}."), ("gpt_oss", "model.layers.{}."),
                                ("gpt2", "h.{}.")):
            for donor, out, options in self.each_donor(fixture):
                self.run_organ(out, "train", donor, "--layers", "0:2", "--ema", 0.9, *options)
                before = read_safetensors(donor / "model.safetensors")
                for layer in range(2):
                    after = read_safetensors(out / f"layer.{layer:02}.safetensors")
                    self.assertTrue(after)
                    for name, tensor in after.items():
                        stored = before[prefix.format(layer) + name]
                        self.assertEqual(changed_numbers(stored, tensor), 0, f"{out.name}: {name}")
                self.assert_nothing_changed(
                    json.loads((out / "organ.json").read_text())["training"]["changes"])

    def test_experts_in_mxfp4_become_the_numbers_they_stood_for(self):
        self.donor("gpt_oss", "F32")  # for its ids
        for precision in PRECISIONS:
            out = self.folder / precision
            self.run_organ(out, "train", FIXTURES / "gpt_oss_mxfp4", "--layers", "0:2",
                           "--precision", precision, *AT_RATE_0)
            self.assert_nothing_changed(
                json.loads((out / "organ.json").read_text())["training"]["changes"])

    def test_a_recovery_at_rate_0_is_the_model(self):
        for donor, out, options in self.each_donor("llama"):
            self.run_organ(out, "recover", donor, "--layers", "0:2", *options)
            self.assert_equal_models(out, donor)
            self.assert_nothing_changed(json.loads((out / "recovery.json").read_text())["changes"])

    def test_every_baseline_that_trains_weights_is_the_model_at_rate_0(self):
        # GPT-2's head is its embedding, and it has a table of positions.
        for fixture, method, more in (("llama", "full", []), ("gpt2", "full", []),
                                      ("llama", "top_k", ["--share", 0.2]),
                                      ("llama", "top_k_layers", ["--count", 2]),
                                      ("llama", "same_layers", ["--layers", "0:2"])):
            for donor, out, options in self.each_donor(fixture):
                out = out.with_name(f"{out.name}-{method}")
                self.run_organ(out, "baseline", method, donor, *more, *options)
                self.assert_equal_models(out, donor)

    def test_an_adapter_trained_at_rate_0_merges_to_the_model(self):
        for method in ("lora", "ia3"):
            for donor, out, options in self.each_donor("llama"):
                out = out.with_name(f"{out.name}-{method}")
                self.run_organ(out, "baseline", method, donor, *options)
                merged = out.with_name(f"{out.name}-merged")
                done = subprocess.run([PROGRAM, "import", out, "--into", donor, "--out", merged],
                                      capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assert_equal_models(merged, donor)

    def test_top_k_changes_no_number_that_it_did_not_choose(self):
        share = 0.01
        for average in (0, 0.5):
            for donor, out, options in self.each_donor("llama"):
                out = out.with_name(f"{out.name}-{average}")
                options = [*options[:2], "--steps", 3, "--lr", 1e-2, "--warmup-share", 0, "--ema",
                           average, "--weight-decay", 0.1]
                self.run_organ(out, "baseline", "top_k", donor, "--share", share, *options)
                before = read_safetensors(donor / "model.safetensors")
                after = read_safetensors(out / "model.safetensors")
                changed = {name: changed_numbers(before[name], after[name]) for name in before}
                inside = [name for name in before if name.startswith("model.layers.")]
                numbers = sum(len(before[n][2]) // TYPES[before[n][0]] for n in inside)
                self.assertEqual({n: c for n, c in changed.items() if c and n not in inside}, {})
                total = sum(changed.values())
                self.assertGreater(total, 0)
                self.assertLessEqual(total, round(share * numbers))


def number(value):
    """A real of organ.json."""
    return float.fromhex(value) if isinstance(value, str) else float(value)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
