# SPDX-License-Identifier: Apache-2.0
"""What organ-train writes: as commands.py, and it needs that program."""
import json
import random
import shutil
import signal
import struct

from commands import Case, demand, files
from tiny_model import HIDDEN, VOCAB, write_shard

INTERRUPTED = -signal.SIGINT


class Import(Case):
    name = "import"
    arguments = ("import", "lora", "--into", "model", "--out", "merged")

    def prepare(self, home):
        super().prepare(home)
        adapter = home / "lora"
        adapter.mkdir()
        place = "base_model.model.model.layers.1.self_attn.q_proj."
        write_shard(adapter / "adapter_model.safetensors",
                    [(place + "lora_A.weight", [2, HIDDEN]), (place + "lora_B.weight", [HIDDEN, 2])],
                    random.Random(3))
        (adapter / "adapter_config.json").write_text(json.dumps(
            {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"],
             "layers_to_transform": [1]}))

    def after(self, folder):
        self.merged = files(folder / "merged")

    def judge(self, folder, finished):
        there = (folder / "merged").exists()
        demand(there or not finished, "the finished model is gone")
        if not there:
            self.must(folder, *self.arguments)
        demand(files(folder / "merged") == self.merged, "a half-written model has its name")


def write_ids(path, windows, length, seed):
    draw = random.Random(seed)
    ids = struct.pack(f"<{windows * length}q", *(draw.randrange(VOCAB) for _ in range(windows * length)))
    header = json.dumps({"ids": {"dtype": "I64", "shape": [windows, length],
                                 "data_offsets": [0, len(ids)]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + ids)


MEASURED = {"wall_milliseconds", "peak_memory_bytes"}


def without_measured(value):
    """A JSON value without what no two runs have in common."""
    if isinstance(value, list):
        return [without_measured(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: without_measured(one) for key, one in value.items() if key not in MEASURED}


def parsed(data):
    """A torn document stays what it is."""
    try:
        return without_measured(json.loads(data))
    except ValueError:
        return data


def said(contents):
    return {path: parsed(data) if path.endswith(".json") else data for path, data in contents.items()}


def weights(contents):
    return {path: data for path, data in contents.items() if path.endswith(".safetensors")}


class WithData(Case):
    """Two steps with a train state after each. What is interrupted goes on with --resume, and whatever
    its folder of train states still holds is none for another result."""
    command = ()

    @property
    def arguments(self):
        return (*self.command, "--ids", "ids.safetensors", "--held-out-ids", "held_out.safetensors",
                "--context", "8", "--batch", "1", "--steps", "2", "--save-every", "1", "--lr", "1e-1",
                "--schedule", "constant", "--warmup-share", "0", "--precision", "fp32", "--threads", "1",
                "--out", "made")

    def prepare(self, home):
        super().prepare(home)
        write_ids(home / "ids.safetensors", 4, 8, 1)
        write_ids(home / "held_out.safetensors", 2, 8, 2)

    def after(self, folder):
        self.made = files(folder / "made")

    def judge(self, folder, finished):
        there = (folder / "made").exists()
        demand(there or not finished, "the finished result is gone")
        if there:
            demand(said(files(folder / "made")) == said(self.made), "a half-written result has its name")
            shutil.rmtree(folder / "made")
            self.must(folder, *self.arguments, "--run-dir", "another.run")
            shutil.rmtree(folder / "made")
            left = sorted(path.name for path in (folder / "made.run").glob("*step-*"))
            demand(not left or not finished or self.calls_fail, f"it leaves {left}")
        self.must(folder, *self.arguments, "--resume")
        demand(weights(files(folder / "made")) == weights(self.made), "resumed it makes other weights")
        left = sorted(path.name for path in (folder / "made.run").glob("*step-*"))
        demand(not left, f"the run that was resumed leaves {left}")


class Train(WithData):
    name = "train"
    command = ("train", "model", "--layers", "1:2")


class TrainStopped(Train):
    """Ctrl-C: it says that its train state is saved."""
    name = "train, interrupted"
    stopped, code = ("-e", "inject=fsync:signal=SIGINT:when=5"), INTERRUPTED

    def prepare(self, home):
        super().prepare(home)
        self.must(home, *self.arguments)
        self.made = files(home / "made")
        shutil.rmtree(home / "made")
        shutil.rmtree(home / "made.run")

    def after(self, folder):
        self.step = self.newest(folder)
        demand(self.step >= 1, "it was stopped before its first step")

    def newest(self, folder):
        return max((int(path.stem[5:]) for path in (folder / "made.run").glob("step-*.json")), default=-1)

    def judge(self, folder, finished):
        resumed = self.organ.run(folder, *self.arguments, "--resume")
        demand(resumed.returncode == 0, f"it cannot be resumed: {resumed.stderr}")
        demand(not finished or f"resumed at step {self.step} of 2" in resumed.stderr,
               f"the saved train state is gone: {resumed.stderr}")
        demand(weights(files(folder / "made")) == weights(self.made), "resumed it makes other weights")


class Recover(WithData):
    name = "recover"
    command = ("recover", "model", "--layers", "1:2")


class TrainLayers(WithData):
    name = "baseline same_layers"
    command = ("baseline", "same_layers", "model", "--layers", "1:2")


class TrainAdapter(WithData):
    name = "baseline lora"
    command = ("baseline", "lora", "model", "--rank", "2")
