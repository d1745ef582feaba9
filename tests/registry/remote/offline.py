# SPDX-License-Identifier: Apache-2.0
"""No command but push and pull opens a socket, or even loads the library that could.

    offline.py ORGAN_PROGRAM

Exits 77 without strace.
"""
import shutil
import subprocess
import sys
from pathlib import Path

from servers import Server, Site, make_model, run_cases

ORGAN = Path(sys.argv[1]).resolve()
NAME = "legal/contracts"
CALLS = "socket,connect,bind,sendto,sendmsg,openat"


def traced(site, *words):
    """What of the network the command touched."""
    log = site.folder / "strace"
    site.run("-f", "-qq", "-o", log, "-e", f"trace={CALLS}", ORGAN, *words, program="strace")
    calls = [line for line in log.read_text().splitlines() if "---" not in line]  # signals
    return [line for line in calls if "openat" not in line or "libcurl" in line]


def other_commands_open_no_socket(case):
    make_model(case.folder / "model", hidden=64, intermediate=128)
    site = Site(ORGAN, case.folder, "site")
    organ, model = site.folder / "organ", case.folder / "model"
    for words in (("extract", model, "--layers", "0:1", "--name", NAME, "--organ-version", "1.0.0",
                   "--out", organ),
                  ("key", "generate", "second"), ("inspect", organ),
                  ("sign", organ, "--key", "key.key"), ("publish", organ), ("list",), ("show", NAME),
                  ("log",), ("verify", NAME), ("verify", "--all"),
                  ("check", NAME, "--recipient", model), ("install", NAME, "--into", model),
                  ("uninstall", model), ("registry", "rebuild"), ("doctor",), ("push", "--help"),
                  ("pull", "--help"), ("--version",)):
        found = traced(site, *words)
        assert not found, (words, found)


def push_and_pull_do(case):
    """The watch sees what it must see."""
    make_model(case.folder / "model", hidden=64, intermediate=128)
    site = Site(ORGAN, case.folder, "site")
    site.publish(case.folder / "model", NAME, "1.0.0")
    there = Site(ORGAN, case.folder, "there", site.public_key)
    with Server(site.registry) as server:
        for one, words in ((site, ("push", NAME, server.oci("a/b"))),
                           (there, ("pull", server.oci("a/b:1.0.0")))):
            found = traced(one, *words)
            assert any("libcurl" in line for line in found), (words, found)
            assert any("connect(" in line for line in found), (words, found)
            hosts = {line.split("inet_addr(")[1].split(")")[0] for line in found if "inet_addr(" in line}
            assert hosts == {'"127.0.0.1"'}, (words, hosts)


if __name__ == "__main__":
    if not shutil.which("strace") or subprocess.run(["strace", "true"], capture_output=True).returncode:
        print("skipped: strace is needed, and must be allowed to trace")
        sys.exit(77)
    sys.exit(run_cases([other_commands_open_no_socket, push_and_pull_do]))
