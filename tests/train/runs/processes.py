# SPDX-License-Identifier: Apache-2.0
"""Several processes train one organ, over gloo on the loopback device.

usage: processes.py ORGAN_TRAIN MODEL_FIXTURE     (standard library only)

Two and three processes give the loss curve of one within fp32 rounding, write one result, stop and
resume together, and say so when one of them is lost. What they keep of the layers below serves later
epochs. Every process here ends within two minutes or is killed.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import letters  # noqa: E402
from ports import free_port  # noqa: E402

PROGRAM, FIXTURE = sys.argv[1], pathlib.Path(sys.argv[2])
STEPS, LONG, LIMIT = 10, 150, 120


class Processes(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="organ-processes"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.model = self.folder / "model"
        shutil.copytree(FIXTURE, self.model)
        letters.write_tokenizer(self.model)
        for name, seed in (("train.txt", 1), ("held_out.txt", 2)):
            (self.folder / name).write_text(letters.random_text(seed, 40, 24))

    def command(self, out, *more, steps=STEPS, batch=2):
        return [PROGRAM, "train", self.model, "--layers", "1:2", "--data",
                self.folder / "train.txt", "--held-out", self.folder / "held_out.txt",
                "--documents", "blank-lines", "--context", "16", "--batch", str(batch), "--accumulate",
                "2", "--clip-norm", "0.5", "--ema", "0.8", "--evaluate-every", "3", "--lr", "1e-2",
                "--precision", "fp32", "--threads", "1", "--steps", str(steps), "--save-every", "1",
                "--out", self.folder / out, *more]

    def start(self, size, commands):
        """The processes of one run; `commands` has one for all or one for each."""
        common = {**os.environ, "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1",
                  "MASTER_PORT": str(free_port()), "GLOO_SOCKET_IFNAME": "lo"}
        processes = []
        for rank in range(size):
            process = subprocess.Popen(
                list(map(str, commands[rank % len(commands)])), text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)})
            self.addCleanup(process.kill)
            processes.append(process)
        return processes

    def finish(self, processes):
        results = [process.communicate(timeout=LIMIT) for process in processes]
        return [(p.returncode, *result) for p, result in zip(processes, results)]

    def run_all(self, size, out, *more, **keywords):
        results = self.finish(self.start(size, [self.command(out, *more, **keywords)]))
        for code, _, error in results:
            self.assertEqual(code, 0, error)
        return results

    def records(self, out, event):
        lines = (self.folder / f"{out}.run" / "metrics.jsonl").read_text().splitlines()
        return [r for r in map(json.loads, lines) if r["event"] == event]

    def layer(self, out):
        return (self.folder / out / "layer.00.safetensors").read_bytes()

    def assert_same_curve(self, out, other):
        for event, figure in (("step", "loss"), ("step", "gradient_norm"), ("evaluation", "nll")):
            ours, theirs = self.records(out, event), self.records(other, event)
            self.assertEqual([(r["step"], r["targets"]) for r in ours],
                             [(r["step"], r["targets"]) for r in theirs])
            for a, b in zip(ours, theirs):
                self.assertAlmostEqual(a[figure] / b[figure], 1, delta=2e-5)
        self.assertEqual([r["windows"] for r in self.records(out, "step")],
                         [r["windows"] for r in self.records(other, "step")])

    def test_two_and_three_processes_give_the_curve_of_one(self):
        subprocess.run(list(map(str, self.command("one"))), check=True, capture_output=True,
                       timeout=LIMIT)
        for size in (2, 3):
            with self.subTest(size=size):
                results = self.run_all(size, f"of{size}")
                self.assert_same_curve(f"of{size}", "one")
                self.assertTrue(results[0][1])
                for _, out, _ in results[1:]:
                    self.assertEqual(out, "")

    def test_streams_that_processes_keep_serve_later_epochs(self):
        """`computed` is of all processes: fewer windows are computed by several of them than if each
        drew its rows of a step anew, which in the end computes nearly all windows in all of them."""
        rows, epochs = 16, 8
        self.run_all(1, "look", steps=1, batch=rows // 2)
        windows = self.records("look", "run")[0]["windows"]

        def computed(size):
            results = self.run_all(size, f"of{size}", "--json", steps=epochs * windows // rows,
                                   batch=rows // 2)
            return json.loads(results[0][1])["prefix_cache"]["computed"]

        held_out = computed(1) - windows
        self.assertGreater(held_out, 0)
        for size in (2, 3, 4):
            with self.subTest(size=size):
                found = computed(size) - held_out
                print(f"{size} processes, {epochs} epochs of {windows} windows: {found} computed")
                self.assertGreaterEqual(found, windows)
                drawn = size * windows * (1 - (1 - 1 / size) ** epochs)
                self.assertLess(found, 0.8 * drawn)

    def wait_for_step(self, out, step, process):
        log = self.folder / f"{out}.run" / "metrics.jsonl"
        while process.poll() is None and (not log.exists() or
                                          log.read_text().count('"event":"step"') < step):
            time.sleep(0.002)

    def test_a_lost_process_ends_the_others_with_a_state_to_resume(self):
        self.run_all(2, "straight", steps=LONG)
        processes = self.start(2, [self.command("out", steps=LONG)])
        self.wait_for_step("out", 4, processes[0])
        processes[1].kill()
        (code, _, error), _ = self.finish(processes)
        if code == 0:
            self.skipTest("the run was faster than the signal")
        self.assertEqual(code, 1, error)
        self.assertIn("lost another process", error)
        self.assertFalse((self.folder / "out").exists())
        self.run_all(2, "out", "--resume", steps=LONG)
        self.assertEqual(self.layer("out"), self.layer("straight"))

    def test_a_signal_to_one_process_stops_all_of_them(self):
        self.run_all(2, "straight", steps=LONG)
        processes = self.start(2, [self.command("out", steps=LONG)])
        self.wait_for_step("out", 3, processes[0])
        processes[1].send_signal(signal.SIGINT)
        results = self.finish(processes)
        if results[0][0] == 0:
            self.skipTest("the run was faster than the signal")
        self.assertEqual([code for code, _, _ in results], [130, -signal.SIGINT], results)
        self.run_all(2, "out", "--resume", steps=LONG)
        self.assertEqual(self.layer("out"), self.layer("straight"))

    def test_processes_that_do_not_train_the_same_thing_refuse(self):
        results = self.finish(self.start(2, [self.command("out"),
                                             self.command("out", "--seed", "9")]))
        for code, _, error in results:
            self.assertEqual(code, 2, error)
            self.assertIn("other settings, data or train state", error)
        results = self.finish(self.start(5, [self.command("out")]))
        for code, _, error in results:
            self.assertEqual(code, 2, error)
            self.assertIn("4 windows for 5 processes", error)

    def test_a_missing_variable_is_named(self):
        result = subprocess.run(list(map(str, self.command("out"))), text=True, timeout=LIMIT,
                                capture_output=True, env={**os.environ, "WORLD_SIZE": "2"})
        self.assertEqual(result.returncode, 2)
        self.assertIn("RANK: is not set", result.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
