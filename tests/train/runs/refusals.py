# SPDX-License-Identifier: Apache-2.0
"""What `organ train` refuses with nothing written, and steps that are not finite, which change nothing.

usage: refusals.py ORGAN_TRAIN MODEL_FIXTURE     (standard library only)
"""
import json
import math
import shutil
import struct
import subprocess
import sys
import unittest

from run_case import CONFIG, FIXTURE, floats, PROGRAM, RunCase, write_ids
from tensor_file import read_safetensors, write_safetensors


class Refusals(RunCase):
    def poisoned_model(self, token):
        """A copy of the model whose embedding of one token is NaN; the head is its own tensor."""
        model = self.folder / "poisoned"
        shutil.copytree(FIXTURE, model)
        tensors = read_safetensors(model / "model.safetensors")
        dtype, shape, raw = tensors["model.embed_tokens.weight"]
        if "lm_head.weight" not in tensors:
            tensors["lm_head.weight"] = (dtype, shape, raw)
            config = dict(CONFIG, tie_word_embeddings=False)
            (model / "config.json").write_text(json.dumps(config))
        width = len(raw) // shape[0]
        nan = struct.pack("<f", math.nan) * (width // 4)
        tensors["model.embed_tokens.weight"] = (
            dtype, shape, raw[:token * width] + nan + raw[(token + 1) * width:])
        for name in tensors:
            self.assertEqual(tensors[name][0], "F32")
        write_safetensors(model / "model.safetensors", tensors)
        return model

    def test_a_step_that_is_not_finite_leaves_the_parameters_as_they_were(self):
        token = CONFIG["vocab_size"] - 1  # write_ids never draws it
        model = self.poisoned_model(token)
        write_ids(self.folder / "ids.safetensors", windows=8, poison=token)
        # Four steps of two windows visit each window once: exactly one step meets the NaN.
        result = self.train("out", model=model, steps=4)
        records = self.records("out", "step")
        bad = [r for r in records if r["skipped"]]
        self.assertEqual([7 in r["windows"] for r in records], [r["skipped"] for r in records])
        self.assertEqual(len(bad), 1)
        self.assertIsNone(bad[0]["loss"])
        self.assertIn("(1 skipped)", result.stdout)
        for name, (_, _, raw) in read_safetensors(self.folder / "out/layer.00.safetensors").items():
            self.assertTrue(all(map(math.isfinite, floats(raw))), name)

    def write_poisoned_ids(self, token):
        """The self-tests look at window 0, which is clean; all others meet the NaN."""
        write_ids(self.folder / "ids.safetensors", windows=1)
        tensors = read_safetensors(self.folder / "ids.safetensors")
        _, (_, length), raw = tensors["ids"]
        # Not a run of it to the end of the row, which the self-test for padding refuses.
        poisoned = (struct.pack("<q", token) * (length // 2 - 2) + struct.pack("<2q", 0, 1)) * 2
        write_safetensors(self.folder / "ids.safetensors",
                          {"ids": ("I64", [40, length], raw + poisoned * 39)})

    def test_nothing_is_chosen_by_a_gradient_that_is_not_finite(self):
        token = CONFIG["vocab_size"] - 1
        model = self.poisoned_model(token)
        self.write_poisoned_ids(token)
        for method, *more in (("top_k", "--share", "0.1"), ("top_k_layers", "--count", "1")):
            with self.subTest(method):
                done = subprocess.run(
                    [PROGRAM, "baseline", method, model, "--ids", self.folder / "ids.safetensors",
                     "--out", self.folder / method, "--steps", "1", *more],
                    capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn("the gradient of the first step is not finite", done.stderr)
                self.assertFalse((self.folder / method).exists())

    def test_three_such_steps_in_a_row_stop_with_the_last_good_state(self):
        token = CONFIG["vocab_size"] - 1
        model = self.poisoned_model(token)
        self.write_poisoned_ids(token)
        result = self.train("out", "--batch", 1, model=model, steps=40, expect=1)
        self.assertIn("not finite 3 steps in a row", result.stderr)
        logged = self.records("out", "step")
        self.assertTrue(all(r["skipped"] for r in logged[-3:]))
        self.assertIn(f"up to step {logged[-1]['step']}", result.stderr)
        self.assertFalse((self.folder / "out").exists())
        state = read_safetensors(self.newest_state("out").with_suffix(".safetensors"))
        self.assertTrue(all(map(math.isfinite, floats(state["master"][2]))))

    def test_bad_numbers_are_refused_with_nothing_written(self):
        for option, value in (("--lr", "0"), ("--lr", "nan"), ("--lr", "1e30"), ("--batch", "0"),
                              ("--batch", "2147483648"), ("--steps", "0"), ("--accumulate", "-1"),
                              ("--save-every", "-1"), ("--warmup-share", "1.5"),
                              ("--precision", "fp8"), ("--schedule", "step"), ("--mode", "both"),
                              ("--ema", "1"), ("--ema", "-0.1"), ("--pack", "best")):
            with self.subTest(option=option, value=value):
                result = self.train("out", option, value, expect=2)
                self.assertIn(option + ":", result.stderr)
                self.assertEqual([p.name for p in self.folder.iterdir()], ["ids.safetensors"])

    def test_bad_ids_are_refused(self):
        ids = self.folder / "ids.safetensors"
        for name, tensors, code, words in (
                ("vocabulary", {"ids": ("I64", [1, 2], struct.pack("<2q", 0, 10**6))}, 2,
                 "id 1000000"),
                ("negative", {"ids": ("I64", [1, 2], struct.pack("<2q", 0, -1))}, 2, "id -1"),
                ("type", {"ids": ("I32", [1, 2], bytes(8))}, 4, "expected I64"),
                ("empty", {"ids": ("I64", [0, 2], b"")}, 2, "no window"),
                ("missing", {"other": ("I64", [1, 2], bytes(16))}, 6, "ids")):
            with self.subTest(name):
                write_safetensors(ids, tensors)
                self.assertIn(words, self.train("out", expect=code).stderr)
                self.assertFalse((self.folder / "out").exists())

    def test_held_out_ids_that_do_not_fit_are_refused(self):
        held_out = self.folder / "held-out.safetensors"
        write_ids(held_out, windows=4, length=8, seed=7)
        self.assertIn("windows of 8 tokens, but those to train on have 16",
                      self.train("out", "--held-out-ids", held_out, expect=2).stderr)
        for option, value in (("--held-out", "text"), ("--held-out-share", "0.5")):
            self.assertIn("--held-out", self.train("out", "--held-out-ids", held_out, option, value,
                                                   expect=2).stderr)
        self.assertIn("same contents", self.train("out", "--held-out-ids",
                                            self.folder / "ids.safetensors", expect=2).stderr)

    def test_an_existing_folder_is_never_overwritten(self):
        (self.folder / "out").mkdir()
        self.assertIn("already exists", self.train("out", expect=1).stderr)
        self.assertEqual(list((self.folder / "out").iterdir()), [])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
