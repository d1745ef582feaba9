# SPDX-License-Identifier: Apache-2.0
"""What the disk can do to a pull: writes that are lost, no room, a file system without links.

    storage.py ORGAN_PROGRAM SHIM

SHIM is poor_file_system.cc as a library. Exits 77 without strace, which lets calls fail.
"""
import os
import re
import shutil
import stat
import sys

from pulls import FAST, ORGAN, cut_at, largest, pulled, refused, sites
from servers import Server, Site, run_cases

SHIM = os.path.abspath(sys.argv[2])
FETCHED = re.compile(r"/organ/partial/[0-9a-f]{64}/[0-9a-f]{64}$")
ALONE = ("--transfers", "1", "--threads", "1")  # strace counts the calls of each thread


def traced(site, server, *injected, options=(), expect=0):
    """What a pull said and which calls it made, some of which fail."""
    trace = site.folder / "trace"
    words = ["-f", "-qq", "-y", "-o", trace, "-e", "trace=fsync,linkat", *injected,
             ORGAN, "pull", server.oci("a/b:1.0.0"), *FAST, *options]
    said = site.run(*words, program=shutil.which("strace"), expect=expect)
    return said, trace.read_text()


def lost_writes(case):
    """What fsync has failed for is fetched again: it may be right in the cache and wrong on the disk."""
    here, there = sites(case)
    with Server(here.registry) as server:
        _, calls = traced(there, server, options=ALONE)
        synced = re.findall(r"fsync\(\d+<([^>]*)>\)", calls)
        numbers = [number for number, path in enumerate(synced, 1) if FETCHED.search(path)]
        assert len(numbers) == 4, synced  # tensors and card: each when it is whole, and as an object
        for number in range(1, numbers[-1] + 1):
            there = Site(ORGAN, case.folder, f"there{number}", here.public_key)
            before = there.state()
            said, calls = traced(there, server, "-e", f"inject=fsync:error=EIO:when={number}", options=ALONE,
                                 expect=1)
            assert "fsync failed" in said and there.state() == before, said
            path = re.search(r"fsync\(\d+<([^>]*)>\).*INJECTED", calls)[1]
            assert bool(FETCHED.search(path)) == (number in numbers), path
            kept = {one.name for one in there.partial() if one.stat().st_mode & 0o400}
            del server.requests[:]
            pulled(there, server)
            asked = {one.rpartition(":")[2] for _, one, _ in server.requests if "/blobs/" in one}
            lost = os.path.basename(path)
            assert number not in numbers or (lost not in kept and lost in asked), (lost, kept, asked)
            assert not kept & asked, "what was durable came again"


def no_links(case):
    """Where a fetched file cannot be linked it is copied."""
    here, there = sites(case)
    with Server(here.registry) as server:
        _, calls = traced(there, server, "-e", "inject=linkat:error=EPERM")
        assert calls.count("EPERM") > 2, calls
        assert not there.partial()
        there.run("verify", "--all")
        store = there.registry / "blobs/sha256"
        assert stat.S_IMODE((store / largest(server).removeprefix("sha256:")).stat().st_mode) == 0o444


def once_shared(case):
    """A file that others could write while it was fetched is no object, though nobody else has it."""
    here, there = sites(case)
    with Server(here.registry) as server:
        digest = largest(server)
        folder = there.registry / "organ/partial" / server.served.tags["1.0.0"].removeprefix("sha256:")
        folder.mkdir(parents=True)
        file = folder / digest.removeprefix("sha256:")
        file.write_bytes(server.served.blobs[digest])
        file.chmod(0o660)
        with open(file, "r+b") as theirs:  # somebody has it open
            result = pulled(there, server)
            assert result["kept_bytes"] == len(server.served.blobs[digest]), result
            stored = there.registry / "blobs/sha256" / file.name
            assert os.fstat(theirs.fileno()).st_ino != stored.stat().st_ino


def room_for_the_rest(case):
    """An interrupted pull goes on where there is room for what has not come yet, and no more than that."""
    here, there = sites(case)
    with Server(here.registry) as server:
        digest = largest(server)
        size = len(server.served.blobs[digest])
        server.hooks.append((f"/v2/.+/blobs/({digest})", cut_at(0.7, always=True)))
        refused(there, server, 1, "the connection broke")
        server.hooks.clear()
        room = {"LD_PRELOAD": SHIM, "ASAN_OPTIONS": "verify_asan_link_order=0"}
        reference = server.oci("a/b:1.0.0")
        said = there.run("pull", reference, *FAST, expect=1, POOR_FREE=str(size // 10), **room)
        assert "are free" in said and there.partial(), said
        there.run("pull", reference, *FAST, POOR_FREE=str(size // 2), **room)
        there.run("verify", "--all")


if __name__ == "__main__":
    if not shutil.which("strace"):
        print("skipped: strace is not installed")
        sys.exit(77)
    sys.exit(run_cases([lost_writes, no_links, once_shared, room_for_the_rest]))
