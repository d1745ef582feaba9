# SPDX-License-Identifier: Apache-2.0
"""Long commands on a terminal: the meter, Ctrl-C, and what is left of both.

    long_work.py ORGAN_PROGRAM SHIM

SHIM is process_limits.cc as a library: with it a command hangs where it makes a file durable.
The model is a sparse file of several gigabytes of zeros, so one hashing thread is busy for seconds
and the disk for none.
"""
import fcntl
import json
import os
import pty
import re
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest
from pathlib import Path

ORGAN = Path(sys.argv.pop(1)).resolve()
SHIM = Path(sys.argv.pop(1)).resolve()
# A shell that runs the tests behind it ignores SIGINT and SIGQUIT; what a caller ignores a command
# ignores too.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
HIDDEN, INNER, LAYERS, VOCAB = 2048, 5632, 64, 32
COLUMNS = 80
INTERRUPTED = 130
BY_CTRL_C = -signal.SIGINT  # a shell ends its loop only when its command dies of it
PATIENCE = 120  # seconds until something that must happen has not
METER = re.compile(r"\w[\w ]+  [\d.]+ [kMG]?B of [\d.]+ [kMG]B  \d+ %  [\d.]+ [kMG]?B/s  [\d:]+ left")


def shapes():
    yield "model.embed_tokens.weight", [VOCAB, HIDDEN]
    yield "model.norm.weight", [HIDDEN]
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        for name in ("q", "k", "v", "o"):
            yield f"{prefix}self_attn.{name}_proj.weight", [HIDDEN, HIDDEN]
        yield prefix + "mlp.gate_proj.weight", [INNER, HIDDEN]
        yield prefix + "mlp.up_proj.weight", [INNER, HIDDEN]
        yield prefix + "mlp.down_proj.weight", [HIDDEN, INNER]
        yield prefix + "input_layernorm.weight", [HIDDEN]
        yield prefix + "post_attention_layernorm.weight", [HIDDEN]


def write_model(folder):
    folder.mkdir()
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
              "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": 16,
              "num_key_value_heads": 16, "vocab_size": VOCAB, "max_position_embeddings": 64,
              "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "hidden_act": "silu",
              "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False,
              "torch_dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps(config))
    header, size = {}, 0
    for name, shape in shapes():
        length = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [size, size + length]}
        size += length
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + size)


def everything(folder):
    """Names, sizes and times of all that lies below a folder."""
    return {str(path.relative_to(folder)):
            None if path.is_dir() else (path.stat().st_size, path.stat().st_mtime_ns)
            for path in sorted(folder.rglob("*"))}


class Terminal:
    """A command whose stderr, and whose Ctrl-C, is a terminal of its own."""

    def __init__(self, arguments, cwd, env=None, program=ORGAN):
        self.text, self.exit, self.arguments = "", None, arguments
        self.child, self.end = pty.fork()
        if self.child == 0:
            os.chdir(cwd)
            os.execve(program, [str(program), *arguments],
                      {"PATH": "/usr/bin:/bin", "TERM": "xterm", "HOME": str(cwd), **(env or {})})
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))

    def read_on(self, limit):
        """One more piece of output; False at its end."""
        ready, _, _ = select.select([self.end], [], [], max(0, limit - time.monotonic()))
        if not ready:
            raise AssertionError(f"{self.arguments}: nothing more after {self.text!r}")
        try:
            piece = os.read(self.end, 65536).decode()
        except OSError:  # the other side is closed
            piece = ""
        self.text += piece
        return bool(piece)

    def wait_for(self, pattern):
        limit = time.monotonic() + PATIENCE
        while not pattern.search(self.text):
            if not self.read_on(limit):
                raise AssertionError(f"{self.arguments}: ended with {self.text!r}")

    def press_ctrl_c(self):
        os.write(self.end, b"\x03")

    def wait(self):
        limit = time.monotonic() + PATIENCE
        while self.read_on(limit):
            pass
        self.exit = os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])
        os.close(self.end)


