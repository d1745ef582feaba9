#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Python wheel: built twice in two folders with equal bytes, small because nothing of Torch is in
it, installed into a fresh virtual environment, and used there: both programs, the tour, a training, and again
with torch in another folder of Python's path.

    wheel.py SOURCE_ROOT TORCH_ROOT

TORCH_ROOT is an unpacked wheel of the torch that ours depends on. It is linked into the environment
where pip would have put it, because the whole of it with all it needs is gigabytes to fetch.
"""
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from support import (TESTS, build_environment, digest_of_sources, require_equal_bytes, require_no_path,
                     require_same_sources, run, run_tour, skip)

LARGEST = 64 << 20  # bytes; LibTorch would be hundreds of megabytes


def build(source, torch_root, scratch):
    """Builds in a copy of the checkout; pip fetches meson-python for it."""
    copy = scratch / "source"
    copy.mkdir(parents=True)
    names = run("git", "-C", source, "ls-files", "--cached", "--others", "--exclude-standard")
    subprocess.run(["tar", "-C", source, "-cf", scratch / "source.tar", "--files-from=-"], check=True,
                   input=names, text=True)
    run("tar", "-C", copy, "-xf", scratch / "source.tar")
    run("bash", copy / "packaging" / "build_wheel.sh", scratch / "out",
        env=build_environment() | {"ORGAN_TORCH_ROOT": str(torch_root), "PYTHON": sys.executable})
    return scratch / "out"


def require_contents(wheel, torch_root, scratch):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(n for n in names if n.endswith(".dist-info/METADATA"))).decode()
        archive.extractall(scratch / "contents")
    version = next(torch_root.glob("torch-*.dist-info")).name.split("-")[1]
    if f"Requires-Dist: torch=={version.removesuffix('.dist')}" not in metadata:
        raise SystemExit(f"the wheel does not ask for torch {version}:\n{metadata[:2000]}")
    if wheel.stat().st_size > LARGEST or any(Path(n).name.startswith("lib") for n in names):
        raise SystemExit(f"the wheel holds libraries: {names}")
    if not any(name.endswith("share/man/man1/organ-train.1") for name in names):
        raise SystemExit(f"the wheel has no manual page of organ train: {names}")
    if not any(name.endswith("THIRD-PARTY-NOTICES.txt") for name in names):
        raise SystemExit(f"the wheel has no notices of third parties: {names}")
    if "](tests/" in metadata or "**It can say no.**" not in metadata:
        raise SystemExit(f"not the long description of the wheel:\n{metadata[:2000]}")
    files = [path for path in (scratch / "contents").rglob("*") if path.is_file()]
    require_no_path(files, scratch, torch_root)


def link_torch(torch_root, packages):
    packages.mkdir(exist_ok=True)
    for path in torch_root.iterdir():
        if not (packages / path.name).exists():
            (packages / path.name).symlink_to(path)


def install(wheel, torch_root, folder):
    run("/usr/bin/env", "python3", "-m", "venv", folder)
    run(folder / "bin/python", "-m", "pip", "install", "--no-deps", "--no-index", wheel)
    packages = next(folder.glob("lib/python3*/site-packages"))
    link_torch(torch_root, packages)
    return packages


def move_torch(torch_root, packages, elsewhere):
    """As in an environment that sees another one's packages."""
    for path in torch_root.iterdir():
        if (packages / path.name).is_symlink():
            (packages / path.name).unlink()
    link_torch(torch_root, elsewhere)
    (packages / "elsewhere.pth").write_text(f"{elsewhere}\n")


def require_torch(organ):
    record = json.loads(run(organ, "doctor", "--json", env=without_library_path()))
    if not (record["training"] or {}).get("library", "").startswith("LibTorch"):
        raise SystemExit(f"organ doctor sees no LibTorch: {record}")


def without_library_path():
    return {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}


def use(folder, source, scratch):
    environment = without_library_path()
    organ = folder / "bin/organ"
    for program in (organ, folder / "bin/organ-train"):
        if not run(program, "--version", env=environment).startswith("organ "):
            raise SystemExit(f"{program}: no version")
    run_tour(organ, source, environment)
    require_torch(organ)
    run(sys.executable, TESTS / "tools" / "make_tiny_model.py", scratch / "model", env=environment)
    (scratch / "text.txt").write_text("whereas the parties agree\n" * 200)
    result = json.loads(run(
        organ, "train", scratch / "model", "--layers", "2:4", "--data", scratch / "text.txt", "--context",
        "32", "--batch", "2", "--steps", "5", "--out", scratch / "trained", "--json", env=environment))
    if result["steps"] != 5:
        raise SystemExit(f"organ train: {result}")
    run(organ, "inspect", scratch / "trained", env=environment)


def main():
    source, torch_root = (Path(argument).resolve() for argument in sys.argv[1:3])
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True,
                      check=False).returncode:
        skip("pip is not installed")
    with tempfile.TemporaryDirectory(prefix="organ-wheel-") as name:
        scratch = Path(name)
        sources = digest_of_sources(source)
        first = build(source, torch_root, scratch / "a")
        second = build(source, torch_root, scratch / "another-longer-folder")
        require_same_sources(source, sources)
        wheel = first / require_equal_bytes(first, second)[0]
        require_contents(wheel, torch_root, scratch)
        packages = install(wheel, torch_root, scratch / "environment")
        use(scratch / "environment", source, scratch)
        move_torch(torch_root, packages, scratch / "elsewhere")
        require_torch(scratch / "environment/bin/organ")
        print(f"{wheel.name}: {wheel.stat().st_size} bytes; 1 passed")


if __name__ == "__main__":
    main()
