# SPDX-License-Identifier: Apache-2.0
"""Files of torch that are more, or less, than weights: each with words of what is said of it."""
import io
import pickle
import struct
import zipfile


def zip_of(members, **changes):
    """A ZIP file of (name, bytes) as Python writes it, stored."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED, **changes) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def weights_pickle(shape=(2,), strides=(1,), offset=0, elements=2, key="0",
                   storage="ctorch\nFloatStorage\n"):
    def number(value):
        return pickle.dumps(value, 2)[2:-1]

    def numbers(values):
        return b"(" + b"".join(number(value) for value in values) + b"t"

    return (b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage"
            + storage.encode() + number(key)[:-2] + b"X\x03\x00\x00\x00cpu" + number(elements)
            + b"tQ" + number(offset) + numbers(shape) + numbers(strides)
            + b"\x89ccollections\nOrderedDict\n)Rt" + b"Rs.")


def torch_zip(data_pkl, storage=b"\0" * 8, more=()):
    return zip_of([("a/data.pkl", data_pkl), ("a/byteorder", b"little"), ("a/data/0", storage),
                   ("a/version", b"3\n"), *more])


def hostile(torch, folder):
    """name -> (bytes, words of the refusal)."""
    marker = folder / "was run"

    class Runs:
        def __init__(self, function, *arguments):
            self.function, self.arguments = function, arguments

        def __reduce__(self):
            return self.function, self.arguments

    import builtins
    import os
    good = weights_pickle()
    item, tensor = good[3:-2], good[9:-2]
    deep = b"\x80\x02" + b"]" * 200 + b"a" * 199 + b"."
    wide = b"\x80\x02]q\x000" + b"".join(b"](" + b"h" + bytes([i]) + (b"h" + bytes([i])) * 49 + b"eq"
                                          + bytes([i + 1]) + b"0" for i in range(6)) + b"h\x06."
    loop = b"\x80\x02]q\x00h\x00a."
    fine = torch_zip(good)
    out = {
        "os.system": (torch_zip(pickle.dumps(Runs(os.system, f"touch '{marker}'"), 2)),
                      "names 'posix.system'"),
        "exec": (torch_zip(pickle.dumps({"w": Runs(builtins.exec, f"open({str(marker)!r}, 'w')")}, 2)),
                 "exec'"),
        "eval in protocol 4": (torch_zip(pickle.dumps(Runs(builtins.eval, "1"), 4)), "eval'"),
        "getattr": (torch_zip(pickle.dumps(Runs(getattr, 1, "real"), 2)), "getattr'"),
        "stack global": (torch_zip(b"\x80\x04\x8c\x02os\x8c\x06system\x93."), "names 'os.system'"),
        "module": (torch_zip(pickle.dumps(torch.nn.Linear(2, 2), 2)), "torch.nn.modules"),
        "numpy": (torch_zip(pickle.dumps(__import__("numpy").float64(1), 2)), "numpy"),
        "a dotted name": (torch_zip(b"\x80\x02ctorch\nload\n."), "names 'torch.load'"),
        "inst": (torch_zip(b"\x80\x02(ios\nsystem\n."), "INST"),
        "obj": (torch_zip(b"\x80\x02(cos\nsystem\no."), "names 'os.system'"),
        "newobj": (torch_zip(b"\x80\x02ccollections\nOrderedDict\n)\x81."), "NEWOBJ"),
        "extension": (torch_zip(b"\x80\x02\x82\x01."), "EXT1"),
        "a text persistent id": (torch_zip(b"\x80\x02Pos\n."), "PERSID"),
        "calls a type": (torch_zip(b"\x80\x02ctorch\nfloat32\n)R."), "which is no function"),
        "builds a tensor": (torch_zip(good[:-2] + b"}bs."), "expected a dict"),
        "no opcode": (torch_zip(b"\x80\x02\xff."), "no opcode"),
        "protocol 0": (torch_zip(b"\x80\x00N."), "protocol 0"),
        "protocol 6": (torch_zip(b"\x80\x06N."), "protocol 6"),
        "no stop": (torch_zip(good[:-1]), "announced"),
        "behind stop": (torch_zip(good + b"N."), "after the pickle"),
        "empty stack": (torch_zip(b"\x80\x02."), "empty stack"),
        "below a mark": (torch_zip(b"\x80\x02N(0."), "empty stack"),
        "no mark": (torch_zip(b"\x80\x02t."), "no mark"),
        "left over": (torch_zip(b"\x80\x02NN."), "left over"),
        "odd items": (torch_zip(b"\x80\x02}(Nu."), "no value"),
        "item of a list": (torch_zip(b"\x80\x02]NNs."), "expected a dict"),
        "append to a dict": (torch_zip(b"\x80\x02}Na."), "expected a list"),
        "never remembered": (torch_zip(b"\x80\x02j\xff\xff\xff\xff."), "never remembered"),
        "long text": (torch_zip(b"\x80\x02X\xff\xff\xff\xff."), "announced"),
        "longer text": (torch_zip(b"\x80\x04\x8d" + b"\xff" * 8 + b"."), "announced"),
        "long integer": (torch_zip(b"\x80\x02\x8b\xff\xff\xff\x7f."), "announced"),
        "negative integer": (torch_zip(b"\x80\x02\x8b\xff\xff\xff\xff."), "announced"),
        "long frame": (torch_zip(b"\x80\x04\x95" + b"\xff" * 8 + b"N."), "cut off"),
        "long name": (torch_zip(b"\x80\x02c" + b"a" * 5000), "no end"),
        "deep": (torch_zip(deep), "nested"),
        "wide": (torch_zip(wide), "lead to more than"),
        "holds itself": (torch_zip(loop), "nested"),
        "a value for each byte": (torch_zip(b"\x80\x02]" + (b"](" + b"N" * 900_000 + b"ea") * 30),
                                  "containers of more than"),
        "a long key many times": (torch_zip(b"\x80\x02]X" + struct.pack("<I", 8_000_000) + b"k" * 8_000_000
                                            + b"q\x010" + b"}h\x01]sa" * 50_000 + b"."),
                                  "name of more than"),
        "many marks": (torch_zip(b"\x80\x02" + b"(" * 2_000_000), "marks"),
        "many values": (torch_zip(b"\x80\x02" + b"N" * 2_000_000), "values at one time"),
        "many tuples": (torch_zip(b"\x80\x02" + b")0" * 3_000_000), "containers"),
        "many memos": (torch_zip(b"\x80\x02N" + b"".join(
            b"r" + struct.pack("<I", i) for i in range(1_100_000))), "remembers"),
        "negative stride": (torch_zip(weights_pickle(strides=(-1,), offset=1)), "negative"),
        "negative offset": (torch_zip(weights_pickle(offset=-1)), "negative"),
        "negative size": (torch_zip(weights_pickle(shape=(-2,))), "negative"),
        "beyond the end": (torch_zip(weights_pickle(offset=1)), "ends at byte 12"),
        "stride beyond the end": (torch_zip(weights_pickle(strides=(2,))), "ends at byte 12"),
        "stride overflow": (torch_zip(weights_pickle((2, 2), (2**62, 2**62 + 5))), "64 bits|ends"),
        "offset overflow": (torch_zip(weights_pickle(offset=2**63 - 1)), "64 bits|ends"),
        "shape overflow": (torch_zip(weights_pickle((2**40, 2**40), (0, 0))), "64 bits"),
        "beyond 64 bits": (torch_zip(weights_pickle(shape=(2**70,))), "beyond 64 bits"),
        "ranks differ": (torch_zip(weights_pickle(strides=(1, 1))), "strides"),
        "nine dimensions": (torch_zip(weights_pickle((1,) * 9, (1,) * 9)), "9 dimensions"),
        "storage too large": (torch_zip(weights_pickle(elements=3)), "has 8 bytes, expected 12"),
        "storage too small": (torch_zip(weights_pickle((1,), elements=1)), "has 8 bytes, expected 4"),
        "storage overflow": (torch_zip(weights_pickle(elements=2**62)), "64 bits"),
        "no storage": (torch_zip(weights_pickle(key="7")), "storage '7' is missing"),
        "a way out": (torch_zip(weights_pickle(key="../../../etc/passwd")), "is missing"),
        "quantised": (torch_zip(weights_pickle(storage="ctorch\nQInt8Storage\n")), "QInt8Storage"),
        "complex128": (torch_zip(weights_pickle(storage="ctorch\nComplexDoubleStorage\n")),
                       "ComplexDouble"),
        "untyped": (torch_zip(weights_pickle(storage="ctorch.storage\nUntypedStorage\n", elements=8)),
                    "no element type"),
        "a name like a path": (torch_zip(good.replace(b"X\x01\x00\x00\x00w", b"X\x01\x00\x00\x00/")),
                               "looks like a path"),
        "a name twice": (torch_zip(good[:2] + b"}(" + item + item + b"u."), "key 'w' stands twice"),
        "a name twice, then nothing": (torch_zip(good[:2] + b"}(" + item + text("w") + b"Nu."),
                                       "key 'w' stands twice"),
        "a name of two ways": (torch_zip(good[:2] + b"}(" + text("a") + b"}" + item + b"s" + text("a.w")
                                         + tensor + b"u."), "two tensors are called 'a.w'"),
        "an integer twice": (torch_zip(b"\x80\x02}(K\x02NJ\x02\0\0\0Nu."), "key 2 stands twice"),
        "1 and True": (torch_zip(b"\x80\x02}(K\x01" + tensor + b"\x88Nu."), "key 1 stands twice"),
        "a real key": (torch_zip(b"\x80\x02}(G?\xf0" + bytes(6) + tensor + b"u."),
                       "a real number is a key"),
        "two types": (torch_zip(b"\x80\x02}(" + item + text("v") + tensor.replace(b"Float", b"Int") + b"u."),
                      "storage '0' is said to be two things"),
        "another data.pkl": (torch_zip(good, more=[("a/DATA.PKL", good)]), "the case of its letters"),
        "another byte order": (zip_of([("a/data.pkl", good), ("a/ByteOrder", b"big"),
                                       ("a/data/0", b"\0" * 8)]), "in other letters"),
        "other letters": (torch_zip(good, more=[("a/Data/1", b"")]), "in other letters"),
        "big endian": (zip_of([("a/data.pkl", good), ("a/byteorder", b"big"), ("a/data/0", b"\0" * 8)]),
                       "big-endian"),
        "odd byte order": (zip_of([("a/data.pkl", good), ("a/byteorder", b"pdp"),
                                   ("a/data/0", b"\0" * 8)]), "byteorder"),
        "no pickle": (zip_of([("a/data/0", b"")]), "without data.pkl"),
        "two pickles": (zip_of([("a/data.pkl", good), ("b/data.pkl", good), ("a/data/0", b"\0" * 8)]),
                        "several data.pkl"),
        "outside": (torch_zip(good, more=[("b/x", b"")]), "lies outside"),
        "TorchScript": (torch_zip(good, more=[("a/code/x.py", b"")]), "TorchScript"),
        "member above": (torch_zip(good, more=[("../x", b"")]), "is called '../x'"),
        "absolute member": (torch_zip(good, more=[("/x", b"")]), "is called '/x'"),
        "a folder": (torch_zip(good, more=[("a/x/", b"")]), "is called 'a/x/'"),
        "junk in front": (b"PK\x03\x04" + fine, "begins at byte|not where|no header|expected"),
        "junk behind": (fine + b"\0", "end record"),
        "no end": (fine[:-1], "end record"),
        "truncated": (fine[:200], "end record"),
        "only a header": (fine[:30], "end record"),
        "GGUF": (b"GGUF" + bytes(100), "neither a ZIP file nor a pickle"),
        "empty": (b"", "neither a ZIP file nor a pickle"),
        "LFS": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        "tar": (bytes(257) + b"ustar" + bytes(250), "tar archive"),
        "a pickle": (pickle.dumps({"a": 1}, 2), "no file of torch.save"),
        "os.system in a stream": (pickle.dumps(Runs(os.system, f"touch '{marker}'"), 2),
                                  "names 'posix.system'"),
    }
    out.update(hostile_zips(good, fine))
    out.update(hostile_streams(torch, good))
    out.update(hostile_parameters(tensor))
    return out, marker


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def hostile_parameters(tensor):
    """What torch would set on a parameter, so that its numbers are others."""
    def parameter(state):
        return torch_zip(b"\x80\x02}" + text("w") + b"ctorch._utils\n_rebuild_parameter_with_state\n("
                         + tensor + b"\x89ccollections\nOrderedDict\n)R" + state + b"tRs.")

    out = {f"a parameter with {name}": (parameter(b"}" + text(name) + tensor + b"s"), f"given '{name}'")
           for name in ("data", "real", "imag", "grad", "__class__")}
    return out | {
        "a parameter with a tensor": (parameter(b"}" + text("x") + tensor + b"s"), "parameter is a tensor"),
        "a parameter with slots": (parameter(b"}}\x86"), "attributes of a parameter is a tuple"),
        "a parameter with a number": (parameter(b"}K\x01Ns"), "attribute of a parameter is an integer"),
    }


def hostile_zips(good, fine):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", good)
        archive.writestr("a/data/0", bytes(50_000_000))
    bomb = buffer.getvalue()
    central = fine.index(b"PK\x01\x02")

    def patched(place, data, original=fine):
        return original[:place] + data + original[place + len(data):]

    twice = zip_of([("a/data.pkl", good), ("a/data/0", b"\0" * 8), ("a/dbta.pkl", good)])
    second = central + fine[central:].index(b"PK\x01\x02", 4)
    storage = fine.index(b"PK\x03\x04", fine.index(b"a/byteorder"))
    commented = fine[:-2] + b"\x05\x00hello"
    return {
        "deflated": (bomb, "is compressed"),
        "encrypted": (patched(central + 8, b"\x01"), "encrypted"),
        "two names": (patched(30, b"b"), "another name"),
        "two methods": (patched(8, b"\x08"), "differ"),
        "two checksums": (patched(14, b"\x00\x00\x00\x00"), "differ"),
        "two sizes": (patched(22, b"\x01"), "differ"),
        "a wrong checksum": (patched(storage + 30 + 8, b"\x77"), "checksum"),
        "a name twice in ZIP": (twice.replace(b"a/dbta.pkl", b"a/data.pkl"), "two members are called"),
        "overlap": (patched(second + 42, struct.pack("<I", 0)), "overlaps|another name|differ"),
        "gap": (patched(second + 42, struct.pack("<I", 5)), "begins at byte"),
        "beyond": (patched(second + 42, struct.pack("<I", 1 << 30)), "begins at byte|leaves"),
        "a large member": (patched(central + 20, struct.pack("<II", 1 << 30, 1 << 30)),
                           "differ|overlaps|ends at"),
        "ZIP64 without a field": (patched(central + 20, b"\xff" * 8), "differ|ends at|overlaps"),
        "a comment": (commented, "end record|comment"),
        "many members": (patched(len(fine) - 14, b"\xff\xff\xff\xff"), "members"),
        "marked as a folder": (patched(central + 38, b"\x10"), "marked as a folder"),
        "several disks": (patched(len(fine) - 18, b"\x01"), "disks"),
        "a directory elsewhere": (patched(len(fine) - 6, struct.pack("<I", 3)), "directory"),
        "a huge directory": (patched(len(fine) - 10, b"\xff\xff\xff\xff"), "directory"),
    }


def hostile_streams(torch, good):
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(2)}, buffer, _use_new_zipfile_serialization=False)
    stream = buffer.getvalue()
    count = len(stream) - 16

    def counted(number):
        return stream[:count] + struct.pack("<q", number) + stream[count + 8:]

    little = stream.index(b"little_endian") + len(b"little_endian") + 2
    assert stream[little:little + 1] == b"\x88"
    return {
        "stream: big endian": (stream[:little] + b"\x89" + stream[little + 1:], "big-endian"),
        "stream: cut off": (stream[:-1], "cut off"),
        "stream: goes on": (stream + b"\0", "after the last storage"),
        "stream: another count": (counted(3), "has 3 elements"),
        "stream: negative count": (counted(-1), "elements"),
        "stream: huge count": (counted(2**62), "elements"),
        "stream: cut in the pickle": (stream[:180], "announced|no end"),
        "stream: another version": (stream.replace(b"M\xe9\x03.", b"M\xea\x03.", 1), "1001"),
    }
