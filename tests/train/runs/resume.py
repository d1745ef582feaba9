# SPDX-License-Identifier: Apache-2.0
"""A run is resumed as itself or not at all: whatever decides its numbers or its figures is compared
with the train state, and what differs is named. A state of an older organ goes on by what it recorded.

usage: resume.py ORGAN_TRAIN MODEL_FIXTURE     (standard library only)
"""
import json
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import letters  # noqa: E402

PROGRAM, FIXTURE = sys.argv[1], pathlib.Path(sys.argv[2])
STEPS = 300


def flip_bit(model, name):
    """The lowest bit of a tensor's first number."""
    path = model / "model.safetensors"
    raw = bytearray(path.read_bytes())
    size = struct.unpack("<Q", raw[:8])[0]
    raw[8 + size + json.loads(raw[8:8 + size])[name]["data_offsets"][0]] ^= 1
    path.write_bytes(raw)


class Resume(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.start = pathlib.Path(tempfile.mkdtemp(prefix="organ-resume"))
        cls.addClassCleanup(shutil.rmtree, cls.start)
        shutil.copytree(FIXTURE, cls.start / "model")
        letters.write_tokenizer(cls.start / "model")
        for name, seed in (("a.txt", 1), ("b.txt", 2), ("other.txt", 3)):
            (cls.start / name).write_text(letters.random_text(seed, 30, 30))
        cls.interrupt(cls.start, 4, signal.SIGKILL, {"--save-every": 1})

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="organ-resume"))
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copytree(self.start, self.folder, dirs_exist_ok=True)

    @staticmethod
    def command(folder, changed, *flags):
        """The command line; None leaves an option out."""
        options = {"--layers": "1:2", "--data": folder / "a.txt", "--held-out": folder / "b.txt",
                   "--documents": "blank-lines", "--context": 16, "--batch": 2, "--lr": "1e-3",
                   "--precision": "fp32", "--threads": 2, "--steps": STEPS, "--save-every": 100,
                   "--out": folder / "out", **changed}
        return [PROGRAM, "train", folder / "model", *flags,
                *(f"{name}={value}" for name, value in options.items() if value is not None)]

    @classmethod
    def interrupt(cls, folder, step, how, changed):
        """Starts a run and ends it as soon as `step` steps are logged."""
        process = subprocess.Popen(cls.command(folder, changed), stderr=subprocess.PIPE, text=True)
        log = folder / "out.run" / "metrics.jsonl"
        while process.poll() is None and (not log.exists() or
                                          log.read_text().count('"event":"step"') < step):
            time.sleep(0.001)
        process.send_signal(how)
        error = process.communicate()[1]
        assert process.returncode != 0, "the run was faster than the signal: " + error
        return error

    def resume(self, changed=None, expect=0):
        done = subprocess.run(self.command(self.folder, changed or {}, "--resume"),
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done.stderr

    def refused(self, words, changed=None):
        error = self.resume(changed, expect=2)
        self.assertIn("--resume: other ", error)
        self.assertIn(words, error)
        self.assertFalse((self.folder / "out").exists())

    def training(self):
        return json.loads((self.folder / "out" / "organ.json").read_text())

    def test_the_same_run_goes_on(self):
        shutil.move(self.folder / "b.txt", self.folder / "renamed.txt")
        self.resume({"--held-out": self.folder / "renamed.txt", "--threads": 1, "--save-every": 0,
                     "--evaluate-every": 100})

    def test_other_settings_are_refused_with_both_values(self):
        for changed, words in (({"--lr": "0.25"}, "learning_rate: got 0.25, expected 0.001"),
                               ({"--precision": "bf16"}, "precision: got bf16, expected fp32"),
                               ({"--layers": "0:1"}, "first_layer: got 0, expected 1"),
                               ({"--mode": "wrapper"}, "mode: got wrapper, expected in_situ"),
                               ({"--seed": 4}, "seed: got 4, expected 0"),
                               ({"--pack": "concat"}, "packing: got concat, expected ffd"),
                               ({"--evaluate-every": 5, "--patience": 2},
                                "evaluate_every: got 5, expected none"),
                               ({"--ema": 0.5}, "ema: got 0.5, expected 0")):
            with self.subTest(words):
                self.refused(words, changed)

    def test_other_data_to_train_or_to_measure_on_is_refused(self):
        texts = {name: self.folder / name for name in ("a.txt", "b.txt", "other.txt")}
        for changed, words in (
                ({"--data": texts["other.txt"]}, "files of the training data"),
                ({"--documents": "file"}, "document starts of the training data"),
                ({"--held-out": texts["other.txt"]}, "files of the held-out data"),
                ({"--held-out": None}, "held-out data: got none"),
                ({"--pad-id": 3, "--held-out": None, "--held-out-ids": self.ids()},
                 "padding id of the held-out data: got 3, expected none")):
            with self.subTest(words):
                self.refused(words, changed)

    def ids(self):
        path = self.folder / "ids.safetensors"
        header = json.dumps({"ids": {"dtype": "I64", "shape": [2, 16],
                                     "data_offsets": [0, 256]}}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header +
                         struct.pack("<32q", *(i % 26 for i in range(32))))
        return path

    def test_held_out_data_that_the_run_did_not_start_with_is_refused(self):
        shutil.rmtree(self.folder / "out.run")
        self.interrupt(self.folder, 4, signal.SIGINT, {"--held-out": None})
        self.refused("held-out data: got sha256:")

    def test_another_tokenizer_is_refused(self):
        path = self.folder / "model" / "tokenizer.json"
        document = json.loads(path.read_text())
        document["model"]["vocab"]["zzz"] = 60
        path.write_text(json.dumps(document))
        self.refused("other tokenizer")

    def test_documents_that_no_longer_end_with_an_id_are_refused(self):
        (self.folder / "model" / "tokenizer_config.json").unlink()
        self.refused("than the train state")

    def test_other_weights_are_refused_wherever_they_are(self):
        for tensor in ("model.layers.0.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.weight",
                       "model.layers.2.input_layernorm.weight", "model.embed_tokens.weight",
                       "model.norm.weight", "lm_head.weight"):
            with self.subTest(tensor):
                path = self.folder / "model" / "model.safetensors"
                before = path.read_bytes()
                flip_bit(self.folder / "model", tensor)
                self.refused("other model than the train state")
                path.write_bytes(before)

    def test_another_config_is_refused(self):
        path = self.folder / "model" / "config.json"
        path.write_text(path.read_text().replace("1e-05", "2e-05"))
        self.refused("config.json")

    def test_a_state_of_an_older_organ_goes_on_and_says_what_is_not_compared(self):
        for path in (self.folder / "out.run").glob("step-*.json"):
            record = json.loads(path.read_text())
            del record["identity"]
            path.write_text(json.dumps(record))
        self.assertIn("settings", self.resume({"--seed": 4}, expect=2))
        self.assertIn("training data", self.resume({"--data": self.folder / "other.txt"}, expect=2))
        self.assertIn("held-out data: got none", self.resume({"--held-out": None}, expect=2))
        self.assertIn("made by an older organ: that tensors, tokenizer", self.resume())

    def test_without_states_between_an_interrupted_run_equals_the_straight_one(self):
        shutil.rmtree(self.folder / "out.run")
        self.interrupt(self.folder, 4, signal.SIGINT, {"--save-every": 0})
        states = list((self.folder / "out.run").glob("step-*.json"))
        self.assertEqual(len(states), 1)
        self.resume({"--save-every": 0})
        weights = (self.folder / "out" / "layer.00.safetensors").read_bytes()
        figures = [e["nll"] for e in self.training()["evaluations"]]
        shutil.rmtree(self.folder / "out")
        shutil.rmtree(self.folder / "out.run")
        straight = self.command(self.folder, {"--save-every": 0})
        subprocess.run(straight, check=True, capture_output=True)
        self.assertEqual(weights, (self.folder / "out" / "layer.00.safetensors").read_bytes())
        self.assertEqual(figures, [e["nll"] for e in self.training()["evaluations"]])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
