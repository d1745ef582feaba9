# SPDX-License-Identifier: Apache-2.0
"""What an undo gives back of a shard beside its bytes, and that it opens the shard to nobody, whatever the
receipt says: modes narrower and wider than told, access lists, times before 1970.

    given_back.py ORGAN_PROGRAM
"""
import base64
import json
import os
import stat
import struct
import subprocess
import sys

from support import ROOT, Case, copy

ACCESS = "system.posix_acl_access"
USER, GROUP, OTHER, NAMED, MASK = 1, 4, 32, 2, 16


def access_list(user, group, named):
    """As the kernel writes it: one named user beside owner, group and others (who may do nothing)."""
    entries = [(USER, user, 0xffffffff), (NAMED, named, 1001), (GROUP, group, 0xffffffff),
               (MASK, group, 0xffffffff), (OTHER, 0, 0xffffffff)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def attribute(path, name):
    try:
        return os.getxattr(path, name)
    except OSError:
        return None


class Installed:
    """A model of one shard with an organ in it, copied for each trial."""

    def __init__(self, case):
        self.case = case
        self.model, self.organ = case.folder / "model", case.folder / "organ"
        subprocess.run([sys.executable, ROOT / "tools/make_tiny_model.py", self.model, "--layers", "4"],
                       check=True, stdout=subprocess.DEVNULL)
        case.works("extract", "extract", self.model, "--layers", "1:3", "--out", self.organ)
        self.number = 0

    def install(self, prepare=lambda shard: None):
        self.number += 1
        model = copy(self.model, self.case.folder / f"model{self.number}")
        shard = model / "model.safetensors"
        prepare(shard)
        self.case.works("install", "install", self.organ, "--into", model, "--at", 0, "--allow-unsigned")
        return model, shard

    def undo(self, model):
        done = self.case.works("uninstall", "uninstall", model)
        return done.stderr


def change_receipt(model, **changes):
    path = model / ".organ/receipts/0001.json"
    record = json.loads(path.read_text())
    for file in record["files"]:
        if file.get("metadata"):
            file["metadata"].update(changes)
    path.write_text(json.dumps(record, separators=(",", ":"), sort_keys=True))


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def modes(case, bench):
    for mask in (0o022, 0o000):
        for now in (0o600, 0o640, 0o400):
            for told in (0o600, 0o644, 0o777):
                model, shard = bench.install()
                change_receipt(model, mode=told)
                shard.chmod(now)
                old = os.umask(mask)
                said = bench.undo(model)
                os.umask(old)
                what = f"umask {mask:03o}: a shard of {now:04o}, the receipt says {told:04o}"
                case.expect(f"{what}: gets no bit", mode(shard) == now & told, oct(mode(shard)))
                case.expect(f"{what}: said", (f"mode {told:04o}" in said) == (now & told != told), said)


def access_lists(case, bench):
    ours, others = access_list(6, 4, 4), access_list(6, 4, 6)
    try:
        os.setxattr(bench.model / "model.safetensors", ACCESS, ours)
        os.removexattr(bench.model / "model.safetensors", ACCESS)
    except OSError:
        print("no access lists here: they are not tried")
        return
    tell = [{"name": base64.b64encode(ACCESS.encode()).decode(), "value": base64.b64encode(ours).decode()}]
    model, shard = bench.install(lambda shard: shard.chmod(0o640))
    change_receipt(model, attributes=tell)
    said = bench.undo(model)
    case.expect("a receipt lets no user in", attribute(shard, ACCESS) is None, attribute(shard, ACCESS))
    case.expect("and that is said", "access control list" in said, said)
    model, shard = bench.install(lambda shard: os.setxattr(shard, ACCESS, ours))
    said = bench.undo(model)
    case.expect("the list that a shard had it has", attribute(shard, ACCESS) == ours)
    case.expect("without a word", "could not" not in said, said)
    model, shard = bench.install(lambda shard: os.setxattr(shard, ACCESS, ours))
    os.setxattr(shard, ACCESS, others)
    said = bench.undo(model)
    case.expect("one that was changed since stays", attribute(shard, ACCESS) == others)
    case.expect("which is said", "access control list" in said, said)


def times(case, bench):
    for name, time in (("long ago", -400 * 86400 * 10 ** 9 + 5), ("a moment before 1970", -1), ("1970", 0),
                       ("today", 1_800_000_000 * 10 ** 9 + 7)):
        model, shard = bench.install(lambda shard: os.utime(shard, ns=(0, time)))
        said = bench.undo(model)
        case.expect(f"{name}: the time is given back", shard.stat().st_mtime_ns == time, shard.stat().st_mtime_ns)
        case.expect(f"{name}: without a word", "could not" not in said, said)
    model, shard = bench.install()
    change_receipt(model, modified_seconds=2 ** 60)
    said = bench.undo(model)
    case.expect("a time that the file system cannot hold is said", "time of last change" in said, said)


def main():
    case = Case(sys.argv[1])
    bench = Installed(case)
    modes(case, bench)
    access_lists(case, bench)
    times(case, bench)
    case.end()


main()
