# SPDX-License-Identifier: Apache-2.0
"""What people and scripts expect of any command line: full and closed outputs are failures, global
options may stand first, `help` is a command, errors are JSON where JSON was asked for, --quiet is
quiet, relative folders of the system are none, and an organ-train that does not start is said in one
sentence.

    habits.py ORGAN_PROGRAM
"""
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from organ_case import ORGAN, OrganCase, commands


class Habits(OrganCase):
    def test_full_and_closed_outputs(self):
        lines = [["--version"], ["--help"], ["help"], ["--dump-help", "json"], ["doctor"],
                 ["inspect", "model"]]
        lines += [[*path, "--help"] for path, _ in commands()]
        for words in lines:
            with self.subTest(words=words):
                with open("/dev/full", "wb") as full:
                    done = self.run_organ(*words, capture_output=False, stdout=full,
                                          stderr=subprocess.PIPE)
                self.assertEqual(done.returncode, 1)
                # What is long failed before its end, when nobody asked why.
                self.assertRegex(done.stderr, "^organ: standard output: write failed"
                                              "(: No space left on device)?\n$")
                done = subprocess.run(["sh", "-c", 'exec "$0" "$@" >&-', ORGAN, *words],
                                      cwd=self.work, env=self.env, capture_output=True, text=True,
                                      check=False)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, "^organ: standard output: write failed"
                                              "(: Bad file descriptor)?\n$")

    def test_global_options_first(self):
        for words in (["inspect", "model"], ["doctor", "--help"], ["help", "inspect"]):
            for option in (["--json"], ["-q"], ["-v"], ["--no-progress"], ["--registry", "r"],
                           ["--registry=r"]):
                with self.subTest(words=words, option=option):
                    first, last = self.good(*option, *words), self.good(*words, *option)
                    self.assertEqual(first.stdout, last.stdout)
                    self.assertTrue(first.stdout)
        self.good("--registry", "first", "registry", "init")
        self.good("registry", "--registry", "middle", "init")
        self.assertTrue((self.work / "first/oci-layout").exists())
        self.assertTrue((self.work / "middle/oci-layout").exists())
        record = json.loads(self.good("key", "--json", "generate", "k").stdout)
        self.assertEqual(record["command"], "key generate")

    def test_help_is_a_command(self):
        self.assertEqual(self.good("help").stdout, self.good("--help").stdout)
        for path, _ in commands():
            with self.subTest(path=path):
                self.assertEqual(self.good("help", *path).stdout, self.good(*path, "--help").stdout)
        done = self.run_organ("help", "extrakt")
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean 'extract'?", done.stderr)

    def test_errors_are_json_where_json_was_asked_for(self):
        for words in (["nonsense"], ["doctor", "--nonsense"], ["key"], ["key", "nonsense"], [],
                      ["extract"], ["extract", "model", "--layers"], ["doctor", "more"],
                      ["verify", "--format", "nonsense", "x"], ["sign", "no-folder", "--key", "k"],
                      ["--registry"], ["inspect", "nothing"], ["help", "nonsense"]):
            for line in (["--json", *words], [*words, "--json"]):
                with self.subTest(line=line):
                    done = self.run_organ(*line)
                    self.assertNotEqual(done.returncode, 0)
                    record = json.loads(done.stderr.splitlines()[-1])
                    self.assertEqual(record["message_type"], "exit_error")
                    self.assertEqual(record["exit_code"], done.returncode)
                    self.assertEqual(done.stdout, "")
        plain = self.run_organ("inspect", "--", "--json")  # the name of a file
        self.assertTrue(plain.stderr.startswith("organ: "))

    def test_quiet_says_nothing_when_all_went_well(self):
        work = self.work / "quiet"
        work.mkdir()
        shutil.copytree(self.work / "model", work / "model")
        config = json.loads((work / "model/config.json").read_text())
        (work / "model/config.json").write_text(json.dumps(config | {"mystery": 1}))
        way = ["extract model --layers 1:3 --name a/b --organ-version 1.0.0 --license MIT --out o",
               "sign o --key k.key", "registry init --key k.pub", "publish o", "verify o",
               "verify a/b:1.0.0", "verify --all", "registry rebuild", "fsck",
               "repair --from o", "gc", "lock a/b@^1", "lock --check", "verify --locked organ.lock",
               "check o --recipient model --at 0", "install a/b:1.0.0 --into model --at 0",
               "install --continue --into model", "uninstall model"]
        env = {"ORGAN_REGISTRY": str(work / "registry")}

        def run(line):
            return subprocess.run([ORGAN, *line.split(), "-q"], cwd=work, env=self.env | env,
                                  capture_output=True, text=True, check=True)
        done = run("key generate k")
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.startswith("warning: "), done.stderr)
        for line in way:
            with self.subTest(line=line):
                done = run(line)
                said = [text for text in done.stderr.splitlines()
                        if not text.startswith(("warning: ", "warning [", "  hint: "))]
                self.assertEqual((done.stdout, said), ("", []))
                if line.startswith(("check", "install a")):
                    self.assertIn("mystery", done.stderr)  # the verdict's warnings are warnings
        for line in ("inspect o", "list", "show a/b:1.0.0", "log", "doctor", "registry stats"):  # data was asked for
            self.assertTrue(run(line).stdout, line)
        (work / "o/layer.00.safetensors").write_bytes(b"")
        done = self.run_organ("verify", "quiet/o", "-q")
        self.assertEqual(done.returncode, 4)
        self.assertIn("FAILED", done.stdout)

    def test_relative_folders_of_the_system_are_none(self):
        for env in ({"HOME": "relative"}, {"HOME": "relative", "XDG_DATA_HOME": "data"},
                    {"HOME": "", "XDG_DATA_HOME": "data"}):
            with self.subTest(env=env):
                done = self.run_organ("registry", "init", env=env)
                self.assertEqual(done.returncode, 2)
                self.assertIn("no registry: HOME is not set to an absolute path", done.stderr)
                self.assertIsNone(json.loads(self.good("doctor", "--json", env=env).stdout)["registry"])
        self.good("registry", "init", env={"XDG_DATA_HOME": "data"})
        self.assertTrue((self.work / "home/.local/share/organ/registry/oci-layout").exists())
        self.assertFalse((self.work / "data").exists())
        self.assertFalse((self.work / "relative").exists())

    def test_without_proc(self):
        """A chroot may lack it: then organ-train is not found, and nothing else is lost."""
        if b"__asan_init" in Path(ORGAN).read_bytes():
            self.skipTest("the address sanitizer finds its stack in /proc")
        hide = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() != 0 else []), "sh", "-c",
                'mount -t tmpfs none /proc && exec "$0" "$@"']
        if not shutil.which("unshare") or subprocess.run([*hide, "true"], capture_output=True,
                                                         check=False).returncode != 0:
            self.skipTest("there are no namespaces of mounts here")

        def run(*words):
            return self.run_organ(*hide[1:], ORGAN, *words, program=hide[0])
        for words in (["--help"], ["help"], ["train", "--help"], ["eval", "model"]):
            with self.subTest(words=words):
                done = run(*words)
                helps = words[0] in ("--help", "help")
                self.assertEqual(done.returncode, 0 if helps else 6, done.stderr)
                self.assertIn("(organ-train is not installed)" if helps else "organ-train: not found",
                              done.stdout if helps else done.stderr)
        done = run("doctor")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("\ntraining   not installed", done.stdout)


