# SPDX-License-Identifier: Apache-2.0
"""What an index says beside the names of its shards decides nothing, as in transformers.

    advisory_metadata.py ORGAN_PROGRAM
"""
import json
import shutil
import sys

from support import Case, copy, make, peers, transformer_loss

peers.enter("torch", "transformers", "safetensors")
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import save_file  # noqa: E402


def main():
    case = Case(sys.argv[1])
    model = make("llama", case.folder / "one", tie_word_embeddings=True)
    sharded = case.folder / "model"
    transformers.AutoModelForCausalLM.from_pretrained(model).save_pretrained(
        sharded, max_shard_size="40KB")
    index_name = "model.safetensors.index.json"
    index = json.loads((sharded / index_name).read_text())
    last = sorted(set(index["weight_map"].values()))[-1]
    first = sorted(set(index["weight_map"].values()))[0]
    moved = next(n for n, s in index["weight_map"].items() if s == last)
    right = transformers.AutoModelForCausalLM.from_pretrained(sharded).state_dict()
    ids, right_loss = case.folder / "ids", None
    if case.can_measure:
        rows = torch.randint(0, 257, (4, 24), generator=torch.Generator().manual_seed(3))
        save_file({"ids": rows}, str(ids))
        right_loss = transformer_loss(transformers.AutoModelForCausalLM.from_pretrained(
            sharded, dtype=torch.float32), rows)
    odd = {
        "total_size 333312": (lambda i: i["metadata"].update(total_size=333312), "total_size"),
        "total_size a text": (lambda i: i["metadata"].update(total_size="big"), "total_size"),
        "total_size negative": (lambda i: i["metadata"].update(total_size=-1), "total_size"),
        "total_size beyond 64 bits": (lambda i: i["metadata"].update(total_size=10 ** 30),
                                      "total_size"),
        "an entry without a tensor": (lambda i: i["weight_map"].update({"mtp.fc.weight": last}),
                                      "mtp.fc.weight"),
        "an entry with the wrong shard": (lambda i: i["weight_map"].update({moved: first}), moved),
    }
    organ = None
    for what, (change, named) in odd.items():
        one = copy(sharded, case.folder / "odd")
        record = json.loads(json.dumps(index))
        change(record)
        (one / index_name).write_text(json.dumps(record))
        same = transformers.AutoModelForCausalLM.from_pretrained(one).state_dict()
        case.expect(f"transformers loads {what}", all(torch.equal(right[n], same[n]) for n in right))
        done = case.works(f"{what}: extract", "extract", one, "--layers", "1:3", "--out",
                          case.folder / "o")
        case.expect(f"{what}: is a warning", "warning:" in done.stderr and named in done.stderr,
                    done.stderr)
        done = case.works(f"{what}: inspect", "inspect", one)
        case.expect(f"{what}: inspect warns", named in done.stderr, done.stderr)
        if case.can_measure:
            loss, done = case.loss(one, ids)
            case.expect(f"{what}: the loss is transformers'", loss is not None and
                        abs(loss - right_loss) < 1e-5, f"{loss} / {right_loss}: {done.stderr}")
            case.expect(f"{what}: eval warns", named in done.stderr, done.stderr)
        if (case.folder / "o").exists():
            files = json.loads((case.folder / "o/organ.json").read_text())["files"]
            organ = organ or [f["digest"] for f in files if f["role"] == "layer"]
            case.expect(f"{what}: the layers are the same",
                        organ == [f["digest"] for f in files if f["role"] == "layer"])
            done = case.works(f"{what}: check", "check", case.folder / "o", "--recipient", one)
            case.expect(f"{what}: check warns", named in done.stdout + done.stderr, done.stdout)
            shutil.rmtree(case.folder / "o")
        shutil.rmtree(one)
    case.end()


main()
