# SPDX-License-Identifier: Apache-2.0
"""A model folder of thousands of files, where a process may have 256 of them open.

usage: many_files.py ORGAN     (standard library)

Installing in place, beside and taking out again works as in a small folder.
"""
import hashlib
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from tiny_model import write_model  # noqa: E402

ORGAN = pathlib.Path(sys.argv.pop(1)).resolve()
NOTES, MOST_OPEN = 4200, 256


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.iterdir() if path.is_file()}


class ManyFiles(unittest.TestCase):
    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="organ-many-"))
        self.addCleanup(shutil.rmtree, self.work)

    def organ(self, *words):
        done = subprocess.run(
            [ORGAN, *words], cwd=self.work, text=True, capture_output=True, check=False,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.work)},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_OPEN, MOST_OPEN)))
        self.assertEqual(done.returncode, 0, f"{words}: {done.stderr}")

    def test_install_and_uninstall(self):
        model = write_model(self.work / "model")
        self.organ("extract", "model", "--layers", "0:2", "--out", "cut")
        for i in range(NOTES):
            (model / f"note{i:05}.txt").write_text(str(i))
        before = digests(model)
        install = ("install", "cut", "--into", "model", "--at", "1", "--allow-unsigned")
        self.organ(*install, "--out", "beside")
        self.organ(*install)
        after = digests(model)
        self.assertEqual(after, digests(self.work / "beside"))
        self.assertNotEqual(after, before)
        for folder in ("model", "beside"):
            self.organ("uninstall", folder)
            self.assertEqual(digests(self.work / folder), before)


if __name__ == "__main__":
    unittest.main()
