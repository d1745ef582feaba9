# SPDX-License-Identifier: Apache-2.0
"""Layers of a real small model (stories260K) in every form that organ exports, and back.

    real_model.py ORGAN_PROGRAM

extract, export, import: equal bytes of every layer, equal tensors under torch.load(weights_only=True)
and safetensors; model_signing verifies the exported folder; transformers, given the layers of the
exported pair in memory, computes what it computes with the installed organ. Needs $ORGAN_PEERS (torch,
transformers, safetensors, model_signing) and $ORGAN_SHARED; exits 77 without them.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import peers  # noqa: E402

ORGAN = str(pathlib.Path(sys.argv[1]).resolve())
FIRST, COUNT = 1, 3


def run(*words, code=0):
    done = subprocess.run([ORGAN, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == code, (words, done)
    return done.stdout


def layer_files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("layer.*.safetensors"))}


def tensor_digests(folder):
    manifest = json.loads((folder / "organ.json").read_text())
    return [(file["path"], tensor["name"], tensor["digest"])
            for file in manifest["files"] for tensor in file.get("tensors", [])]


def check_pair(work, donor):
    import torch
    run("export", work / "organ", "--format", "paper", "--out", work / "pair")
    loaded = torch.load(work / "pair/donor_layers.pt", weights_only=True)
    state = donor.state_dict()
    expected = {f"{number - FIRST}.{rest}": tensor for name, tensor in state.items()
                if name.startswith("model.layers.")
                for number, rest in [(int(name.split(".")[2]), name.split(".", 3)[3])]
                if FIRST <= number < FIRST + COUNT}
    assert sorted(loaded) == sorted(expected)
    for name, tensor in expected.items():
        assert loaded[name].dtype == tensor.dtype and torch.equal(loaded[name], tensor), name
    run("import", work / "pair", "--into", work / "model", "--out", work / "back")
    assert layer_files(work / "back") == layer_files(work / "organ")
    assert tensor_digests(work / "back") == tensor_digests(work / "organ")
    torch.save(loaded, work / "saved.pt")
    run("import", work / "saved.pt", "--into", work / "model", "--layers", f"{FIRST}:{FIRST + COUNT}",
        "--out", work / "of torch")
    assert layer_files(work / "of torch") == layer_files(work / "organ")
    return loaded


def check_folder(work, donor):
    import safetensors.torch
    import torch
    run("key", "generate", work / "k")
    run("sign", work / "organ", "--key", work / "k.key")
    run("export", work / "organ", "--out", work / "hub")
    subprocess.run([sys.executable, "-m", "model_signing", "verify", "key", "--public_key", work / "k.pub",
                    "--signature", work / "hub/model.sig", work / "hub"], check=True,
                   stdout=subprocess.DEVNULL)
    for number, layer in enumerate(sorted((work / "hub").glob("layer.*.safetensors"))):
        for name, tensor in safetensors.torch.load_file(layer).items():
            whole = donor.state_dict()[f"model.layers.{FIRST + number}.{name}"]
            assert torch.equal(tensor, whole), name
    run("export", work / "organ", "--format", "modelpack", "--out", work / "oci")
    run("import", work / "oci", "--out", work / "of oci")
    assert {p.name: p.read_bytes() for p in (work / "of oci").iterdir()} == \
        {p.name: p.read_bytes() for p in (work / "organ").iterdir()}


def check_computed(work, loaded):
    """The pair's tensors, put in by hand one layer further down, and the organ that organ installs."""
    import torch
    import transformers
    at = FIRST + 1
    by_hand = transformers.AutoModelForCausalLM.from_pretrained(work / "model")
    with torch.no_grad():
        for name, tensor in loaded.items():
            number, rest = name.split(".", 1)
            by_hand.state_dict()[f"model.layers.{int(number) + at}.{rest}"].copy_(tensor)
    shutil.copytree(work / "model", work / "recipient")
    run("install", work / "back", "--into", work / "recipient", "--at", at, "--allow-unsigned")
    installed = transformers.AutoModelForCausalLM.from_pretrained(work / "recipient")
    ids = torch.arange(3, 67).reshape(2, 32)
    with torch.no_grad():
        assert torch.equal(by_hand(ids).logits, installed(ids).logits)


def main():
    peers.enter("torch", "transformers", "safetensors", "model_signing")
    import transformers
    shared = peers.shared_data("stories260K")
    with tempfile.TemporaryDirectory() as scratch:
        work = pathlib.Path(scratch)
        (work / "model").mkdir()
        for path in (shared / "stories260K").iterdir():
            shutil.copyfile(path, work / "model" / path.name)
        donor = transformers.AutoModelForCausalLM.from_pretrained(work / "model")
        run("extract", work / "model", "--layers", f"{FIRST}:{FIRST + COUNT}", "--name", "tales/middle",
            "--organ-version", "1.0.0", "--out", work / "organ")
        loaded = check_pair(work, donor)
        check_folder(work, donor)
        check_computed(work, loaded)
    print("pair, folder and layout of real layers: equal bytes, equal logits, verified by model_signing")


if __name__ == "__main__":
    main()
