# SPDX-License-Identifier: Apache-2.0
"""Compares our safetensors reader with the reference implementation (PyPI safetensors).

safetensors_peer.py PROBE [COUNT]: the table of malformed files and COUNT mutated ones go through
both. What the reference refuses we must refuse; what both accept must be the same tensors; what
only we refuse must be refused for a reason listed in STRICTER.
"""
import hashlib
import json
import random
import re
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
import peers  # noqa: E402

# Why we refuse what the reference takes: words of our message, and the reason.
STRICTER = {
    r"stands twice in one object": "duplicate keys: the reference keeps the last one",
    r"field '.*' is unknown": "the reference ignores unknown fields of an entry",
    r"tensor name .*: (is empty|looks like a path|holds a byte|is longer)": "our name grammar",
    r"has more than 8 dimensions": "our limit of rank",
    r"has more than 65536 tensors": "our limit of tensors",
    r"at most 1048576|is longer than the limit of 1048576": "our limit of metadata",
    r"does not fit 64 bits": "a zero dimension hides no overflow of the others",
    r"__metadata__ is null": "the reference takes a null __metadata__ for none",
    r"is beyond 2\^63 - 1": "dimensions fit a signed integer, beside a zero too",
    r"got -0": "the reference takes -0 for 0",
    r"header length \d+ is beyond the limit of 16777216": "our limit of the header",
}


WIDTH = {"U8": 1, "BF16": 2, "F32": 4, "I64": 8, "BOOL": 1, "F8_E4M3": 1, "U16": 2}


def valid(rng):
    """A header as a dict and its data."""
    header, data = {}, b""
    for i in range(rng.randrange(4)):
        dtype = rng.choice(list(WIDTH))
        shape = [rng.randrange(4) for _ in range(rng.randrange(4))]
        size = WIDTH[dtype]
        for dimension in shape:
            size *= dimension
        header[f"t{i}.weight"] = {"dtype": dtype, "shape": shape,
                                  "data_offsets": [len(data), len(data) + size]}
        data += rng.randbytes(size)
    if rng.randrange(2):
        header["__metadata__"] = {"format": "pt"}
    return header, data


NUMBERS = [-1, -0.0, 0, 1, 3, 8, 1.5, 1e3, 2**31, 2**53 + 1, 2**63, 2**64 - 1, 2**64,
           None, "4", [], {}, True]


def mutate_object(rng, header):
    """A structural change somewhere in the parsed header."""
    name = rng.choice(list(header) or ["new"])
    entry = header.get(name)
    choice = rng.randrange(8)
    if not isinstance(entry, dict) or choice == 0:
        header[rng.choice(["", "x/y", "__metadata__", "é", "n" * 600, "t\n"])] = \
            {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    elif choice == 1:
        entry[rng.choice(["dtype", "shape", "data_offsets", "extra"])] = rng.choice(NUMBERS)
    elif choice == 2 and entry:
        del entry[rng.choice(list(entry))]
    elif choice == 3 and entry.get("shape"):
        entry["shape"][0] = rng.choice(NUMBERS)
    elif choice == 4 and entry.get("data_offsets"):
        entry["data_offsets"][rng.randrange(2)] = rng.choice(NUMBERS)
    elif choice == 5 and "shape" in entry:
        entry["shape"] = entry["shape"] + [1] * rng.randrange(9)
    elif choice == 6:
        header[name] = rng.choice(NUMBERS)
    else:
        entry["dtype"] = rng.choice(["F16", "u8", "F4", "F6_E2M3", "C64", "F128", ""])


def pack(text, data):
    return struct.pack("<Q", len(text)) + text + data


def mutant(rng):
    header, data = valid(rng)
    kind = rng.randrange(6)
    if kind == 0:
        mutate_object(rng, header)
    text = json.dumps(header).encode()
    if kind == 1:
        text = rng.choice([b" ", b"\n", b"\xef\xbb\xbf", b""]) + text
        text += rng.choice([b"  ", b"\t", b"\0", b"x"])
    elif kind == 2 and len(text) > 2:  # a part of the text twice
        at = rng.randrange(len(text))
        text = text[:at] + text[rng.randrange(at + 1):at] + text[at:]
    whole = bytearray(pack(text, data))
    if kind == 3:
        del whole[rng.randrange(len(whole)):]
    elif kind == 4:
        whole += rng.randbytes(rng.randrange(1, 9))
    elif kind == 5:
        for _ in range(rng.randrange(1, 4)):
            whole[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
    return bytes(whole)


def reference(data):
    """The reference's tensors, or None where it refuses."""
    import safetensors
    try:
        tensors = safetensors.deserialize(data)
    except Exception:  # the reference raises several types
        return None
    return {name: [value["dtype"], list(value["shape"]),
                   hashlib.sha256(bytes(value["data"])).hexdigest()] for name, value in tensors}


def has_duplicates(data):
    """Some entry of the header stands twice, so the reference never looked at the first."""
    found = []

    def pairs(items):
        found.append(len({key for key, _ in items}) < len(items))
        return dict(items)

    try:
        json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]], object_pairs_hook=pairs)
    except ValueError:
        return False
    return any(found)


def compare(path, ours, stricter):
    theirs = reference(path.read_bytes())
    if ours.startswith("ok "):
        mine = json.loads(ours[3:])["tensors"]
        if theirs is None:
            return f"{path.name}: accepted by us, refused by the reference"
        if mine != theirs:
            return f"{path.name}: we read {mine}, the reference {theirs}"
        return None
    if not ours.startswith("corrupt: "):
        return f"{path.name}: wrong class of error: {ours}"
    if theirs is None:
        return None
    for pattern, reason in STRICTER.items():
        if re.search(pattern, ours):
            stricter[reason] += 1
            return None
    if has_duplicates(path.read_bytes()):
        stricter[STRICTER["stands twice in one object"]] += 1
        return None
    return f"{path.name}: refused by us alone without a listed reason: {ours}"


def main():
    peers.enter("safetensors")
    probe, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3000
    rng = random.Random(20260119)
    with tempfile.TemporaryDirectory(prefix="organ-peer.") as folder:
        subprocess.run([probe, "write", folder], check=True)
        for i in range(count):
            (Path(folder) / f"mutant-{i}").write_bytes(mutant(rng))
        paths = sorted(Path(folder).iterdir())
        lines = subprocess.run([probe, "read"], check=True, text=True, capture_output=True,
                               input="".join(f"{path}\n" for path in paths)).stdout.splitlines()
        assert len(lines) == len(paths), (len(lines), len(paths))
        stricter = Counter()
        accepted = sum(line.startswith("ok ") for line in lines)
        failures = [f for path, line in zip(paths, lines) if (f := compare(path, line, stricter))]
    print(f"{len(paths)} files, {accepted} accepted by both, "
          f"{sum(stricter.values())} refused by us alone:")
    for reason, number in stricter.most_common():
        print(f"  {number:5} {reason}")
    for failure in failures[:20]:
        print("FAIL", failure)
    if not 0 < accepted < len(paths):
        sys.exit("the mutations are all good or all bad")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
