# SPDX-License-Identifier: Apache-2.0
"""Rows of ids stay rows: `organ eval --ids --pad-id` and `organ train --ids --pad-id` are transformers
row by row, whatever the padding at their ends.

usage: rows_peer.py ORGAN_TRAIN MODEL_FIXTURE

Each of many rows is measured alone by transformers, without its padding; then ten steps are trained
by a torch loop over the rows that organ says it read. Needs $ORGAN_PEERS (torch, transformers);
exits 77 without it.
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
import peers  # noqa: E402

PROGRAM, FIXTURE = sys.argv[1], pathlib.Path(sys.argv[2])
ROWS, LENGTH, PAD, LAYER, STEPS, RATE = 40, 24, 0, 1, 10, 3e-3
TOLERANCE = 1e-5  # relative


def make_rows(seed, vocabulary):
    """Full, short, single and empty rows; the padding id stands inside texts too."""
    draw = random.Random(seed)
    rows = []
    for i in range(ROWS):
        length = (LENGTH, draw.randint(2, LENGTH - 1), draw.randint(2, 6))[i % 3]
        text = [draw.randrange(vocabulary) for _ in range(length)]
        text[-1] = draw.randrange(1, vocabulary)
        rows.append(text)
    rows[7], rows[11] = [], [5]
    rows[13] = [3, PAD, PAD, 4, PAD, 9]
    return rows


def write_ids(path, rows):
    import torch
    from safetensors.torch import save_file
    save_file({"ids": torch.tensor([row + [PAD] * (LENGTH - len(row)) for row in rows])}, path)
    return path


def organ(*arguments):
    result = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"organ-train {' '.join(map(str, arguments))}: exit {result.returncode}: "
                 f"{result.stderr}")
    return json.loads(result.stdout)


def sum_of_losses(model, row):
    """-ln p of all tokens but the first, as a tensor."""
    import torch
    logits = model(input_ids=torch.tensor([row])).logits[0, :-1]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(row[1:]), reduction="sum")


def measured_rows(rows):
    return [row for row in rows if len(row) > 1]


def compare_eval(model, rows, ids):
    import torch
    with torch.inference_mode():
        sums = [sum_of_losses(model, row).item() for row in measured_rows(rows)]
    count = sum(len(row) - 1 for row in measured_rows(rows))
    for options in ([], ["--stride", LENGTH // 3]):  # a row sees all of itself whatever the stride
        record = organ("eval", FIXTURE, "--ids", ids, "--pad-id", PAD, "--json", "--per-document",
                       *options)
        assert record["tokens"] == count, (record["tokens"], count)
        assert record["lead_in"] is None, record
        assert abs(record["nll"] / (sum(sums) / count) - 1) < TOLERANCE, (record["nll"], sums)
        ours = [d for d in record["documents"] if d["targets"] > 0]
        for one, row, theirs in zip(ours, measured_rows(rows), sums, strict=True):
            assert one["targets"] == len(row) - 1, (one, row)
            assert abs(one["nll"] / theirs - 1) < 2e-5, (one, theirs)
    first = organ("eval", FIXTURE, "--ids", ids, "--pad-id", PAD, "--windows", 5, "--json")
    assert first["tokens"] == sum(len(row) - 1 for row in rows[:5]), first
    print(f"{count} targets of {len(sums)} rows: nll {record['nll']:.8f}, transformers "
          f"{sum(sums) / count:.8f}")


def compare_training(model, rows, ids, folder):
    import torch
    organ("train", FIXTURE, "--layers", f"{LAYER}:{LAYER + 1}", "--ids", ids, "--pad-id", PAD,
          "--steps", STEPS, "--batch", 3, "--lr", RATE, "--schedule", "constant", "--warmup-share",
          0, "--decay-all", "--clip-norm", 0, "--precision", "fp32", "--out", folder / "out",
          "--json")
    lines = (folder / "out.run" / "metrics.jsonl").read_text().splitlines()
    records = list(map(json.loads, lines))
    (start,) = [r for r in records if r["event"] == "run"]
    assert start["windows"] == ROWS, start
    model.requires_grad_(False)
    layer = model.model.layers[LAYER].requires_grad_(True)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=RATE, weight_decay=0.01)
    worst = 0
    for step in (r for r in records if r["event"] == "step"):
        read = measured_rows([rows[window] for window in step["windows"]])
        count = sum(len(row) - 1 for row in read)
        assert step["targets"] == count, (step, count)
        loss = sum(sum_of_losses(model, row) for row in read) / count
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        worst = max(worst, abs(step["loss"] / loss.item() - 1))
    print(f"{STEPS} losses within {worst:.1e}")
    assert worst < 1e-4, worst


def main():
    peers.enter("torch", "transformers")
    import torch
    import transformers
    torch.set_num_threads(1)
    model = transformers.AutoModelForCausalLM.from_pretrained(FIXTURE, dtype=torch.float32).eval()
    rows = make_rows(3, model.config.vocab_size)
    with tempfile.TemporaryDirectory(prefix="organ-rows") as name:
        folder = pathlib.Path(name)
        ids = write_ids(folder / "ids.safetensors", rows)
        compare_eval(model, rows, ids)
        compare_training(model, rows, ids, folder)


main()
