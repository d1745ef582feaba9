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
        (self.work / "elsewhere/demo").mkdir(parents=True)

    def write(self, name):
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        return path

    def run_demo(self):
        """There is no program organ here, so it ends soon after it began."""
        env = {"PATH": "/usr/bin:/bin", "ORGAN_MODELS": str(self.work / "models"),
               "HOME": str(self.work), "CDPATH": str(self.work / "elsewhere")}
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

    def test_what_it_says_itself_fits_on_a_terminal(self):
        """The commands and headings, and the figures of the record that is kept, in 80 columns."""
        script = (SOURCE / "tests/tools/demo.sh").read_text()
        measure = script[script.index("\nmeasure() {"):script.index("# What the figures were made on.")]
        story = script[script.index("run 'cd demo'"):script.index("printf 'seconds")]
        stubs = """run() { printf '$ %s\\n' "$1"; }; run_as() { run "$2"; }; refused() { run "$3"; }
tell() { printf '\\n# %s\\n' "$*"; }; report() { :; }; cp() { :; }; sha256sum() { :; }; describe_machine() { :; }
mkdir record; before=0
"""
        said = subprocess.run(["bash", "-euc", stubs + measure + story], cwd=self.work, check=True,
                              capture_output=True, text=True).stdout
        self.assertGreater(said.count("\n$ "), 25)
        for words in (("figure", "untouched"), ("figure", "after_recovery"), ("texts",), ("summary",)):
            said += subprocess.run([sys.executable, SOURCE / "tests/tools/demo_report.py", words[0],
                                    SOURCE / "tests/data/demo", *words[1:]], check=True,
                                   capture_output=True, text=True).stdout
        self.assertEqual([line for line in said.splitlines() if len(line) > 80], [])


class DevWords(unittest.TestCase):
    """On a machine where no package is installed and nobody may install one."""

    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="organ-dev-words-")
        self.addCleanup(self.scratch.cleanup)
        self.work = Path(self.scratch.name)
        shutil.copy(SOURCE / "dev", self.work)
        (self.work / "bin").mkdir()
        for name, text in (("dpkg-query", f"touch '{self.work}/asked'; echo not-installed"), ("id", "echo 1000")):
            self.stub(name, text)

    def dev(self, *words, program="./dev", cwd=None, user=None, **more):
        env = {"PATH": f"{self.work}/bin:/usr/bin:/bin", "HOME": str(self.work)} | more
        return subprocess.run([program, *words], cwd=cwd or self.work, env=env, user=user,
                              check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)

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

    def test_help_behind_a_command_is_the_help(self):
        for words in (["demo", "--help"], ["test", "-h"]):
            done = self.dev(*words)
            self.assertEqual(done.returncode, 0)
            self.assertIn("usage: ./dev COMMAND", done.stdout)

    def test_a_filter_needs_a_text(self):
        for words in (["--filter"], ["--filter", ""]):
            self.assertEqual(self.dev("test", *words).stderr, "dev: --filter needs a text\n")

    def test_a_checkout_that_cannot_be_written(self):
        self.work.chmod(0o555)
        self.addCleanup(self.work.chmod, 0o755)
        done = self.dev("build", "--no-train", user=65534 if os.geteuid() == 0 else None)
        self.assertEqual(done.stderr,
                         f"dev: the checkout {self.work.resolve()} cannot be written\n")

    def stub(self, name, text):
        (self.work / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.work / "bin" / name).chmod(0o755)

    def test_a_failing_meson_is_tried_again_and_the_folders_are_the_callers(self):
        """Called through a link, from a folder that has a cache, where CDPATH leads elsewhere."""
        here, lists = self.work / "here", self.work / "tests/tools"
        for folder in (lists, here / "cache/tools", here / "cache/libtorch-2.11.0",
                       here / "cache/models/smollm2", here / "tests"):
            folder.mkdir(parents=True)
        (lists / "tools_requirements.txt").write_text("numpy\n")
        (here / "cache/tools/requirements.txt").write_text("numpy\n" * 2)
        (here / "to-dev").symlink_to("../dev")
        self.stub("dpkg-query", "echo installed")
        self.stub("meson", "mkdir -p build-demo; touch build-demo/half; echo no compiler; exit 1")
        self.stub("ninja", f"touch '{self.work}/built'")
        for _ in range(2):
            done = self.dev("demo", program="./to-dev", cwd=here, ORGAN_CACHE="cache",
                            CDPATH=str(here))
            self.assertEqual(done.returncode, 1, done.stderr)
            log = here / "cache/log/meson.log"
            self.assertEqual(done.stderr, f"dev: meson failed; {log} ends with\nno compiler\n")
            self.assertTrue((self.work / "build-demo/half").exists())
            self.assertFalse((self.work / "build-demo/dev-options").exists())
        self.assertFalse((self.work / "built").exists())


if __name__ == "__main__":
    unittest.main()
