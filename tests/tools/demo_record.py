# SPDX-License-Identifier: Apache-2.0
"""What tests/tools/demo.sh kept of its run, read and put in order. Figures are those that
`organ eval --json` printed; only the interval of a single figure is computed here.
"""
import json
import math
import random
from dataclasses import dataclass
from pathlib import Path

SUBJECTS = {"untouched": ("recipient untouched", "untouched"),
            "as_transplanted": ("as transplanted", "with organ"),
            "after_recovery": ("after recovery", "recovered")}
# Advice of `organ check` beside its refusals.
ADVICE = ("warning [", "  hint: ")
REFUSALS = (("unsigned", "an organ that nobody signed"), ("damaged", "one flipped bit in a copy"),
            ("misfit", "a recipient that it does not fit"))
RESAMPLES, SEED = 10_000, 0


@dataclass
class Figure:
    key: str
    label: str
    short: str
    eval: dict            # schemas/eval.v1.schema.json
    against: dict | None  # schemas/comparison.v1.schema.json, against the untouched recipient
    low: float            # 95 % interval of the perplexity over documents
    high: float

    @property
    def ppl(self):
        return self.eval["ppl"]

    @property
    def change(self):
        """Per cent of the untouched recipient's perplexity: (estimate, low, high), or None."""
        if self.against is None:
            return None
        difference = self.against["difference"]
        return tuple(100 * (math.exp(difference[key]) - 1) for key in ("nll", "low", "high"))

    @property
    def documents(self):
        """(name, perplexity, targets) of each held-out file."""
        names = [file["name"] for file in self.eval["dataset"]["files"]]
        return [(name, math.exp(one["nll"] / one["targets"]), one["targets"])
                for name, one in zip(names, self.eval["documents"], strict=True)]


def interval(documents):
    """Percentile bootstrap of the token-weighted perplexity with documents as units, the way
    `organ eval --against` draws for differences."""
    rng, figures = random.Random(SEED), []
    for _ in range(RESAMPLES):
        drawn = rng.choices(documents, k=len(documents))
        figures.append(sum(d["nll"] for d in drawn) / sum(d["targets"] for d in drawn))
    figures.sort()
    return tuple(math.exp(figures[round(q * (RESAMPLES - 1))]) for q in (0.025, 0.975))


class Record:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.machine = dict(line.split("\t", 1) for line in self.lines("machine.tsv"))
        self.commands = {}
        for line in self.lines("commands.tsv"):
            key, code, seconds, text = line.split("\t", 3)
            self.commands[key] = {"code": int(code), "seconds": int(seconds), "text": text.strip()}

    def lines(self, name):
        return (self.folder / name).read_text(encoding="utf-8").splitlines()

    def json(self, name):
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def figure(self, key):
        measured, path = self.json(f"{key}.json"), f"{key}.against.json"
        against = self.json(path) if (self.folder / path).exists() else None
        return Figure(key, *SUBJECTS[key], measured, against, *interval(measured["documents"]))

    def figures(self):
        """The three, measured alike; anything else is no comparison."""
        figures = [self.figure(key) for key in SUBJECTS]
        alike = {tuple(str(f.eval[name]) for name in ("protocol", "context", "stride", "tokens"))
                 + (f.eval["dataset"]["sha256"],) for f in figures}
        if len(alike) != 1:
            raise SystemExit(f"the three figures were measured differently: {sorted(alike)}")
        return figures

    def losses(self):
        """(step, loss) of each training step and (step, nll) of each held-out measurement."""
        events = [json.loads(line) for line in self.lines("metrics.jsonl")]
        steps = [(e["step"], e["loss"]) for e in events if e["event"] == "step"]
        held_out = [(e["step"], e["nll"]) for e in events if e["event"] == "evaluation"]
        return steps, held_out

    def refusals(self):
        """(what, command, exit code, what it printed but for advice) of each."""
        refusals = []
        for key, what in REFUSALS:
            said = [line for line in self.lines(f"{key}.txt") if not line.startswith(ADVICE)]
            if not said:
                raise SystemExit(f"{self.folder / key}.txt: no reason stands in it")
            refusals.append((what, self.commands[key]["text"], self.commands[key]["code"],
                             "\n".join(said)))
        return refusals

    def continuations(self):
        """(prompt, text of the untouched model, text of the one with the organ)."""
        record = self.json("generate.json")
        texts = {c["untouched"]: c["text"] for c in record["continuations"]}
        return record["prompt"], texts[True], texts[False]

    def digests(self):
        """file -> its SHA-256 before, with the organ, and after the undo ("" where it was absent)."""
        files = {}
        for place, name in enumerate(("before", "installed", "after")):
            for line in self.lines(f"{name}.sha256"):
                digest, file = line.split(maxsplit=1)
                files.setdefault(file, ["", "", ""])[place] = digest
        return files
