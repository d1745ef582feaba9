# SPDX-License-Identifier: Apache-2.0
"""donor_layers.pt as torch.save writes it becomes an organ that transformers runs, and comes out again.

    donor_layers.py ORGAN

For each family torch saves layers of a tiny random model in every way people have (a ModuleList's
state dict, lists and dicts of state dicts, names of the whole model, both layouts). organ imports
them, installs them into a second model, and transformers must load and compute what it computes after
the same layers were copied in memory. Exported again, torch.load(weights_only=True) must give the same
tensors, and a second import the same files. An exported folder is verified by model_signing. Needs
$ORGAN_PEERS (torch, transformers, model_signing); exits 77 without it.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import families  # noqa: E402
import peers  # noqa: E402

ORGAN = str(pathlib.Path(sys.argv[1]).resolve())
# Not those whose modules name tensors otherwise than their files do (fused experts).
CASES = {"gpt2", "gpt_oss", "bert", "t5 decoder", "t5 encoder", "phi3", "mamba"}


def run(*arguments, code=0):
    return families.run(ORGAN, *arguments, code=code)


def layer_states(model, prefix, first, count):
    """What state_dict() of each of these layers gives."""
    shared = "relative_attention_bias.weight"  # of no layer: organ takes it from the model
    return [{name.removeprefix(f"{prefix}{i}."): tensor.clone()
             for name, tensor in model.state_dict().items()
             if name.startswith(f"{prefix}{i}.") and not name.endswith(shared)}
            for i in range(first, first + count)]


def joined(states, start, first):
    return {f"{start}{first + i}.{name}": tensor for i, state in enumerate(states)
            for name, tensor in state.items()}


def forms(states, prefix, first):
    """name: (what torch.save is given, whether its names say which layers they are)."""
    return {
        "module list": (joined(states, "", 0), False),
        "list": (list(states), False),
        "tuple in a dict": ({"donor": tuple(states), "note": "three layers", "steps": 7}, False),
        "dict": ({f"layer_{i}": state for i, state in enumerate(states)}, False),
        "whole names": (joined(states, prefix, first), first > 0),
        "numbered": ({first + i: state for i, state in enumerate(states)}, first > 0),
    }


def prove(name, family, work):
    import torch
    prefix, options, first, count, position = family[3:]
    donor = families.make(family, work / "donor", 1)
    tables = {n: p for n, p in donor.state_dict().items() if n.endswith(families.T5_TABLE)}
    states = layer_states(donor, prefix, first, count)
    run("extract", work / "donor", "--layers", f"{first}:{first + count}", *options, "--out", work / "cut")
    cut = families.digests(work / "cut")
    for form, (value, tells) in forms(states, prefix, first).items():
        for zipped in (True, False):
            pair = work / f"{form} {zipped}"
            pair.mkdir()
            torch.save(value, pair / "donor_layers.pt", _use_new_zipfile_serialization=zipped)
            how = [] if tells else ["--layers", f"{first}:{first + count}"]
            if not tells:
                run("import", pair, "--into", work / "donor", *options, "--out", work / "no", code=2)
            run("import", pair, "--into", work / "donor", *options, *how, "--out", work / f"organ of {pair.name}")
            found = families.digests(work / f"organ of {pair.name}")
            wrong = [file for file in cut if file.endswith(".safetensors") and cut[file] != found[file]]
            assert not wrong, (name, form, wrong)
    # Changed, so that it is another model's layers that arrive.
    pair = work / "pair"
    pair.mkdir()
    changed = [{key: tensor + 0.25 if tensor.is_floating_point() else tensor
                for key, tensor in state.items()} for state in states]
    with torch.no_grad():
        full = donor.state_dict()
        for key, tensor in joined(changed, prefix, first).items():
            full[key].copy_(tensor)
    torch.save(joined(changed, "", 0), pair / "donor_layers.pt")
    (pair / "donor_metadata.json").write_text(json.dumps(
        {"layers": list(range(first, first + count)), "training": "standalone_wrapper_training",
         "perplexity": 17.33, "loss": float("nan"), "source_model": "someone/base"}))
    run("import", pair, "--into", work / "donor", *options, "--out", work / "organ", "--name", "a/b",
        "--organ-version", "1.2.3")
    manifest = json.loads((work / "organ/organ.json").read_text())
    assert manifest["extraction"]["donor_id"] == "someone/base", manifest["extraction"]
    assert manifest["extraction"]["first_layer"] == first
    run("verify", work / "organ", code=5)  # unsigned, but every digest is right
    recipient = families.make(family, work / "recipient", 2, tables)
    before = families.digests(work / "recipient")
    run("install", work / "organ", "--into", work / "recipient", "--at", position, "--allow-unsigned")
    families.prove_result(work / "recipient", recipient,
                          families.spliced(donor, recipient, prefix, first, count, position), name)
    run("uninstall", work / "recipient")
    assert families.digests(work / "recipient") == before, name
    prove_round_trip(name, work, options, changed)


def prove_round_trip(name, work, options, states):
    import torch
    run("export", work / "organ", "--format", "paper", "--out", work / "again")
    loaded = torch.load(work / "again/donor_layers.pt", weights_only=True)
    expected = joined(states, "", 0)
    assert sorted(loaded) == sorted(expected), name
    for key, tensor in expected.items():
        assert loaded[key].dtype == tensor.dtype and torch.equal(loaded[key], tensor), (name, key)
    run("import", work / "again", "--into", work / "donor", *options, "--out", work / "twice")
    first, second = families.digests(work / "organ"), families.digests(work / "twice")
    wrong = [file for file in first if file.endswith(".safetensors") and first[file] != second[file]]
    assert not wrong, (name, wrong)
    texts = [json.loads((work / folder / "organ.json").read_text()) for folder in ("organ", "twice")]
    for field in ("name", "version", "architecture", "extraction"):
        assert texts[0][field] == texts[1][field], (name, field)


def prove_other_types(work):
    """Layers in another element type than the model's, strided and shared ones, masks of old files."""
    import torch
    family = families.KNOWN["gpt2"]
    donor = families.make(family, work / "donor", 1)
    states = layer_states(donor, family[3], 1, 2)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        value = {}
        for key, tensor in joined(states, "h.", 1).items():
            moved = tensor.to(dtype)
            value[key] = moved.t().contiguous().t() if moved.ndim == 2 else moved
        value["h.1.attn.bias"] = torch.tril(torch.ones(1, 1, 32, 32, dtype=torch.bool))
        value["h.1.attn.masked_bias"] = torch.tensor(-1e4)
        value["h.2.ln_1.weight"] = value["h.1.ln_1.weight"]
        file = work / f"{dtype}.pt"
        torch.save(value, file)
        record = json.loads(run("import", file, "--into", work / "donor", "--out", work / f"{dtype}",
                                "--json"))
        assert record["left_out"] == ["h.1.attn.bias", "h.1.attn.masked_bias"], record
        from safetensors.torch import load_file
        for i in (1, 2):
            for key, tensor in load_file(work / f"{dtype}/layer.0{i - 1}.safetensors").items():
                wanted = value[f"h.{i}.{key}"]
                assert tensor.dtype == dtype and torch.equal(tensor, wanted), (dtype, i, key)


