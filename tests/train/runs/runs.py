# SPDX-License-Identifier: Apache-2.0
"""What `organ train` promises about a run: same seed same bits, resume equals the straight run, the
cache and memory.

usage: runs.py ORGAN_TRAIN MODEL_FIXTURE     (standard library only)
"""
import fcntl
import hashlib
import json
import os
import pathlib
import pty
import re
import resource
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time
import unittest

from run_case import CONFIG, STEPS, RunCase, write_ids
from tensor_file import read_safetensors, write_safetensors


class Runs(RunCase):
    def stop_after(self, out, step, how, *more, **keywords):
        """Starts a run and signals it as soon as `step` steps are logged."""
        process = subprocess.Popen(self.command(out, *more, **keywords), stderr=subprocess.PIPE,
                                   text=True)
        log = self.folder / f"{out}.run" / "metrics.jsonl"
        while process.poll() is None and (not log.exists() or
                                          log.read_text().count('"event":"step"') < step):
            time.sleep(0.001)
        process.send_signal(how)
        error = process.communicate()[1]
        return process.returncode, error

    def test_two_runs_with_one_seed_are_bit_equal(self):
        self.train("a", "--seed", 3)
        self.train("b", "--seed", 3)
        self.train("c", "--seed", 4)
        self.assertEqual(self.tensors("a"), self.tensors("b"))
        self.assertEqual(self.losses("a"), self.losses("b"))
        self.assertNotEqual(self.tensors("a"), self.tensors("c"))

    def test_bf16_runs_with_one_seed_are_bit_equal(self):
        for out in ("a", "b"):
            self.train(out, "--precision", "bf16", steps=4)
        self.assertEqual(self.tensors("a"), self.tensors("b"))

    def test_threads_that_openmp_does_not_give_are_not_counted_on(self):
        """oneDNN would leave parts of a product out."""
        losses = {}
        for name, value in (("OMP_NUM_THREADS", "2"), ("OMP_DYNAMIC", "true"),
                            ("OMP_THREAD_LIMIT", "1"), ("OMP_MAX_ACTIVE_LEVELS", "0")):
            done = subprocess.run(self.command(name, "--threads", "2", steps=2), text=True,
                                  capture_output=True, env={**os.environ, name: value})
            self.assertEqual(done.returncode, 0, (name, done.stderr))
            losses[name] = self.losses(name)
        expected = losses["OMP_NUM_THREADS"]
        for name, found in losses.items():
            for (_, a, _), (_, b, _) in zip(found, expected, strict=True):
                self.assertAlmostEqual(a, b, places=4, msg=name)

    def test_a_resumed_run_equals_the_straight_one(self):
        self.train("straight")
        for step, how, code in ((1, signal.SIGINT, -2), (3, signal.SIGKILL, -9),
                                (5, signal.SIGTERM, 130), (7, signal.SIGKILL, -9)):
            with self.subTest(step=step, how=how):
                out = f"at{step}"
                returned, error = self.stop_after(out, step, how)
                if returned != 0:  # a fast machine may finish first
                    self.assertEqual(returned, code, error)
                    self.assertFalse((self.folder / out).exists())
                    self.train(out, "--resume")
                self.assertEqual(self.tensors(out), self.tensors("straight"))
                self.assertEqual(self.losses(out), self.losses("straight"))

    def test_an_interrupted_run_says_how_to_go_on(self):
        returned, error = self.stop_after("out", 2, signal.SIGINT, steps=3000)
        self.assertEqual(returned, -signal.SIGINT, error)
        self.assertIn("interrupted, it keeps what is done and ends", error)
        self.assertIn("interrupted at step", error)
        self.assertIn("--resume", error)

    def test_what_ends_a_run_writes_no_core_file(self):
        """It would hold gigabytes of weights, wherever the system puts it."""
        def want_core_files():
            most = resource.getrlimit(resource.RLIMIT_CORE)[1]
            resource.setrlimit(resource.RLIMIT_CORE, (most, most))

        process = subprocess.Popen(self.command("out", steps=3000), stderr=subprocess.DEVNULL,
                                   preexec_fn=want_core_files)
        log = self.folder / "out.run/metrics.jsonl"
        while process.poll() is None and not log.exists():
            time.sleep(0.01)
        limits = pathlib.Path(f"/proc/{process.pid}/limits").read_text()
        process.kill()
        process.wait()
        self.assertRegex(limits, r"Max core file size +0 ")

    def interrupted(self, out):
        """Leaves a run that was killed half way."""
        returned, _ = self.stop_after(out, 5, signal.SIGKILL)
        if returned == 0:
            self.skipTest("the run was faster than the signal")

    def test_negative_control_without_first_moment_the_result_differs(self):
        self.train("straight")
        self.interrupted("out")
        record_path = self.newest_state("out")
        weights = record_path.with_suffix(".safetensors")
        tensors = read_safetensors(weights)
        dtype, shape, raw = tensors["first_moment"]
        self.assertTrue(any(raw))
        tensors["first_moment"] = (dtype, shape, bytes(len(raw)))
        write_safetensors(weights, tensors)
        record = json.loads(record_path.read_text())
        record["weights_digest"] = "sha256:" + hashlib.sha256(weights.read_bytes()).hexdigest()
        record_path.write_text(json.dumps(record))
        self.train("out", "--resume")
        self.assertNotEqual(self.tensors("out"), self.tensors("straight"))

    def test_resume_refuses_another_seed_other_settings_and_other_data(self):
        self.interrupted("out")
        self.assertIn("settings", self.train("out", "--resume", "--seed", 9, expect=2).stderr)
        self.assertIn("settings", self.train("out", "--resume", "--clip-norm", 2, expect=2).stderr)
        write_ids(self.folder / "ids.safetensors", seed=2)
        self.assertIn("data", self.train("out", "--resume", expect=2).stderr)
        write_ids(self.folder / "ids.safetensors")
        self.assertIn("--resume continues", self.train("out", expect=1).stderr)
        self.train("out", "--resume")

    def test_resume_skips_a_damaged_state_and_says_so(self):
        self.train("straight")
        self.interrupted("out")
        weights = self.newest_state("out").with_suffix(".safetensors")
        raw = bytearray(weights.read_bytes())
        raw[-5] ^= 1
        weights.write_bytes(raw)
        self.assertIn("train state left out", self.train("out", "--resume").stderr)
        self.assertEqual(self.tensors("out"), self.tensors("straight"))

    def test_accumulated_passes_equal_one_bigger_batch(self):
        self.train("one", "--batch", 4)
        self.train("two", "--batch", 2, "--accumulate", 2)
        for (_, a, wa), (_, b, wb) in zip(self.losses("one"), self.losses("two"), strict=True):
            self.assertEqual(wa, wb)
            self.assertLess(abs(a - b), 1e-5 * abs(a))

    def test_the_cache_size_changes_no_bit(self):
        self.train("kept")
        self.train("recomputed", "--cache-bytes", 0)
        self.assertEqual(self.tensors("kept"), self.tensors("recomputed"))

    def test_recomputed_activations_change_no_bit(self):
        self.train("kept")
        self.train("recomputed", "--checkpoint-activations")
        self.assertEqual(self.tensors("kept"), self.tensors("recomputed"))

    def prefix_use(self, result):
        return json.loads(result.stdout)["prefix_cache"]

    def cached(self, out, *more, **keywords):
        command = self.command(out, "--cache", self.folder / "cache", *more, **keywords)
        result = subprocess.run([*command, "--json"], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        return self.prefix_use(result)

    def test_a_second_run_reads_every_window_from_the_cache_folder(self):
        self.train("without")
        self.assertEqual(self.cached("first"), {"computed": 20, "read": 4, "damaged": 0})
        self.assertEqual(self.cached("second"), {"computed": 0, "read": 24, "damaged": 0})
        for entry in (self.folder / "cache").glob("[0-9a-f]*"):
            raw = bytearray(entry.read_bytes())
            raw[7] ^= 1
            entry.write_bytes(raw)
        self.assertEqual(self.cached("third"), {"computed": 20, "read": 4, "damaged": 20})
        self.assertEqual(self.cached("longer", "--seed", 5, steps=30),
                         {"computed": 0, "read": 60, "damaged": 0})
        for out in ("first", "second", "third"):
            self.assertEqual(self.tensors(out), self.tensors("without"))

    def test_two_runs_at_once_share_a_small_cache_folder(self):
        entry = 16 * CONFIG["hidden_size"] * 4 + 32
        bound = ("--cache", self.folder / "cache", "--cache-bytes", 16 * entry)
        self.train("alone", *bound)
        pair = [subprocess.Popen(self.command(out, *bound, "--seed", seed),
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                for out, seed in (("a", 0), ("b", 1))]
        self.assertEqual([process.wait() for process in pair], [0, 0])
        kept = sum(p.stat().st_size for p in (self.folder / "cache").glob("[0-9a-f]*"))
        self.assertLessEqual(kept, 18 * entry)
        self.assertEqual(self.tensors("a"), self.tensors("alone"))
        self.train("c", "--seed", 1)
        self.assertEqual(self.tensors("b"), self.tensors("c"))

    def test_resume_with_average_best_packing_and_cache_equals_the_straight_run(self):
        options = (*self.texts(), "--ema", "0.8", "--evaluate-every", 3, "--patience", 2, "--lr",
                   "3e-2", "--accumulate", 2)
        keywords = {"model": self.text_model(), "steps": 30}
        cache = ("--cache", self.folder / "cache")
        for precision, step, how in (("fp32", 1, signal.SIGKILL), ("fp32", 3, signal.SIGINT),
                                     ("fp32", 6, signal.SIGTERM), ("bf16", 4, signal.SIGKILL)):
            with self.subTest(precision=precision, step=step):
                more = (*options, "--precision", precision)
                straight, out = f"straight-{precision}", f"{precision}-{step}"
                if not (self.folder / straight).exists():
                    self.train(straight, *more, **keywords)
                self.stop_after(out, step, how, *more, *cache, **keywords)
                if not (self.folder / out).exists():
                    self.train(out, "--resume", *more, *cache, **keywords)
                self.assertEqual(self.tensors(out), self.tensors(straight))
                self.assertEqual(self.losses(out), self.losses(straight))
                self.assertEqual(self.evaluations(out), self.evaluations(straight))

    def drawn_lines(self, columns, out):
        """What a run draws over one line of a terminal so many columns wide."""
        main, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        process = subprocess.Popen(self.command(out), stdout=subprocess.DEVNULL, stderr=end,
                                   env={**os.environ, "TERM": "xterm", "NO_COLOR": ""})
        os.close(end)
        text = b""
        try:
            while piece := os.read(main, 4096):
                text += piece
        except OSError:  # the other end is closed
            pass
        os.close(main)
        self.assertEqual(process.wait(), 0, text)
        return re.findall(r"\r(step [^\r\n]*?)\x1b\[K", text.decode())

    def test_the_progress_line_fits_the_terminal(self):
        for columns in (200, 80, 40, 20):
            with self.subTest(columns=columns):
                lines = self.drawn_lines(columns, f"wide{columns}")
                self.assertEqual(len(lines), STEPS)
                self.assertLess(max(map(len, lines)), columns)
                if columns >= 40:
                    self.assertRegex(lines[-1], f"^step {STEPS}/{STEPS}  loss [0-9.]+  finishing")
                    self.assertRegex(lines[-2], f"^step {STEPS - 1}/{STEPS}  loss [0-9.]+  [0-9:]+ left")

    def test_the_progress_line_says_a_low_speed_as_what_it_is(self):
        shown = re.search(r"  ([0-9.e-]+) GFLOP/s, ([0-9.e-]+) % of this machine's$",
                          self.drawn_lines(200, "out")[-1])
        record = self.records("out", "step")[-1]
        for text, value in zip(shown.groups(), (record["gflops"], 100 * record["gemm_share"]), strict=True):
            self.assertLess(abs(float(text) - value), 0.051 * value)  # two digits

    def test_progress_into_a_pipe_is_whole_lines_one_a_second(self):
        begun = time.monotonic()
        done = subprocess.run([*self.command("out", steps=300), "--progress"], text=True,
                              capture_output=True)
        seconds = time.monotonic() - begun
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotRegex(done.stderr, "[\r\x1b]")
        steps = re.findall("^step ([0-9]+)/300  loss", done.stderr, re.M)
        self.assertEqual(steps[0], "1")
        self.assertEqual(steps[-1], "300")
        self.assertLessEqual(len(steps), seconds + 2)

    def test_a_measurement_shows_how_far_it_is(self):
        write_ids(self.folder / "held_out.safetensors", windows=4000, length=64, seed=2)
        write_ids(self.folder / "long.safetensors", windows=4, length=64)
        command = self.command("out", "--ids", self.folder / "long.safetensors", "--held-out-ids",
                               self.folder / "held_out.safetensors", "--batch", 1, "--threads", 1, steps=1)
        done = subprocess.run([*command, "--progress"], text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        shown = re.findall("^measuring held-out windows  ([0-9]+) of 4000  [0-9]+ %", done.stderr, re.M)
        self.assertTrue(shown, done.stderr)
        shutil.rmtree(self.folder / "out")
        shutil.rmtree(self.folder / "out.run", ignore_errors=True)
        silent = subprocess.run([*command, "--no-progress"], text=True, capture_output=True)
        self.assertEqual(silent.returncode, 0, silent.stderr)
        self.assertNotIn("measuring", silent.stderr)

    def resident_bytes(self, process):
        """Anonymous memory of a process; None once it has ended."""
        try:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        lines = [line for line in status.splitlines() if line.startswith("RssAnon:")]
        return int(lines[0].split()[1]) * 1024 if lines else None

    def test_memory_stays_flat_over_a_thousand_steps(self):
        """One leaked tensor of a step (32 tokens of 32 numbers) would be 4 MB in a thousand."""
        process = subprocess.Popen(self.command("out", "--threads", 1, "--save-every", 100, "--ema",
                                                "0.9", steps=1500), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        samples = []
        log = self.folder / "out.run" / "metrics.jsonl"
        while process.poll() is None:
            resident = self.resident_bytes(process)
            if resident and log.exists():
                samples.append((log.read_text().count('"event":"step"'), resident))
            time.sleep(0.005)
        self.assertEqual(process.returncode, 0, process.stderr.read())
        early = [resident for step, resident in samples if 300 <= step < 500]
        late = [resident for step, resident in samples if 1300 <= step < 1500]
        growth = statistics.median(late) - statistics.median(early)
        print(f"resident memory grew by {growth / 1024:.0f} KiB in 1,000 steps")
        self.assertLess(growth, 512 * 1024)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
