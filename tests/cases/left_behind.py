# SPDX-License-Identifier: Apache-2.0
"""What git, download commands, macOS and notebooks leave in a signed folder: taken or named with the
way out, and never taken where model_signing refuses it; links of split caches and of DVC; what an undo cannot read.

    left_behind.py ORGAN_PROGRAM
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

from support import Case, ROOT, copy, peers

peers.enter("model_signing")

TAKEN = (".gitattributes", ".gitignore", ".git/HEAD", ".github/workflows/x.yml")
NAMED = {".cache/huggingface/download/organ.json.metadata": "hf download", ".DS_Store": "macOS",
         "._organ.json": "macOS", ".ipynb_checkpoints/a.ipynb": "Jupyter",
         "lost+found/x": "file system", "Thumbs.db": "Windows", "notes.txt": ""}


def accepts(folder, key):
    """model_signing's own verdict."""
    program = pathlib.Path(sys.executable).parent / "model_signing"
    return subprocess.run([program, "verify", "key", folder, "--signature", folder / "model.sig",
                           "--public_key", key], capture_output=True, check=False).returncode == 0


def left(case, organ, name):
    folder = copy(organ, case.folder / "with")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("x\n")
    return folder


def main():
    case = Case(sys.argv[1])
    model, organ, key = (case.folder / n for n in ("model", "organ", "k.pub"))
    subprocess.run([sys.executable, ROOT / "tools/make_tiny_model.py", model, "--layers", "4",
                    "--shards", "2"], check=True, stdout=subprocess.DEVNULL)
    case.works("key", "key", "generate", case.folder / "k")
    case.works("extract", "extract", model, "--layers", "1:3", "--out", organ)
    case.works("sign", "sign", organ, "--key", case.folder / "k.key")
    for name in TAKEN:
        folder = left(case, organ, name)
        case.expect(f"model_signing takes {name}", accepts(folder, key))
        case.works(f"{name} is taken", "verify", folder, "--key", key)
        shutil.rmtree(folder)
    for name, tool in NAMED.items():
        folder = left(case, organ, name)
        first = name.split("/")[0]
        for words in (["verify", folder, "--key", key],
                      ["install", folder, "--into", model, "--at", 1, "--key", key],
                      ["sign", folder, "--key", case.folder / "k.key", "--replace"]):
            done = case.organ(*words)
            said = done.stdout + done.stderr
            case.expect(f"{words[0]}: {name} is refused and named", done.returncode != 0 and
                        first in said, said)
            case.expect(f"{words[0]}: {name}: the way out", not tool or
                        (tool in said and "remove it" in said), said)
        shutil.rmtree(folder)
    links(case, model, organ)
    unreadable(case, model, organ)
    case.end()


def links(case, model, organ):
    """A folder whose files are links into a store elsewhere."""
    store, linked = case.folder / "store", case.folder / "linked"
    store.mkdir()
    linked.mkdir()
    for path in model.iterdir():
        shutil.copy(path, store / f"blob-{path.name}")
        (linked / path.name).symlink_to(store / f"blob-{path.name}")
    alias = case.folder / "store-by-link"
    alias.symlink_to(store)
    words = ["extract", linked, "--layers", "1:3", "--out", case.folder / "cut"]
    done = case.organ(*words)
    case.expect("links that leave the folder are refused with the way out", done.returncode == 4 and
                "--trust-links" in done.stderr, done.stderr)
    done = case.organ(*words, "--trust-links", case.folder / "with-nothing")
    case.expect("a root that is not there is refused", done.returncode == 6, done.stderr)
    (case.folder / "other").mkdir()
    done = case.organ(*words, "--trust-links", case.folder / "other")
    case.expect("another root helps nothing", done.returncode == 4, done.stderr)
    for root in (store, alias):
        case.works(f"--trust-links {root.name}", *words, "--trust-links", root)
        shutil.rmtree(case.folder / "cut")
    case.works("check", "check", organ, "--recipient", linked, "--at", 1, "--trust-links", store)
    case.works("install --out", "install", organ, "--into", linked, "--at", 1, "--key",
               case.folder / "k.pub", "--out", case.folder / "new", "--trust-links", store)
    before = {p.name: p.read_bytes() for p in store.iterdir()}
    case.organ("install", organ, "--into", linked, "--at", 1, "--key", case.folder / "k.pub",
               "--trust-links", store)
    case.expect("nothing in the store is written to", before == {
        p.name: p.read_bytes() for p in store.iterdir()})
    undo_beside_links(case, model, organ)


