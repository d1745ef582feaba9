# SPDX-License-Identifier: Apache-2.0
"""A case of unittest with a folder, a small model in it, and the program of the first argument."""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ORGAN = Path(sys.argv.pop(1)).resolve()
TOOLS = Path(__file__).parent.parent / "tools"
TREE = json.loads(subprocess.run([ORGAN, "--dump-help", "json"], check=True,
                                 capture_output=True).stdout)


def commands(node=None, path=()):
    """(path, node) of every command and group of this program."""
    for inner in (node or TREE)["commands"]:
        here = (*path, inner["name"])
        yield here, inner
        yield from commands(inner, here)


def programs():
    """organ and, where it was built, organ-train."""
    return [ORGAN] + [path for path in [ORGAN.parent / "organ-train"] if path.exists()]


class OrganCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="organ-habits-")
        cls.work = Path(cls.scratch.name)
        (cls.work / "home").mkdir()
        cls.env = {"PATH": os.environ["PATH"], "HOME": str(cls.work / "home"), "LC_ALL": "C.UTF-8",
                   "TERM": "dumb"}
        subprocess.run([sys.executable, TOOLS / "make_tiny_model.py", cls.work / "model",
                        "--layers", "4"], check=True, stdout=subprocess.DEVNULL)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def run_organ(self, *words, program=ORGAN, env=(), **options):
        return subprocess.run([program, *words], cwd=self.work, env=self.env | dict(env), check=False,
                              text=True, **{"capture_output": True} | options)

    def good(self, *words, **options):
        done = self.run_organ(*words, **options)
        self.assertEqual(done.returncode, 0, f"{words}: {done.stderr}")
        return done

    def refused(self, *words):
        done = self.run_organ(*words)
        self.assertEqual((done.returncode, done.stdout), (2, ""), words)
        return done.stderr
