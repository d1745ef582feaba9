# SPDX-License-Identifier: Apache-2.0
"""Access lists and groups: whoever could not read a model cannot read what is made of it, or what it becomes.

    access_lists.py ORGAN_PROGRAM

Who may read a file is asked as the kernel decides it (acl(5)), for the people and groups that a list names and
for others, of the file and of the folder it lies in.
"""
import os
import shutil
import stat
import struct
import subprocess
import sys

from support import ROOT, Case, peers

USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32
NOBODY = 0xFFFFFFFF
PEOPLE = [(1001, {9001}), (1002, {9002}), (1003, {2000}), (1004, {3000}), (1005, {0}), (1006, {9006})]


def packed(entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *one) for one in entries)


def listed(owner, group, mask, other, *named):
    """A list; `named`: (tag, id, bits)."""
    return packed([(USER_OBJ, owner, NOBODY), *((t, bits, who) for t, who, bits in named if t == USER),
                   (GROUP_OBJ, group, NOBODY), *((t, bits, who) for t, who, bits in named if t == GROUP),
                   (MASK, mask, NOBODY), (OTHER, other, NOBODY)])


def may(path, person, bit):
    uid, groups = person
    info = path.stat()
    mode = stat.S_IMODE(info.st_mode)
    entries = [(USER_OBJ, mode >> 6 & 7, NOBODY), (GROUP_OBJ, mode >> 3 & 7, NOBODY), (OTHER, mode & 7, NOBODY)]
    if "system.posix_acl_access" in os.listxattr(path):
        raw = os.getxattr(path, "system.posix_acl_access")[4:]
        entries = list(struct.iter_unpack("<HHI", raw))
    bits = {tag: value for tag, value, _ in entries}
    mask = bits.get(MASK, 7)
    if uid == info.st_uid:
        return bool(bits[USER_OBJ] & bit)
    for tag, value, who in entries:
        if tag == USER and who == uid:
            return bool(value & mask & bit)
    classes = [value for tag, value, who in entries if (tag == GROUP_OBJ and info.st_gid in groups) or
               (tag == GROUP and who in groups)]
    if classes:
        return any(value & mask & bit for value in classes)
    return bool(bits[OTHER] & bit)


def readers(path, *folders):
    return {person[0] for person in PEOPLE
            if may(path, person, 4) and all(may(folder, person, 1) for folder in (path.parent, *folders))}


def model(case, name):
    folder = case.folder / name
    subprocess.run([sys.executable, ROOT / "tools/make_tiny_model.py", folder, "--layers", "4", "--shards", "2"],
                   check=True, stdout=subprocess.DEVNULL)
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


def shards(folder):
    return sorted(folder.rglob("*.safetensors"))


def for_each(set_one):
    def prepare(folder):
        for path in folder.iterdir():
            set_one(path)
    return prepare


def of_group(mode, group):
    def set_one(path):
        os.chown(path, 1000, group)
        path.chmod(mode)
    return set_one


def with_list(mode, group, *entries):
    def set_one(path):
        of_group(mode, group)(path)
        os.setxattr(path, "system.posix_acl_access", listed(*entries))
    return set_one


def folder_of(set_one):
    return lambda folder: set_one(folder)


MODELS = {
    "plain": lambda folder: None,
    "another group's": for_each(of_group(0o640, 3000)),
    "this group's": for_each(of_group(0o640, 0)),
    "one user alone": for_each(with_list(0o600, 2000, 6, 0, 4, 0, (USER, 1001, 4))),
    "all but one user": for_each(with_list(0o644, 0, 6, 4, 4, 4, (USER, 1001, 0))),
    "all but one group": for_each(with_list(0o644, 0, 6, 4, 4, 4, (GROUP, 3000, 0))),
    "a group besides": for_each(with_list(0o640, 0, 6, 4, 4, 0, (GROUP, 3000, 4))),
    "masked": for_each(with_list(0o640, 0, 6, 4, 0, 0, (USER, 1001, 4))),
    "folder of another group": folder_of(of_group(0o750, 3000)),
    "folder with a list": folder_of(with_list(0o700, 2000, 7, 0, 5, 0, (USER, 1001, 5))),
    "folder closed to one": folder_of(with_list(0o755, 0, 7, 5, 5, 5, (USER, 1001, 0))),
}
PLACES = {
    "usual": lambda folder: None,
    "of a group, set-group-id": lambda folder: (os.chown(folder, 0, 3000), folder.chmod(0o2775)),
    "with a default list": lambda folder: os.setxattr(
        folder, "system.posix_acl_default", listed(7, 5, 7, 5, (USER, 1002, 7))),
}


