# SPDX-License-Identifier: Apache-2.0
"""Texts at the edges of a vocabulary and of the positions: what transformers generates, or a reason.

    generation_ends.py ORGAN_PROGRAM
"""
import json
import sys

from support import Case, add_tokenizer, make, peers, put_tensors, tensors

peers.enter("torch", "transformers", "safetensors")
import torch  # noqa: E402
import transformers  # noqa: E402


def id_without_token(case):
    """More rows in the embedding than tokens: the likeliest id names none."""
    model = add_tokenizer(make("llama", case.folder / "padded", vocab_size=320,
                               tie_word_embeddings=False))
    peer = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    start = tokenizer("Hello", return_tensors="pt").input_ids
    with torch.no_grad():
        hidden = peer.model(start).last_hidden_state[0, -1]
    values = tensors(model)
    values["lm_head.weight"][300] = hidden * 20 / hidden.norm()
    put_tensors(model, values)
    peer = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    right = peer.generate(start, max_new_tokens=4, do_sample=False, pad_token_id=0,
                          eos_token_id=None)[0, start.shape[1]:].tolist()
    case.expect("transformers writes an id without a token", right[0] == 300, right)
    done = case.works("so does organ", "generate", model, "--prompt", "Hello", "--max-tokens", 4,
                      "--threads", 1, "--json")
    got = json.loads(done.stdout or '{"continuations":[{"ids":[]}]}')["continuations"][0]["ids"]
    case.expect("the ids are transformers'", got == right, (got, right))


def long_prompts(case):
    model = add_tokenizer(make("gpt2", case.folder / "short", n_positions=16))
    for length, code in ((15, 0), (16, 2), (17, 2), (400, 2)):
        done = case.organ("generate", model, "--prompt", "a" * length, "--max-tokens", 1)
        case.expect(f"a prompt of {length} for 16 positions", done.returncode == code and
                    (code == 0 or "16 positions" in done.stderr), done.stderr)


def empty_token(case):
    """A vocabulary with an empty token, which no text has: other ids stay what they are."""
    model = add_tokenizer(make("llama", case.folder / "empty", vocab_size=300))
    path = model / "tokenizer.json"
    record = json.loads(path.read_text())
    record["model"]["vocab"][""] = 257
    path.write_text(json.dumps(record))
    text = "Spring came late to the valley.\n" * 5
    (case.folder / "a.txt").write_text(text)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    wanted = len(tokenizer(text, add_special_tokens=False).input_ids)
    done = case.works("a text under it", "eval", model, "--data", case.folder / "a.txt", "--context",
                      32, "--json")
    got = json.loads(done.stdout)["dataset"]["files"][0]["tokens"] if done.stdout else None
    case.expect("as many tokens as transformers", got == wanted, (got, wanted))


def main():
    case = Case(sys.argv[1])
    if not case.can_measure:
        peers.skip("organ-train is not built")
    id_without_token(case)
    long_prompts(case)
    empty_token(case)
    case.end()


main()
