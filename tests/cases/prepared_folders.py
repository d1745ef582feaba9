# SPDX-License-Identifier: Apache-2.0
"""A folder that somebody prepared for a registry (mode, group, a mount point) is filled, not
replaced; one with anything in it is refused; every other command that makes a folder refuses one
that is there.

    prepared_folders.py ORGAN_PROGRAM
"""
import os
import stat
import subprocess
import sys

from support import ROOT, Case


def facts(folder):
    info = folder.stat()
    return info.st_ino, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid


def keeps(case, what, folder, *words, cwd=None):
    before = facts(folder)
    case.works(f"{what}: init", "registry", "init", "--key", case.folder / "k.pub", *words, cwd=cwd)
    case.expect(f"{what}: the folder is the one it was", facts(folder) == before, facts(folder))
    case.expect(f"{what}: nothing else is in it",
                {p.name for p in folder.iterdir()} - {"lost+found"} ==
                {"blobs", "index.json", "oci-layout", "organ"}, list(folder.iterdir()))
    where = ["--registry", folder]
    case.works(f"{what}: publish", "publish", case.folder / "o", *where)
    case.works(f"{what}: verify", "verify", "--all", *where)
    done = case.organ("registry", "init", *where)
    case.expect(f"{what}: it is made once", done.returncode == 1 and
                "already exists" in done.stderr, done.stderr)


def prepared(case):
    for mode in (0o700, 0o750, 0o755, 0o2770, 0o3777):
        folder = case.folder / f"prepared-{mode:o}"
        folder.mkdir()
        if os.geteuid() == 0:
            os.chown(folder, 0, 12345)
        folder.chmod(mode)
        keeps(case, f"mode {mode:04o}", folder, "--registry", folder)
        if mode & stat.S_ISGID:
            others = [str(p) for p in folder.rglob("*") if p.stat().st_gid != folder.stat().st_gid]
            case.expect("what lies in a folder of a group is the group's", not others, others[:3])
    here = case.folder / "here"
    here.mkdir()
    keeps(case, "the folder one stands in", here, "--registry", ".", cwd=here)


def closed_above(case):
    """Only the folder itself may be written to, not the one that holds it."""
    above = case.folder / "above"
    folder = above / "registry"
    folder.mkdir(parents=True)
    if os.geteuid() != 0:
        above.chmod(0o555)
        keeps(case, "a closed folder above", folder, "--registry", folder)
        above.chmod(0o755)


def mount_point(case):
    folder = case.folder / "mounted"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=False,
                                           capture_output=True).returncode != 0:
        print("skip: no tmpfs can be mounted here")
        return
    try:
        (folder / "lost+found").mkdir(0o700)  # of a fresh ext4
        keeps(case, "a mount point", folder, "--registry", folder)
    finally:
        subprocess.run(["umount", folder], check=True)


def taken(case):
    """Whatever holds something is refused and stays as it is."""
    def refused(what, make):
        folder = case.folder / f"taken-{what.replace(' ', '-')}"
        folder.mkdir()
        make(folder)
        before = sorted((str(p), p.lstat().st_mtime_ns) for p in folder.rglob("*"))
        done = case.organ("registry", "init", "--registry", folder)
        case.expect(f"{what}: refused", done.returncode == 1 and "already exists" in done.stderr,
                    done.stderr)
        case.expect(f"{what}: not touched", before == sorted(
            (str(p), p.lstat().st_mtime_ns) for p in folder.rglob("*")))

    def remains(folder, *more):
        (folder / ".unfinished.abcdefghij").mkdir()
        for name in more:
            (folder / name).mkdir()
            (folder / name / "precious").write_text("text")
    refused("a file", lambda f: (f / "notes.txt").write_text("text"))
    refused("a hidden file", lambda f: (f / ".hidden").write_text("text"))
    refused("blobs of somebody else", lambda f: (f / "blobs").mkdir())
    refused("blobs beside what looks like remains", lambda f: remains(f, "blobs"))
    refused("another folder beside remains", lambda f: remains(f, "photos"))
    refused("a file in what looks like remains", lambda f: (
        remains(f), (f / ".unfinished.abcdefghij/notes.txt").write_text("text")))
    refused("a name that is nearly that of remains", lambda f: (f / ".unfinished.novel").mkdir())
    refused("a link that is called like remains",
            lambda f: (f / ".unfinished.abcdefghij").symlink_to(case.folder))


def other_commands(case):
    """They make a new folder and say so: nothing that is there is filled or replaced."""
    empty = case.folder / "empty"
    empty.mkdir()
    before = facts(empty)
    one = case.folder / "model"
    for words in (["extract", one, "--layers", "1:3"],
                  ["install", case.folder / "o", "--into", one, "--allow-unsigned"]):
        done = case.organ(*words, "--out", empty)
        case.expect(f"{words[0]}: an empty folder is refused", done.returncode == 1 and
                    "already exists" in done.stderr, done.stderr)
        case.expect(f"{words[0]}: it stays", facts(empty) == before and not list(empty.iterdir()))


def main():
    case = Case(sys.argv[1])
    one = case.folder / "model"
    subprocess.run([sys.executable, ROOT / "tools/make_tiny_model.py", one, "--layers", "4"],
                   check=True, stdout=subprocess.DEVNULL)
    case.works("key", "key", "generate", case.folder / "k")
    case.works("extract", "extract", one, "--layers", "1:3", "--name", "a/b", "--organ-version",
               "1.0.0", "--out", case.folder / "o")
    case.works("sign", "sign", case.folder / "o", "--key", case.folder / "k.key")
    prepared(case)
    closed_above(case)
    mount_point(case)
    taken(case)
    other_commands(case)
    case.end()


main()