def copies(case):
    for number, (name, prepare) in enumerate(MODELS.items()):
        one = model(case, f"m{number}")
        prepare(one)
        allowed = set.intersection(*(readers(path) for path in shards(one)))
        for place, make in PLACES.items():
            at = case.folder / f"at-{number}-{place.split()[0]}"
            at.mkdir()
            make(at)
            what = f"{name}, {place}"
            case.works(f"{what}: extract", "extract", one, "--layers", "1:3", "--out", at / "organ")
            into = ["install", at / "organ", "--into", one, "--at", 1, "--allow-unsigned", "--out"]
            case.works(f"{what}: install --out", *into, at / "copy")
            case.works(f"{what}: install --out --hard-link", *into, at / "linked", "--hard-link")
            for folder in ("organ", "copy", "linked"):
                made = shards(at / folder)
                case.expect(f"{what}: {folder} holds something", made)
                wide = {str(p): sorted(readers(p, at / folder) - allowed) for p in made
                        if readers(p, at / folder) - allowed}
                case.expect(f"{what}: {folder}: open to nobody more", not wide, wide)
            if name in ("plain", "this group's") and place == "usual":
                lost = [str(p) for p in shards(at / "copy") if allowed - readers(p, at / "copy")]
                case.expect(f"{what}: nor to fewer", not lost, lost)


def in_place(case):
    """A default list that the folder got later, an access list that the shard has."""
    for name, prepare in MODELS.items():
        one = model(case, "in-place")
        prepare(one)
        os.setxattr(one, "system.posix_acl_default", listed(7, 7, 7, 5, (USER, 1002, 7)))
        before = {p.name: readers(p) for p in shards(one)}
        described = {p.name: (p.stat().st_mode, sorted(os.listxattr(p))) for p in shards(one)}
        case.works(f"{name}: extract", "extract", one, "--layers", "1:3", "--out", case.folder / "organ-in-place")
        case.works(f"{name}: install", "install", case.folder / "organ-in-place", "--into", one, "--at", 0,
                   "--allow-unsigned")
        for when in ("installed", "undone"):
            wide = {str(p): sorted(readers(p, one) - before[p.name]) for p in shards(one)
                    if readers(p, one) - before[p.name]}
            case.expect(f"{name}: {when}: open to nobody more", not wide, wide)
            now = {p.name: (p.stat().st_mode, sorted(os.listxattr(p))) for p in one.glob("*.safetensors")}
            case.expect(f"{name}: {when}: mode and lists are as before", now == described, (now, described))
            if when == "installed":
                done = case.works(f"{name}: uninstall", "uninstall", one)
                case.expect(f"{name}: all is given back", "given back" not in done.stderr, done.stderr)
        shutil.rmtree(one)
        shutil.rmtree(case.folder / "organ-in-place")


def main():
    case = Case(sys.argv[1])
    case.folder.chmod(0o755)
    (case.folder / "probe").touch()
    try:
        os.setxattr(case.folder / "probe", "system.posix_acl_access", listed(6, 4, 4, 4, (USER, 1001, 4)))
        os.chown(case.folder / "probe", 1000, 3000)
    except OSError as error:
        peers.skip(f"no access lists here, or not root: {error}")
    os.umask(0o022)
    copies(case)
    in_place(case)
    case.end()


main()
