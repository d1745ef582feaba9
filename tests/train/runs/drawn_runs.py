# SPDX-License-Identifier: Apache-2.0
"""Runs that hide tokens or drop spans draw others in each epoch, or the same in all, and go on as they
began: an interrupted run equals the straight one bit for bit.

usage: drawn_runs.py ORGAN_TRAIN FIXTURES     (standard library only)
"""
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import letters  # noqa: E402

PROGRAM, FIXTURES = sys.argv[1], pathlib.Path(sys.argv[2])
SPECIAL = {"bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
           "t5": [f"<extra_id_{i}>" for i in range(6)]}
EPOCHS = 30


class DrawnRuns:
    """For one family; `straight` has by draw what a run without a stop made."""

    @classmethod
    def setUpClass(cls):
        cls.start = pathlib.Path(tempfile.mkdtemp(prefix="organ-drawn"))
        cls.addClassCleanup(shutil.rmtree, cls.start)
        shutil.copytree(FIXTURES / cls.family, cls.start / "model")
        letters.write_tokenizer(cls.start / "model", SPECIAL[cls.family])
        for name, seed in (("a.txt", 1), ("b.txt", 2)):
            (cls.start / name).write_text(letters.random_text(seed, 12, 2 * cls.context - 2))
        cls.straight = {}
        for draw in (None, "once"):
            cls.run_in(cls.start, {"--draw": draw})
            cls.straight[draw] = cls.result(cls.start)
            shutil.rmtree(cls.start / "out")
            shutil.rmtree(cls.start / "out.run")

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="organ-drawn"))
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copytree(self.start, self.folder, dirs_exist_ok=True)

    @classmethod
    def command(cls, folder, changed, *flags):
        """The command line; None leaves an option out."""
        options = {"--layers": "0:1", "--data": folder / "a.txt", "--held-out": folder / "b.txt",
                   "--documents": "blank-lines", "--context": cls.context, "--batch": 3, "--lr": "1e-3",
                   "--precision": "fp32", "--threads": 1, "--epochs": EPOCHS, "--save-every": 3,
                   "--out": folder / "out", **changed}
        return [PROGRAM, "train", folder / "model", *flags,
                *(f"{name}={value}" for name, value in options.items() if value is not None)]

    @classmethod
    def run_in(cls, folder, changed, *flags, code=0):
        done = subprocess.run(cls.command(folder, changed, *flags), capture_output=True, text=True,
                              check=False)
        assert done.returncode == code, done.stderr
        return done.stderr

    @staticmethod
    def result(folder):
        """(manifest's training, its figures, what stands in each file of weights)."""
        manifest = json.loads((folder / "out" / "organ.json").read_text())
        return (manifest["training"]["hyperparameters"], [e["nll"] for e in manifest["evaluations"]],
                {p.name: p.read_bytes() for p in (folder / "out").glob("*.safetensors")})

    def stop_after(self, steps, changed):
        process = subprocess.Popen(self.command(self.folder, changed), stderr=subprocess.PIPE, text=True)
        log = self.folder / "out.run" / "metrics.jsonl"
        while process.poll() is None and (not log.exists() or
                                          log.read_text().count('"event":"step"') < steps):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        error = process.communicate()[1]
        self.assertNotEqual(process.returncode, 0, "the run was faster than the signal: " + error)

    def windows(self):
        log = (self.folder / "out.run" / "metrics.jsonl").read_text().splitlines()
        return next(r["windows"] for r in map(json.loads, log) if r["event"] == "run")

    def test_each_epoch_is_the_default_and_says_so(self):
        self.assertEqual(self.straight[None][0]["draw"], "each_epoch")
        self.assertEqual(self.straight["once"][0]["draw"], "once")
        self.assertNotEqual(self.straight[None][2], self.straight["once"][2])
        # The figures are of one task all the same.
        self.assertEqual(self.straight[None][1][0], self.straight["once"][1][0])

    def test_the_first_epoch_is_the_same_either_way(self):
        weights = []
        for draw in ("each_epoch", "once"):
            # One row a step: no step reaches into the next epoch.
            self.run_in(self.folder, {"--draw": draw, "--epochs": 1, "--batch": 1})
            weights.append(self.result(self.folder)[2])
            shutil.rmtree(self.folder / "out")
            shutil.rmtree(self.folder / "out.run")
        self.assertEqual(*weights)

    def test_an_interrupted_run_equals_the_straight_one(self):
        for draw in (None, "once"):
            with self.subTest(draw=draw):
                self.stop_after(9, {"--draw": draw})
                self.assertLess(self.windows(), 9 * 3, "it is still in its first epoch")
                self.run_in(self.folder, {"--draw": draw}, "--resume")
                self.assertEqual(self.result(self.folder), self.straight[draw])
                shutil.rmtree(self.folder / "out")
                shutil.rmtree(self.folder / "out.run")

    def test_a_cache_in_a_folder_changes_no_bit(self):
        for _ in range(2):
            self.run_in(self.folder, {"--layers": "1:2", "--cache": self.folder / "cache", "--epochs": 3})
            found = self.result(self.folder)
            shutil.rmtree(self.folder / "out")
            shutil.rmtree(self.folder / "out.run")
        self.run_in(self.folder, {"--layers": "1:2", "--cache-bytes": 0, "--epochs": 3})
        self.assertEqual(found, self.result(self.folder))

    def test_another_draw_is_refused(self):
        self.stop_after(9, {})
        error = self.run_in(self.folder, {"--draw": "once"}, "--resume", code=2)
        self.assertIn("draw: got once, expected each_epoch", error)

    def test_states_of_organs_that_drew_once_go_on_so(self):
        self.stop_after(9, {"--draw": "once"})
        for name in ("draw", "identity"):
            for path in (self.folder / "out.run").glob("step-*.json"):
                record = json.loads(path.read_text())
                (record["identity"] if name == "draw" else record).pop(name)
                path.write_text(json.dumps(record))
            error = self.run_in(self.folder, {}, "--resume", code=2)
            self.assertIn("draw: got each_epoch, expected once", error)
        self.run_in(self.folder, {"--draw": "once"}, "--resume")
        self.assertEqual(self.result(self.folder)[2], self.straight["once"][2])


class HiddenTokens(DrawnRuns, unittest.TestCase):
    family, context = "bert", 16


class DroppedSpans(DrawnRuns, unittest.TestCase):
    family, context = "t5", 48  # a short text has but one span, always in one place


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
