# SPDX-License-Identifier: Apache-2.0
"""A first SIGINT, SIGTERM or SIGHUP ends every command, at whatever moment it comes, with exit code
130 and a sentence (a record with --json); no command dies by it. A measurement shows how far it is.

    interrupts.py ORGAN_PROGRAM
"""
import json
import os
import pty
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ORGAN = Path(sys.argv.pop(1)).resolve()
TOOLS = Path(__file__).parent.parent / "tools"
PATIENCE = 120
INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
for number in SIGNALS:
    signal.signal(number, signal.SIG_DFL)
TRAIN = (ORGAN.parent / "organ-train").exists()


def caught(pid, number):
    """Whether the process has its own handler: before that nobody can say anything."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    mask = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return mask is None or bool(int(mask.group(1), 16) >> (number - 1) & 1)


class Interrupts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="organ-interrupts-")
        cls.work = Path(cls.scratch.name)
        cls.env = {"PATH": os.environ["PATH"], "HOME": str(cls.work), "TERM": "xterm",
                   "OMP_WAIT_POLICY": "passive"}
        subprocess.run([sys.executable, TOOLS / "make_tiny_model.py", cls.work / "model",
                        "--layers", "4"], check=True, capture_output=True)
        cls.random = random.Random(7)
        words = [f"word{i}" for i in range(500)]
        (cls.work / "text.txt").write_text(" ".join(cls.random.choices(words, k=200_000)))

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def lines(self):
        yield ["doctor"]
        yield ["inspect", "model", "-v"]
        yield ["extract", "model", "--layers", "0:2", "--out", "cut"]
        if not TRAIN:
            return
        data = ["--data", "text.txt", "--threads", "1"]
        yield ["eval", "model", *data]
        yield ["train", "model", "--layers", "1:3", "--out", "trained", "--run-dir", "run", *data]
        yield ["recover", "model", "--layers", "1:3", "--out", "recovered", "--run-dir", "run", *data]
        yield ["generate", "model", "--prompt", "word1", "--max-tokens", "500", "--threads", "1"]

    def interrupted(self, words, number, delay):
        with subprocess.Popen([ORGAN, *words], cwd=self.work, env=self.env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
            limit = time.monotonic() + PATIENCE
            while not caught(command.pid, number):
                self.assertLess(time.monotonic(), limit)
                time.sleep(0.001)
            time.sleep(delay)
            command.send_signal(number)
            out, err = command.communicate(timeout=PATIENCE)
        return command.returncode, out, err

    def clean(self):
        subprocess.run(["rm", "-rf", "cut", "trained", "recovered", "run"], cwd=self.work, check=True)

    def test_no_command_dies_by_a_signal(self):
        seen = set()
        for words in self.lines():
            for number, delay in zip(SIGNALS, (0, 0.02, 0.5)):
                for json_too in ([], ["--json"]):
                    with self.subTest(words=words, number=number.name, delay=delay, json=json_too):
                        code, out, err = self.interrupted([*words, *json_too], number, delay)
                        self.clean()
                        self.assertIn(code, (0, INTERRUPTED), err)
                        if code == 0:
                            continue
                        seen.add(words[0])
                        last = err.splitlines()[-1]
                        if json_too:
                            self.assertEqual(json.loads(last)["code"], "cancelled", err)
                        else:
                            self.assertRegex(err, r"(?m)^organ: .*interrupted", out)
        self.assertLessEqual({"eval", "train", "recover"} if TRAIN else {"extract"}, seen)

    @unittest.skipUnless(TRAIN, "organ-train is not built")
    def test_a_measurement_has_a_meter_and_ends_clean(self):
        child, end = pty.fork()
        if child == 0:
            os.chdir(self.work)
            os.execve(ORGAN, [str(ORGAN), "eval", "model", "--data", "text.txt", "--context", "16",
                              "--threads", "1"], self.env)
        said, pressed = "", False
        while True:
            try:
                piece = os.read(end, 4096).decode()
            except OSError:
                break
            if not piece:
                break
            said += piece
            if not pressed and re.search(r"measuring  \d+ of \d+  \d+ %", said):
                os.write(end, b"\x03")
                pressed = True
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.close(end)
        self.assertTrue(pressed, said)
        self.assertEqual(code, INTERRUPTED, said)
        self.assertRegex(said, r"\r\norgan: interrupted\r\n$")


if __name__ == "__main__":
    unittest.main()
