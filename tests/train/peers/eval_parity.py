# SPDX-License-Identifier: Apache-2.0
"""`organ eval` and transformers agree on the mean NLL of the same windows, in fp32.

usage: eval_parity.py ORGAN stories260K|smollm2

Models: stories260K of the shared data on tinyshakespeare; the same with an organ installed; and
SmolLM2-135M of $ORGAN_MODELS on WikiText-2. Ids from the text and ids from a file must give the
same. Needs $ORGAN_PEERS and $ORGAN_SHARED; exits 77 without them.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import peers  # noqa: E402

TOLERANCE = 1e-5  # relative; the contract is 1e-4
TOOL = pathlib.Path(__file__).parents[2] / "tools" / "reference_nll.py"


def run(*command):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{command[0]} {command[1]}: exit {result.returncode}: {result.stderr}")
    return result.stdout


def compare(organ, python, name, model, text, context, windows, work):
    ids = work / "ids.safetensors"
    theirs = json.loads(run(python, TOOL, model, text, ids, "--context", context, "--windows",
                            windows).splitlines()[-1])
    ours = json.loads(run(organ, "eval", model, "--ids", ids, "--context", context, "--stride",
                          context, "--precision", "fp32", "--json"))
    assert ours["protocol"] == "P0", ours
    assert ours["tokens"] == theirs["tokens"], (name, ours["tokens"], theirs["tokens"])
    difference = abs(ours["nll"] - theirs["nll"]) / theirs["nll"]
    print(f"{name}: {ours['tokens']} targets, organ {ours['nll']:.10f}, transformers "
          f"{theirs['nll']:.10f}, relative difference {difference:.1e}")
    assert difference < TOLERANCE, name
    text_nll = json.loads(run(organ, "eval", model, "--data", text, "--context", context, "--stride",
                              context, "--windows", windows, "--precision", "fp32", "--json"))
    assert text_nll["tokens"] == ours["tokens"], (name, text_nll["tokens"])
    assert abs(text_nll["nll"] - ours["nll"]) / ours["nll"] < TOLERANCE, (name, text_nll["nll"])
    return ours["nll"]


def compare_stories(organ, python, shared, work):
    """The untouched model, the same with an organ, and the same after the organ is out again."""
    model = work / "stories"
    shutil.copytree(shared / "stories260K", model)
    text = shared / "tinyshakespeare.txt"
    untouched = compare(organ, python, "stories260K", model, text, 256, 40, work)
    run(organ, "extract", model, "--layers", "1:3", "--out", work / "cut")
    run(organ, "install", work / "cut", "--into", model, "--at", 2, "--allow-unsigned")
    installed = compare(organ, python, "stories260K with an organ", model, text, 256, 40, work)
    assert abs(installed - untouched) > 1e-3, "the organ changed nothing"
    run(organ, "uninstall", model)
    assert compare(organ, python, "stories260K again", model, text, 256, 40, work) == untouched


def compare_smollm2(organ, python, shared, work):
    compare(organ, python, "SmolLM2-135M", peers.model("smollm2"), shared / "wikitext2" / "test.txt", 1024, 4, work)


def main():
    models = {"stories260K": compare_stories, "smollm2": compare_smollm2}
    if len(sys.argv) != 3 or sys.argv[2] not in models:
        sys.exit(__doc__)
    python = peers.python("torch", "transformers")
    shared = peers.shared_data("stories260K")
    with tempfile.TemporaryDirectory() as scratch:
        models[sys.argv[2]](sys.argv[1], python, shared, pathlib.Path(scratch))


main()
