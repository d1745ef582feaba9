# SPDX-License-Identifier: Apache-2.0
"""A model whose shards are replaced while it is opened is never read half old, half new.

usage: swapped_shards.py ORGAN     (standard library, strace)

strace holds `organ extract` back before it opens the second shard; meanwhile both shards are moved into
place, as an installation does it. The command must end with exit 7 and leave nothing; with shards that were
replaced before it opens them it must succeed.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from tiny_model import write_model  # noqa: E402

ORGAN = pathlib.Path(sys.argv.pop(1)).resolve()
HELD_BACK = 5_000_000  # microseconds
CONFLICT = 7


def has_open(path):
    """Whether some process has this file open, by the links below /proc."""
    for link in pathlib.Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == str(path):
                return True
        except OSError:
            continue
    return False


class SwappedShards(unittest.TestCase):
    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="organ-swapped-")).resolve()
        self.addCleanup(shutil.rmtree, self.work)
        self.model = write_model(self.work / "model")
        self.shards = sorted(self.model.glob("*.safetensors"))
        self.assertEqual(len(self.shards), 2)
        self.extract = [ORGAN, "extract", self.model, "--layers", "0:2", "--out", self.work / "out"]

    def swap(self, shards):
        for shard in shards:
            new = self.work / "new"
            shutil.copy(shard, new)
            new.rename(shard)

    def test_between_two_shards(self):
        first, second = self.shards
        command = ["strace", "-f", "-qq", "-o", self.work / "trace", "-P", second, "-e", "trace=openat",
                   "-e", f"inject=openat:delay_enter={HELD_BACK}:when=1", *self.extract]
        process = subprocess.Popen(list(map(str, command)), text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        while not has_open(first) and process.poll() is None:
            time.sleep(0.01)
        self.swap(self.shards)
        _, error = process.communicate(timeout=120)
        self.assertEqual(process.returncode, CONFLICT, error)
        self.assertIn(f"{first.name}': was replaced while the model was opened", error)
        self.assertFalse((self.work / "out").exists())

    def test_before(self):
        self.swap(self.shards)
        done = subprocess.run(list(map(str, self.extract)), capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
