# SPDX-License-Identifier: Apache-2.0
"""Figures of two tensors, and of two organs, are those that numpy computes.

    difference_peer.py ORGAN_PROGRAM DIFFERENCE_PROBE

Every element type that is compared, with itself and with others; lengths about the pieces that are read
at one time; zeros, NaN, infinities, subnormal and largest numbers. Then `organ diff` of two organs
whose files the safetensors package reads. Needs $ORGAN_PEERS (jsonschema, numpy, safetensors); exits 77 without it.
"""
import json
import math
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "support"))
import peers  # noqa: E402

peers.enter("jsonschema", "numpy", "safetensors")
import jsonschema  # noqa: E402  (in the peers environment only)
import numpy  # noqa: E402
from safetensors import safe_open  # noqa: E402

PIECE = 1 << 18  # elements that are in memory at one time
TYPES = {"BOOL": numpy.uint8, "U8": numpy.uint8, "I8": numpy.int8, "U16": numpy.uint16, "I16": numpy.int16,
         "U32": numpy.uint32, "I32": numpy.int32, "U64": numpy.uint64, "I64": numpy.int64,
         "F16": numpy.float16, "F32": numpy.float32, "F64": numpy.float64, "BF16": numpy.uint16}
FLOATS = ("F16", "BF16", "F32", "F64")


def numbers(dtype, stored):
    """What the stored elements are, exactly."""
    if dtype == "BF16":
        return (stored.astype(numpy.uint32) << 16).view(numpy.float32).astype(numpy.longdouble)
    return stored.astype(numpy.longdouble)


def drawn(random, dtype, count, scale=1.0):
    if dtype == "BOOL":
        return random.integers(0, 2, count, dtype=numpy.uint8)
    if dtype == "BF16":
        return (random.normal(0, scale, count).astype(numpy.float32).view(numpy.uint32) >> 16).astype(numpy.uint16)
    if dtype in FLOATS:
        return random.normal(0, scale, count).astype(TYPES[dtype])
    limits = numpy.iinfo(TYPES[dtype])
    return random.integers(limits.min, limits.max, count, dtype=TYPES[dtype], endpoint=True)


def moved(random, dtype, stored):
    """The same tensor with some of its elements changed."""
    other = stored.copy()
    places = random.random(len(stored)) < 0.3
    other[places] = drawn(random, dtype, int(places.sum()), 0.1)
    return other


def expected(a_type, a, b_type, b):
    x, y = numbers(a_type, a), numbers(b_type, b)
    if a_type == b_type:
        changed = int((a.view(numpy.uint8).reshape(len(a), -1) !=
                       b.view(numpy.uint8).reshape(len(b), -1)).any(axis=1).sum())
    else:
        changed = int((~((x == y) | (numpy.isnan(x) & numpy.isnan(y)))).sum())
    good = numpy.isfinite(x) & numpy.isfinite(y)
    figures = {"elements": len(a), "changed": changed, "not_finite_a": int((~numpy.isfinite(x)).sum()),
               "not_finite_b": int((~numpy.isfinite(y)).sum()), "max_abs": None, "relative_l2": None,
               "cosine": None}
    x, y = x[good], y[good]
    if not len(x):
        return figures
    aa, bb, ab = (x * x).sum(), (y * y).sum(), (x * y).sum()
    dd = ((x - y) * (x - y)).sum()
    figures["max_abs"] = float(numpy.abs(x - y).max())
    if aa > 0 or dd == 0:
        figures["relative_l2"] = float(numpy.sqrt(dd / aa)) if aa > 0 else 0.0
    if aa > 0 and bb > 0:
        figures["cosine"] = float(ab / (numpy.sqrt(aa) * numpy.sqrt(bb)))
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in figures.items()}


def close(got, wanted):
    for key, value in wanted.items():
        if isinstance(value, float) and isinstance(got[key], (int, float)):
            if not math.isclose(got[key], value, rel_tol=1e-9, abs_tol=1e-12):
                return False
        elif got[key] != value:
            return False
    return got.keys() == wanted.keys()


