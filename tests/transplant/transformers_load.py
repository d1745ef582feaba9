# SPDX-License-Identifier: Apache-2.0
"""transformers loads what `organ install` made, tensor by tensor what is expected.

usage: transformers_load.py ORGAN

Recipients: stories260K of the shared data as one file and split into shards by transformers
itself, and a tiny model in two shards with odd headers. Needs $ORGAN_PEERS (torch, transformers)
and $ORGAN_SHARED; exits 77 without them.
"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
import peers  # noqa: E402


def run(organ, *arguments):
    result = subprocess.run([organ, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"organ {' '.join(map(str, arguments))}: exit {result.returncode}: "
                         f"{result.stderr}")


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.iterdir()) if path.is_file()}


def state(folder):
    from transformers import AutoModelForCausalLM
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def expected_state(before, first, count, position):
    """Layers first..first+count-1 of `before` in the places position..position+count-1."""
    after = dict(before)
    for i in range(count):
        source, target = f"model.layers.{first + i}.", f"model.layers.{position + i}."
        for name in before:
            if name.startswith(source):
                after[target + name.removeprefix(source)] = before[name]
    return after


def compare(found, expected, what):
    import torch
    if found.keys() != expected.keys():
        raise SystemExit(f"{what}: other tensors: {found.keys() ^ expected.keys()}")
    different = [name for name in expected if found[name].dtype != expected[name].dtype
                 or not torch.equal(found[name], expected[name])]
    if different:
        raise SystemExit(f"{what}: {len(different)} tensors differ, first {different[0]}")


def prove(organ, work, recipient, what):
    before_files, before = digests(recipient), state(recipient)
    cut = work / "cut"
    run(organ, "extract", recipient, "--layers", "1:3", "--out", cut)
    run(organ, "install", cut, "--into", recipient, "--at", 1, "--allow-unsigned")
    if digests(recipient) != before_files:
        raise SystemExit(f"{what}: installing the recipient's own layers changed a byte")
    run(organ, "uninstall", recipient)
    run(organ, "install", cut, "--into", recipient, "--at", 2, "--allow-unsigned")
    expected = expected_state(before, 1, 2, 2)
    compare(state(recipient), expected, what)
    if expected["model.layers.2.mlp.up_proj.weight"].equal(
            before["model.layers.2.mlp.up_proj.weight"]):
        raise SystemExit(f"{what}: the test moves nothing")
    run(organ, "uninstall", recipient)
    if digests(recipient) != before_files:
        raise SystemExit(f"{what}: uninstall does not restore every file")
    out = work / "out"
    run(organ, "install", cut, "--into", recipient, "--at", 2, "--out", out, "--hard-link",
        "--allow-unsigned")
    compare(state(out), expected, what + " --out")
    run(organ, "uninstall", out)
    if digests(out) != before_files or digests(recipient) != before_files:
        raise SystemExit(f"{what}: --out does not restore every file")
    shutil.rmtree(cut)
    shutil.rmtree(out)
    print(f"{what}: {len(expected)} tensors as expected, {len(before_files)} files restored")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    peers.enter("torch", "transformers")
    stories = peers.shared_data("stories260K") / "stories260K"
    from tiny_model import write_model
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        single = work / "single"
        single.mkdir()
        for path in stories.iterdir():
            shutil.copyfile(path, single / path.name)
        organ = sys.argv[1]
        os.environ["HOME"] = str(work)  # no registry, no policy of the user's
        os.environ.pop("XDG_DATA_HOME", None)
        os.environ.pop("ORGAN_REGISTRY", None)
        prove(organ, work, single, "stories260K in one file")
        sharded = work / "sharded"
        AutoModelForCausalLM.from_pretrained(single, dtype="auto").save_pretrained(
            sharded, max_shard_size="200KB")
        shards = len(list(sharded.glob("*.safetensors")))
        prove(organ, work, sharded, f"stories260K in {shards} shards")
        prove(organ, work, write_model(work / "odd"), "a tiny model with odd headers")


if __name__ == "__main__":
    main()
