# SPDX-License-Identifier: Apache-2.0
"""A demo removes what the last demo made and nothing else, and nothing at all before it is known
that it can begin; ./dev looks at its words before it installs anything, and prints them as they were.

    demo_folder.py SOURCE_ROOT
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(sys.argv.pop(1)).resolve()
# Of whoever takes the folder for a place to work in.
FOREIGN = ("tour/publisher.key", "notes.txt", ".hidden", "legal-1.0.1/organ.json")


class DemoFolder(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="organ-demo-folder-")
        self.addCleanup(self.scratch.cleanup)
        self.work = Path(self.scratch.name)
        (self.work / "tests/tools").mkdir(parents=True)
        shutil.copy(SOURCE / "tests/tools/demo.sh", self.work / "tests/tools")
        self.model = self.work / "models/smollm2"
        self.model.mkdir(parents=True)
        (self.model / "config.json").write_text("{}")
        self.write("demo/registry/index.json")

    def write(self, name):
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        return path

    def run_demo(self):
        """There is no program organ here, so it ends soon after it began."""
        env = {"PATH": "/usr/bin:/bin", "ORGAN_MODELS": str(self.work / "models"),
               "HOME": str(self.work)}
        return subprocess.run(["bash", "tests/tools/demo.sh"], cwd=self.work, env=env, check=False,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def test_what_the_demo_did_not_make_stays(self):
        for name in FOREIGN:
            with self.subTest(name=name):
                mine = self.write(f"demo/{name}")
                done = self.run_demo()
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(Path(name).parts[0], done.stdout)
                self.assertEqual(mine.read_text(), "mine")
                self.assertTrue((self.work / "demo/registry/index.json").exists())
                top = self.work / "demo" / Path(name).parts[0]
                shutil.rmtree(top) if top.is_dir() else top.unlink()

    def test_nothing_is_removed_without_the_model(self):
        (self.model / "config.json").unlink()
        done = self.run_demo()
        self.assertEqual(done.returncode, 1)
        self.assertIn("smollm2", done.stdout)
        self.assertTrue((self.work / "demo/registry/index.json").exists())

    def test_the_last_demo_goes(self):
        done = self.run_demo()
        self.assertFalse((self.work / "demo/registry").exists(), done.stdout)
        self.assertTrue((self.work / "demo/record/machine.tsv").exists(), done.stdout)

    def test_every_name_that_the_demo_makes_is_one_of_the_list(self):
        """Else the second demo would take what the first one made for somebody else's."""
        script = (SOURCE / "tests/tools/demo.sh").read_text()
        made = set(script[script.index("made=(") + 6:script.index(")", script.index("made=("))].split())
        corpus = (SOURCE / "tests/tools/demo_corpus.py").read_text()
        for name in ("train", "held-out"):
            self.assertIn(f'"{name}"', corpus)
            self.assertIn(name, made)
        page = SOURCE / "demo"
        if page.is_dir():
            self.assertLessEqual({path.name for path in page.iterdir()}, made)


class DevWords(unittest.TestCase):
    """On a machine where no package is installed and nobody may install one."""

    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="organ-dev-words-")
        self.addCleanup(self.scratch.cleanup)
        self.work = Path(self.scratch.name)
        shutil.copy(SOURCE / "dev", self.work)
        (self.work / "bin").mkdir()
        for name, text in (("dpkg-query", f"touch '{self.work}/asked'; echo not-installed"), ("id", "echo 1000")):
            (self.work / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (self.work / "bin" / name).chmod(0o755)

    def dev(self, *words):
        env = {"PATH": f"{self.work}/bin:/usr/bin:/bin", "HOME": str(self.work)}
        return subprocess.run(["./dev", *words], cwd=self.work, env=env, check=False,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def test_words_come_first(self):
        for words, said in ((["package", "dep"], "unknown package 'dep'"),
                            (["bench", "nothing"], "no benchmark is called 'nothing'")):
            done = self.dev(*words)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stderr.splitlines()[0], f"dev: {said}"
                             + ("; expected deb or wheel" if words[0] == "package" else ""))
            self.assertFalse((self.work / "asked").exists())

    def test_the_line_to_run_again_is_the_one_that_was_run(self):
        for words in (["build", "--no-train"], ["build"], ["test", "--filter", "cli"]):
            self.assertIn(f"then run ./dev {' '.join(words)} again", self.dev(*words).stderr)
        self.assertTrue((self.work / "asked").exists())

    def test_the_light_build_wants_no_package_of_the_tests(self):
        light = set(self.dev("build", "--no-train").stderr.splitlines()[-1].split())
        whole = self.dev("build").stderr.splitlines()[-1].split()
        self.assertIn("meson", light)
        for name in ("zsh", "skopeo", "strace", "doctest-dev", "cmake", "python3-venv"):
            self.assertNotIn(name, light)
            self.assertEqual(whole.count(name), 1, whole)


if __name__ == "__main__":
    unittest.main()