def write_file(path, tensors):
    """name -> (dtype, stored elements); numpy knows no BF16, and the package's writer follows numpy."""
    header, data = {}, b""
    for name, (dtype, stored) in tensors.items():
        raw = stored.tobytes()
        header[name] = {"dtype": dtype, "shape": [len(stored)], "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def cases():
    """name -> (dtype of a, a, dtype of b, b)"""
    random = numpy.random.default_rng(5)
    found = {}
    for dtype in TYPES:
        for count in (1, 7, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 3):
            a = drawn(random, dtype, count)
            found[f"{dtype} {count}"] = (dtype, a, dtype, moved(random, dtype, a))
        for other in TYPES:
            found[f"{dtype} and {other}"] = (dtype, drawn(random, dtype, 99), other, drawn(random, other, 99))
    odd = {"F16": [0.0, -0.0, 1, 65504, -65504, 6e-8, math.nan, math.inf, -math.inf],
           "F32": [0.0, -0.0, 1, 3e38, -3e38, 1e-45, math.nan, math.inf, -math.inf],
           "F64": [0.0, -0.0, 1, 1.7e308, -1.7e308, 5e-324, math.nan, math.inf, -math.inf]}
    for dtype, values in odd.items():
        values = numpy.array(values, dtype=TYPES[dtype])
        for shift in range(len(values)):
            found[f"odd {dtype} {shift}"] = (dtype, values, dtype, numpy.roll(values, shift))
        zeros, ones, nans = (numpy.full(9, x, TYPES[dtype]) for x in (0, 1, math.nan))
        for left, a in (("zeros", zeros), ("ones", ones), ("nans", nans)):
            for right, b in (("zeros", zeros), ("ones", ones), ("nans", nans)):
                found[f"{dtype} {left} {right}"] = (dtype, a, dtype, b)
    bits = numpy.arange(1 << 16, dtype=numpy.uint16)
    for dtype in ("F16", "BF16"):
        stored = bits.view(TYPES[dtype])
        found[f"all {dtype}"] = (dtype, stored, dtype, stored[::-1].copy())
        found[f"all {dtype} and F32"] = (dtype, stored, "F32", numbers(dtype, stored).astype(numpy.float32))
    return found


def check_tensors(probe, folder):
    tensors = cases()
    write_file(folder / "a", {name: (case[0], case[1]) for name, case in tensors.items()})
    write_file(folder / "b", {name: (case[2], case[3]) for name, case in tensors.items()})
    done = subprocess.run([probe, folder / "a", folder / "b"], check=True, capture_output=True, text=True)
    got = json.loads(done.stdout)
    assert got.keys() == tensors.keys()
    wrong = [(name, got[name], expected(*case)) for name, case in tensors.items()
             if not close(got[name], expected(*case))]
    return len(tensors), wrong


def stored_tensors(folder):
    """(file, name) -> stored elements of an organ's BF16 tensors."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        raw = path.read_bytes()
        start = 8 + struct.unpack("<Q", raw[:8])[0]
        header = json.loads(raw[8:start])
        with safe_open(path, "numpy") as file:
            for name in file.keys():
                begin, end = header[name]["data_offsets"]
                assert header[name]["dtype"] == "BF16"
                found[path.name, name] = numpy.frombuffer(raw[start + begin:start + end], numpy.uint16)
    return found


def check_organs(organ, folder):
    def run(*words):
        return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True,
                              cwd=folder, env={"PATH": "/usr/bin:/bin", "HOME": str(folder)}).stdout

    run(sys.executable, ROOT / "tools/make_tiny_model.py", "model", "--layers", "4")
    shutil.copytree(folder / "model", folder / "other")
    weights = next((folder / "other").glob("*.safetensors"))
    for tensor, element, value in (("model.layers.1.mlp.up_proj.weight", 5, "4049"),
                                   ("model.layers.1.mlp.up_proj.weight", 6, "c049"),
                                   ("model.layers.2.input_layernorm.weight", 0, "7fc0")):
        run(sys.executable, ROOT / "tools/poke_tensor.py", weights, tensor, element, value)
    for model, out in (("model", "first"), ("other", "second")):
        run(organ, "extract", model, "--layers", "1:3", "--name", "tiny/organ", "--out", out)
    record = json.loads(run(organ, "diff", "first", "second", "--json"))
    schema = json.loads((ROOT.parent / "schemas/diff.v1.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.Draft7Validator(schema).validate(record)
    a, b = stored_tensors(folder / "first"), stored_tensors(folder / "second")
    assert a.keys() == b.keys() == {(t["file"], t["name"]) for t in record["tensors"]}
    wrong = []
    for tensor in record["tensors"]:
        key = tensor["file"], tensor["name"]
        same = numpy.array_equal(a[key], b[key])
        figures = tensor["figures"]
        right = tensor["state"] == ("same" if same else "changed")
        if same:
            right = right and figures is None
        else:
            right = right and close(figures, expected("BF16", a[key].ravel(), "BF16", b[key].ravel()))
        if not right:
            wrong.append((key, tensor))
    assert record["counts"]["changed"] == 2 and not record["equal"]
    return len(record["tensors"]), wrong


def main():
    organ, probe = (Path(word).resolve() for word in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as scratch:
        results = [check_tensors(probe, Path(scratch)), check_organs(organ, Path(scratch))]
    count, wrong = sum(r[0] for r in results), [line for r in results for line in r[1]]
    for line in wrong[:10]:
        print(*line, sep="\n  ")
    print(f"{count - len(wrong)} cases passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