def prove_refusals(work):
    """Each thing that is wrong is named."""
    import torch
    family = families.KNOWN["gpt2"]
    donor = families.make(family, work / "donor", 1)
    good = joined(layer_states(donor, family[3], 1, 2), "", 0)

    def refused(value, words, *options, code=3, metadata=None):
        pair = work / "pair"
        pair.mkdir(exist_ok=True)
        torch.save(value, pair / "donor_layers.pt")
        text = pair / "donor_metadata.json"
        text.unlink(missing_ok=True)
        if metadata is not None:
            text.write_text(metadata if isinstance(metadata, str) else json.dumps(metadata))
        done = subprocess.run([ORGAN, "import", pair, "--into", work / "donor", "--out", work / "no",
                               *options], capture_output=True, text=True)
        assert done.returncode == code and words in done.stderr, (words, done)
        assert not (work / "no").exists(), words

    at = ["--layers", "1:3"]
    missing = {key: tensor for key, tensor in good.items() if key != "1.ln_2.bias"}
    refused(missing, "tensor 'ln_2.bias' of layer 1 is missing", *at)
    refused(good | {"1.attn.new": torch.ones(1)}, "'1.attn.new' is of no layer", *at)
    refused(good | {"lm_head.weight": torch.ones(1)}, "'lm_head.weight' is of no layer", *at)
    refused(good | {"0.ln_2.bias": torch.ones(3)}, "has shape [3], expected [16]", *at)
    refused(good | {"0.ln_2.bias": torch.ones(16, dtype=torch.int64)}, "is I64, expected F32", *at)
    refused(good | {"x.0.ln_2.bias": torch.ones(16)}, "'x.0.ln_2.bias' is of no layer", *at)
    refused(joined(layer_states(donor, family[3], 1, 1), "", 0)
            | joined(layer_states(donor, family[3], 3, 1), "", 3), "layer 3 follows layer 0", *at)
    refused(good, "--layers names 3", "--layers", "0:3")
    refused(good, "which layers", code=2)
    refused(good, "expected A:B", "--layers", "3:9", code=2)
    refused(good, "leave the model's 4", metadata={"layers": [3, 4]})
    refused(good, "names 3", metadata={"layers": [0, 1, 2]})
    refused(good, "layer 3 follows layer 1", metadata={"layers": [1, 3]}, code=4)
    refused(good, "donor of 12 layers", metadata={"layers": [1, 2], "donor_layer_count": 12})
    layers = {"layers": [1, 2]}
    refused(good, "which layers", metadata={"one": layers, "two": {"layers": [0, 1]}}, code=2)
    refused(good, "names 3", metadata={"layers": 2, "one": {"layers": [0, 1, 2]}, "two": {"layers": 3}})
    refused(good, "says that the architecture is sha256:00",
            metadata=layers | {"organ": {"architecture_signature": "sha256:" + "0" * 64}})
    refused(good, "architecture_signature", metadata=layers | {"organ": {"architecture_signature": "x"}}, code=4)
    refused(good, "donor_metadata.json", metadata="[1]", code=4)
    refused(good, "donor_metadata.json", metadata="{", code=4)
    refused(joined(layer_states(donor, family[3], 1, 2), "h.", 1), "begin with layer 1",
            metadata={"first_layer": 2})
    refused({}, "holds no tensor", *at)
    refused(good | {"0.ln_2.bias": torch.full((16,), float("inf"))}, "infinity", *at, "--require-finite",
            code=4)
    refused(donor, "names 'transformers.models.gpt2", *at, code=4)


