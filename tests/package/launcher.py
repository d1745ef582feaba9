# SPDX-License-Identifier: Apache-2.0
"""The console script of the wheel: it becomes the program with the signals of a shell, and tells the
loader where LibTorch is when that is not where pip puts it.

    launcher.py SOURCE_ROOT
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(sys.argv.pop(1)).resolve()
PROGRAM = """#!/bin/sh
printf '%s\\n' "$LD_LIBRARY_PATH" "$*"
sed -n 's/^SigIgn:[[:space:]]*//p' /proc/$$/status
"""
SIGPIPE, SIGXFSZ = 1 << 12, 1 << 24


class Launcher(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="organ-launcher-")
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        package = self.folder / "site" / "organ"
        package.mkdir(parents=True)
        shutil.copy(ROOT / "packaging/python/organ/__init__.py", package)
        (package / "organ-train").write_text(PROGRAM)
        (package / "organ-train").chmod(0o755)

    def make_torch(self, name, library=True):
        (self.folder / name / "torch/lib").mkdir(parents=True)
        (self.folder / name / "torch/__init__.py").write_text("raise SystemExit('it is run')")
        if library:
            (self.folder / name / "torch/lib/libtorch_cpu.so").touch()
        return str(self.folder / name / "torch/lib")

    def launch(self, library_path=None):
        environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1",
                       "PYTHONPATH": f"{self.folder / 'site'}:{self.folder / 'other'}"}
        if library_path is not None:
            environment["LD_LIBRARY_PATH"] = library_path
        done = subprocess.run(
            [sys.executable, "-S", "-c", "import organ; organ.run_train_program()", "eval", "a b"],
            env=environment, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        path, words, ignored = done.stdout.splitlines()
        self.assertEqual(words, "eval a b")
        self.assertEqual(int(ignored, 16) & (SIGPIPE | SIGXFSZ), 0)
        return path

    def test_beside(self):
        self.make_torch("site")
        self.make_torch("other")
        self.assertEqual(self.launch(), "")
        self.assertEqual(self.launch("/mine"), "/mine")

    def test_elsewhere(self):
        self.make_torch("site", library=False)  # what an uninstallation left
        (self.folder / "site/torch/__init__.py").unlink()
        library = self.make_torch("other")
        self.assertEqual(self.launch(), library)
        self.assertEqual(self.launch("/mine:/yours"), f"{library}:/mine:/yours")
        self.assertEqual(self.launch(""), library)

    def test_nowhere(self):
        self.assertEqual(self.launch("/mine"), "/mine")


if __name__ == "__main__":
    unittest.main()
