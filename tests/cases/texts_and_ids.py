# SPDX-License-Identifier: Apache-2.0
"""Texts and rows of ids as other people's tools write them: line ends, ends that are there already,
padding that is an end, tensors that say what is no target, pipes, and texts beyond the positions.

    texts_and_ids.py ORGAN_PROGRAM
"""
import json
import re
import subprocess
import sys

from support import Case, add_tokenizer, change_config, copy, make, peers, tiny

peers.enter("torch", "transformers", "safetensors")
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

END = 256  # of add_tokenizer


def evaluated(case, model, *words):
    done = case.organ("eval", model, *words, "--threads", 1, "--json")
    return (json.loads(done.stdout) if done.returncode == 0 else None), done


def trained(case, model, name, *words):
    """Tokens to train on, and all that was said."""
    done = case.organ("train", model, "--layers", "1:2", *words, "--steps", 1, "--threads", 1,
                      "--out", case.folder / ("organ-" + name))
    found = re.search(r"^(\d+) tokens in", done.stderr, re.M)
    return int(found[1]) if found else None, done


def line_ends(case, model):
    """As Python reads a text file, and datasets' loader with it: universal newlines."""
    parts = ["first paragraph here", "second one is longer than it", "third one", "fourth"]
    right = None
    for name, end in (("LF", "\n"), ("CRLF", "\r\n"), ("CR", "\r")):
        path = case.folder / name
        path.write_bytes((end * 2).join(parts).encode())
        with open(path, encoding="utf-8") as file:
            count = len([p for p in file.read().split("\n\n") if p])
        record, done = evaluated(case, model, "--data", path, "--documents", "blank-lines",
                                 "--context", 64, "--per-document")
        figure = record and (len(record["documents"]), record["nll"], record["bits_per_byte"])
        right = right or figure
        case.expect(f"{name}: {count} documents", figure and figure[0] == count, done.stderr)
        case.expect(f"{name}: the figure of LF", figure == right, (figure, right))
        tokens, done = trained(case, model, name, "--data", path, "--documents", "blank-lines",
                               "--context", 64)
        case.expect(f"{name}: trained on with an end each", tokens == sum(map(len, parts)) + count,
                    done.stderr)


