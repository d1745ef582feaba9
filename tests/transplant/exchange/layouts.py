# SPDX-License-Identifier: Apache-2.0
"""Organs and models in OCI layouts and in the cache of a hub: out, in, and what is refused.

    layouts.py ORGAN_PROGRAM

An exported layout is imported as the same files with the same signature; one of a published version has
the identity that the registry knows. Every refusal has its exit code and leaves nothing behind.
"""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
ORGAN = str(pathlib.Path(sys.argv[1]).resolve())
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MODEL = "application/vnd.cncf.model.manifest.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
CONFIG = "application/vnd.cncf.model.config.v1+json"
RAW, TAR = "application/vnd.cncf.model.weight.v1.raw", "application/vnd.cncf.model.weight.v1.tar"
FILEPATH, TITLE = "org.cncf.model.filepath", "org.opencontainers.image.title"
REF_NAME = "org.opencontainers.image.ref.name"


def run(*words, code=0):
    done = subprocess.run([ORGAN, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(work, words, *arguments, code):
    """Nothing is written, and what is wrong is said."""
    before = sorted(os.listdir(work))
    out = [] if "--out" in arguments else ["--out", work / "no"]
    done = run("import", *arguments, *out, code=code)
    assert words in done.stderr, (words, done.stderr)
    assert sorted(os.listdir(work)) == before, (words, sorted(os.listdir(work)))


class Layout:
    """An OCI layout as any tool may write it."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        self.manifests = []

    def blob(self, data, kind, **more):
        name = hashlib.sha256(data).hexdigest()
        (self.folder / "blobs/sha256" / name).write_bytes(data)
        return {"mediaType": kind, "digest": f"sha256:{name}", "size": len(data), **more}

    def path(self, descriptor):
        return self.folder / "blobs/sha256" / descriptor["digest"].removeprefix("sha256:")

    def model(self, parts, tag=None, annotation=FILEPATH):
        """`parts`: (name, bytes[, type])."""
        layers = [self.blob(data, *(kind or [RAW]), annotations={annotation: name})
                  for name, data, *kind in parts]
        manifest = self.blob(json.dumps(
            {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": MODEL,
             "config": self.blob(b"{}", CONFIG), "layers": layers}).encode(), MANIFEST)
        self.manifests.append(manifest | ({"annotations": {REF_NAME: tag}} if tag else {}))
        return self

    def write(self):
        (self.folder / "index.json").write_text(json.dumps(
            {"schemaVersion": 2, "manifests": self.manifests}))
        return self.folder


def make(work):
    os.environ |= {"HOME": str(work), "XDG_CONFIG_HOME": str(work / "config"),
                   "SOURCE_DATE_EPOCH": "1767225600"}
    subprocess.run([sys.executable, TOOLS / "make_tiny_model.py", work / "model", "--layers", "6"],
                   check=True, stdout=subprocess.DEVNULL)
    run("extract", work / "model", "--layers", "1:4", "--name", "law/contracts", "--organ-version", "1.2.0",
        "--out", work / "organ")
    shutil.copytree(work / "organ", work / "plain")
    run("key", "generate", work / "k")
    run("sign", work / "organ", "--key", work / "k.key")
    os.environ["ORGAN_REGISTRY"] = str(work / "registry")
    run("registry", "init", "--key", work / "k.pub")
    run("publish", work / "organ")


def prove_round_trip(work):
    """A published version leaves as a layout under its identity and comes back with its signature."""
    exported = json.loads(run("export", "law/contracts:1.2.0", "--format", "modelpack", "--out",
                              work / "oci", "--json").stdout)
    shown = json.loads(run("show", "law/contracts:1.2.0", "--json").stdout)
    assert exported["digest"] == shown["digest"], (exported, shown)
    assert exported["tag"] == "law/contracts:1.2.0" and exported["signed"], exported
    for path in (work / "oci/blobs/sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    index = json.loads((work / "oci/index.json").read_text())
    assert index["manifests"][0]["digest"] == exported["digest"], index
    assert len(index["manifests"]) == 2, index
    run("import", work / "oci", "--out", work / "back")
    assert files(work / "back") == files(work / "organ")
    run("verify", work / "back", "--key", work / "k.pub")
    run("export", work / "organ", "--format", "modelpack", "--out", work / "again")
    assert files(work / "again") == files(work / "oci"), "equal organs, other bytes"
    run("export", work / "plain", "--format", "modelpack", "--out", work / "unsigned")
    run("import", work / "unsigned", "--out", work / "unsigned back")
    assert files(work / "unsigned back") == files(work / "plain")
    run("export", work / "organ", "--format", "modelpack", "--out", work / "oci", code=1)


def prove_tags(work):
    """Of several artifacts --tag names one."""
    one = {"config.json": b"{}", "model.safetensors": b"1234"}
    layout = Layout(work / "several").model(one.items(), "a:1").model([("x", b"other")], "b:1", TITLE).write()
    refused(work, "'a:1', 'b:1'", layout, code=6)
    refused(work, "of that tag", layout, "--tag", "c", code=6)
    for option in ("--into", "--layers", "--stack", "--name", "--organ-version", "--description", "--license",
                   "--donor", "--donor-revision"):
        refused(work, option, layout, option, work / "model", code=2)
        refused(work, option, work / "organ", option, work / "model", code=2)
    refused(work, "--require-finite", layout, "--require-finite", code=2)
    refused(work, "--tag", work / "organ", "--tag", "a", code=2)
    run("import", layout, "--tag", "b:1", "--out", work / "b")
    assert files(work / "b") == {"x": b"other"}
    run("import", layout, "--tag", "a:1", "--out", work / "a")
    assert files(work / "a") == one
    # What lies under another tag is not read; one artifact said twice is one, two under one tag are not.
    layout = Layout(work / "twice").model(one.items(), "a:1").model(one.items(), "a:1").model(
        [("x", b"other")], "b:1")
    layout.path(layout.manifests[2]).unlink()
    run("import", layout.write(), "--tag", "a:1", "--out", work / "twice a")
    assert files(work / "twice a") == one
    layout.model([("x", b"third")], "a:1").write()
    refused(work, "holds 2 model artifacts of that tag", layout.folder, "--tag", "a:1", code=6)
    refused(work, "holds 0 model artifacts", Layout(work / "none").write(), code=6)


def prove_model(work):
    """A model in a layout becomes the folder that it was."""
    model = files(work / "model")
    layout = Layout(work / "packed").model(model.items()).write()
    run("import", layout, "--out", work / "unpacked")
    assert files(work / "unpacked") == model
    run("extract", work / "unpacked", "--layers", "1:4", "--out", work / "from it")


def prove_refusals(work):
    """What a layout must not be."""
    count = 0

    def layout(*arguments, **more):
        nonlocal count
        count += 1
        return Layout(work / f"bad {count}").model(*arguments, **more)

    good = [("config.json", b"{}")]
    for name in ("../x", "a/b", "/etc/passwd", "..", ".", "", "a\0b", "a\nb", ".organ"):
        refused(work, "is not the name of a file", layout([(name, b"1")]).write(), code=4)
    refused(work, "two files are called 'a'", layout([("a", b"1"), ("a", b"2")]).write(), code=4)
    refused(work, "is packed as", layout([("a", b"1", TAR)]).write(), code=3)
    refused(work, "name no file", layout([("a", b"1")], annotation="other").write(), code=4)

    bad = layout(good)
    weights = next(path for path in (bad.folder / "blobs/sha256").iterdir() if path.read_bytes() == b"{}")
    weights.write_bytes(b"[]")
    refused(work, "digest", bad.write(), code=4)
    weights.write_bytes(b"{} ")
    refused(work, "has 3 bytes, expected 2", bad.folder, code=4)
    weights.unlink()
    refused(work, "is missing", bad.folder, code=6)
    weights.mkdir()
    refused(work, "", bad.folder, code=4)

    bad = layout(good)
    bad.path(bad.manifests[0]).write_bytes(b"{}")
    refused(work, "bytes, expected", bad.write(), code=4)
    bad.manifests[0]["size"] = 2
    refused(work, "has digest", bad.write(), code=4)
    bad.manifests[0]["size"] = 1 << 62
    refused(work, "bytes, expected", bad.write(), code=4)
    bad.manifests[0]["digest"] = "sha256:../../../../etc/passwd"
    refused(work, "digest", bad.write(), code=4)
    bad.manifests[0]["digest"] = "sha512:" + "0" * 128
    refused(work, "digest", bad.write(), code=4)
    for text in ("", "[]", "{", '{"manifests": 1}', '{"manifests": [1]}', "[" * 100_000):
        (bad.folder / "index.json").write_text(text)
        refused(work, "index.json", bad.folder, code=4)


def prove_attestations(work, signed):
    """Attestations are no signatures; they come in with nothing and stand in no signature's way."""
    run("key", "generate", work / "lab")
    figure = {"subject": "after_recovery", "position": 2, "protocol": "P0", "context": 64, "stride": 64, "tokens": 64,
              "nll": 2.5, "perplexity": 12.18, "bits_per_byte": None, "dataset": "law.txt",
              "dataset_digest": "sha256:" + "0" * 64, "tokenizer_digest": None}
    (work / "figures.json").write_text(json.dumps({"evaluations": [figure]}))
    run("attest", work / "organ", "--type", "evaluation", "--key", work / "lab.key", "--from", work / "figures.json",
        "--out", work / "statement.json")
    statement, bundle = (work / "statement.json").read_bytes(), (work / "organ/model.sig").read_bytes()
    many = [statement + b" " * i for i in range(70)]
    done = run("import", signed("stated", [*many, bundle]), "--out", work / "stated back", "--json")
    record = json.loads(done.stdout)
    assert record["signatures"] == 1 and files(work / "stated back") == files(work / "organ"), record
    assert "left behind: 64 attestations of it" in done.stderr and "6 of what is attached" in done.stderr, done


def prove_signatures(work):
    """Signatures of a layout are counted, read once, parsed, and limited before they are read."""
    organ, bundle = files(work / "organ"), (work / "organ/model.sig").read_bytes()

    def signed(name, bundles, times=1):
        layout = Layout(work / name).model(((n, d) for n, d in organ.items() if n != "model.sig"))
        for data in bundles:
            descriptor = layout.blob(data, BUNDLE) if isinstance(data, bytes) else data
            layout.manifests += [layout.blob(json.dumps(
                {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE,
                 "subject": layout.manifests[0], "layers": [descriptor]}).encode(), MANIFEST)] * times
        return layout.write()

    one = signed("signed", [bundle], 500)
    record = json.loads(run("import", one, "--out", work / "signed back", "--json").stdout)
    assert record["signatures"] == 1 and files(work / "signed back") == organ, record
    done = run("import", signed("two", [bundle, bundle + b"\n"]), "--out", work / "two back")
    assert "has 2 signatures" in done.stderr, done
    refused(work, "", signed("garbage", [b"{}"]), code=4)
    done = run("import", signed("many", [bundle + b" " * i for i in range(70)]), "--out", work / "many back")
    assert "has 64 signatures" in done.stderr and "6 of what is attached to it" in done.stderr, done
    unread = {"mediaType": BUNDLE, "digest": "sha256:" + "0" * 64, "size": 33 << 20}  # it is not even there
    done = run("import", signed("large", [bundle, unread]), "--out", work / "large back")
    assert "1 of what is attached to it" in done.stderr, done

    prove_attestations(work, signed)

    shutil.copytree(work / "organ", work / "bad signature")
    (work / "bad signature/model.sig").write_text("{}")
    for form in ("hf", "modelpack"):
        run("export", work / "bad signature", "--format", form, "--out", work / "no", code=4)
        assert not (work / "no").exists()


def prove_places(work):
    """A folder is not made inside what it is made of."""
    layout = Layout(work / "around").model([("x", b"1")]).write()
    refused(work, "lies inside", layout, "--out", layout / "in", code=2)
    run("export", work / "plain", "--out", work / "plain/in", code=2)
    run("export", work / "plain", "--format", "paper", "--out", work / "inner pair")
    run("import", work / "inner pair", "--into", work / "model", "--out", work / "model/in", code=2)
    run("import", work / "inner pair", "--into", work / "model", "--out", work / "inner pair/in", code=2)
    for name in ("donor_layers.pt", "donor_metadata.json"):
        at = work / "inner pair" / name
        at.rename(work / "moved")
        at.symlink_to(work / "moved")
        refused(work, "leaves the folder", work / "inner pair", "--into", work / "model", code=4)
        run("import", work / "inner pair", "--into", work / "model", "--trust-links", work, "--out",
            work / ("by link " + name))
        at.unlink()
        (work / "moved").rename(at)
    adapter = work / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    for option in ("--layers", "--name", "--tag"):
        refused(work, f"{option} says nothing of it", adapter, "--into", work / "model", option, "1:2", code=2)
    refused(work, "--require-finite says nothing", adapter, "--into", work / "model", "--require-finite", code=2)


def prove_withdrawn(work):
    """A yanked version leaves with a warning, a revoked one does not leave."""
    run("yank", "law/contracts:1.2.0", "--reason", "too old")
    done = run("export", "law/contracts:1.2.0", "--out", work / "yanked")
    assert "is yanked: too old" in done.stderr, done
    run("revoke", "law/contracts:1.2.0", "--reason", "poisoned")
    for form in ("hf", "paper", "modelpack"):
        done = run("export", "law/contracts:1.2.0", "--format", form, "--out", work / "no", code=5)
        assert "is revoked: poisoned" in done.stderr and not (work / "no").exists(), done


def prove_organ_refusals(work):
    """An organ whose files are not those of its organ.json."""
    organ = files(work / "plain")
    changed = organ | {"layer.00.safetensors": organ["layer.01.safetensors"]}
    refused(work, "is not the file that organ.json names",
            Layout(work / "other file").model(changed.items()).write(), code=4)
    missing = {name: data for name, data in organ.items() if name != "layer.02.safetensors"}
    refused(work, "is not the file that organ.json names",
            Layout(work / "no file").model(missing.items()).write(), code=4)
    layout = Layout(work / "flipped").model(organ.items())
    blob = layout.path({"digest": "sha256:" + hashlib.sha256(organ["layer.00.safetensors"]).hexdigest()})
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    refused(work, "expected sha256:", layout.write(), code=4)


def cache_of(work, name, folder, revision="0123abcd"):
    """A folder as huggingface_hub keeps it: links into blobs."""
    root = work / "hub" / f"models--me--{name}"
    snapshot = root / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (root / "blobs").mkdir()
    (root / "refs").mkdir()
    (root / "refs/main").write_text(revision)
    for path in folder.iterdir():
        blob = hashlib.sha256(path.read_bytes()).hexdigest()
        shutil.copy(path, root / "blobs" / blob)
        (snapshot / path.name).symlink_to(f"../../blobs/{blob}")
    return snapshot


def prove_cache(work):
    """The cache of a hub: an organ becomes a folder, a model is read, a pair of files imported."""
    snapshot = cache_of(work, "organ", work / "organ")
    run("import", snapshot, "--out", work / "of the hub")
    assert files(work / "of the hub") == files(work / "organ")
    assert not any(path.is_symlink() for path in (work / "of the hub").iterdir())
    run("verify", work / "of the hub", "--key", work / "k.pub")

    model = cache_of(work, "model", work / "model")
    run("extract", model, "--layers", "1:4", "--name", "law/contracts", "--organ-version", "1.2.0",
        "--donor", "model", "--out", work / "of the model")
    assert files(work / "of the model") == files(work / "plain")
    said = run("extract", model.parents[1], "--layers", "1:2", "--out", work / "no", code=6).stderr
    assert str(model) in said, said
    refused(work, "name one of the folders in", snapshot.parents[1], code=3)

    run("export", work / "plain", "--format", "paper", "--out", work / "pair")
    run("import", cache_of(work, "pair", work / "pair"), "--into", model, "--out", work / "of the pair")
    for name in ("layer.00.safetensors", "layer.01.safetensors", "layer.02.safetensors"):
        assert (work / "of the pair" / name).read_bytes() == (work / "plain" / name).read_bytes()

    link = snapshot / "layer.00.safetensors"
    blob = (snapshot / os.readlink(link)).resolve()
    link.unlink()
    refused(work, "is not there", snapshot, code=6)
    shutil.copy(blob, work / "away")
    link.symlink_to(work / "away")
    refused(work, "leaves the folder and its cache", snapshot, code=4)
    run("import", snapshot, "--trust-links", work, "--out", work / "trusted")
    assert files(work / "trusted") == files(work / "organ")
    link.unlink()
    link.symlink_to(os.path.relpath(blob, snapshot))
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(data)
    refused(work, "has digest", snapshot, code=4)


def main():
    with tempfile.TemporaryDirectory() as scratch:
        work = pathlib.Path(scratch)
        make(work)
        for proof in (prove_round_trip, prove_tags, prove_model, prove_refusals, prove_organ_refusals,
                      prove_signatures, prove_places, prove_cache, prove_withdrawn):
            proof(work)
            print(proof.__doc__)


if __name__ == "__main__":
    main()
