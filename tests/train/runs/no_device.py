# SPDX-License-Identifier: Apache-2.0
"""`--device cuda` where it cannot be: refused at once, with the reason, and nothing is written.

The driver is made up (tests/support/made_cuda.cc), so the test says the same on every machine.

usage: no_device.py ORGAN_TRAIN MODEL_FIXTURE MADE_DRIVER     (standard library only)
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM, FIXTURE, DRIVER = (str(pathlib.Path(name).resolve()) for name in sys.argv[1:4])


class NoDevice(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="organ-device-test"))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "driver").mkdir()
        shutil.copy(DRIVER, self.folder / "driver" / "libcuda.so.1")

    def run_with(self, devices, *arguments):
        environment = {**os.environ, "LD_LIBRARY_PATH": str(self.folder / "driver"),
                       "MADE_CUDA_DEVICES": str(devices)}
        return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True,
                              env=environment, cwd=self.folder)

    def commands(self, device):
        choice = f"--device={device}"
        data = "--data=no-such-file"  # the device comes first
        yield ["train", FIXTURE, choice, data, "--layers=1:2", "--out=out"]
        yield ["baseline", "lora", FIXTURE, choice, data, "--out=out"]
        yield ["eval", FIXTURE, choice, data]
        yield ["generate", FIXTURE, choice, "--prompt=a"]

    def refused(self, devices, device, reason, code=1):
        for command in self.commands(device):
            with self.subTest(command=command[0]):
                result = self.run_with(devices, *command)
                self.assertEqual(result.returncode, code, result.stderr)
                self.assertIn(reason, result.stderr)
                self.assertEqual(result.stdout, "")
                self.assertEqual(os.listdir(self.folder), ["driver"])

    def test_a_driver_without_devices(self):
        self.refused(0, "cuda", "organ: cuda: the driver finds no device")

    def test_a_device_that_is_not_there(self):
        self.refused(2, "cuda:2", "cuda: device 2 is asked for but the driver has 2")

    def test_libraries_that_are_missing_or_find_no_device(self):
        self.refused(1, "cuda", "organ: cuda: ")

    def test_a_name_that_is_no_device(self):
        self.refused(1, "gpu", "--device: 'gpu' is unknown, expected cpu, cuda or cuda:N", code=2)

    def test_doctor_says_why(self):
        result = self.run_with(0, "doctor", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout)["cuda"],
                         {"usable": False, "reason": "the driver finds no device"})

    def test_the_cpu_needs_no_driver(self):
        result = self.run_with(0, "eval", FIXTURE, "--device=cpu", "--data=no-such-file")
        self.assertNotIn("driver", result.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
