# SPDX-License-Identifier: Apache-2.0
"""JSON with real numbers is what the PyPI package rfc8785 writes, byte for byte; so is a whole organ.json.

    json_peer.py CANONICAL_JSON MAKE_TINY_ORGAN

Needs $ORGAN_PEERS (rfc8785); exits 77 without it.
"""
import json
import math
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
import peers  # noqa: E402

CANONICAL_JSON, MAKE_TINY_ORGAN = (Path(word).resolve() for word in sys.argv[1:3])


def doubles(draw, count):
    """Any bits, numbers of few digits, and the neighbours of powers of ten."""
    while count > 0:
        (value,) = random_bits(draw) if count % 3 else (draw.choice((
            round(draw.uniform(-1000, 1000), draw.randrange(6)),
            math.nextafter(10.0 ** draw.randint(-25, 25), draw.choice((0.0, math.inf))),
            10.0 ** draw.randint(-25, 25))),)
        if math.isfinite(value):
            count -= 1
            yield value


def random_bits(draw):
    return struct.unpack("<d", struct.pack("<Q", draw.getrandbits(64)))


def documents(draw):
    yield from doubles(draw, 20000)
    for _ in range(200):
        yield {"".join(draw.choices("abz_AZ09", k=3)): value for value in doubles(draw, 4)}
    yield [{"nested": [1.5, None, True, -7, "a\n\u00fc\u0001", {}]}, [], 2**53 - 1]


def main():
    peers.enter("rfc8785")
    import rfc8785
    values = list(documents(random.Random(8785)))
    lines = "".join(json.dumps(value) + "\n" for value in values)
    done = subprocess.run([CANONICAL_JSON], input=lines.encode(), capture_output=True, check=True)
    ours = done.stdout.decode().splitlines()
    for value, line in zip(values, ours, strict=True):
        assert line.encode() == rfc8785.dumps(value), (value, line)
    print(f"{len(values)} documents alike")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "organ"
        subprocess.run([MAKE_TINY_ORGAN, folder, "2", "full"], check=True)
        text = (folder / "organ.json").read_bytes()
        document = json.loads(text)
        assert rfc8785.dumps(document) == text
        for figure in document["evaluations"]:
            assert all(isinstance(figure[key], float) for key in ("nll", "perplexity")), figure
        assert isinstance(document["training"]["hyperparameters"]["learning_rate"], float)


main()