def prove_signature(work):
    """model_signing verifies an exported folder."""
    families.make(families.KNOWN["gpt2"], work / "donor", 1)
    run("extract", work / "donor", "--layers", "1:3", "--name", "x/y", "--out", work / "cut")
    run("key", "generate", work / "k")
    run("sign", work / "cut", "--key", work / "k.key")
    registry = ["--registry", work / "registry"]
    run("registry", "init", "--key", work / "k.pub", *registry)
    run("publish", work / "cut", *registry)
    run("export", "x/y:0.0.0", "--out", work / "hub", *registry)
    done = subprocess.run([sys.executable, "-m", "model_signing", "verify", "key", "--public_key",
                           work / "k.pub", "--signature", work / "hub/model.sig", work / "hub"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done
    run("verify", work / "hub", "--key", work / "k.pub")


def main():
    peers.enter("torch", "transformers", "safetensors", "model_signing")
    known = {**families.KNOWN, **families.OPAQUE}
    for name in sorted(CASES):
        with tempfile.TemporaryDirectory() as scratch:
            prove(name, known[name], pathlib.Path(scratch))
        print(f"{name}: imported, installed, exported, imported again")
    for proof in (prove_other_types, prove_refusals, prove_signature):
        with tempfile.TemporaryDirectory() as scratch:
            proof(pathlib.Path(scratch))
        print(proof.__doc__)


if __name__ == "__main__":
    main()
