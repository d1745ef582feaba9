# SPDX-License-Identifier: Apache-2.0
"""Files that torch.save writes, in both of its layouts, are read as torch reads them; what a pickle
must not do is refused by name and never done; what our writer writes torch.load(weights_only=True)
reads.

    torch_peer.py TORCH_PROBE [MUTATIONS] [--sanitized]

Needs $ORGAN_PEERS (torch, safetensors); exits 77 without it.
"""
import collections
import hashlib
import io
import json
import random
import re
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
import peers  # noqa: E402
from hostile_pickles import hostile  # noqa: E402

PROBE = Path(sys.argv[1]).resolve()
NUMBERS = [word for word in sys.argv[2:] if word.isdigit()]
MUTATIONS = int(NUMBERS[0]) if NUMBERS else 1500


def type_names(torch):
    return {torch.bool: "BOOL", torch.uint8: "U8", torch.int8: "I8", torch.uint16: "U16",
            torch.int16: "I16", torch.uint32: "U32", torch.int32: "I32", torch.uint64: "U64",
            torch.int64: "I64", torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32",
            torch.float64: "F64", torch.complex64: "C64", torch.float8_e4m3fn: "F8_E4M3",
            torch.float8_e5m2: "F8_E5M2", torch.float8_e8m0fnu: "F8_E8M0",
            torch.float8_e4m3fnuz: "F8_E4M3FNUZ", torch.float8_e5m2fnuz: "F8_E5M2FNUZ"}


def flat(torch, value, name=""):
    """(name, tensor) of everything in dicts and lists, named as organ names it."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(torch, inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            yield from flat(torch, inner, f"{name}.{i}" if name else str(i))


def described(torch, value):
    names = type_names(torch)
    out = {}
    for name, tensor in flat(torch, value):
        plain = tensor.detach().contiguous().clone()
        data = plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""
        out[name] = [names[tensor.dtype], list(tensor.shape), hashlib.sha256(data).hexdigest()]
    return out


def cases(torch):
    """name -> (what is saved, whether the layout of before can hold it too)."""
    torch.manual_seed(5)
    base = torch.arange(120.0).reshape(2, 3, 4, 5)
    elements = {str(dtype)[6:]: (torch.rand(3, 5) * 4).to(dtype) for dtype in type_names(torch)
                if dtype not in (torch.complex64, torch.float8_e8m0fnu)}
    elements["complex64"] = torch.randn(3, 5, dtype=torch.complex64)
    elements["float8_e8m0fnu"] = torch.randint(0, 255, (7,), dtype=torch.uint8).view(
        torch.float8_e8m0fnu)
    module = torch.nn.ModuleList([torch.nn.TransformerEncoderLayer(8, 2, 16) for _ in range(3)])
    hooked = torch.nn.Linear(4, 4)
    hooked.weight.register_hook(lambda gradient: gradient)
    with_state = torch.nn.Parameter(torch.ones(2, 2))
    with_state.note = "kept by python"
    return {
        "element types": elements,
        "views": {"transposed": base[0, 0].t(), "permuted": base.permute(3, 1, 0, 2),
                  "stepped": base[:, ::2, 1:, ::3], "row": base[1, 2, 3], "whole": base,
                  "expanded once": base[0, 0, 0].expand(1, 5), "narrow": base.narrow(2, 1, 2),
                  "diagonal": base[0, 0].diagonal(), "scalar": base[1, 1, 1, 1],
                  "of odd rows": torch.arange(49, dtype=torch.uint8).reshape(7, 7)[1:, 2:].t()},
        "shared": {"a": base, "b": base, "c": {"d": base[1], "e": base[0].transpose(0, 2)}},
        "parameters": {"p": torch.nn.Parameter(torch.randn(3)), "with state": with_state,
                       "frozen": torch.nn.Parameter(torch.randn(2), requires_grad=False),
                       "needs": torch.randn(2, requires_grad=True)},
        "hooks": hooked.state_dict(keep_vars=True),
        "module": module.state_dict(),
        "half": module.to(torch.bfloat16).state_dict(),
        "empty": {"none": torch.empty(0), "rows": torch.empty(3, 0, 2), "one": torch.ones(())},
        "nested": {"layers": [module[0].state_dict(), (torch.ones(2), {"x": torch.zeros(1)})],
                   4: {"int key": torch.ones(1)}, "epoch": 3, "rate": 1e-4, "big": 2**40,
                   "huge": 2**80, "negative": -70000, "flag": True, "none": None,
                   "size": base.shape, "type": torch.float32, "device": torch.device("cpu"),
                   "ordered": collections.OrderedDict(a=torch.ones(1), b=2)},
        "nothing": {},
        "list": [torch.ones(2), torch.zeros(3)],
        "unicode value": {"text": "ключ", "w": torch.ones(1)},
        "many": {f"t{i}": torch.full((2,), float(i)) for i in range(700)},
    }


class Probe:
    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen([PROBE, "read"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def read(self, path):
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"torch_probe ended at {path}: exit {self.process.wait()}"
        return line.rstrip("\n")

    def read_bytes(self, data):
        path = self.folder / "given.pt"
        path.write_bytes(data)
        return self.read(path)


def check_good(torch, probe, folder):
    files = []
    for name, value in cases(torch).items():
        expected = described(torch, value)
        for protocol in (2, 3, 4, 5):
            for zipped in (True, False):
                path = folder / f"{name} {protocol} {'zip' if zipped else 'stream'}.pt"
                torch.save(value, path, pickle_protocol=protocol,
                           _use_new_zipfile_serialization=zipped)
                line = probe.read(path)
                assert line.startswith("ok "), (path.name, line)
                found = json.loads(line[3:])
                assert found == expected, (path.name, found, expected)
                files.append(path)
    return files


def check_older(torch, probe):
    """What torch 1.6 to 2.0 wrote: no byte order, no alignment, fewer members; and CRCs of Python's."""
    value = {"w": torch.arange(6.0).reshape(2, 3).t(), "b": torch.ones(2, dtype=torch.bfloat16)}
    buffer = io.BytesIO()
    torch.save(value, buffer)
    for root in ("archive", "donor_layers"):
        again = io.BytesIO()
        with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(again, "w") as new:
            for member in old.infolist():
                name = member.filename.split("/", 1)[1]
                if name == "data.pkl" or name == "version" or name.startswith("data/"):
                    new.writestr(zipfile.ZipInfo(f"{root}/{name}"), old.read(member))
        line = probe.read_bytes(again.getvalue())
        assert line.startswith("ok ") and json.loads(line[3:]) == described(torch, value), line


