# SPDX-License-Identifier: Apache-2.0
"""Paths that cannot be asked about are said to be so: never a defect, never half of something.

    unreachable_paths.py ORGAN_PROGRAM

Every command with each of its paths in turn: through a loop of links, with a name too long for a
file system, below a file, below a folder that may not be entered (not as root: then as nobody).
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ORGAN = Path(sys.argv.pop(1)).resolve()
TOOLS = Path(__file__).parent.parent / "tools"
NOBODY = 65534
BAD = {"loop": "loop", "below a loop": "loop/x", "long": "x" * 300, "below long": "x" * 300 + "/y",
       "below a file": "k.pub/x", "locked": "locked/x", "deep in locked": "locked/x/y"}
# BAD stands for one path at a time.
LINES = ["extract BAD --layers 0:1 --out fresh", "extract model --layers 0:1 --out BAD",
         "extract model --layers 0:1 --out BAD/deep", "inspect BAD", "sign BAD --key k.key",
         "sign o --replace --key BAD", "key generate BAD/k", "key generate fresh --passphrase-file BAD",
         "verify BAD", "verify o --key BAD", "verify --all --registry BAD", "verify o --registry BAD",
         "check BAD --recipient model", "check o --recipient BAD",
         "install BAD --into model --at 0 --allow-unsigned",
         "install o --into BAD --at 0 --allow-unsigned",
         "install o --into model --at 0 --allow-unsigned --out BAD",
         "install o --into model --at 0 --key BAD", "install --continue --into BAD",
         "install --abort --into BAD", "uninstall BAD", "publish BAD", "publish o --key BAD",
         "publish o --registry BAD", "registry init --registry BAD",
         "registry init --registry fresh --key BAD", "registry rebuild --registry BAD",
         "log verify BAD", "log verify --proof BAD", "log prove 0 --registry registry --out BAD",
         "log renew --registry BAD", "log root --sign BAD --key k.key", "log root --apply BAD",
         "log root --rotate --registry BAD", "log cosign BAD --key k.key",
         "log cosign registry --key BAD", "log cosign registry --add BAD", "registry retire BAD",
         "fsck BAD", "repair BAD", "repair registry --from BAD", "gc BAD", "registry stats --registry BAD",
         "pull oci://127.0.0.1:1/a:1 --manifest-only --out BAD", "push a/b oci://127.0.0.1:1/a --ca BAD",
         "diff BAD o", "diff o BAD", "lock a/b --out BAD", "lock --check --out BAD", "lock --update a/b --out BAD", "verify --locked BAD",
         "install a/b --locked BAD --into model --at 0", "list --registry BAD", "log --registry BAD", "show a/b --registry BAD"]
REFUSALS = {1, 2, 4, 6}  # failure, usage, corrupt, not found


def nobody():
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


class UnreachablePaths(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="organ-unreachable")
        cls.work = Path(cls.scratch.name)
        cls.organ = cls.work / "program"
        shutil.copy(ORGAN, cls.organ)
        subprocess.run([sys.executable, TOOLS / "make_tiny_model.py", cls.work / "model",
                        "--layers", "2"], check=True, stdout=subprocess.DEVNULL)
        if os.geteuid() == 0:
            for path in [cls.work, *cls.work.rglob("*")]:
                os.chown(path, NOBODY, NOBODY)
        for line in ("key generate k", "extract model --layers 0:1 --name a/b --out o",
                     "registry init --key k.pub", "sign o --key k.key", "publish o"):
            done = cls.organ_run(line.split())
            if done.returncode != 0:
                raise AssertionError(f"{line}: {done.stderr}")
        (cls.work / "loop").symlink_to("loop")
        (cls.work / "locked").mkdir(mode=0)

    @classmethod
    def tearDownClass(cls):
        (cls.work / "locked").chmod(0o700)
        cls.scratch.cleanup()

    @classmethod
    def organ_run(cls, words):
        return subprocess.run([cls.organ, *words], cwd=cls.work, text=True, capture_output=True,
                              check=False, timeout=120, **nobody(),
                              env={"PATH": "/usr/bin:/bin", "HOME": str(cls.work),
                                   "ORGAN_REGISTRY": "registry"})

    def everything(self):
        return sorted(str(p) for p in self.work.rglob("*"))

    def test_every_path_of_every_command(self):
        for line in LINES:
            for name, bad in BAD.items():
                with self.subTest(line=line, bad=name):
                    before = self.everything()
                    done = self.organ_run([w.replace("BAD", bad) for w in line.split()])
                    self.assertIn(done.returncode, REFUSALS, done.stderr)
                    self.assertRegex(done.stderr, "^organ: ")
                    for word in ("defect", "filesystem error", "internal"):
                        self.assertNotIn(word, done.stderr)
                    self.assertEqual(self.everything(), before)

    def test_a_locked_registry_in_the_environment(self):
        for line in ("list", "verify o", "inspect a/b", "install o --into model --at 0"):
            with self.subTest(line=line):
                done = subprocess.run([self.organ, *line.split()], cwd=self.work, text=True,
                                      capture_output=True, check=False, **nobody(),
                                      env={"ORGAN_REGISTRY": "locked/registry"})
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn("Permission denied", done.stderr)
                self.assertNotIn("defect", done.stderr)

    def test_a_reference_of_the_longest_name_is_no_folder(self):
        done = self.organ_run(["show", "a" * 255 + ":1.0.0"])
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertIn("no such organ", done.stderr)
        done = self.organ_run(["inspect", "a" * 255 + ":1.0.0"])
        self.assertEqual(done.returncode, 6, done.stderr)


if __name__ == "__main__":
    unittest.main()
