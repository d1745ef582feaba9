# SPDX-License-Identifier: Apache-2.0
"""A file system that forgets: what calls made of a folder, and what a power cut may leave of it.

Contents and modes are kept once fsync or fdatasync of the file returned, names once fsync of a folder
that holds them did; a rename is kept whole or not at all. Of all else any part may be lost: contents
are as they were at the last fsync, or have their new length and zeros, or are there; any of the names
made, moved or removed since may be as before, in any order. That is less than ext4, XFS or btrfs
promise, and what POSIX does.
"""
import os
import stat

CREATED = 0o666
FULL_NAMES = 6  # unsynced names: up to here each alone and all but each are tried


class File:
    def __init__(self, data=b"", mode=0o644, kept=False):
        self.data, self.mode = bytearray(data), mode
        self.kept = bytes(data) if kept else b""
        self.kept_mode = mode

    def sync(self):
        self.kept, self.kept_mode = bytes(self.data), self.mode

    def left(self, how):
        if how == "there":
            return bytes(self.data), self.mode
        if how == "lost" or len(self.data) <= len(self.kept):
            return self.kept, self.kept_mode
        return self.kept + bytes(len(self.data) - len(self.kept)), self.mode

    def write(self, at, data):
        if at > len(self.data):
            self.data.extend(bytes(at - len(self.data)))
        self.data[at:at + len(data)] = data


class Folder:
    def __init__(self, mode=0o755):
        self.names, self.mode = {}, mode


class Change:
    """One change of names: `removed` and `added` are (folder, name, inode) or None."""

    def __init__(self, removed=None, added=None):
        self.removed, self.added, self.kept = removed, added, False

    def touches(self, folder):
        return any(part and part[0] is folder for part in (self.removed, self.added))

    def apply(self, names_of):
        if self.removed:
            folder, name, inode = self.removed
            if names_of(folder).get(name) is inode:
                del names_of(folder)[name]
        if self.added:
            folder, name, inode = self.added
            names_of(folder)[name] = inode


class Model:
    def __init__(self, folder):
        self.top = os.path.realpath(folder)
        self.root = self.load(self.top)
        self.initial = {}
        self.remember(self.root)
        self.changes = []
        self.umask = os.umask(0)
        os.umask(self.umask)

    def load(self, path):
        folder = Folder(stat.S_IMODE(os.stat(path).st_mode))
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                folder.names[entry.name] = self.load(entry.path)
            else:
                with open(entry.path, "rb") as file:
                    mode = stat.S_IMODE(entry.stat().st_mode)
                    folder.names[entry.name] = File(file.read(), mode, kept=True)
        return folder

    def remember(self, folder):
        self.initial[folder] = dict(folder.names)
        for inode in folder.names.values():
            if isinstance(inode, Folder):
                self.remember(inode)

    # ---- names ----

    def change(self, removed=None, added=None):
        one = Change(removed, added)
        one.apply(lambda folder: folder.names)
        self.changes.append(one)

    def sync(self, inode):
        if isinstance(inode, File):
            inode.sync()
            return
        for one in self.changes:
            one.kept = one.kept or one.touches(inode)

    # ---- what is left ----

    def tree(self, applied, how):
        """{path: (contents, mode)}, of folders (None, mode), when only `applied` of the changes of names
        and of contents what `how` says is left."""
        names = {}

        def names_of(folder):
            if folder not in names:
                names[folder] = dict(self.initial.get(folder, {}))
            return names[folder]

        for one in applied:
            one.apply(names_of)
        out = {}

        def walk(folder, prefix):
            for name, inode in sorted(names_of(folder).items()):
                if isinstance(inode, Folder):
                    out[prefix + name] = (None, inode.mode)
                    walk(inode, prefix + name + "/")
                else:
                    out[prefix + name] = inode.left(how)

        walk(self.root, "")
        return out

    def now(self):
        return self.tree(self.changes, "there")

    def choices(self):
        """Which changes of names may be there: of those not synced none, all, the first ones, the last
        ones, each alone, all but each."""
        open_ones = [i for i, one in enumerate(self.changes) if not one.kept]
        count = len(open_ones)
        lost = {frozenset(open_ones[i:]) for i in range(count + 1)}
        lost |= {frozenset(open_ones[:i]) for i in range(count + 1)}
        if count <= FULL_NAMES:
            lost |= {frozenset([i]) for i in open_ones}
            lost |= {frozenset(open_ones) - {i} for i in open_ones}
        return [[one for i, one in enumerate(self.changes) if i not in gone] for gone in lost]

    def crash_states(self):
        for applied in self.choices():
            for how in ("lost", "zeros", "there"):
                yield self.tree(applied, how)


def write_tree(tree, folder):
    """Makes the folder that a crash left."""
    folder.mkdir(parents=True)
    for path, (data, mode) in tree.items():
        if data is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(data)
            (folder / path).chmod(mode)


def key_of(tree):
    return tuple((path, data, mode) for path, (data, mode) in sorted(tree.items()))
