# SPDX-License-Identifier: Apache-2.0
"""Modes, owners and times: the umask is honoured, results are no wider than what they are made of, an
undo gives all back, and a registry that lost its modes is judged by its digests.

    modes.py ORGAN_PROGRAM
"""
import json
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

from support import ROOT, Case

import subprocess  # noqa: E402


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def model(case, name, shards=2):
    folder = case.folder / name
    subprocess.run([sys.executable, ROOT / "tools/make_tiny_model.py", folder, "--layers", "4",
                    "--shards", str(shards)], check=True, stdout=subprocess.DEVNULL)
    return folder


def described(folder):
    """Everything about the files of a model that an undo gives back."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.is_file():
            info = path.stat()
            attributes = {n: os.getxattr(path, n) for n in os.listxattr(path)
                          if n.startswith("user.") or "acl" in n}
            found[path.name] = (mode(path), info.st_uid, info.st_gid, info.st_mtime_ns, attributes,
                                path.read_bytes())
    return found


def umasks(case):
    for mask, folder_mode, file_mode in ((0o077, 0o700, 0o600), (0o002, 0o775, 0o664),
                                         (0o022, 0o755, 0o644), (0o027, 0o750, 0o640)):
        old = os.umask(mask)
        name = f"{mask:03o}"
        one = model(case, f"m-{name}")
        out, copy, registry = (case.folder / f"{n}-{name}" for n in ("o", "copy", "reg"))
        case.works(f"umask {name}: extract", "extract", one, "--layers", "1:3", "--name", "a/b",
                   "--organ-version", "1.0.0", "--out", out)
        case.works("keys", "key", "generate", case.folder / f"k-{name}")
        key, public = (case.folder / f"k-{name}{e}" for e in (".key", ".pub"))
        case.works("sign", "sign", out, "--key", key)
        case.expect(f"umask {name}: the organ", mode(out) == folder_mode and
                    all(mode(p) == file_mode for p in out.iterdir()),
                    {p.name: oct(mode(p)) for p in out.iterdir()})
        case.expect(f"umask {name}: keys", mode(key) == 0o600 and mode(public) == file_mode)
        case.works("init", "registry", "init", "--key", public, "--registry", registry)
        case.works("publish", "publish", out, "--registry", registry)
        wide = [f"{p} {oct(mode(p))}" for p in registry.rglob("*") if mode(p) & mask]
        case.expect(f"umask {name}: nothing of the registry is wider", not wide, wide[:3])
        closed = [str(p) for p in registry.rglob("*") if p.name != "log.key" and p.is_file() and
                  mode(p) & 0o444 != 0o444 & ~mask]
        case.expect(f"umask {name}: all but its key can be read", not closed, closed[:3])
        case.works("install --out", "install", out, "--into", one, "--key", public, "--out", copy)
        case.expect(f"umask {name}: the copy", all(mode(p) & mask == 0 and mode(p) & 0o400
                                                   for p in copy.rglob("*")))
        os.umask(old)


def private_sources(case):
    """A model that only its owner may read, under an open umask."""
    old = os.umask(0o022)
    one = model(case, "private")
    for path in one.iterdir():
        path.chmod(0o600)
    out, copy = case.folder / "private-organ", case.folder / "private-copy"
    case.works("extract", "extract", one, "--layers", "1:3", "--out", out)
    wide = [p.name for p in out.iterdir() if mode(p) & 0o077]
    case.expect("an organ of private weights is private", not wide, wide)
    case.works("install --out", "install", out, "--into", one, "--allow-unsigned", "--out", copy)
    wide = [str(p) for p in copy.rglob("*.safetensors") if mode(p) & 0o077]
    case.expect("a copy of them too, and what it can be undone with", not wide, wide)
    case.works("install", "install", out, "--into", one, "--allow-unsigned")
    wide = [str(p) for p in one.rglob("*.safetensors") if mode(p) & 0o077]
    case.expect("in place nothing gets wider", not wide, wide)
    case.works("uninstall", "uninstall", one)
    os.umask(old)


def reach(path, above=None):
    """Who may read a file: the classes of users who may enter its folder and read it."""
    bits = 0o444 & mode(path)
    for folder in {path.parent, path.resolve().parent, above or path.parent}:
        bits &= (mode(folder) & 0o111) << 2
    return bits


def closed_models(case):
    """A model that is private by a folder alone: its own, or that of the files its links lead to."""
    for name, own, behind in (("own", 0o700, None), ("group", 0o750, None), ("search", 0o711, None),
                              ("open", 0o755, None), ("blobs", 0o755, 0o700),
                              ("group-blobs", 0o755, 0o750), ("both", 0o700, 0o755)):
        one = model(case, f"closed-{name}") if behind is None else None
        if behind is not None:
            cache = case.folder / f"models--closed--{name}"
            (cache / "snapshots").mkdir(parents=True)
            shutil.move(model(case, f"closed-{name}"), cache / "blobs")
            one = cache / "snapshots/rev"
            one.mkdir()
            for path in (cache / "blobs").iterdir():
                (one / path.name).symlink_to(f"../../blobs/{path.name}")
            (cache / "blobs").chmod(behind)
        for path in one.iterdir():
            path.chmod(0o644)
        one.chmod(own)
        allowed = reach(one / "model-00001-of-00002.safetensors")
        yield name, one, allowed


def private_by_folder(case):
    old = os.umask(0o022)
    for name, one, allowed in closed_models(case):
        made = {n: case.folder / f"{name}-{n}" for n in ("organ", "copy", "linked")}
        case.works(f"{name}: extract", "extract", one, "--layers", "1:3", "--out", made["organ"])
        into = ["install", made["organ"], "--into", one, "--allow-unsigned", "--out"]
        case.works(f"{name}: install --out", *into, made["copy"])
        case.works(f"{name}: install --out --hard-link", *into, made["linked"], "--hard-link")
        if case.can_measure:
            made |= trained_from(case, name, one)
        for what, folder in made.items():
            files = [p for p in folder.rglob("*.safetensors")]
            case.expect(f"{name}: {what} holds something", files)
            wide = [f"{p} {reach(p, folder):o}" for p in files if reach(p, folder) & ~allowed]
            case.expect(f"{name}: {what}: open to nobody more than the model", not wide, wide[:3])
            lost = [f"{p} {reach(p, folder):o}" for p in files if allowed & ~reach(p, folder)]
            case.expect(f"{name}: {what}: nor to fewer", what == "cache" or not lost, lost[:3])
    os.umask(old)


def trained_from(case, name, one):
    text = case.folder / "few.txt"
    text.write_text("Spring came late to the valley that year.\n" * 20)
    data = ["--data", text, "--context", "32", "--steps", "1", "--threads", "1"]
    outs = {n: case.folder / f"{name}-{n}" for n in ("trained", "lora", "merged", "whole", "recovered")}
    case.works(f"{name}: train", "train", one, "--layers", "1:2", *data, "--out", outs["trained"])
    case.works(f"{name}: lora", "baseline", "lora", one, *data, "--out", outs["lora"])
    case.works(f"{name}: import", "import", outs["lora"], "--into", one, "--out", outs["merged"])
    case.works(f"{name}: recover", "recover", one, "--layers", "1:2", *data, "--out", outs["recovered"])
    case.works(f"{name}: same_layers", "baseline", "same_layers", one, "--layers", "1:2", *data,
               "--out", outs["whole"])
    return outs


def owner_of_state(case):
    """Root installs into the model of somebody else, who can then undo it."""
    if os.geteuid() != 0:
        print("skip: only root can give files away")
        return
    case.folder.chmod(0o755)
    program = shutil.copy(case.program, case.folder / "organ")
    one, organ = model(case, "of-somebody"), case.folder / "of-somebody-organ"
    for path in (one, *one.iterdir()):
        os.chown(path, 4321, 1234)
    case.works("extract", "extract", one, "--layers", "1:3", "--out", organ)
    before = {p.name: p.read_bytes() for p in one.iterdir()}
    for number in (1, 2):
        case.works(f"install {number}", "install", organ, "--into", one, "--at", number - 1,
                   "--allow-unsigned")
        others = [str(p) for p in (one, *one.rglob("*"))
                  if (p.lstat().st_uid, p.lstat().st_gid) != (4321, 1234)]
        case.expect(f"install {number} by root: all is the owner's", not others, others)
    for number in (2, 1):
        done = subprocess.run([program, "uninstall", one], env=case.env | {"HOME": "/"}, user=4321,
                              group=1234, extra_groups=[], capture_output=True, text=True, check=False)
        case.expect(f"the owner undoes {number}", done.returncode == 0, done.stderr)
    case.expect("all is back", before == {p.name: p.read_bytes() for p in one.iterdir() if p.is_file()})
    case.works("install again", "install", organ, "--into", one, "--at", 0, "--allow-unsigned",
               "--out", case.folder / "of-root")
    others = [str(p) for p in (case.folder / "of-root").rglob("*") if p.lstat().st_uid != 0]
    case.expect("a new folder is whose who made it", not others, others)


def private_training(case):
    """What is learned from private weights: organ, states of the run, cached streams, adapters."""
    if not case.can_measure:
        return
    old = os.umask(0o022)
    one = case.folder / "private"
    text = case.folder / "text.txt"
    text.write_text("Spring came late to the valley that year.\n" * 20)
    data = ["--data", text, "--context", "32", "--steps", "1", "--threads", "1"]
    outs = {n: case.folder / n for n in ("trained", "cache", "lora", "whole")}
    case.works("train", "train", one, "--layers", "1:2", *data, "--out", outs["trained"],
               "--cache", outs["cache"])
    case.works("baseline lora", "baseline", "lora", one, *data, "--out", outs["lora"])
    case.works("baseline same_layers", "baseline", "same_layers", one, "--layers", "1:2", *data,
               "--out", outs["whole"])
    for name, folder in outs.items():
        files = [p for p in folder.rglob("*") if p.suffix == ".safetensors" or
                 (name == "cache" and p.is_file() and p.name != ".lock")]
        case.expect(f"{name} holds something", files)
        wide = [str(p) for p in files if mode(p) & 0o077]
        case.expect(f"{name}: private like the model", not wide, wide)
    os.umask(old)


def moved_elsewhere(case):
    """Undone on media without attributes, or by somebody who cannot give files away."""
    one, organ = model(case, "moving"), case.folder / "moving-organ"
    case.works("extract", "extract", one, "--layers", "1:3", "--out", organ)
    before = {p.name: p.read_bytes() for p in one.iterdir() if p.is_file()}
    case.works("install", "install", organ, "--into", one, "--at", 0, "--allow-unsigned")
    receipt = one / ".organ/receipts/0001.json"
    record = json.loads(receipt.read_text())
    for file in record["files"]:
        if file.get("metadata"):  # an attribute that no file system takes
            file["metadata"]["attributes"] = [{"name": "dXNlci4=", "value": "eA=="}]
    receipt.write_text(json.dumps(record, separators=(",", ":"), sort_keys=True))
    done = case.works("uninstall", "uninstall", one)
    case.expect("what could not be given back is said", "could not be given back" in done.stderr,
                done.stderr)
    case.expect("the bytes are back all the same", before == {
        p.name: p.read_bytes() for p in one.iterdir() if p.is_file()})


def exact_undo(case):
    one = model(case, "owned")
    for i, path in enumerate(sorted(one.iterdir())):
        path.chmod((0o600, 0o640, 0o664, 0o444)[i % 4])
        try:
            os.setxattr(path, "user.note", f"note {i}\xff".encode("latin-1"))
        except OSError:
            pass  # a file system without them
        if os.geteuid() == 0:
            os.chown(path, 1000 + i, 2000 + i)
        os.utime(path, ns=(10 ** 18, 10 ** 18 + 123456789 + i))
    before = described(one)
    organ = case.folder / "owned-organ"
    case.works("extract", "extract", one, "--layers", "1:3", "--out", organ)
    case.works("install", "install", organ, "--into", one, "--at", 0, "--allow-unsigned")
    during = described(one)
    keeps = [n for n in before if before[n][:3] != during[n][:3] or before[n][4] != during[n][4]]
    case.expect("installed: owner, mode and attributes stay", not keeps, keeps)
    case.works("uninstall", "uninstall", one)
    after = described(one)
    case.expect("undone: owner, mode, time, attributes and bytes are as before", before == after,
                [n for n in before if before[n] != after.get(n)])


def long_attributes(case):
    """As long as Linux has them: what the receipt leaves out is said, and there after the undo."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="organ-attributes-") as scratch:
        one = Path(shutil.copytree(model(case, "attributes"), Path(scratch) / "model"))
        # The second one is another organ: the same again would change nothing.
        organs = [case.folder / f"attributes-organ-{layers[0]}" for layers in ("1:3", "2:4")]
        shards = sorted(one.glob("*.safetensors"))
        try:
            for shard in shards:
                for name, size in (("user.short", 7), ("user.longest", 32 << 10), ("user.long", (32 << 10) + 1),
                                   ("user.whole", 60_000)):
                    os.setxattr(shard, name, b"\xff" * size)
        except OSError as error:
            print(f"skip: no long attributes here: {error}")
            return
        before = described(one)
        for organ, layers in zip(organs, ("1:3", "2:4")):
            case.works("extract", "extract", one, "--layers", layers, "--out", organ)
        for organ in organs:
            done = case.works("install with long attributes", "install", organ, "--into", one, "--at", 0,
                              "--allow-unsigned")
            for name, said in (("user.short", False), ("user.longest'", False), ("user.long'", True),
                               ("user.whole", True)):
                case.expect(f"{name} is left out of the receipt: {said}", (name in done.stderr) == said, done.stderr)
            case.expect("installed: attributes stay", all(before[n][4] == described(one)[n][4] for n in before))
        for _ in range(2):
            case.works("uninstall with long attributes", "uninstall", one)
        case.expect("undone: all of them are there", described(one) == before)


