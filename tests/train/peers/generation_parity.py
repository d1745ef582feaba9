# SPDX-License-Identifier: Apache-2.0
"""`organ generate` writes what transformers' generate writes, greedily and in fp32.

usage: generation_parity.py ORGAN SCHEMAS

stories260K of the shared data, and SmolLM2-135M of $ORGAN_MODELS where it is: 64 ids for each
prompt. Then what needs no peer: seeds, the end of a text, two models side by side. Needs
$ORGAN_PEERS (torch, transformers, jsonschema) and $ORGAN_SHARED; exits 77 without them.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import peers  # noqa: E402

ORGAN, SCHEMAS = sys.argv[1], pathlib.Path(sys.argv[2])
TOKENS = 64
PROMPTS = ["Once upon a time", "The law says that", "Tim and his dog", "1, 2, 3,", "Ünïcödé 日本"]


def run(*arguments, expect=0):
    result = subprocess.run([ORGAN, "generate", *map(str, arguments)], capture_output=True,
                            text=True)
    assert result.returncode == expect, (arguments, result.returncode, result.stderr)
    return result


def generate(model, prompt, *options):
    import jsonschema
    record = json.loads(run(model, f"--prompt={prompt}", "--json", *options).stdout)
    jsonschema.validate(record, json.loads((SCHEMAS / "generate.v1.schema.json").read_text()))
    return record


def compare(name, folder, prompts):
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for prompt in prompts:
        ids = torch.tensor([tokenizer.encode(prompt).ids])
        with torch.no_grad():
            theirs = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False,
                                    max_new_tokens=TOKENS)[0, ids.shape[1]:].tolist()
        record = generate(folder, prompt, "--max-tokens", TOKENS)["continuations"][0]
        stopped = record["stopped"] == "end_of_text"
        assert record["ids"] == (theirs[:-1] if stopped else theirs), (name, prompt, record, theirs)
        assert record["prompt_tokens"] == ids.shape[1]
        whole = tokenizer.decode(ids[0].tolist() + record["ids"])
        assert whole.endswith(record["text"]), (name, prompt, whole, record["text"])
        print(f"{name}: {prompt!r}: {len(theirs)} ids equal")


def check_seeds(model):
    options = ["--temperature", "0.9", "--top-p", "0.9", "--max-tokens", 40]
    texts = [generate(model, "Once", *options, "--seed", seed)["continuations"][0]["text"]
             for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2], texts
    assert run(model, "--prompt=Once", *options, "--seed", 1).stdout == texts[0] + "\n"


def check_end(model, work):
    """An end-of-text id that the model is known to choose ends the text before it."""
    ids = generate(model, "Once", "--max-tokens", 12)["continuations"][0]["ids"]
    folder = work / "ends"
    shutil.copytree(model, folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [ids[8], 1]}))
    record = generate(folder, "Once", "--max-tokens", 12)["continuations"][0]
    assert record["stopped"] == "end_of_text", record
    assert record["ids"] == ids[:ids.index(ids[8])], (record, ids)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": "</s>"}))
    assert "eos_token_id" in run(folder, "--prompt=a", expect=4).stderr


def check_comparison(model, work):
    """The recipient with an organ beside the untouched one."""
    subprocess.run([ORGAN, "extract", model, "--layers", "1:3", "--out", work / "cut"], check=True,
                   capture_output=True)
    changed = work / "changed"
    subprocess.run([ORGAN, "install", work / "cut", "--into", model, "--at", "2",
                    "--allow-unsigned", "--out", changed], check=True, capture_output=True)
    record = generate(changed, "Once", "--compare", model, "--max-tokens", 20)
    with_organ, untouched = record["continuations"]
    assert with_organ["model"] == str(changed) and untouched["model"] == str(model)
    assert with_organ["text"] != untouched["text"]
    assert untouched == generate(model, "Once", "--max-tokens", 20)["continuations"][0] | {
        "tokens_per_second": untouched["tokens_per_second"]}
    shown = run(changed, "--prompt=Once", "--compare", model, "--max-tokens", 20).stdout
    assert f"--- {changed} with " in shown and "in layers 2 to 3" in shown, shown
    assert f"--- {model}\n{untouched['text']}\n" in shown, shown


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*")
            if path.is_file()}


def check_untouched(model, work):
    """What a recipient said before two organs came in, without taking them out."""
    changed = work / "twice"
    shutil.copytree(model, changed)
    for layers, place in (("1:3", "2"), ("0:1", "3")):
        cut = work / f"cut-{place}"
        subprocess.run([ORGAN, "extract", model, "--layers", layers, "--out", cut], check=True,
                       capture_output=True)
        subprocess.run([ORGAN, "install", cut, "--into", changed, "--at", place,
                        "--allow-unsigned"], check=True, capture_output=True)
    before = contents(changed)
    with_organs, untouched = generate(changed, "Once", "--compare-untouched", "--max-tokens",
                                      20)["continuations"]
    plain = generate(model, "Once", "--max-tokens", 20)["continuations"][0]
    assert untouched["ids"] == plain["ids"] and untouched["ids"] != with_organs["ids"]
    assert untouched["untouched"] and not with_organs["untouched"]
    three = generate(changed, "Once", "--compare-untouched", "--compare", model, "--max-tokens", 20)
    assert [c["ids"] for c in three["continuations"][1:]] == [plain["ids"]] * 2
    shown = run(changed, "--prompt=Once", "--compare-untouched", "--max-tokens", 20).stdout
    assert f"--- {changed} before any organ\n{plain['text']}\n" in shown, shown
    assert contents(changed) == before
    assert "no organ is installed" in run(model, "--prompt=a", "--compare-untouched",
                                          expect=6).stderr


def check_refusals(model):
    for options, words in ((("--temperature", "-1"), "--temperature"),
                           (("--top-p", "0"), "--top-p"),
                           (("--max-tokens", "0"), "--max-tokens"),
                           (("--max-tokens", "100000"), "--max-tokens"),
                           (("--precision", "fp8"), "--precision")):
        assert words in run(model, "--prompt=a", *options, expect=2).stderr
    run(model, expect=2)
    run(model.parent / "absent", "--prompt=a", expect=6)


def main():
    peers.enter("torch", "transformers", "jsonschema")
    shared = peers.shared_data("stories260K") / "stories260K"
    with tempfile.TemporaryDirectory() as scratch:
        work = pathlib.Path(scratch)
        model = work / "stories260K"
        shutil.copytree(shared, model)
        compare("stories260K", model, PROMPTS)
        check_seeds(model)
        check_end(model, work)
        check_comparison(model, work)
        check_untouched(model, work)
        check_refusals(model)
    smollm2 = pathlib.Path(os.environ.get("ORGAN_MODELS", "")) / "smollm2"
    if os.environ.get("ORGAN_MODELS") and smollm2.exists():
        compare("SmolLM2-135M", smollm2, PROMPTS[:2])
    else:
        print("SmolLM2-135M: left out, ORGAN_MODELS holds no smollm2")


main()
