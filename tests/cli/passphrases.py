# SPDX-License-Identifier: Apache-2.0
"""Where a passphrase comes from: a source that was named and gives none is an error and never a key
that is not encrypted, and a question on a terminal gives the echo back whatever ends it.

    passphrases.py ORGAN_PROGRAM
"""
import os
import pty
import resource
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
import unittest
from pathlib import Path

ORGAN = Path(sys.argv.pop(1)).resolve()
PATIENCE = 60
INTERRUPTED = 130
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
    signal.signal(number, signal.SIG_DFL)


class Passphrases(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="organ-passphrases-")
        self.addCleanup(self.scratch.cleanup)
        self.work = Path(self.scratch.name)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.work), "TERM": "dumb"}

    def generate(self, *options, env=(), **how):
        return subprocess.run([ORGAN, "key", "generate", "k", *options], cwd=self.work, text=True,
                              env=self.env | dict(env), capture_output=True, check=False,
                              **{"stdin": subprocess.DEVNULL} | how)

    def check_refused(self, done, code, name):
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(name, done.stderr)
        self.assertNotIn("does not open it", done.stderr)
        self.assertEqual([path.name for path in self.work.glob("k*")], [])

    def test_a_named_source_without_a_passphrase_is_an_error(self):
        for name, text in (("empty", ""), ("line", "\n"), ("windows", "\r\n"), ("later", "\nx\n")):
            (self.work / name).write_text(text, newline="")
            self.check_refused(self.generate("--passphrase-file", name), 2, "--passphrase-file")
            with open(self.work / name, "rb") as source:
                self.check_refused(self.generate("--passphrase-fd", "0", stdin=source), 2,
                                   "--passphrase-fd 0")
        (self.work / "long").write_text("x" * 40000)
        self.check_refused(self.generate("--passphrase-file", "long"), 2, "longer than 1024 bytes")
        self.check_refused(self.generate("--passphrase-file", "nothing"), 6, "nothing")
        self.check_refused(self.generate("--passphrase-fd", "0"), 2, "--passphrase-fd 0")
        for fd in ("99", "3", "9"):
            self.check_refused(self.generate("--passphrase-fd", fd), 1, f"--passphrase-fd {fd}")
        folder = os.open(self.work, os.O_RDONLY)  # read(2) fails
        self.check_refused(self.generate("--passphrase-fd", str(folder), pass_fds=(folder,)), 1,
                           f"--passphrase-fd {folder}")
        os.close(folder)
        for fd in ("-1", "2147483648", "x", ""):
            self.check_refused(self.generate("--passphrase-fd", fd), 2, "--passphrase-fd")
        self.check_refused(self.generate(env={"ORGAN_KEY_PASSPHRASE": ""}), 2,
                           "ORGAN_KEY_PASSPHRASE")

    def test_a_closed_descriptor_is_not_one_that_organ_opened(self):
        """Descriptor 3 is the organ's folder by the time that the key is read."""
        subprocess.run([sys.executable, Path(__file__).parent.parent / "tools/make_tiny_model.py",
                        "model", "--layers", "3"], cwd=self.work, check=True, capture_output=True)
        subprocess.run([ORGAN, "extract", "model", "--layers", "1:2", "--out", "organ"],
                       cwd=self.work, env=self.env, check=True, capture_output=True)
        (self.work / "right").write_text("right\n")
        self.assertEqual(self.generate("--passphrase-file", "right").returncode, 0)
        for fd in range(3, 9):
            done = subprocess.run([ORGAN, "sign", "organ", "--key", "k.key", "--passphrase-fd", str(fd)],
                                  cwd=self.work, env=self.env, capture_output=True, text=True,
                                  check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(f"--passphrase-fd {fd}", done.stderr)

    def test_good_sources_encrypt(self):
        for text in ("right", "right\n", "right\r\nrest", "x" * 1024):
            (self.work / "source").write_text(text, newline="")
            for options in (["--passphrase-file", "source"], ["--passphrase-fd", "0"]):
                with open(self.work / "source", "rb") as source:
                    done = self.generate(*options, stdin=source)
                self.assertEqual((done.returncode, done.stderr), (0, ""), options)
                self.assertIn("BEGIN ENCRYPTED PRIVATE KEY", (self.work / "k.key").read_text())
                (self.work / "k.key").unlink()
                (self.work / "k.pub").unlink()

    # On a terminal.

    def become_organ(self):
        """In a shell that wants core files: one would hold what was typed."""
        most = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (most, most))
        os.chdir(self.work)
        os.execve(ORGAN, [str(ORGAN), "key", "generate", "k"], self.env)

    def ask(self, shell=None):
        """Runs organ, or a function that does, on a terminal of its own."""
        child, end = pty.fork()
        if child == 0:
            if shell is None:
                self.become_organ()
            os._exit(shell())
        self.addCleanup(os.close, end)
        return child, end

    def read_until(self, end, text):
        said, limit = "", time.monotonic() + PATIENCE
        while text not in said:
            ready, _, _ = select.select([end], [], [], max(0, limit - time.monotonic()))
            self.assertTrue(ready, said)
            try:
                said += os.read(end, 4096).decode()
            except OSError:
                break
        return said

    def echo(self, end):
        return bool(termios.tcgetattr(end)[3] & termios.ECHO)

    def await_silence(self, end):
        limit = time.monotonic() + PATIENCE
        while self.echo(end):
            self.assertLess(time.monotonic(), limit, "the echo is on")
            time.sleep(0.01)

    def test_the_echo_comes_back_whatever_ends_the_question(self):
        for key, number in ((b"\x03", None), (b"\x1c", None), (None, signal.SIGTERM),
                            (None, signal.SIGHUP), (b"\x04", None)):
            with self.subTest(key=key, number=number):
                child, end = self.ask()
                said = self.read_until(end, "passphrase")
                self.await_silence(end)
                limits = Path(f"/proc/{child}/limits").read_text()
                self.assertRegex(limits, r"Max core file size +0 ")
                if key:
                    os.write(end, b"half" if key == b"\x03" else b"")
                    os.write(end, key)
                else:
                    os.kill(child, number)
                said += self.read_until(end, "no such text")
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                dies_of = {b"\x03": signal.SIGINT, b"\x1c": signal.SIGQUIT}
                self.assertEqual(code, -dies_of[key] if key in dies_of else INTERRUPTED, said)
                self.assertTrue(self.echo(end), said)
                if key != b"\x1c":
                    self.assertRegex(said, "\r\norgan: (interrupted|no passphrase was typed)")
                self.assertEqual([path.name for path in self.work.glob("k*")], [])
                self.assertEqual(list(self.work.glob("core*")), [])

    def test_a_stopped_question_is_asked_again(self):
        def shell():
            """A terminal stops jobs only that have a parent in the session."""
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            job = os.fork()
            if job == 0:
                os.setpgid(0, 0)
                os.tcsetpgrp(0, os.getpid())
                signal.signal(signal.SIGTTOU, signal.SIG_DFL)
                self.become_organ()
            _, status = os.waitpid(job, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                return 99
            os.write(2, b"stopped")
            while not (self.work / "go").exists():
                time.sleep(0.02)
            os.kill(job, signal.SIGCONT)
            return os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])

        child, end = self.ask(shell)
        self.read_until(end, "passphrase")
        self.await_silence(end)
        os.write(end, b"\x1a")
        self.read_until(end, "stopped")
        self.assertTrue(self.echo(end))
        (self.work / "go").touch()
        self.read_until(end, "passphrase")
        for _ in range(2):
            self.await_silence(end)
            os.write(end, b"secret\n")
            self.read_until(end, "\n")
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.assertTrue(self.echo(end))
        self.assertIn("BEGIN ENCRYPTED PRIVATE KEY", (self.work / "k.key").read_text())


if __name__ == "__main__":
    unittest.main()
