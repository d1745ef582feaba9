# SPDX-License-Identifier: Apache-2.0
"""Cuts the power at every step of every command that claims durability.

    power_cut.py ORGAN [--every N] [--ignore-syncs] [CASE…]

Each command runs once under strace. What it wrote is replayed on a model of a file system that keeps
only what was synced (file_model.py); after every change of a name and every sync the states that a
power cut may leave there are made as folders, and organ must find in each the state before the command
or the one after; once the command has said that it succeeded, the one after. --every N judges every
N-th of these states and all those of the end. --ignore-syncs replays the same calls as if no fsync did
anything, and wants a problem found in every command. Exits 77 without strace.
"""
import pathlib
import shutil
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[2] / "support")]
from calls import record  # noqa: E402
from cases import chosen, copy_of, options, template  # noqa: E402
from commands import Organ  # noqa: E402
from every_nth import every_nth  # noqa: E402
from file_model import Model, key_of, write_tree  # noqa: E402
from replay import Replay  # noqa: E402


def crash_points(folder, run, syncs, code):
    """(number of the call, its name, states that may be left); the last is the end of a run."""
    model = Model(folder)
    before = key_of(model.now())
    done, calls = run()
    if done.returncode != code:
        raise AssertionError(f"undisturbed run: exit {done.returncode}: {done.stderr}")
    replay = Replay(model, syncs)
    points = []
    seen = {before}
    for number, call in enumerate(calls, 1):
        if not replay.run(call):
            continue
        fresh = []
        for tree in model.crash_states():
            if key_of(tree) not in seen:
                seen.add(key_of(tree))
                fresh.append(tree)
        points.append((number, call.name, fresh))
    real = key_of(Model(folder).now())
    if real != key_of(model.now()):
        ours, theirs = dict((p, d) for p, d, _ in key_of(model.now())), dict((p, d) for p, d, _ in real)
        wrong = [p for p in sorted(ours.keys() | theirs.keys()) if ours.get(p, 0) != theirs.get(p, 0)]
        raise AssertionError(f"the model is not what the command left: {wrong or 'modes differ'}")
    end = {key_of(tree): tree for tree in model.crash_states()}
    return points, list(end.values())


class Cutter:
    def __init__(self, case, scratch, every, syncs):
        self.case, self.scratch, self.every, self.syncs = case, scratch, every, syncs
        self.states, self.problems = 0, []

    def judge(self, tree, finished, point):
        self.states += 1
        target = self.scratch / "left"
        shutil.rmtree(target, ignore_errors=True)
        write_tree(tree, target)
        self.case.organ.forget()
        try:
            self.case.judge(target, finished)
        except Exception as error:  # whatever a look stumbles over is found
            self.problems.append(f"{self.case.name}, {point}: {error!r}")

    def run(self):
        before = template(self.case, self.scratch)
        victim = copy_of(before, self.scratch / "victim")
        organ = self.case.organ
        self.case.ready(victim)

        def run():
            return record([*self.case.stopped, organ.program, *self.case.arguments], victim,
                          organ.environment, self.scratch / "trace")

        points, end = crash_points(victim, run, self.syncs, self.case.code)
        self.case.after(victim)
        for tree in end:
            self.judge(tree, True, "cut behind the end")
            if self.problems and not self.syncs:
                return len(points)
        cuts = [(tree, f"cut behind call {number} ({name})") for number, name, trees in points for tree in trees]
        for tree, point in every_nth(cuts, self.every):
            self.judge(tree, False, point)
        return len(points)


def main():
    every, program, names = options(__doc__)
    syncs = "--ignore-syncs" not in names
    names = [name for name in names if name != "--ignore-syncs"]
    if shutil.which("strace") is None:
        print("skipped: strace is not installed")
        return 77
    failed, states, problems = [], 0, 0
    for kind in chosen(program, names):
        if not syncs and not kind.writes:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            cutter = Cutter(kind(Organ(program, scratch)), pathlib.Path(scratch), every, syncs)
            points = cutter.run()
        print(f"{kind.name}: {points} points, {cutter.states} states, {len(cutter.problems)} problems",
              flush=True)
        for problem in cutter.problems[:10]:
            print("  " + problem, flush=True)
        if syncs == bool(cutter.problems):
            failed.append(kind.name)
        problems += len(cutter.problems)
        states += cutter.states
    print(f"{states} states, {problems} problems" + ("" if syncs else ", one wanted of each command"))
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed or states == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