def check_cut(torch, probe):
    """Cut off at any byte, a file of torch is refused."""
    refused = 0
    for zipped in (True, False):
        buffer = io.BytesIO()
        torch.save({"w": torch.ones(3)}, buffer, _use_new_zipfile_serialization=zipped)
        whole = buffer.getvalue()
        for size in range(len(whole)):
            line = probe.read_bytes(whole[:size])
            assert line.startswith("corrupt: "), (zipped, size, line)
            refused += 1
    return refused


def check_memory(probe):
    """After all of that the program has never held more than some copies of the longest pickle."""
    status = Path(f"/proc/{probe.process.pid}/status").read_text()
    peak = int(re.search(r"VmHWM:\s*(\d+) kB", status).group(1)) >> 10
    assert peak < 400, f"{peak} MiB"
    return peak


def check_written(torch, folder):
    import safetensors.torch
    tensors = {name: tensor.contiguous().clone()
               for name, tensor in cases(torch)["element types"].items()}
    tensors |= {"0.a.b": torch.randn(300, 7), "empty": torch.empty(0, 4), "one": torch.ones(())}
    source, target = folder / "in.safetensors", folder / "out.pt"
    safetensors.torch.save_file(tensors, source)
    subprocess.run([PROBE, "write", source, target], check=True)
    loaded = torch.load(target, weights_only=True)
    assert described(torch, loaded) == described(torch, tensors)
    assert type(loaded) is collections.OrderedDict
    assert zipfile.ZipFile(target).testzip() is None
    with zipfile.ZipFile(target) as archive:
        for member in archive.infolist():
            name_bytes, extra_bytes = struct.unpack_from(
                "<HH", target.read_bytes(), member.header_offset + 26)
            start = member.header_offset + 30 + name_bytes + extra_bytes
            assert start % 64 == 0, (member.filename, start)
    again = folder / "again.pt"
    subprocess.run([PROBE, "write", source, again], check=True)
    assert again.read_bytes() == target.read_bytes()


def check_hostile(torch, probe, folder):
    table, marker = hostile(torch, folder)
    for name, (data, words) in table.items():
        line = probe.read_bytes(data)
        assert line.startswith(("corrupt: ", "incompatible: ")) and re.search(words, line), (name, line)
        assert not marker.exists(), name
    return len(table)


def check_mutations(torch, probe, files):
    """No mutation of a file ends the program, and what is read after it, torch reads alike."""
    draw = random.Random(6)
    small = [path for path in files if path.stat().st_size < 6000]
    read = 0
    for _ in range(MUTATIONS):
        data = bytearray(draw.choice(small).read_bytes())
        for _ in range(draw.randint(1, 3)):
            place = draw.randrange(len(data))
            if draw.random() < 0.7:
                data[place] = draw.randrange(256)
            elif draw.random() < 0.5:
                del data[place:place + draw.randint(1, 9)]
            else:
                data[place:place] = draw.randbytes(draw.randint(1, 9))
        line = probe.read_bytes(bytes(data))
        if not line.startswith("ok "):
            continue
        try:
            value = torch.load(io.BytesIO(bytes(data)), weights_only=True)
        except Exception:  # noqa: BLE001 - torch refuses in many ways
            continue
        read += 1
        found, expected = json.loads(line[3:]), described(torch, value)
        assert found == expected, (bytes(data), found, expected)
    return read


def main():
    peers.enter("torch", "safetensors")
    import torch
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        probe = Probe(folder)
        files = check_good(torch, probe, folder)
        check_written(torch, folder)
        refused = check_hostile(torch, probe, folder)
        check_older(torch, probe)
        cut = check_cut(torch, probe)
        read = check_mutations(torch, probe, files)
        peak = "" if "--sanitized" in sys.argv else f", within {check_memory(probe)} MiB"
        print(f"{len(files)} files read as torch reads them, {refused} hostile ones and {cut} cut off "
              f"refused, {read} of {MUTATIONS} mutated ones read alike{peak}")


if __name__ == "__main__":
    main()
