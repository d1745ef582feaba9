#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Debian packages: built twice in two folders with equal bytes, without a path of the build inside,
free of lintian's errors where it is installed, put into a root of their own by dpkg, used there, and removed without a rest.

    deb.py SOURCE_ROOT
"""
import os
import shutil
import sys
import tempfile
from pathlib import Path

from support import (build_environment, digest_of_sources, require_equal_bytes, require_no_path,
                     require_same_sources, run, run_tour, skip)


def build(source, scratch):
    run("bash", source / "packaging" / "build_deb.sh", scratch / "work", scratch / "out",
        env=build_environment())
    return scratch / "out"


def dpkg(root, *arguments):
    # A root without libraries: what the packages depend on is the machine's own.
    return run("dpkg", f"--root={root}", "--force-depends", "--force-not-root", "--force-bad-path",
               *arguments, env=os.environ | {"DPKG_MAINTSCRIPT_DEBUG": "0"})


def make_root(root):
    for folder in ("updates", "info", "triggers"):
        (root / "var/lib/dpkg" / folder).mkdir(parents=True)
    for name in ("status", "available"):
        (root / "var/lib/dpkg" / name).touch()


def files_below(root):
    return {path for path in root.rglob("*")
            if (path.is_file() or path.is_symlink()) and root / "var" not in path.parents}


def use(root, source):
    libraries = [str(folder) for folder in root.glob("usr/lib/*-linux-gnu")]
    environment = os.environ | {"LD_LIBRARY_PATH": ":".join(libraries)}
    organ = root / "usr/bin/organ"
    for words in (["--version"], ["--help"], ["doctor"], ["install", "--help"]):
        run(organ, *words, env=environment)
    run_tour(organ, source, environment)
    for name in ("usr/share/man/man1/organ.1.gz", "usr/share/man/man1/organ-install.1.gz",
                 "usr/share/bash-completion/completions/organ",
                 "usr/share/zsh/vendor-completions/_organ",
                 "usr/share/fish/vendor_completions.d/organ.fish",
                 *(f"usr/share/doc/{package}/THIRD-PARTY-NOTICES.txt.gz"
                   for package in ("organ", "liborgan0.1", "liborgan-dev")),
                 "usr/include/organ/transplant/install.h", "usr/include/organ/version.h"):
        if not (root / name).exists():
            raise SystemExit(f"{name}: not in the package")
    for file in root.glob("usr/lib/*/pkgconfig/*.pc"):  # as everywhere in Debian
        if not file.read_text().startswith("prefix=/usr\n"):
            raise SystemExit(f"{file.name}: its prefix is not /usr:\n{file.read_text()}")


def main():
    source = Path(sys.argv[1]).resolve()
    for tool in ("dpkg-buildpackage", "dh", "git"):
        if not shutil.which(tool):
            skip(f"{tool} is not installed")
    with tempfile.TemporaryDirectory(prefix="organ-deb-") as name:
        scratch = Path(name)
        sources = digest_of_sources(source)
        first = build(source, scratch / "a")
        second = build(source, scratch / "another-longer-folder")
        require_same_sources(source, sources)
        packages = require_equal_bytes(first, second)
        root = scratch / "root"
        make_root(root)
        dpkg(root, "--install", *(first / package for package in packages))
        installed = files_below(root)
        require_no_path((file for file in installed if file.is_file()), scratch, source)
        use(root, source)
        if shutil.which("lintian"):
            print(run("lintian", "--fail-on", "error", "--allow-root", "--no-tag-display-limit",
                      *(first / package for package in packages)))
        else:
            print("not looked at: lintian is not installed")
        dpkg(root, "--purge", *(package.split("_")[0] for package in packages))
        if left := files_below(root):
            raise SystemExit(f"left after purging: {sorted(map(str, left))}")
    print(f"{', '.join(packages)}: {len(installed)} files; 1 passed")


if __name__ == "__main__":
    main()
