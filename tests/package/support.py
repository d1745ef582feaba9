# SPDX-License-Identifier: Apache-2.0
"""What the tests of the packages share."""
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

TESTS = Path(__file__).parent.parent
SOURCE_DATE_EPOCH = "1700000000"


def run(*command, **more):
    """Runs a command whose output matters only when it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, **more)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(str(word) for word in command)}: exit {done.returncode}\n"
                         f"{done.stdout[-6000:]}{done.stderr[-6000:]}")
    return done.stdout


def build_environment():
    """Everything but what would differ from one machine to the next."""
    return os.environ | {"SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH, "PYTHONDONTWRITEBYTECODE": "1"}


def digest_of_sources(source):
    """Of every file that a package can be made from: README.md is in both."""
    names = run("git", "-C", source, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    total = hashlib.sha256()
    for name in sorted(filter(None, names.split("\0"))):
        if (source / name).is_file():
            total.update(name.encode() + b"\0" + hashlib.sha256((source / name).read_bytes()).digest())
    return total.hexdigest()


def require_same_sources(source, before):
    """Two builds take their time, and say nothing when somebody edits between them."""
    if digest_of_sources(source) != before:
        raise SystemExit("the sources were edited between the two builds; run the test again")


def unpack(package, folder):
    folder.mkdir()
    if package.suffix == ".deb":
        run("dpkg-deb", "-R", package, folder)
    else:
        with zipfile.ZipFile(package) as archive:
            archive.extractall(folder)


def sections(path):
    """Name -> digest of each section of an ELF file; nothing of other files."""
    listed = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=False)
    content = path.read_bytes()
    return {name: hashlib.sha256(content[int(at, 16):int(at, 16) + int(size, 16)]).hexdigest()
            for name, at, size in re.findall(r"\] (\S+) +\S+ +[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+)",
                                             listed.stdout)}


def differences(first, second):
    """What is not equal inside two folders of packages, for people."""
    lines = []
    for package in sorted(first.iterdir()):
        scratch = Path(tempfile.mkdtemp())
        trees = [scratch / "first", scratch / "second"]
        for folder, tree in zip((first, second), trees):
            if (folder / package.name).is_file():
                unpack(folder / package.name, tree)
        for path in sorted(trees[0].rglob("*")):
            other = trees[1] / path.relative_to(trees[0])
            if path.is_symlink() or not path.is_file():
                continue
            if not other.is_file():
                lines.append(f"{package.name}: {path.relative_to(trees[0])} is in one only")
            elif path.read_bytes() != other.read_bytes():
                mine, theirs = sections(path), sections(other)
                unequal = [name for name in mine if mine[name] != theirs.get(name)]
                lines.append(f"{package.name}: {path.relative_to(trees[0])} {unequal}")
        shutil.rmtree(scratch)
    return "\n".join(lines)


def require_equal_bytes(first, second):
    """Two folders with the same files of the same bytes; returns the names."""
    digests = [{path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(folder.iterdir())} for folder in (first, second)]
    if not digests[0] or digests[0] != digests[1]:
        raise SystemExit(f"two builds of the same sources differ:\n{digests[0]}\n{digests[1]}\n"
                         f"{differences(first, second)}")
    return list(digests[0])


def require_no_path(files, *paths):
    """No file holds a path of the machine it was built on."""
    for file in files:
        data = file.read_bytes()
        for path in paths:
            if str(path).encode() in data:
                raise SystemExit(f"{file.name}: holds the path {path} of the build")


def run_tour(organ, source, environment):
    run(sys.executable, TESTS / "cli" / "readme_tour.py", organ, source, env=environment)


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)
