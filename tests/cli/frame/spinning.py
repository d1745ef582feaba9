# SPDX-License-Identifier: Apache-2.0
"""The program that computes is started with the spinning that was chosen for it.

    spinning.py ORGAN_PROGRAM

A script stands where organ-train does and says what it was given.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ORGAN = Path(sys.argv.pop(1)).resolve()
SCRIPT = '#!/bin/sh\necho "$1 ${GOMP_SPINCOUNT-unset}"\n'


class Spinning(unittest.TestCase):
    def given(self, **variables):
        env = {"PATH": os.environ["PATH"], **variables}
        with tempfile.TemporaryDirectory(prefix="organ-spinning-") as folder:
            shutil.copy(ORGAN, folder)
            script = Path(folder) / "organ-train"
            script.write_text(SCRIPT)
            script.chmod(0o755)
            done = subprocess.run([Path(folder) / ORGAN.name, "eval"], env=env, text=True,
                                  capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        word, count = done.stdout.split()
        self.assertEqual(word, "eval")
        return count

    def test_processes_that_train_together_spin_little(self):
        self.assertEqual(self.given(WORLD_SIZE="2"), "2000")

    def test_one_process_spins_by_what_the_machine_is_busy_with(self):
        self.assertIn(self.given(), ("unset", "2000"))

    def test_what_the_user_chose_stays(self):
        self.assertEqual(self.given(WORLD_SIZE="2", GOMP_SPINCOUNT="7"), "7")
        self.assertEqual(self.given(WORLD_SIZE="2", OMP_WAIT_POLICY="passive"), "unset")


if __name__ == "__main__":
    unittest.main()
