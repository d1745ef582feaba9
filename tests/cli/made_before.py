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


def write_gpt2(folder):
    """The small GPT-2 that tests/data/made_before/opaque_organ was cut out of."""
    width, layers = 8, 3
    shapes = {"wte.weight": [11, width], "wpe.weight": [16, width], "ln_f.weight": [width], "ln_f.bias": [width]}
    for layer in range(layers):
        for name, shape in (("ln_1.weight", [width]), ("ln_1.bias", [width]), ("ln_2.weight", [width]), ("ln_2.bias", [width]),
                            ("attn.c_attn.weight", [width, 3 * width]), ("attn.c_attn.bias", [3 * width]),
                            ("attn.c_proj.weight", [width, width]), ("attn.c_proj.bias", [width]),
                            ("mlp.c_fc.weight", [width, 4 * width]), ("mlp.c_fc.bias", [4 * width]),
                            ("mlp.c_proj.weight", [4 * width, width]), ("mlp.c_proj.bias", [width])):
            shapes[f"h.{layer}.{name}"] = shape
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({
        "model_type": "gpt2", "n_embd": width, "n_head": 2, "n_layer": layers, "n_positions": 16,
        "scale_attn_by_inverse_layer_idx": True, "vocab_size": 11}))
    header, data = {}, b""
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        values = [((i * 7 + len(data)) % 19 - 9) / 16 for i in range(count)]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * count]}
        data += struct.pack(f"<{count}f", *values)
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


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

    def test_layers_whose_maths_was_not_known_fit_where_they_come_from(self):
        write_gpt2(self.folder / "gpt2")
        (self.folder / "opaque").mkdir()
        for path in (MADE / "opaque_organ").iterdir():
            shutil.copyfile(path, self.folder / "opaque" / path.name)
        self.assertIn('"maths":"unknown"', (self.folder / "opaque" / "organ.json").read_text())
        self.organ("verify", "opaque", "--allow-unsigned")
        self.organ("check", "opaque", "--recipient", "gpt2", "--at", 1)
        self.organ("check", "opaque", "--recipient", "gpt2", "--at", 0, expect=3)
        before = sha256(self.folder / "gpt2" / "model.safetensors")
        self.organ("install", "opaque", "--into", "gpt2", "--at", 1, "--allow-unsigned")
        self.assertEqual(sha256(self.folder / "gpt2" / "model.safetensors"), before)  # its own layer
        self.organ("uninstall", "gpt2")
        self.assertEqual(sha256(self.folder / "gpt2" / "model.safetensors"), before)

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
