# SPDX-License-Identifier: Apache-2.0
"""Thousands of files where a process may have 256 of them open, and organs of very many tensors.

usage: many_files.py ORGAN     (standard library)

Taking out again gives back every byte of a model with 42,000 files of long names. Installing in place,
beside and taking out works in a model folder of thousands of files as in a small one, and with an organ of 300 layers, which is published too; in a model of as many shards as may be open what
was installed can be taken out. Layers whose organ.json would be too long are refused before
anything is read, as what they are: sound, but more than an organ can hold.
"""
import hashlib
import json
import pathlib
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from tiny_model import write_model  # noqa: E402

ORGAN = pathlib.Path(sys.argv.pop(1)).resolve()
NOTES, MANY_NOTES, MOST_OPEN = 4200, 42_000, 256
INCOMPATIBLE = 3


def write_experts(folder, layers, experts):
    """A family that nobody knows: three tiny matrices for each expert, a shard for each layer."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(
        {"model_type": "many_experts", "num_hidden_layers": layers, "n_routed_experts": experts}))
    weight_map = {}
    for layer in range(layers):
        names = [f"model.layers.{layer}.mlp.experts.{expert}.{part}_proj.weight"
                 for expert in range(experts) for part in ("down", "gate", "up")]
        header = {name: {"dtype": "BF16", "shape": [1, 2], "data_offsets": [4 * i, 4 * i + 4]}
                  for i, name in enumerate(names)}
        text = json.dumps(header).encode()
        shard = f"model-{layer + 1:05}-of-{layers:05}.safetensors"
        (folder / shard).write_bytes(struct.pack("<Q", len(text)) + text + bytes(4 * len(names)))
        weight_map |= dict.fromkeys(names, shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.iterdir() if path.is_file()}


class ManyFiles(unittest.TestCase):
    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="organ-many-"))
        self.addCleanup(shutil.rmtree, self.work)

    def organ(self, *words, code=0):
        done = subprocess.run(
            [ORGAN, *words], cwd=self.work, text=True, capture_output=True, check=False,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.work)},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_OPEN, MOST_OPEN)))
        self.assertEqual(done.returncode, code, f"{words}: {done.stderr}")
        return done.stderr

    def test_install_and_uninstall(self):
        model = write_model(self.work / "model")
        self.organ("extract", "model", "--layers", "2:4", "--out", "cut")
        for i in range(NOTES):
            (model / f"note{i:05}.txt").write_text(str(i))
        self.install_and_undo(model, "cut")

    def test_a_long_receipt(self):
        model = write_model(self.work / "model")
        self.organ("extract", "model", "--layers", "2:4", "--out", "cut")
        for i in range(MANY_NOTES):
            (model / f"note{i:05}-{'x' * 180}.txt").touch()
        before = digests(model)
        self.organ("install", "cut", "--into", "model", "--at", "0", "--allow-unsigned")
        self.assertGreater((model / ".organ/receipts/0001.json").stat().st_size, 16 << 20)
        self.assertNotEqual(digests(model), before)
        self.organ("uninstall", "model")
        self.assertEqual(digests(model), before)

    def test_more_shards_than_may_be_open(self):
        write_model(self.work / "model", layers=30, shards=MOST_OPEN + 20)
        self.assertIn("ulimit -n", self.organ("extract", "model", "--layers", "2:4", "--out", "cut", code=1))

    def test_many_layers(self):
        write_model(self.work / "donor", layers=300, seed=1)
        self.organ("extract", "donor", "--layers", "0:300", "--name", "a/b", "--out", "cut")
        self.organ("registry", "init", "--registry", "registry")
        self.organ("publish", "cut", "--registry", "registry")
        self.organ("verify", "--all", "--registry", "registry", "--allow-unsigned")
        model = write_model(self.work / "model", layers=300)
        self.install_and_undo(model, "cut")
        self.install_and_undo(model, "a/b:0.0.0", "--registry", "registry")

    def test_many_shards(self):
        model = write_model(self.work / "model", layers=30, shards=MOST_OPEN - 20)
        write_model(self.work / "donor", layers=30, seed=1)
        self.organ("extract", "donor", "--layers", "0:30", "--out", "cut")
        self.install_and_undo(model, "cut")

    def install_and_undo(self, model, organ, *options):
        before = digests(model)
        install = ("install", organ, "--into", model.name, "--at", "0", "--allow-unsigned", *options)
        self.organ(*install, "--out", "beside")
        self.organ(*install)
        after = digests(model)
        self.assertEqual(after, digests(self.work / "beside"))
        self.assertNotEqual(after, before)
        for folder in (model.name, "beside"):
            self.organ("uninstall", folder)
            self.assertEqual(digests(self.work / folder), before)
        shutil.rmtree(self.work / "beside")

    def test_an_organ_of_too_many_tensors(self):
        write_experts(self.work / "model", layers=60, experts=512)
        error = self.organ("extract", "model", "--layers", "0:60", "--out", "cut", code=INCOMPATIBLE)
        self.assertIn("organ.json of 60 layers would have ", error)
        fit = int(error.split("hint: about ")[1].split()[0])
        self.assertGreater(fit, 20)
        self.assertEqual(sorted(path.name for path in self.work.iterdir()), ["model"])
        self.organ("extract", "model", "--layers", f"0:{fit - 1}", "--out", "cut")


if __name__ == "__main__":
    unittest.main()
