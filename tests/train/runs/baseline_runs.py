# SPDX-License-Identifier: Apache-2.0
"""What `organ baseline` promises about a run of each method that trains numbers of its own: a run
that was killed and resumed equals the straight one, one seed gives the same bits, and what does not
fit together is refused.

usage: baseline_runs.py ORGAN_TRAIN MODEL_FIXTURE     (standard library only)
"""
import hashlib
import json
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM, FIXTURE = sys.argv[1], pathlib.Path(sys.argv[2])
METHODS = {"lora": ["--rank", "2"], "ia3": [], "bottleneck": ["--bottleneck", "2"],
           "prompt": ["--virtual-tokens", "3"], "prefix": ["--virtual-tokens", "3"], "full": []}
STEPS = 8


def write_ids(path, windows=20, length=16, seed=1):
    vocabulary = json.loads((FIXTURE / "config.json").read_text())["vocab_size"]
    rows = random.Random(seed)
    ids = [rows.randrange(vocabulary) for _ in range(windows * length)]
    raw = struct.pack(f"<{len(ids)}q", *ids)
    header = json.dumps({"ids": {"dtype": "I64", "shape": [windows, length],
                                 "data_offsets": [0, len(raw)]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + raw)


class BaselineRuns(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="organ-baseline-test"))
        self.addCleanup(shutil.rmtree, self.folder)
        write_ids(self.folder / "ids.safetensors")

    def command(self, method, out, *more):
        return [PROGRAM, "baseline", method, str(FIXTURE), "--ids", self.folder / "ids.safetensors",
                "--out", self.folder / out, "--lr", "1e-2", "--precision", "bf16", "--threads", "2",
                "--steps", str(STEPS), "--batch", "2", "--save-every", "1", *METHODS[method], *more]

    def run_baseline(self, method, out, *more, expect=0):
        done = subprocess.run(self.command(method, out, *more), capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done.stderr

    def weights(self, out):
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest()
                for p in sorted((self.folder / out).glob("*.safetensors"))}

    def kill_after(self, method, out, step):
        """Kills a run as soon as `step` steps are logged; its exit status."""
        process = subprocess.Popen(self.command(method, out), stderr=subprocess.DEVNULL)
        log = self.folder / f"{out}.run" / "metrics.jsonl"
        while process.poll() is None and (not log.exists() or
                                          log.read_text().count('"event":"step"') < step):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        return process.wait()

    def test_a_killed_and_resumed_run_equals_the_straight_one(self):
        for method in METHODS:
            with self.subTest(method):
                self.run_baseline(method, f"{method}-straight")
                self.run_baseline(method, f"{method}-other", "--seed", "5")
                out = f"{method}-resumed"
                if self.kill_after(method, out, 3) != 0:  # a fast machine may finish first
                    self.assertFalse((self.folder / out).exists())
                    self.run_baseline(method, out, "--resume")
                self.assertTrue(self.weights(out))
                self.assertEqual(self.weights(out), self.weights(f"{method}-straight"))
                self.assertNotEqual(self.weights(out), self.weights(f"{method}-other"))

    def test_recomputed_activations_change_no_bit(self):
        for method in ("prompt", "prefix", "full"):
            with self.subTest(method):
                self.run_baseline(method, f"{method}-kept")
                self.run_baseline(method, f"{method}-again", "--checkpoint-activations")
                self.assertEqual(self.weights(f"{method}-kept"), self.weights(f"{method}-again"))

    def test_a_run_resumes_with_its_own_configuration_alone(self):
        self.assertNotEqual(self.kill_after("prefix", "out", 2), 0)
        error = self.run_baseline("prefix", "out", "--resume", "--init", "zero", expect=2)
        self.assertIn("other settings", error)

    def test_options_that_do_not_fit_are_refused(self):
        for method, options, word in (
                ("prompt", ["--layers", "0:1"], "--layers"),
                ("prefix", ["--layers", "0:1"], "--layers"),
                ("full", ["--layers", "0:1"], "--layers"),
                ("prompt", ["--init", "zero"], "--init"),
                ("prefix", ["--init", "text", "--init-text", "word"], "--init"),
                ("prompt", ["--init", "text"], "--init text"),
                ("prompt", ["--init", "often"], "--init"),
                ("prompt", ["--init", "random", "--init-text", "word"], "--init-text"),
                ("prompt", ["--virtual-tokens", "0"], "--virtual-tokens")):
            with self.subTest(method, options=options):
                self.assertIn(word, self.run_baseline(method, "out", *options, expect=2))
                self.assertFalse((self.folder / "out").exists())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