def ends_that_are_there(case, model):
    """trl's rule: the end of sequence is put behind a text that does not end with it."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    for name, text in (("none", "abc def"), ("one", "abc def" + tiny.END),
                       ("two", "abc def" + tiny.END * 2), ("inside", f"abc{tiny.END}def"),
                       ("line", "abc def" + tiny.END + "\n")):
        ids = tokenizer(text, add_special_tokens=False).input_ids
        right = len(ids) + (ids[-1] != tokenizer.eos_token_id)
        path = case.folder / ("end-" + name)
        path.write_text(text)
        got, done = trained(case, model, "end-" + name, "--data", path, "--context", 64)
        case.expect(f"{name} at the end: {right} tokens", got == right, done.stderr)


def lead_ins_that_are_there(case, model):
    led = copy(model, case.folder / "led")
    record = json.loads((led / "tokenizer.json").read_text())
    text, start = {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": tiny.END,
                                                                             "type_id": 0}}
    record["post_processor"] = {
        "type": "TemplateProcessing", "single": [start, text],
        "pair": [start, text, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {tiny.END: {"id": tiny.END, "ids": [END], "tokens": [tiny.END]}}}
    (led / "tokenizer.json").write_text(json.dumps(record))
    path = case.folder / "led.txt"
    for text, twice in ((tiny.END + "hello world", True), ("hello" + tiny.END + "world", False)):
        path.write_text(text)
        ids = transformers.AutoTokenizer.from_pretrained(led)(text).input_ids
        case.expect("transformers puts it there anyway", (ids[:2] == [END, END]) == twice, ids)
        for word, done in (("eval", case.organ("eval", led, "--data", path)),
                           ("train", trained(case, led, f"led-{twice}", "--data", path)[1])):
            case.expect(f"{word}: a second lead-in is said: {twice}",
                        done.returncode == 0 and ("twice" in done.stderr) == twice, done.stderr)


def padding_that_is_an_end(case, model):
    pad = 7
    rows = torch.tensor([[1, 2, 3, END, END, END], [1, 2, 3, 4, 5, END], [1, 2, END, END, END, END]])
    with torch.no_grad():
        peer = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()

    def mean(rows, lengths):
        with torch.no_grad():
            logp = torch.log_softmax(peer(rows).logits.double(), -1)
        losses = [-logp[r, i - 1, rows[r, i]].item() for r, n in enumerate(lengths)
                  for i in range(1, n)]
        return sum(losses) / len(losses)

    for name, end, setting in (
            ("the tokenizer", END, lambda m: None),
            ("config.json", pad, lambda m: change_config(m, eos_token_id=pad)),
            ("generation_config.json", pad, lambda m: (m / "generation_config.json").write_text(
                json.dumps({"eos_token_id": [3, pad]}))),
            ("nobody", pad, lambda m: None)):
        changed = copy(model, case.folder / ("ends-" + name.replace(" ", "-")))
        setting(changed)
        ids = torch.where(rows == END, end, rows)
        lengths = [3, 5, 2] if name == "nobody" else [4, 6, 3]
        save_file({"ids": ids}, str(case.folder / "ids"))
        got, done = case.loss(changed, case.folder / "ids", "--pad-id", end)
        right = mean(ids, lengths)
        case.expect(f"{name} ends texts: each row's own end is a target",
                    got is not None and abs(got - right) < 1e-4, (got, right, done.stderr))
        case.expect(f"{name}: it is said", ("an end of text" in done.stderr) == (name != "nobody"),
                    done.stderr)
        tokens, done = trained(case, changed, "ends-" + name.replace(" ", "-"), "--ids",
                               case.folder / "ids", "--pad-id", end)
        case.expect(f"{name}: trained on", tokens == sum(lengths), done.stderr)
    long = torch.full((6, 40), END)
    long[:, :4] = torch.randint(1, 200, (6, 4))
    save_file({"ids": long}, str(case.folder / "ids"))
    done = case.organ("eval", model, "--ids", case.folder / "ids")
    case.expect("the hint says what stays", done.returncode == 2 and
                "end-of-sequence id all but the first" in done.stderr, done.stderr)


def tensors_nobody_reads(case, model):
    rows = torch.randint(1, 256, (8, 24))
    labels = torch.where(torch.arange(24) < 12, -100, rows)
    for name, tensor in (("labels", labels), ("attention_mask", torch.ones_like(rows)),
                         ("input_ids", rows.clone()), ("length", torch.full((8,), 24))):
        save_file({"ids": rows, name: tensor}, str(case.folder / "ids"))
        for words in (["train", model, "--layers", "1:3", "--ids", case.folder / "ids", "--steps", 1,
                       "--out", case.folder / "never"], ["eval", model, "--ids", case.folder / "ids"]):
            done = case.organ(*words)
            case.expect(f"{words[0]}: {name} is named", done.returncode == 2 and
                        f"'{name}'" in done.stderr and not (case.folder / "never").exists(),
                        done.stderr)
    save_file({"input_ids": rows, "attention_mask": torch.ones_like(rows)}, str(case.folder / "ids"))
    done = case.organ("eval", model, "--ids", case.folder / "ids")
    case.expect("input_ids is named", done.returncode == 6 and "'input_ids'" in done.stderr,
                done.stderr)


def what_is_no_data(case, model):
    text = case.folder / "text"
    text.write_text("abc " * 20)
    for option in ("--data {}", "--ids {}", f"--data {text} --training-data {{}}"):
        for name, what in (("a pipe", f"<(cat {text})"), ("a folder", str(model))):
            done = subprocess.run(["bash", "-c", f"'{case.program}' eval {model} "
                                   + option.format(what)], capture_output=True, text=True,
                                  env=case.env, check=False)
            case.expect(f"{option}: {name} is a slip", done.returncode == 2 and "hint" in done.stderr,
                        (done.returncode, done.stderr))
    (case.folder / "bad").write_bytes(b"ab \xff")
    done = case.organ("eval", model, "--data", case.folder / "bad")
    case.expect("one 'while'", done.returncode == 2 and done.stderr.count("while") == 1, done.stderr)
    lines = case.folder / "lines.jsonl"
    lines.write_text("".join(json.dumps({"text": f"line {i} of it"}) + "\n" for i in range(9)))
    done = case.organ("eval", model, "--data", lines, "--context", 64)
    case.expect("lines of JSON are said to be text", done.returncode == 0 and
                "read as text" in done.stderr, done.stderr)
    for name in ("tokenizer.model", "tekken.json"):
        other = copy(model, case.folder / ("other-" + name))
        (other / "tokenizer.json").unlink()
        (other / name).write_bytes(b"x")
        done = case.organ("eval", other, "--data", text)
        case.expect(f"{name} alone: a way out", done.returncode == 6 and
                    "save_pretrained" in done.stderr, done.stderr)


def beyond_the_positions(case, model):
    """128 of them; transformers computes on, and its tokenizer warns."""
    ids = torch.randint(1, 256, (2, 200), generator=torch.Generator().manual_seed(5))
    save_file({"ids": ids}, str(case.folder / "ids"))
    text = case.folder / "long"
    text.write_text("abcdefghij" * 20 + "\n\nshort")
    short = case.folder / "short"
    short.write_text("\n\n".join("abcdefghij" * 10 for _ in range(4)))
    for name, words, numbers in (("rows", ["--ids", case.folder / "ids"], ("200", "128")),
                                 ("a text", ["--data", text, "--context", 256], ("207", "128")),
                                 ("windows", ["--data", text, "--context", 130], ("130", "128")),
                                 ("as many", ["--data", text, "--context", 128], ()),
                                 ("short documents", ["--data", short, "--documents", "blank-lines",
                                                      "--context", 256], ())):
        done = case.works(name, "eval", model, *words, "--threads", 1)
        said = [line for line in done.stderr.splitlines() if "positions" in line]
        case.expect(f"{name}: said {len(numbers) // 2} times", len(said) == len(numbers) // 2 and
                    all(n in said[0] for n in numbers), done.stderr)


def main():
    case = Case(sys.argv[1])
    if not case.can_measure:
        peers.skip("organ-train is not built")
    model = add_tokenizer(make("llama", case.folder / "model", tie_word_embeddings=False))
    line_ends(case, model)
    ends_that_are_there(case, model)
    lead_ins_that_are_there(case, model)
    padding_that_is_an_end(case, model)
    tensors_nobody_reads(case, model)
    what_is_no_data(case, model)
    beyond_the_positions(case, model)
    case.end()


main()