def receipt_of_others(case):
    """A folder that was downloaded holds any receipt: it widens nothing and gives nothing away."""
    one, organ = model(case, "received"), case.folder / "received-organ"
    case.works("extract", "extract", one, "--layers", "1:3", "--out", organ)
    case.works("install", "install", organ, "--into", one, "--at", 0, "--allow-unsigned")
    before = described(one)
    receipt = one / ".organ/receipts/0001.json"
    record = json.loads(receipt.read_text())
    told = [file["metadata"] for file in record["files"] if file.get("metadata")]
    case.expect("a receipt tells owner and mode", told)
    for metadata in told:
        metadata.update(mode=0o777, owner=65534, group=65534)
    receipt.write_text(json.dumps(record, separators=(",", ":"), sort_keys=True))
    done = case.works("uninstall", "uninstall", one)
    after = described(one)
    wider = [n for n in before if before[n][:3] != after[n][:3]]
    case.expect("nothing is wider or another's", not wider, wider)
    case.expect("and that is said", "owner (user 65534" in done.stderr and
                "mode 0777" in done.stderr, done.stderr)


def undo_in_a_copy(case):
    """What install made with --out is the user's who made it, before and after an undo."""
    one, organ = model(case, "source"), case.folder / "source-organ"
    for path in one.iterdir():
        path.chmod(0o644)
        if os.geteuid() == 0:
            os.chown(path, 1234, 1234)
    case.works("extract", "extract", one, "--layers", "1:3", "--out", organ)
    old = os.umask(0o077)
    case.works("install", "install", organ, "--into", one, "--at", 0, "--allow-unsigned", "--out",
               case.folder / "mine")
    os.umask(old)
    before = described(case.folder / "mine")
    case.works("uninstall", "uninstall", case.folder / "mine")
    after = described(case.folder / "mine")
    wider = [n for n in before if before[n][:3] != after[n][:3]]
    case.expect("an undo in a copy keeps owner and mode of the copy", not wider, wider)


