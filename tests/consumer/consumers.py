# SPDX-License-Identifier: Apache-2.0
"""Builds the example programs as a stranger does, and uses them.

    consumers.py BUILD_FOLDER SOURCE_ROOT [--static] [--train]

`meson install` fills a scratch prefix; a copy of this folder outside of the checkout is built with
make and pkg-config against that prefix alone, and the program runs on a small random model: with
--train the one that trains, else the one that installs; with --static against liborgan.a.
"""
import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MESON = os.environ.get("ORGAN_MESON", "meson").split()


def run(command, **options):
    done = subprocess.run([str(part) for part in command], check=False, text=True,
                          capture_output=True, **options)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.returncode}\n"
                         f"{done.stdout}{done.stderr}")
    return done.stdout


def refused(command, code, text, **options):
    done = subprocess.run([str(part) for part in command], check=False, text=True,
                          capture_output=True, **options)
    if done.returncode != code or text not in done.stderr:
        raise SystemExit(f"{' '.join(map(str, command))}: expected {code} and '{text}', got "
                         f"{done.returncode}\n{done.stdout}{done.stderr}")


def install(build, prefix):
    """Moves the tree that `meson install --destdir` makes: nothing in it may know where it was."""
    run([*MESON, "install", "-C", build, "--no-rebuild", "--destdir", prefix.parent / "stage"])
    staged = prefix.parent / "stage" / find_prefix(build)
    staged.rename(prefix)


def check_binaries(prefix, library):
    """Programs carry no symbols; a library is found by a name that says which interface it has."""
    for program in (prefix / "bin").iterdir():
        assert ".symtab" not in run(["readelf", "--wide", "--sections", program]), program
    for shared in library.glob("liborgan*.so"):
        name = re.search(r"SONAME.*\[(.+)\]", run(["readelf", "--wide", "--dynamic", shared]))[1]
        assert re.fullmatch(re.escape(shared.name) + r"\.\d+(\.\d+)?", name), (shared, name)
        assert (library / name).exists(), name


def find_prefix(build):
    options = json.loads(run([*MESON, "introspect", "--buildoptions", build]))
    return next(o["value"] for o in options if o["name"] == "prefix").lstrip("/")


def environment(prefix):
    config = next(prefix.glob("lib/**/pkgconfig"))
    library = config.parent
    return os.environ | {"PKG_CONFIG_PATH": str(config),
                         "LD_LIBRARY_PATH": str(library)}, library


def build(source, folder, prefix, program, static=False):
    """Returns the program, built in a new copy of tests/consumer."""
    shutil.copytree(source / "tests/consumer", folder)
    settings, library = environment(prefix)
    if static:  # ld takes the shared library where both are
        for shared in library.glob("liborgan*.so*"):
            shared.unlink()
    run(["make", "-C", folder, program] + (["STATIC=1"] if static else []), env=settings)
    return folder / program, settings


def digests(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(folder.rglob("*")) if p.is_file()}


def signed_organ(organ, source, folder):
    """A model, an organ of two of its layers and the key that signed it."""
    folder.mkdir()
    model = folder / "model"
    run([sys.executable, source / "tests/tools/make_tiny_model.py", model])
    run([organ, "extract", model, "--layers", "1:3", "--out", folder / "cut"])
    for name in ("ours", "other"):
        run([organ, "key", "generate", folder / name], stdin=subprocess.DEVNULL)
    run([organ, "sign", folder / "cut", "--key", folder / "ours.key"])
    return model, folder / "cut", folder / "ours.pub"


def use_verify_and_install(program, settings, organ, source, folder):
    model, cut, key = signed_organ(organ, source, folder)
    before = digests(model)
    said = run([program, cut, key, model, "3"], env=settings)
    for words in ("is in layers 3 to 4", "files are what they were"):
        if words not in said:
            raise SystemExit(f"{program}: expected '{words}', got {said}")
    if digests(model) != before:
        raise SystemExit("the model is not what it was")
    refused([program, cut, folder / "other.pub", model, "3"], 5, "key", env=settings)
    for position in ("abc", "-1", "3x", "", "99999999999999999999"):
        refused([program, cut, key, model, position], 2, "POSITION", env=settings)
    weights = cut / "layer.00.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    refused([program, cut, key, model, "3"], 4, "layer.00.safetensors",
            env=settings)
    if digests(model) != before:
        raise SystemExit("a refused organ changed the model")


def trained(folder):
    """What a run made: the weights, and what their manifest says that no clock decides."""
    manifest = json.loads((folder / "organ.json").read_text(encoding="utf-8"))
    training = manifest["training"]
    return ({name: digest for name, digest in digests(folder).items() if name.startswith("layer.")},
            [training[name] for name in ("changes", "data", "hyperparameters", "seed")])


def use_train_and_publish(program, settings, organ, source, folder):
    folder.mkdir()
    model, texts = folder / "model", [folder / "b.txt", folder / "a.txt"]
    run([sys.executable, source / "tests/tools/make_tiny_model.py", model])
    for text in texts:
        text.write_text(f"What {text.name} says is of no use to anybody. " * 40, encoding="utf-8")
    said = run([program, model, folder, *texts], env=settings)
    for words in ("step 4 of 4: loss", "example/trained:1.0.0 is sha256:",
                  "example/trained:1.1.0 is sha256:", "2 versions verified", "untouched: "):
        if words not in said:
            raise SystemExit(f"{program}: expected '{words}', got {said}")
    lines = said.splitlines()
    for kind in ("step 4 of 4: ", "untouched: ", "of "):
        said_twice = [line for line in lines if line.startswith(kind)]
        if len(said_twice) != 2 or len(set(said_twice)) != 1:
            raise SystemExit(f"{program}: expected the same line twice, got {said_twice}")
    if trained(folder / "trained") != trained(folder / "trained-again"):
        raise SystemExit("what was trained from memory is not what was trained from files")
    run([organ, "verify", "--all", "--registry", folder / "registry"])
    run([organ, "check", folder / "trained-again", "--recipient", model])


def check_readme(source):
    """The README's examples are parts of the programs."""
    readme = (source / "README.md").read_text(encoding="utf-8")
    examples = [part.split("```")[0] for part in readme.split("```cpp\n")[1:]]
    names = ("verify_and_install", "train_and_publish", "train_and_publish")
    for example, name in zip(examples, names, strict=True):
        program = (source / f"tests/consumer/{name}.cc").read_text(encoding="utf-8")
        lines = [line.strip() for line in program.splitlines()]
        wanted = [line.strip() for line in example.strip().splitlines()]
        if not any(lines[i:i + len(wanted)] == wanted for i in range(len(lines))):
            raise SystemExit(f"README.md: the example is not what tests/consumer/{name}.cc has")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("--static", action="store_true")
    parser.add_argument("--train", action="store_true")
    options = parser.parse_args()
    source = options.source.resolve()
    check_readme(source)
    with tempfile.TemporaryDirectory(prefix="organ-consumer-") as temporary:
        scratch = Path(temporary)
        prefix = scratch / "installed"
        install(options.build, prefix)
        check_binaries(prefix, environment(prefix)[1])
        name = "train_and_publish" if options.train else "verify_and_install"
        use = use_train_and_publish if options.train else use_verify_and_install
        program, settings = build(source, scratch / "copy", prefix, name, options.static)
        use(program, settings, prefix / "bin/organ", source, scratch / "work")
    return 0


if __name__ == "__main__":
    sys.exit(main())