class LongWork(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="organ-long-work")
        cls.work = Path(cls.scratch.name)
        write_model(cls.work / "model")
        cls.run_to_end("extract", "model", "--layers", "0:1", "--out", "cut")
        cls.before = everything(cls.work)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def run_to_end(cls, *arguments):
        subprocess.run([ORGAN, *arguments], cwd=cls.work, check=True, capture_output=True)

    def start(self, *arguments, env=None, ignored=()):
        """A command with stdout and stderr as pipes; its caller ignored some signals and wants core
        files of what dies."""
        def ignore():
            most = resource.getrlimit(resource.RLIMIT_CORE)[1]
            resource.setrlimit(resource.RLIMIT_CORE, (most, most))
            for number in ignored:
                signal.signal(number, signal.SIG_IGN)

        return subprocess.Popen([ORGAN, *arguments], cwd=self.work, text=True, preexec_fn=ignore,
                                env={**os.environ, **(env or {})},
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    EXTRACT = ("extract", "model", "--layers", "0:60", "--out", "big", "--threads", "1")
    INSTALL = ("install", "cut", "--into", "model", "--at", "1", "--allow-unsigned", "--threads",
               "1")

    def interrupt_on_terminal(self, *arguments):
        started = time.monotonic()
        terminal = Terminal(arguments, self.work)
        terminal.wait_for(METER)
        seen = time.monotonic() - started
        terminal.press_ctrl_c()
        terminal.wait()
        self.assertEqual(terminal.exit, BY_CTRL_C, terminal.text)
        self.assertEqual(everything(self.work), self.before)
        return terminal.text, seen

    def check_screen(self, text):
        """No line is wider than the terminal, and the meter's is wiped before the next text."""
        self.assertNotIn("\n", text[:text.rindex(" left")])
        for drawn in re.split(r"[\r\n]", text):
            self.assertLess(len(drawn.replace("\b", "")), COLUMNS)
        # The terminal may show the key that was pressed late.
        self.assertRegex(text, r"left *\x08*(\^C)?\r +\rorgan: interrupted: nothing was changed\r\n(\^C)?$")

    def test_ctrl_c_ends_extract_and_wipes_the_meter(self):
        text, seen = self.interrupt_on_terminal(*self.EXTRACT)
        self.assertGreater(seen, 1)
        self.check_screen(text)
        self.assertIn("extracting  ", text)

    def test_ctrl_c_ends_install_and_uninstalls_nothing(self):
        text, _ = self.interrupt_on_terminal(*self.INSTALL, "--quiet", "--progress")
        # Whichever phase takes over a second here.
        self.assertRegex(text, r"\r[a-z ]+  [0-9.]+ [KMG]?B of ")
        first = METER.search(text).start()
        self.check_screen(text[text.rindex("\n", 0, first) + 1:])  # after the warning

    def test_without_a_terminal_there_is_no_meter(self):
        for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.start(*self.EXTRACT) as command:
                time.sleep(2)
                command.send_signal(stop)
                out, err = command.communicate(timeout=PATIENCE)
            self.assertEqual(command.returncode,
                             BY_CTRL_C if stop == signal.SIGINT else INTERRUPTED, err)
            self.assertEqual((out, err), ("", "organ: interrupted: nothing was changed\n"))
            self.assertEqual(everything(self.work), self.before)

    def test_no_progress_keeps_a_terminal_quiet(self):
        terminal = Terminal([*self.EXTRACT, "--no-progress"], self.work)
        time.sleep(2)
        terminal.press_ctrl_c()
        terminal.wait()
        self.assertEqual(terminal.exit, BY_CTRL_C, terminal.text)
        self.assertEqual(terminal.text.replace("^C", ""),
                         "organ: interrupted: nothing was changed\r\n")
        self.assertEqual(everything(self.work), self.before)

    def test_progress_into_a_pipe_is_lines_and_leaves_json_alone(self):
        with self.start("check", "cut", "--recipient", "model", "--json", "--progress") as quick:
            out, _ = quick.communicate(timeout=PATIENCE)
        self.assertEqual(json.loads(out)["command"], "check")
        with self.start(*self.EXTRACT, "--json", "--progress") as command:
            # In the first second of a phase nobody knows the rate.
            lines = [command.stderr.readline()]
            while not METER.search(lines[-1]) and len(lines) < 10:
                lines.append(command.stderr.readline())
            command.send_signal(signal.SIGINT)
            out, err = command.communicate(timeout=PATIENCE)
        self.assertRegex(lines[-1], METER)
        self.assertNotIn("\r", "".join(lines))
        self.assertEqual(command.returncode, BY_CTRL_C, err)
        self.assertEqual(out, "")
        self.assertEqual(json.loads(err.splitlines()[-1])["code"], "cancelled")
        self.assertEqual(everything(self.work), self.before)

    def test_a_loop_of_a_shell_ends_at_the_first_ctrl_c(self):
        command = " ".join([str(ORGAN), *self.EXTRACT])
        script = f"for i in 1 2 3; do echo run $i; {command} --name run$i; done"
        terminal = Terminal(("-c", script), self.work, program="/bin/bash")
        terminal.wait_for(METER)
        terminal.press_ctrl_c()
        terminal.wait()
        self.assertEqual(terminal.text.count("run "), 1, terminal.text)
        self.assertEqual(everything(self.work), self.before)

    def test_a_job_in_the_background_draws_nothing(self):
        # Some seconds, so that it would be drawn.
        command = f"{ORGAN} extract model --layers 0:16 --out part --threads 1"
        script = f"set -m; {command} & wait; rm -r part; echo ended"
        terminal = Terminal(("-c", script), self.work, program="/bin/bash")
        terminal.wait()
        self.assertIn("ended", terminal.text)
        self.assertNotRegex(terminal.text, METER)

    def test_a_closed_pager_leaves_nothing_behind(self):
        for number in (signal.SIGPIPE, signal.SIGQUIT, signal.SIGXCPU):
            with self.subTest(signal=number.name), \
                    self.start(*self.EXTRACT, "--progress") as command:
                command.stderr.readline()
                if number == signal.SIGPIPE:
                    command.stderr.close()
                else:
                    command.send_signal(number)
                command.wait(timeout=PATIENCE)
            self.assertEqual(command.returncode, -number)
            self.assertEqual(everything(self.work), self.before)

    def test_a_lost_terminal_leaves_nothing_behind(self):
        terminal = Terminal(self.EXTRACT, self.work)
        terminal.wait_for(METER)
        os.close(terminal.end)
        code = os.waitstatus_to_exitcode(os.waitpid(terminal.child, 0)[1])
        self.assertEqual(code, INTERRUPTED)
        self.assertEqual(everything(self.work), self.before)

    SMALL = ("extract", "model", "--layers", "0:4", "--out", "small", "--threads", "1")

    def test_what_the_caller_ignores_is_ignored(self):
        """nohup, `command &` of a shell, trap '' INT."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number.name), \
                    self.start(*self.SMALL, ignored=(number,)) as command:
                while command.poll() is None:
                    command.send_signal(number)
                    time.sleep(0.05)
                out, err = command.communicate(timeout=PATIENCE)
                self.assertEqual(command.returncode, 0, err)
                self.assertTrue((self.work / "small/organ.json").is_file(), out)
            shutil.rmtree(self.work / "small")
        self.assertEqual(everything(self.work), self.before)

    def test_an_ignored_signal_does_not_shield_from_the_others(self):
        with self.start(*self.EXTRACT, ignored=(signal.SIGINT, signal.SIGHUP)) as command:
            time.sleep(2)
            command.send_signal(signal.SIGTERM)
            _, err = command.communicate(timeout=PATIENCE)
        self.assertEqual(command.returncode, INTERRUPTED, err)
        self.assertEqual(everything(self.work), self.before)

    def test_a_signal_while_the_meter_waits_for_its_reader_undoes_nothing(self):
        """The work is done and the meter's last line is not written yet: the guard outlives it."""
        seen, drawn = os.pipe()
        full = fcntl.fcntl(drawn, fcntl.F_SETPIPE_SZ, 4096)
        os.write(drawn, b"." * full)
        command = subprocess.Popen([ORGAN, *self.SMALL, "--progress"], cwd=self.work,
                                   stdout=subprocess.DEVNULL, stderr=drawn)
        self.addCleanup(command.kill)
        os.close(drawn)
        limit = time.monotonic() + PATIENCE
        while not list(self.work.glob(".small.unfinished.*")):
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.002)
        command.send_signal(signal.SIGSTOP)  # until a meter has something to draw
        time.sleep(1.2)
        command.send_signal(signal.SIGCONT)
        while not (self.work / "small").exists():
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.02)
        time.sleep(0.5)
        self.assertIsNone(command.poll(), "it waits for the reader")
        command.send_signal(signal.SIGINT)
        time.sleep(0.2)
        with os.fdopen(seen, "rb") as reader:
            said = reader.read().decode()
        self.assertEqual(command.wait(timeout=PATIENCE), 0, said)
        self.assertNotIn("interrupted", said)
        shutil.rmtree(self.work / "small")
        self.assertEqual(everything(self.work), self.before)

    def hanging(self):
        """The environment in which SMALL hangs in the middle, and the file that tells that it does."""
        mark = self.work / "hangs"
        return {"LD_PRELOAD": str(SHIM), "HANG_MARK": str(mark)}, mark

    def await_hang(self, mark):
        limit = time.monotonic() + PATIENCE
        while not mark.exists():
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.02)

    def clean_after_hang(self, mark):
        mark.unlink()
        for left in self.work.glob(".small.unfinished.*"):
            shutil.rmtree(left)

    def test_a_second_ctrl_c_ends_at_once(self):
        env, mark = self.hanging()
        terminal = Terminal([*self.SMALL, "--no-progress"], self.work, env)
        self.await_hang(mark)
        terminal.press_ctrl_c()
        time.sleep(0.5)
        self.assertEqual(os.waitpid(terminal.child, os.WNOHANG), (0, 0), "the first one only asks")
        terminal.press_ctrl_c()
        terminal.wait()
        self.assertEqual(terminal.exit, -signal.SIGINT, terminal.text)
        self.clean_after_hang(mark)

    def test_the_second_signal_of_a_mixed_pair_ends_at_once(self):
        for first, second in ((signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)):
            for together in (False, True):
                env, mark = self.hanging()
                with self.subTest(first=first.name, together=together), \
                        self.start(*self.SMALL, env=env) as command:
                    self.await_hang(mark)
                    if together:
                        command.send_signal(signal.SIGSTOP)
                        os.waitid(os.P_PID, command.pid, os.WSTOPPED)
                    command.send_signal(first)
                    if not together:
                        time.sleep(0.3)
                        self.assertIsNone(command.poll(), "the first one only asks")
                    command.send_signal(second)
                    command.send_signal(signal.SIGCONT)
                    command.communicate(timeout=PATIENCE)
                    # Of two that wait the kernel delivers the lower number first.
                    last = max(first, second) if together else second
                    self.assertEqual(command.returncode, -last)
                self.clean_after_hang(mark)

    def test_sighup_only_asks_however_often_it_comes(self):
        env, mark = self.hanging()
        with self.start(*self.SMALL, env=env) as command:
            self.await_hang(mark)
            for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
                command.send_signal(number)
                time.sleep(0.2)
            self.assertIsNone(command.poll())
            command.send_signal(signal.SIGTERM)
            command.communicate(timeout=PATIENCE)
            self.assertEqual(command.returncode, -signal.SIGTERM)
        self.clean_after_hang(mark)


if __name__ == "__main__":
    unittest.main()
