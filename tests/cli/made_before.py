# SPDX-License-Identifier: Apache-2.0
"""What an older organ made is still good: its organ verifies, its registry and its recipient are read,
its organ is taken out byte for byte, and its interrupted training goes on.

usage: made_before.py ORGAN SOURCE_ROOT     tests/data/made_before/README.md says how it was made
"""
import hashlib
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM, SOURCE = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
MADE = SOURCE / "tests" / "data" / "made_before"
MODEL = SOURCE / "tests" / "data" / "train" / "llama"
TRAIN = PROGRAM.parent / "organ-train"
SETTINGS = ["--layers=1:2", "--lr=1e-3", "--precision=fp32", "--threads=2", "--batch=2", "--steps=400"]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def floats(path):
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    for tensor in header.values():
        assert tensor["dtype"] == "F32", tensor
    data = raw[8 + size:]
    return {name: struct.unpack(f"<{(t['data_offsets'][1] - t['data_offsets'][0]) // 4}f",
                                data[slice(*t["data_offsets"])]) for name, t in header.items()}


class MadeBefore(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="organ-made-before"))
        self.addCleanup(shutil.rmtree, self.folder)
        for name in ("organ", "registry", "recipient", "run"):
            shutil.copytree(MADE / name, self.folder / name)
        for blob in (self.folder / "registry" / "blobs" / "sha256").iterdir():
            blob.chmod(0o444)  # as it was written; git keeps no such mode
        model = self.folder / "model"
        model.mkdir()
        for name in ("config.json", "model.safetensors"):
            shutil.copyfile(MODEL / name, model / name)

    def organ(self, *words, program=PROGRAM, expect=0):
        environment = {**os.environ, "ORGAN_REGISTRY": str(self.folder / "registry"),
                       "HOME": str(self.folder)}
        done = subprocess.run([program, *map(str, words)], capture_output=True, text=True,
                              env=environment, cwd=self.folder)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done.stdout

    def test_the_signed_organ_verifies(self):
        self.organ("verify", "organ", "--key", MADE / "publisher.pub")

    def test_its_registry_is_read(self):
        self.assertIn("old/legal", self.organ("list"))
        self.organ("verify", "--all")
        self.organ("check", "old/legal:1.0.0", "--recipient", "model", "--at", 1)

    def test_it_installs_and_comes_out_again(self):
        before = sha256(self.folder / "model" / "model.safetensors")
        self.organ("install", "old/legal:1.0.0", "--into", "model", "--at", 1)
        self.assertEqual(sha256(self.folder / "model" / "model.safetensors"),
                         sha256(MADE / "recipient" / "model.safetensors"))
        self.organ("uninstall", "model")
        self.assertEqual(sha256(self.folder / "model" / "model.safetensors"), before)

    def test_an_installation_of_then_is_undone_now(self):
        self.organ("uninstall", "recipient")
        for name in ("config.json", "model.safetensors"):
            self.assertEqual(sha256(self.folder / "recipient" / name), sha256(MODEL / name))
        self.assertFalse((self.folder / "recipient" / ".organ").exists())

    def test_interrupted_training_goes_on(self):
        if not TRAIN.exists():
            self.skipTest("organ-train was not built")
        self.organ("train", "model", "--ids", MADE / "ids.safetensors", *SETTINGS, "--name=old/legal",
                   "--organ-version=1.0.0", "--out=resumed", "--run-dir=run", "--resume",
                   program=TRAIN)
        straight = floats(MADE / "organ" / "layer.00.safetensors")
        resumed = floats(self.folder / "resumed" / "layer.00.safetensors")
        self.assertEqual(straight.keys(), resumed.keys())
        for name, values in straight.items():
            largest = max(map(abs, values))
            for a, b in zip(values, resumed[name], strict=True):
                # Another processor may sum in another order; equal bits on that of then.
                self.assertLess(abs(a - b), 1e-4 * largest, name)
        steps = [json.loads(line)["step"] for line in
                 (self.folder / "run" / "metrics.jsonl").read_text().splitlines()
                 if json.loads(line)["event"] == "step"]
        self.assertEqual(steps, list(range(1, 401)))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
