# SPDX-License-Identifier: Apache-2.0
"""Ranges of versions against NpmSpec of the PyPI package semantic_version and, where npm brings it
along, against node-semver itself.

    semver_peer.py SEMVER_PROBE

Needs $ORGAN_PEERS (semantic_version); exits 77 without it. node-semver is asked about every pair but those
of `is_whole`; NpmSpec differs from it in what `departs` names, and is not asked about those pairs.
"""
import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
import peers  # noqa: E402

peers.enter("semantic_version")
import semantic_version  # noqa: E402  (in the peers environment only)

PAIRS = 20000
SIGNS = ["", "=", "<", "<=", ">", ">=", "~", "^"]
WORDS = ["0", "1", "7", "alpha", "alpha.1", "beta", "rc.2", "x-y"]
NODE_FOLDERS = ["/usr/share/nodejs/semver", "/usr/lib/node_modules/npm/node_modules/semver",
                "/usr/local/lib/node_modules/npm/node_modules/semver"]
ASK_NODE = """
const semver = require(process.argv[1]);
const pairs = JSON.parse(require('fs').readFileSync(0, 'utf8'));
console.log(JSON.stringify(pairs.map(([r, v]) => semver.satisfies(v, r))));
"""


def numbers(draw, count):
    return [str(draw.randrange(4)) for _ in range(count)]


def version(draw, early=0.4, build=0.1):
    text = ".".join(numbers(draw, 3))
    if draw.random() < early:
        text += "-" + draw.choice(WORDS)
    return text + ("+b." + draw.choice(WORDS) if draw.random() < build else "")


def partial(draw, build=0.0):
    kind = draw.randrange(8)
    if kind == 0:
        return draw.choice("xX*")
    if kind < 4:
        given = numbers(draw, draw.randrange(1, 3))
        return ".".join(given + draw.choice(([], ["x"] * (3 - len(given)), ["*"])))
    return version(draw, 0.3, build)


def alternative(draw):
    if draw.random() < 0.15:
        return f"{partial(draw)} - {partial(draw)}"
    return " ".join(draw.choice(SIGNS) + partial(draw) for _ in range(draw.choice((1, 1, 2, 3))))


def a_range(draw):
    return " || ".join(alternative(draw) for _ in range(draw.choice((1, 1, 1, 2))))


def bounds(text):
    """(sign, numbers, pre-release) of each whole version in a range."""
    return [(sign, core, early) for sign, core, early in
            re.findall(r"([<>=~^]*)(\d+\.\d+\.\d+)(?:-([0-9A-Za-z.-]+))?", text)]


def departs(text, candidate):
    """Where NpmSpec is not node-semver: it lets 1.2.3-alpha into <1.2.3 and <1.2, refuses `>*` and its like,
    and of a bound that is a pre-release it takes the release for equal, loses the other bounds beside it,
    and ends `~1.2.0-a` before 1.2.0."""
    core, _, prerelease = candidate.partition("+")[0].partition("-")
    if prerelease or re.search(r"[<>~^] ?[xX*]|<=[xX*]|[xX*] - |- [xX*]", text):
        return True
    early = [bound for bound in bounds(text) if bound[2]]
    return bool(early) and (" " in text or any(bound[1] == core or bound[0] == "~" for bound in early))


def is_whole(text, candidate):
    """Where we are not node-semver: an alternative that is `*` makes it forget the others, and with them
    the pre-releases that they let in. Here alternatives add up."""
    anything = re.compile(r"(=|\^|~|>=|<=|) *[xX*](\.[xX*])*")
    return "-" in candidate and any(anything.fullmatch(one.strip()) for one in text.split("||"))


def ask_organ(probe, pairs):
    lines = "".join(f"{text}\t{candidate}\n" for text, candidate in pairs)
    done = subprocess.run([probe], input=lines, capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[:-1]


def ask_node(pairs):
    """node-semver's answers; None where it is not on this machine."""
    folder = next((folder for folder in NODE_FOLDERS if Path(folder).is_dir()), None)
    if not folder or not shutil.which("node"):
        print("node-semver is not on this machine: not asked")
        return None
    done = subprocess.run(["node", "-e", ASK_NODE, folder], input=json.dumps(pairs), text=True,
                          capture_output=True, check=True)
    return json.loads(done.stdout)


def main():
    draw = random.Random(13)
    pairs = [(a_range(draw), version(draw)) for _ in range(PAIRS)]
    answers = ask_organ(sys.argv[1], pairs)
    assert len(answers) == len(pairs)
    refused = [pair for pair, answer in zip(pairs, answers) if answer == "refused"]
    assert not refused, refused[:5]
    wrong, asked = [], 0
    for (text, candidate), answer in zip(pairs, answers):
        if departs(text, candidate):
            continue
        asked += 1
        if semantic_version.NpmSpec(text).match(semantic_version.Version(candidate)) != (answer == "1"):
            wrong.append(("NpmSpec", text, candidate, answer))
    node = ask_node(pairs)
    if node is not None:
        wrong += [("node-semver", *pair, answer) for pair, answer, other in zip(pairs, answers, node)
                  if other != (answer == "1") and not is_whole(*pair)]
    inside = answers.count("1")
    assert asked > PAIRS / 4 and PAIRS / 20 < inside < PAIRS * 19 / 20, (asked, inside)
    for line in wrong[:20]:
        print(*line, sep="  ")
    cases = asked + (len(pairs) if node is not None else 0)
    print(f"{cases - len(wrong)} cases passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