BROKEN = "organ-train: does not start: "


class BrokenTrainProgram(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="organ-broken-")
        self.folder = Path(self.scratch.name)
        self.organ = self.folder / "organ"
        shutil.copy(ORGAN, self.organ)
        self.train = self.folder / "organ-train"

    def tearDown(self):
        self.scratch.cleanup()

    def compile(self, text, *options):
        if not shutil.which("cc"):
            self.skipTest("there is no C compiler")
        subprocess.run(["cc", "-x", "c", "-", "-L", self.folder, *options], input=text, text=True,
                       check=True, cwd=self.folder)

    def run_organ(self, *words):
        return subprocess.run([self.organ, *words], capture_output=True, text=True, check=False,
                              env={"PATH": os.environ["PATH"], "HOME": str(self.folder)})

    def check_said(self, *pieces):
        done = self.run_organ("train", "model", "--data", "x", "--out", "y")
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 2, lines)
        self.assertTrue(lines[0].startswith("organ: " + BROKEN), lines)
        self.assertTrue(lines[1].startswith("hint: "), lines)
        for piece in pieces:
            self.assertIn(piece, lines[0])
        done = self.run_organ("train", "model", "--json")
        self.assertIn(BROKEN, json.loads(done.stderr)["message"])
        self.check_doctor(*pieces)

    def check_doctor(self, *pieces):
        done = self.run_organ("doctor")
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertIn("\nsha-256    ", done.stdout)
        said = [line for line in done.stdout.splitlines() if line.startswith("training ")]
        self.assertEqual(len(said), 1, done.stdout)
        for piece in pieces:
            self.assertIn(piece, said[0])
        done = self.run_organ("doctor", "--json")
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        training = json.loads(done.stdout)["training"]
        self.assertFalse(training["usable"])
        for piece in pieces:
            self.assertIn(piece, training["reason"])

    def test_a_library_is_missing(self):
        self.compile("int f(void) { return 0; }", "-shared", "-o", "libtorch_cpu.so")
        self.compile("int f(void); int main(void) { return f(); }", "-ltorch_cpu", "-o", "organ-train")
        self.check_said("libtorch_cpu.so")

    def test_a_library_lacks_a_symbol(self):
        self.compile("int f(void) { return 0; }", "-shared", "-o", "libtorch_cpu.so")
        self.compile("int f(void); int main(void) { return f(); }", "-ltorch_cpu", "-o", "organ-train",
                     f"-Wl,-rpath,{self.folder}")
        self.compile("int g(void) { return 0; }", "-shared", "-o", "libtorch_cpu.so")
        self.check_said("symbol", "f")

    def test_the_library_path_names_another_libtorch(self):
        """The program keeps to the one that it was linked with."""
        train = ORGAN.parent / "organ-train"
        if not train.exists():
            self.skipTest("organ-train was not built")
        self.compile("int f(void) { return 0; }", "-shared", "-o", "libtorch_cpu.so")
        done = subprocess.run([train, "doctor"], capture_output=True, text=True, check=False,
                              env={"LD_LIBRARY_PATH": str(self.folder), "HOME": str(self.folder)})
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_it_is_cut_short(self):
        self.train.write_bytes(ORGAN.read_bytes()[:5000])
        self.train.chmod(0o755)
        self.check_said()

    def test_it_is_killed(self):
        self.train.write_text("#!/bin/sh\nkill -9 $$\n")
        self.train.chmod(0o755)
        self.check_said("signal 9")

    def test_a_script_fails(self):
        self.train.write_text("#!/bin/sh\necho other >&2\necho 'no module torch' >&2\nexit 3\n")
        self.train.chmod(0o755)
        self.check_said("no module torch")

    def test_it_says_what_nobody_understands(self):
        self.train.write_text("#!/bin/sh\necho hello\n")
        self.train.chmod(0o755)
        self.check_doctor("organ-train doctor")

    def test_it_is_not_there(self):
        done = self.run_organ("train", "model")
        self.assertEqual(done.returncode, 6)
        self.assertIn("organ-train: not found", done.stderr)
        self.assertEqual(self.run_organ("doctor").returncode, 0)


if __name__ == "__main__":
    unittest.main()
