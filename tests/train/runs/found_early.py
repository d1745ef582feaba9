# SPDX-License-Identifier: Apache-2.0
"""What would fail behind the last step fails before the first: results that cannot be made, records
that nobody could read again, a run folder in which another run is at work.

usage: found_early.py ORGAN_TRAIN MODEL_FIXTURE     (standard library only)
"""
import fcntl
import json
import pathlib
import signal
import subprocess
import sys
import time
import unittest

from run_case import FIXTURE, PROGRAM, RunCase

FILES = 14_000


class FoundEarly(RunCase):
    def run_method(self, words, out, *more):
        done = subprocess.run(
            [pathlib.Path(PROGRAM).resolve(), *words, f"--ids={self.folder / 'ids.safetensors'}", f"--out={out}", "--steps=2",
             "--batch=2", "--precision=fp32", "--threads=2", f"--run-dir={self.folder / 'run'}", *more],
            capture_output=True, text=True, check=False, cwd=self.folder)
        return done.returncode, done.stderr

    def test_a_result_that_cannot_be_made_is_refused_before_the_first_step(self):
        methods = (["train", FIXTURE, "--layers=1:2"], ["recover", FIXTURE, "--layers=1:2"],
                   ["baseline", "lora", FIXTURE], ["baseline", "same_layers", FIXTURE, "--layers=1:2"])
        for words in methods:
            for out, code in (("missing/out", 6), ("o" * 256, 1), ("/proc/out", None),
                              ("ids.safetensors/out", None)):
                with self.subTest(method=words[:2], out=out[:20]):
                    returned, error = self.run_method(words, out)
                    self.assertNotEqual(returned, 0)
                    if code is not None:
                        self.assertEqual(returned, code, error)
                    self.assertNotIn("self-test", error)
                    self.assertFalse((self.folder / "run").exists())
                    self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["ids.safetensors"])

    def test_texts_that_organ_json_does_not_hold_are_refused_before_the_first_step(self):
        words = ["train", FIXTURE, "--layers=1:2"]
        for option in ("--description", "--donor", "--license", "--data-license"):
            for length in (4097, 100_000):
                with self.subTest(option=option, length=length):
                    returned, error = self.run_method(words, "out", f"{option}={'x' * length}")
                    self.assertEqual(returned, 2, error)
                    self.assertIn(f"has {length} bytes, at most 4096 are allowed", error)
                    self.assertFalse((self.folder / "run").exists())
        returned, error = self.run_method(words, "out", *(f"{option}={'x' * 4096}" for option in
                                                          ("--description", "--donor", "--license",
                                                           "--data-license")))
        self.assertEqual(returned, 0, error)

    def test_a_run_over_thousands_of_files_is_saved_and_resumed(self):
        model = self.text_model()
        (self.folder / "texts").mkdir()
        names = [self.folder / "texts" / f"{number}.txt" for number in range(FILES)]
        for number, name in enumerate(names):
            name.write_text("abc"[number % 3] * (2 + number % 7) + "defgh"[number % 5])
        command = [PROGRAM, "train", model, "--layers=1:2", "--context=512", "--batch=1", "--precision=fp32",
                   "--threads=2", "--save-every=1", f"--run-dir={self.folder / 'run'}", "--data", *names]
        command += ["--steps=40", f"--out={self.folder / 'out'}"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as begun:
            while begun.poll() is None and not list(self.folder.glob("run/step-*.json")):
                time.sleep(0.01)
            begun.send_signal(signal.SIGINT)
            self.assertIn("--resume", begun.communicate()[1])
        done = subprocess.run([*command, "--resume"], check=False, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("resumed at step", done.stderr)
        organ = json.loads((self.folder / "out" / "organ.json").read_text())
        self.assertEqual(len(organ["training"]["data"]), FILES)

    def test_a_run_folder_is_one_run_s(self):
        (self.folder / "run").mkdir()
        with open(self.folder / "run" / ".lock", "w", encoding="utf-8") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            for words in (["train", FIXTURE, "--layers=1:2"], ["baseline", "lora", FIXTURE]):
                returned, error = self.run_method(words, "out")
                self.assertEqual(returned, 7, error)
                self.assertIn("another run is at work there", error)
                self.assertEqual([p.name for p in (self.folder / "run").iterdir()], [".lock"])
        returned, error = self.run_method(["train", FIXTURE, "--layers=1:2"], "out")
        self.assertEqual(returned, 0, error)
        self.assertEqual([p.name for p in (self.folder / "run").iterdir()], ["metrics.jsonl"])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