def undo_beside_links(case, model, organ):
    """What an undo says of files behind links, followed or not, as they were or not."""
    away, one = case.folder / "away", copy(model, case.folder / "some-linked")
    away.mkdir()
    names = {"same": "tokenizer.json", "changed": "tokenizer_config.json", "gone": "notes.txt"}
    (one / "notes.txt").write_text("kept elsewhere")
    for name in names.values():
        shutil.move(one / name, away / name)
        (one / name).symlink_to(away / name)
    install = ["install", organ, "--into", one, "--at", 1, "--key", case.folder / "k.pub"]
    trusted = ["--trust-links", away]
    for follow in (True, False):
        what = "followed" if follow else "not followed"
        for path in away.iterdir():
            path.write_text(path.read_text().rstrip() + "\n")
        (away / names["gone"]).write_text("kept elsewhere")
        case.works(f"{what}: install", *install, *trusted)
        (away / names["changed"]).write_text((away / names["changed"]).read_text() + " ")
        (away / names["gone"]).unlink()
        done = case.works(f"{what}: uninstall", "uninstall", one, "--json",
                          *(trusted if follow else []))
        record = json.loads(done.stdout)
        sees = {"changed_files": [names["gone"], names["changed"]] if follow else [names["gone"]],
                "not_followed": [] if follow else [names["same"], names["changed"]]}
        got = {key: record.get(key) for key in sees}
        case.expect(f"{what}: what is known of each",
                    all(set(got[key] or []) == set(sees[key]) for key in sees), got)
        for name in sees["not_followed"]:
            line = [part for part in done.stderr.splitlines() if name in part]
            case.expect(f"{what}: {name}: said, with the way out", len(line) == 1 and
                        "not followed" in line[0] and "--trust-links" in line[0] and
                        "is not what it was" not in line[0], done.stderr)
    (away / "kept").write_text("text")
    other = copy(model, case.folder / "one-linked")
    (other / "notes.txt").symlink_to(away / "kept")
    install[install.index(one)] = other
    done = case.works("install --out", *install, "--out", case.folder / "without-links")
    case.expect("install --out: why a link is left out", any(
        "notes.txt" in part and "--trust-links" in part for part in done.stderr.splitlines()),
        done.stderr)


def unreadable(case, model, organ):
    """An undo looks at what its receipt names, and what of that cannot be read fails nothing."""
    if os.geteuid() != 0:
        print("skip: only root can leave files that others may not read")
        return
    case.folder.chmod(0o755)
    program, one = shutil.copy(case.program, case.folder / "organ-program"), copy(model, case.folder / "shared")
    organ = copy(organ, case.folder / "shared-organ")
    shutil.rmtree(case.folder / "shared-organ/.git", ignore_errors=True)
    for folder in (one, organ):
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
            os.chown(path, 4321, 1234)
    before = {p.name: p.read_bytes() for p in one.iterdir()}

    def as_user(*words):
        return subprocess.run([program, *map(str, words)], env=case.env | {"HOME": "/"}, user=4321, group=1234,
                              extra_groups=[], capture_output=True, text=True, check=False)

    for what, name, sees in (("a stranger", "priv", []), ("a file of the receipt", "tokenizer.json", ["tokenizer.json"])):
        done = as_user("install", organ, "--into", one, "--at", 1, "--allow-unsigned")
        case.expect(f"{what}: install", done.returncode == 0, done.stderr)
        (one / name).touch()
        (one / name).chmod(0o600)
        os.chown(one / name, 0, 0)
        done = as_user("uninstall", one, "--json")
        case.expect(f"{what} that cannot be read fails no undo", done.returncode == 0, done.stderr)
        record = json.loads(done.stdout or "{}")
        case.expect(f"{what}: what is known", (record.get("not_read"), record.get("changed_files")) == (sees, []) and
                    len(record["proved_files"]) == len(before) - len(sees), record)
        case.expect(f"{what}: said", bool(sees) == ("could not be read" in done.stderr), done.stderr)
        case.expect(f"{what}: the organ is out", not (one / ".organ").exists() and
                    all((one / n).read_bytes() == data for n, data in before.items()))
        if not sees:
            (one / name).unlink()


main()
