# SPDX-License-Identifier: Apache-2.0
"""Remembers what clang found nothing in, so that `./dev lint` looks only at what changed since.

What is remembered of a source: the tool and its version, its settings, its arguments, its text; and
with them the digest of every header it took, without its lines of comment, which no check reads. All of
them the same: the same outcome, nothing found.
Findings are never remembered, so each is shown again until it is mended. Paths of the checkout and of
the scratch folder are told without where these lie; another checkout shares what is known.
"""
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KEPT_SECONDS = 60 * 24 * 3600  # what is not asked for in that time


def checked_text(name, text):
    """What clang makes findings of: of a header not its lines of comment, but for those that hold a word
    to clang-tidy or go on in the next line. A text in which such a line may be a string stays whole."""
    if not name.endswith(".h") or b'R"' in text or b"/*" in text:
        return text
    lines = text.splitlines(keepends=True)
    return b"".join(line for line, before in zip(lines, [b"", *lines])
                    if not line.lstrip().startswith(b"//") or b"NOLINT" in line
                    or line.rstrip().endswith(b"\\") or before.rstrip().endswith(b"\\"))


class Memory:
    """Of one tool; threads may share it. `places`: folder -> the word it is told by."""

    def __init__(self, folder, settings, places, compiler="clang++"):
        self.folder, self.settings, self.compiler = Path(folder), settings, compiler
        self.places = sorted(places.items(), key=lambda place: -len(place[0]))
        self.digests = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        self.forget_unasked()

    def forget_unasked(self):
        for page in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another lint was faster
                if page.stat().st_mtime < time.time() - KEPT_SECONDS:
                    page.unlink()

    def told(self, text):
        for place, word in self.places:
            text = text.replace(place, word)
        return text

    def found_again(self, path):
        for place, word in self.places:
            path = path.replace(word, place)
        return path

    def digest(self, path):
        """None where it cannot be read: nothing is known of it then."""
        if path not in self.digests:
            try:
                self.digests[path] = hashlib.sha256(
                    checked_text(path, Path(path).read_bytes())).hexdigest()
            except OSError:
                self.digests[path] = None
        return self.digests[path]

    def page(self, folder, arguments, path):
        asked = [self.settings, self.told(str(folder)), [self.told(a) for a in arguments],
                 self.told(str(path)), self.digest(str(path))]
        return self.folder / hashlib.sha256(json.dumps(asked).encode()).hexdigest()

    def knows(self, page):
        try:
            headers = json.loads(page.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        if not all(self.digest(self.found_again(path)) == digest for path, digest in headers):
            return False
        with contextlib.suppress(OSError):  # known all the same
            os.utime(page)
        return True

    def headers(self, folder, arguments, path):
        """Asked before clang looks: what is changed meanwhile has another digest then. None where they
        cannot all be read."""
        done = subprocess.run([self.compiler, "-M", *arguments, str(path)], cwd=folder,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return None
        words = done.stdout.replace("\\\n", " ").split(":", 1)[1].replace("\\ ", "\0").split()
        taken = sorted({os.path.normpath(folder / word.replace("\0", " ")) for word in words})
        headers = [(self.told(header), self.digest(header)) for header in taken]
        return headers if all(digest for _, digest in headers) else None

    def remember(self, page, headers):
        new = page.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(headers), encoding="utf-8")
        new.replace(page)


def version_of(tool):
    return subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout


# ---- self-test: what must be forgotten -----------------------------------------------------------

def known(root, known_at, settings="1", arguments=("-I.",)):
    """Whether all that was found clean in the checkout `root` is known; it is found so where not."""
    memory = Memory(known_at, settings, {str(root): "<root>"}, compiler="g++")
    page = memory.page(root, list(arguments), root / "a b.cc")
    if memory.knows(page):
        return True
    headers = memory.headers(root, list(arguments), root / "a b.cc")
    if headers:
        memory.remember(page, headers)
    return False


def write_checkout(root):
    root.mkdir()
    (root / "a b.cc").write_text('#include "in ner.h"\nint a = kInner;\n', encoding="utf-8")
    (root / "in ner.h").write_text('#include "inmost.h"\n', encoding="utf-8")
    (root / "inmost.h").write_text("constexpr int kInner = 1;\n", encoding="utf-8")


def self_test(scratch):
    first, second, store = scratch / "first", scratch / "second", scratch / "known"
    write_checkout(first)
    write_checkout(second)
    assert not known(first, store) and known(first, store)
    assert known(second, store), "another checkout with the same bytes"
    for change in ({"settings": "2"}, {"arguments": ("-I.", "-DX")}):
        assert not known(first, store, **change), change
    for name, more in (("a b.cc", "// more\n"), ("in ner.h", "int more();\n"),
                       ("inmost.h", "int more();  // one\n"), ("inmost.h", "  // NOLINTNEXTLINE\n"),
                       ("inmost.h", "// more \\\n"), ("inmost.h", "// its end\n"), ("inmost.h", "/*\n"), ("inmost.h", "// */\n")):
        (first / name).write_text((first / name).read_text(encoding="utf-8") + more, encoding="utf-8")
        assert not known(first, store), (name, more)
    (first / "in ner.h").write_text("// why\n" + (first / "in ner.h").read_text(encoding="utf-8"),
                                    encoding="utf-8")
    assert known(first, store), "a comment alone"
    (second / "inmost.h").unlink()
    assert not known(second, store) and not known(second, store), "a header that is gone"
    kept, forgotten, *_ = sorted(store.iterdir())
    os.utime(kept, (0, time.time() - KEPT_SECONDS + 3600))
    os.utime(forgotten, (0, time.time() - KEPT_SECONDS - 1))
    assert not known(first, store, settings="3") and kept.exists() and not forgotten.exists()
    for page in store.iterdir():
        page.write_text("[", encoding="utf-8")
    assert not known(first, store), "a page cut short"


if __name__ == "__main__":
    assert sys.argv[1:] == ["--self-test"], __doc__
    with tempfile.TemporaryDirectory(prefix="organ-clang-memory-") as temporary:
        self_test(Path(temporary).resolve())
    print("what changed is looked at again")
