# SPDX-License-Identifier: Apache-2.0
"""What the tests of `organ train` as a program share: the command line, and what a run leaves.

The first two arguments of the program that imports it: ORGAN_TRAIN MODEL_FIXTURE.
"""
import hashlib
import json
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import letters  # noqa: E402
from tensor_file import write_safetensors  # noqa: E402

PROGRAM, FIXTURE = sys.argv[1], pathlib.Path(sys.argv[2])
CONFIG = json.loads((FIXTURE / "config.json").read_text())
STEPS = 12
FLAGS = ("--resume", "--checkpoint-activations")


def write_ids(path, windows=20, length=16, seed=1, vocabulary=None, poison=None):
    """Random windows; `poison` puts one token into the last window and nowhere else."""
    rows = random.Random(seed)
    limit = (vocabulary or CONFIG["vocab_size"]) - 1
    ids = [[rows.randrange(limit) for _ in range(length)] for _ in range(windows)]
    if poison is not None:
        ids[-1][length // 2] = poison
    flat = [i for row in ids for i in row]
    write_safetensors(path, {"ids": ("I64", [windows, length],
                                     struct.pack(f"<{len(flat)}q", *flat))})


def floats(raw):
    return struct.unpack(f"<{len(raw) // 4}f", raw)


class RunCase(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="organ-train-test"))
        self.addCleanup(shutil.rmtree, self.folder)
        write_ids(self.folder / "ids.safetensors")

    def command(self, out, *more, model=FIXTURE, steps=STEPS):
        """The command line; options in `more` replace the usual ones."""
        data = {} if "--data" in more else {"--ids": self.folder / "ids.safetensors"}
        options = {**data, "--layers": "1:2", "--out": self.folder / out, "--lr": "1e-2", "--precision": "fp32",
                   "--threads": 2, "--steps": steps, "--batch": 2, "--save-every": 1}
        flags = [word for word in more if word in FLAGS]
        pairs = [word for word in more if word not in FLAGS]
        options.update(zip(pairs[::2], pairs[1::2], strict=True))
        return [PROGRAM, "train", str(model), *flags,
                *(f"{name}={value}" for name, value in options.items())]

    def train(self, out, *more, expect=0, **keywords):
        result = subprocess.run(self.command(out, *more, **keywords), capture_output=True,
                                text=True)
        self.assertEqual(result.returncode, expect, result.stderr)
        return result

    def tensors(self, out):
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest()
                for p in sorted((self.folder / out).glob("layer.*.safetensors"))}

    def records(self, out, event):
        lines = (self.folder / f"{out}.run" / "metrics.jsonl").read_text().splitlines()
        return [r for r in map(json.loads, lines) if r["event"] == event]

    def losses(self, out):
        return [(r["step"], r["loss"], r["windows"]) for r in self.records(out, "step")]

    def evaluations(self, out):
        return [(r["step"], r["nll"]) for r in self.records(out, "evaluation")]

    def newest_state(self, out):
        return sorted((self.folder / f"{out}.run").glob("step-*.json"))[-1]

    def text_model(self):
        """A copy of the model with a tokenizer of letters."""
        model = self.folder / "lettered"
        shutil.copytree(FIXTURE, model)
        letters.write_tokenizer(model)
        return model

    def texts(self):
        """Options of a run over short documents with held-out data."""
        for name, seed in (("train.txt", 1), ("held_out.txt", 2)):
            (self.folder / name).write_text(letters.random_text(seed, 30, 24))
        return ("--data", self.folder / "train.txt", "--held-out", self.folder / "held_out.txt",
                "--documents", "blank-lines", "--context", 16)