def lost_modes(case):
    one = model(case, "plain")
    registry, env = case.folder / "full", {"ORGAN_REGISTRY": str(case.folder / "full")}
    case.works("key", "key", "generate", case.folder / "k")
    case.works("extract", "extract", one, "--layers", "1:3", "--name", "a/b", "--organ-version",
               "1.0.0", "--out", case.folder / "plain-organ")
    case.works("sign", "sign", case.folder / "plain-organ", "--key", case.folder / "k.key")
    case.works("init", "registry", "init", "--key", case.folder / "k.pub", env=env)
    case.works("publish", "publish", case.folder / "plain-organ", env=env)
    for what, bits in (("rsync without -p", 0o644), ("exFAT", 0o755), ("CIFS", 0o777)):
        copy = case.folder / f"copy-{bits:o}"
        shutil.copytree(registry, copy)
        for path in copy.rglob("*"):
            path.chmod(bits if path.is_file() else 0o755)
        there = {"ORGAN_REGISTRY": str(copy)}
        for words in (["list"], ["show", "a/b"], ["verify", "a/b:1.0.0"], ["verify", "--all"],
                      ["check", "a/b:1.0.0", "--recipient", one, "--at", 1],
                      ["install", "a/b:1.0.0", "--into", one, "--at", 1]):
            done = case.works(f"{what}: {words[0]}", *words, env=there)
            if words[:2] == ["verify", "--all"]:
                case.expect(f"{what}: verify warns", "writable" in done.stdout, done.stdout)
        case.works("uninstall", "uninstall", one)
        blob = max((copy / "blobs/sha256").iterdir(), key=lambda p: p.stat().st_size)
        data = bytearray(blob.read_bytes())
        data[-1] ^= 1
        blob.write_bytes(data)
        case.expect(f"{what}: damage is found all the same",
                    case.organ("verify", "a/b:1.0.0", env=there).returncode == 4)


def main():
    case = Case(sys.argv[1])
    umasks(case)
    private_sources(case)
    private_training(case)
    private_by_folder(case)
    owner_of_state(case)
    exact_undo(case)
    long_attributes(case)
    receipt_of_others(case)
    undo_in_a_copy(case)
    moved_elsewhere(case)
    lost_modes(case)
    case.end()


main()
