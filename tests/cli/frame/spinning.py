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
DOCTOR = """#!/bin/sh
echo '{"library": "'${GOMP_SPINCOUNT-unset}'", "threads": 2, "gemm_fp32_gflops": 1.5, "gemm_bf16_gflops": 1.5, \
       "cuda": {"usable": false, "reason": "none"}}'
"""


class Spinning(unittest.TestCase):
    def output(self, text, command, variables):
        env = {"PATH": os.environ["PATH"], **variables}
        with tempfile.TemporaryDirectory(prefix="organ-spinning-") as folder:
            shutil.copy(ORGAN, folder)
            script = Path(folder) / "organ-train"
            script.write_text(text)
            script.chmod(0o755)
            done = subprocess.run([Path(folder) / ORGAN.name, command], env=env, text=True,
                                  capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def given(self, **variables):
        word, count = self.output(SCRIPT, "eval", variables).split()
        self.assertEqual(word, "eval")
        return count

    def test_processes_that_train_together_spin_little(self):
        self.assertEqual(self.given(WORLD_SIZE="2"), "2000")

    def test_one_process_spins_by_what_the_machine_is_busy_with(self):
        self.assertIn(self.given(), ("unset", "2000"))

    def test_what_the_user_chose_stays(self):
        self.assertEqual(self.given(WORLD_SIZE="2", GOMP_SPINCOUNT="7"), "7")
        self.assertEqual(self.given(WORLD_SIZE="2", OMP_WAIT_POLICY="passive"), "unset")

    def test_doctor_measures_with_the_spinning_of_a_run(self):
        self.assertIn("training   2000\n", self.output(DOCTOR, "doctor", {"WORLD_SIZE": "2"}))
        self.assertIn("training   7\n", self.output(DOCTOR, "doctor", {"WORLD_SIZE": "2", "GOMP_SPINCOUNT": "7"}))


if __name__ == "__main__":
    unittest.main()
