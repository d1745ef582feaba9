# SPDX-License-Identifier: Apache-2.0
"""Runs recorded calls on a file model."""
import os

from calls import strings
from file_model import CREATED, File, Folder


class Open:
    """An open file description: several descriptors may share its position."""

    def __init__(self, inode, append=False):
        self.inode, self.append, self.at = inode, append, 0


class Replay:
    """Files outside the folder are not looked at. Raises NotImplementedError at a call that it does not
    know how to follow, rather than believe a model that is not the folder any more. `syncs` False: of a
    program whose fsync does nothing."""

    def __init__(self, model, syncs=True):
        self.model, self.syncs = model, syncs
        self.open = {}

    def run(self, call):
        """Whether the call changed names or made something durable: a power cut behind it is another."""
        action = getattr(self, "do_" + call.name, None)
        if action is None:
            raise NotImplementedError(call.name)
        return bool(action(call))

    # ---- paths ----

    def place(self, call, path, folder_index=None):
        """(folder, name, inode or None) of a path below the model's folder, else None."""
        start = None if folder_index is None else call.folder(folder_index)
        if path.startswith("/"):
            full = os.path.normpath(path)
            if not (full + "/").startswith(self.model.top + "/"):
                return None
            folder, rest = self.model.root, full[len(self.model.top):]
        elif start is None:
            folder, rest = self.model.root, os.path.normpath(path)
        else:
            opened = self.open.get(start)
            if opened is None:
                return None
            folder, rest = opened.inode, os.path.normpath(path)
        parts = [part for part in rest.split("/") if part not in ("", ".")]
        if ".." in parts:
            return None
        if not parts:
            return folder, ".", folder
        for part in parts[:-1]:
            folder = folder.names[part]
        return folder, parts[-1], folder.names.get(parts[-1])

    def opened(self, call, index=0):
        return self.open.get(call.number(index))

    # ---- opening ----

    def do_open(self, call, path_index=0, folder_index=None):
        self.open.pop(call.result, None)
        place = self.place(call, call.path(path_index), folder_index)
        if place is None:
            return False
        folder, name, inode = place
        if call.has("O_TMPFILE"):
            self.open[call.result] = Open(File(mode=self.mode_of(call)))
            return False
        made = inode is None
        if made:
            inode = File(mode=self.mode_of(call))
            self.model.change(added=(folder, name, inode))
        elif call.has("O_TRUNC") and isinstance(inode, File):
            inode.data = bytearray()
        self.open[call.result] = Open(inode, call.has("O_APPEND"))
        return made

    def mode_of(self, call):
        last = call.arguments[-1]
        return (int(last, 8) if last.isdigit() else CREATED) & ~self.model.umask

    def do_openat(self, call):
        return self.do_open(call, 1, 0)

    def do_fcntl(self, call):
        if call.arguments[1].startswith("F_DUPFD"):
            self.do_dup(call)

    def do_dup(self, call):
        self.open.pop(call.result, None)
        if opened := self.opened(call):
            self.open[call.result] = opened

    do_dup2 = do_dup3 = do_dup

    def do_lseek(self, call):
        if opened := self.opened(call):
            opened.at = call.result

    def do_mmap(self, call):
        shared = call.has("MAP_SHARED") and call.has("PROT_WRITE")
        descriptor = call.arguments[4]
        if shared and descriptor.isdigit() and int(descriptor) in self.open:
            raise NotImplementedError("a file written through memory")

    # ---- contents ----

    def write_at(self, opened, data, at=None):
        if at is None:
            if opened.append:
                opened.at = len(opened.inode.data)
            at, opened.at = opened.at, opened.at + len(data)
        opened.inode.write(at, data)

    def do_write(self, call):
        if opened := self.opened(call):
            self.write_at(opened, strings(call.text)[0][:call.result])

    def do_pwrite64(self, call):
        if opened := self.opened(call):
            self.write_at(opened, strings(call.text)[0][:call.result], call.number(3))

    def do_writev(self, call):
        if opened := self.opened(call):
            self.write_at(opened, b"".join(strings(call.text))[:call.result])

    def do_copy_file_range(self, call):
        target, source = self.opened(call, 2), self.opened(call, 0)
        if target is None or call.result == 0:
            return
        if source is None:
            raise NotImplementedError("copy_file_range from outside the folder")
        begin = source.at if call.arguments[1] == "NULL" else int(call.arguments[1].strip("[]").split()[0])
        if call.arguments[1] == "NULL":
            source.at += call.result
        at = None if call.arguments[3] == "NULL" else int(call.arguments[3].strip("[]").split()[0])
        self.write_at(target, bytes(source.inode.data[begin:begin + call.result]), at)

    def do_ioctl(self, call):
        if call.has("FICLONE") and (opened := self.opened(call)):
            opened.inode.data = bytearray(self.opened(call, 2).inode.data)

    def do_ftruncate(self, call):
        if opened := self.opened(call):
            size = call.number(1)
            data = opened.inode.data
            opened.inode.data = data[:size] if len(data) > size else data + bytes(size - len(data))

    def do_fchmod(self, call):
        if opened := self.opened(call):
            opened.inode.mode = int(call.arguments[1], 8)

    def do_chmod(self, call):
        if place := self.place(call, call.path(0)):
            place[2].mode = int(call.arguments[1], 8)

    # ---- names ----

    def do_mkdir(self, call, path_index=0, folder_index=None):
        if place := self.place(call, call.path(path_index), folder_index):
            mode = int(call.arguments[path_index + 1], 8) & ~self.model.umask
            self.model.change(added=(place[0], place[1], Folder(mode)))
        return place

    def do_mkdirat(self, call):
        return self.do_mkdir(call, 1, 0)

    def do_unlink(self, call, path_index=0, folder_index=None):
        if place := self.place(call, call.path(path_index), folder_index):
            self.model.change(removed=place)
        return place

    do_rmdir = do_unlink

    def do_unlinkat(self, call):
        return self.do_unlink(call, 1, 0)

    def moved(self, call, source, target):
        if source is None and target is None:
            return False
        if source is None or target is None:
            raise NotImplementedError("a rename across the folder's border")
        if call.has("RENAME_EXCHANGE"):
            raise NotImplementedError("RENAME_EXCHANGE")
        self.model.change(removed=source, added=(target[0], target[1], source[2]))
        return True

    def do_rename(self, call):
        return self.moved(call, self.place(call, call.path(0)), self.place(call, call.path(1)))

    def do_renameat(self, call):
        return self.moved(call, self.place(call, call.path(1), 0), self.place(call, call.path(3), 2))

    do_renameat2 = do_renameat

    def do_linkat(self, call):
        path, target = call.path(1), self.place(call, call.path(3), 2)
        if target is None:
            return False
        if path.startswith("/proc/self/fd/"):
            inode = self.open[int(path.rsplit("/", 1)[1])].inode
        elif path == "":
            inode = self.open[call.folder(0)].inode
        else:
            inode = self.place(call, path, 0)[2]
        self.model.change(added=(target[0], target[1], inode))
        return True

    def do_link(self, call):
        source, target = self.place(call, call.path(0)), self.place(call, call.path(1))
        if target is not None:
            self.model.change(added=(target[0], target[1], source[2]))
        return target

    # ---- durability ----

    def do_fsync(self, call):
        opened = self.opened(call)
        if opened is not None and self.syncs:
            self.model.sync(opened.inode)
        return opened

    do_fdatasync = do_fsync
