# SPDX-License-Identifier: Apache-2.0
"""A first SIGINT, SIGTERM or SIGHUP ends every command, at whatever moment it comes, with a sentence (a
record with --json) and exit code 130, or by SIGINT itself, so that a shell ends its loop. A measurement
shows how far it is.
At each call that makes something durable (strace sends the signal there), a command that writes ends
as if it had not been called, or is completed first; behind a training it names the train state.

    interrupts.py ORGAN_PROGRAM
"""
import fcntl
import json
import os
import pty
import random
import re
import shutil
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
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
for number in SIGNALS:
    signal.signal(number, signal.SIG_DFL)
TRAIN = (ORGAN.parent / "organ-train").exists()


def ended_by(number):
    return -number if number == signal.SIGINT else 130


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
                        self.assertIn(code, (0, ended_by(number)), err)
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
        self.assertEqual(code, -signal.SIGINT, said)
        # The terminal may show the key that was pressed late.
        self.assertRegex(said, r"\r\norgan: interrupted\r\n(\^C)?$")


def contents(folder):
    """Of everything in the folder, hidden or not: the bytes of files, where links lead."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = os.readlink(path) if path.is_symlink() else (
            path.read_bytes() if path.is_file() else None)
    return found


def strace_works():
    try:
        return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode == 0
    except OSError:
        return False


@unittest.skipUnless(strace_works(), "strace cannot work here: no signal is sent at a given call")
class Commits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="organ-commits-")
        # What is remembered of a registry names its place: each command has its copy at this one.
        cls.home, cls.before = (Path(cls.scratch.name) / name for name in ("home", "before"))
        cls.home.mkdir()
        subprocess.run([sys.executable, TOOLS / "make_tiny_model.py", cls.home / "model",
                        "--layers", "4"], check=True, capture_output=True)
        words = [f"word{i}" for i in range(50)]
        (cls.home / "text.txt").write_text(" ".join(random.Random(7).choices(words, k=2000)))
        for line in (["extract", "model", "--layers", "0:2", "--out", "cut"],
                     ["key", "generate", "k"], ["key", "generate", "second"],
                     ["registry", "init", "--key", "k.pub"],
                     ["publish", "cut", "a/b:1.0.0", "--key", "k.key"],
                     ["publish", "cut", "a/c:1.0.0", "--key", "k.key"],
                     ["lock", "a/b", "--out", "made.lock"], ["list"]):
            done = cls.organ(*line)
            assert done.returncode == 0, (line, done.stderr)
        shutil.copytree(cls.home, cls.before, symlinks=True)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def organ(cls, *words, under=()):
        env = {"PATH": os.environ["PATH"], "HOME": str(cls.home), "OMP_WAIT_POLICY": "passive",
               "ORGAN_REGISTRY": str(cls.home / "registry")}
        if under:  # what looks for leaks cannot look under strace
            env["ASAN_OPTIONS"] = "detect_leaks=0"
        return subprocess.run([*under, ORGAN, *words], cwd=cls.home, env=env, text=True,
                              capture_output=True, timeout=PATIENCE)

    def lines(self):
        yield "key", "generate", "new"
        yield "key", "generate", "new", "--for", "witness", "--name", "w1.example.org"
        yield "registry", "init", "--registry", "other", "--key", "k.pub"
        yield "revoke", "a/b:1.0.0", "--reason", "for a test"
        yield "yank", "a/b:1.0.0", "--reason", "for a test"
        yield "alias", "a/b@stable", "1.0.0"
        yield "supersede", "a/b:1.0.0", "--by", "a/c:1.0.0", "--reason", "for a test"
        yield "takedown", "a/b:1.0.0", "--reason", "for a test"
        yield "registry", "trust", "second.pub", "--threshold", "2"
        yield "registry", "distrust", "k.pub"
        yield "registry", "retire", "k.pub"
        yield "registry", "policy", "--restore"
        yield "registry", "remember", "--replace"
        yield "registry", "remember", "--max-age", "30d"
        yield "log", "renew"
        yield "log", "root", "--rotate"
        yield "log", "root", "--max-age", "30d", "--out", "root.note"
        yield "log", "prove", "0", "--out", "entry.proof"
        yield "registry", "index"
        yield "lock", "a/b", "a/c"

    def at_call(self, words, kind, call, number=signal.SIGINT):
        """The command in a fresh copy of the folder, with a signal at its n-th system call of a kind:
        whether it came, exit code, stderr."""
        shutil.rmtree(self.home)
        shutil.copytree(self.before, self.home, symlinks=True)
        log = Path(self.scratch.name) / "calls"
        done = self.organ(*words, under=("strace", "-f", "-qq", "-o", log, "-e", f"trace={kind}", "-e",
                                         f"inject={kind}:signal={number.name}:when={call}"))
        return f"--- {number.name}" in log.read_text(), done.returncode, done.stderr

    def at_each_call(self, words, check):
        """Calls check(code, stderr) behind at_call() for every call that makes something durable."""
        for kind in ("fsync", "fdatasync"):
            for call in range(1, 1000):
                sent, code, err = self.at_call(words, kind, call, SIGNALS[call % 3])
                with self.subTest(words=words, kind=kind, call=call):
                    self.assertIn(code, (0, ended_by(SIGNALS[call % 3])), err)
                    check(code, err)
                if not sent:
                    break
            self.assertGreater(call, 1 if kind == "fsync" else 0)

    def test_a_short_change_is_completed_or_was_never_begun(self):
        for words in self.lines():
            self.assertEqual(self.at_call(words, "fsync", 60_000)[:2], (False, 0), words)
            whole = set(contents(self.home))

            def check(code, err):
                if code != 0:
                    self.assertIn("nothing was changed", err)
                    self.assertEqual(contents(self.home), contents(self.before), err)
                else:
                    self.assertEqual(set(contents(self.home)), whole, err)
            self.at_each_call(words, check)

    def test_who_waits_for_a_lock_is_ended_at_once(self):
        self.at_call(["list"], "fsync", 60_000)
        before, lock_file = contents(self.home), self.home / "registry" / "organ" / "write.lock"
        for words in (["revoke", "a/b:1.0.0", "--reason", "for a test"], ["registry", "remember"],
                      ["list"]):
            with self.subTest(words=words), lock_file.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                env = {"PATH": os.environ["PATH"], "HOME": str(self.home),
                       "ORGAN_REGISTRY": str(self.home / "registry")}
                with subprocess.Popen([ORGAN, *words], cwd=self.home, env=env, text=True,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as command:
                    time.sleep(0.5)
                    command.send_signal(signal.SIGINT)
                    err = command.communicate(timeout=10)[1]
                self.assertEqual(command.returncode, -signal.SIGINT, err)
                self.assertEqual(contents(self.home), before)

    @unittest.skipUnless(TRAIN, "organ-train is not built")
    def test_what_a_training_leaves_is_named(self):
        words = ("train", "model", "--layers", "1:3", "--out", "out", "--data", "text.txt",
                 "--threads", "1", "--context", "64", "--steps", "1")

        def check(code, err):
            run = self.home / "out.run"
            if code == 0:
                self.assertTrue((self.home / "out").exists(), err)
            elif run.exists():
                self.assertIn("train state saved in", err)
                again = self.organ(*words, "--resume")
                self.assertEqual(again.returncode, 0, again.stderr)
                self.assertIn("resumed at step", again.stderr)
            else:
                self.assertEqual(contents(self.home), contents(self.before), err)
            self.assertFalse([name for name in contents(self.home) if "unfinished" in name])
        self.at_each_call(words, check)


if __name__ == "__main__":
    unittest.main()
