# SPDX-License-Identifier: Apache-2.0
"""What a model's files say of how its texts are generated: applied as transformers does, or named.

    generation_settings.py ORGAN_PROGRAM
"""
import json
import sys
import warnings

from support import Case, add_tokenizer, change_config, copy, load, make, peers

peers.enter("torch", "transformers")
import torch  # noqa: E402
import transformers  # noqa: E402

NEW, END = 12, 256
PROMPT = "hello"
# What Qwen2.5-Instruct ships.
QWEN = {"do_sample": True, "temperature": .7, "top_p": .8, "top_k": 20, "repetition_penalty": 1.1}
# Of the command line, of how the model runs, or no setting of the text.
NOT_OF_THE_TEXT = {"max_length", "max_new_tokens", "max_time", "do_sample", "cache_implementation",
                   "cache_config", "compile_config", "continuous_batching_config",
                   "num_return_sequences", "eos_token_id", "transformers_version",
                   "return_dict_in_generate", "watermarking_config"}


def right_ids(model, source):
    """What transformers writes, without the end."""
    peer = load(model)
    out = peer.generate(source, max_new_tokens=NEW, do_sample=False, pad_token_id=0)
    ids = out[0, source.shape[1]:].tolist()
    return ids[:ids.index(END)] if END in ids else ids


def generated(case, model):
    done = case.organ("generate", model, "--prompt", PROMPT, "--max-tokens", NEW, "--threads", 1,
                      "--json")
    return (json.loads(done.stdout)["continuations"][0] if done.returncode == 0 else None), done


def check(case, model, source, what, keys):
    """Equal ids, and in the record the keys that are said on stderr."""
    (model / "generation_config.json").write_text(json.dumps({"eos_token_id": END} | keys))
    right = right_ids(model, source)
    record, done = generated(case, model)
    if not case.expect(f"{what}: generates", record is not None, done.stderr):
        return
    named = [key for key in keys if key in done.stderr]
    case.expect(f"{what}: said in the record", record["not_applied"] == sorted(named),
                (record["not_applied"], done.stderr))
    case.expect(f"{what}: transformers' ids", record["ids"] == right, (record["ids"], right))


def applied(case, model, source):
    for penalty in (1.0, 1.05, 1.1, 1.8, 5.0, 0.7):
        check(case, model, source, f"penalty {penalty}", {"repetition_penalty": penalty})
    check(case, model, source, "Qwen2.5's", QWEN)
    record, _ = generated(case, model)
    case.expect("the record says the penalty", record["repetition_penalty"] == 1.1, record)
    for bad in ("1.1", 0, -1.0, [], float("nan")):
        (model / "generation_config.json").write_text(json.dumps({"repetition_penalty": bad}))
        done = generated(case, model)[1]
        case.expect(f"a penalty of {bad!r} is refused by its key", done.returncode == 4 and
                    "repetition_penalty" in done.stderr, done.stderr)


def of_config_json(case, model, source):
    """Where there is no generation_config.json; where there is one, it alone counts."""
    old = copy(model, case.folder / "old")
    (old / "generation_config.json").unlink()
    change_config(old, repetition_penalty=1.8, num_beams=1, eos_token_id=END)
    record, done = generated(case, old)
    case.expect("config.json's penalty", record and record["ids"] == right_ids(old, source),
                done.stderr)
    (old / "generation_config.json").write_text(json.dumps({"eos_token_id": END}))
    record, done = generated(case, old)
    case.expect("generation_config.json alone", record and record["ids"] == right_ids(old, source)
                and record["repetition_penalty"] == 1, done.stderr)


def trials(plain):
    """Values of every kind that a key may have, to see which change a text."""
    return (True, 2, 1.7, "high", [plain[0]], [[plain[0]]], [[[plain[0]], -50.0]], [3, 1.5], plain[1])


def every_key(case, model, source):
    """Of all that GenerationConfig knows, what makes transformers write another text is named."""
    (model / "generation_config.json").write_text(json.dumps({"eos_token_id": END}))
    plain = right_ids(model, source)
    keys = [key for key in vars(transformers.GenerationConfig())
            if not key.startswith("_") and key not in NOT_OF_THE_TEXT]
    peer = load(model)
    changing = {}
    for key in keys:
        for value in trials(plain):
            try:
                out = peer.generate(source, max_new_tokens=NEW, do_sample=False, pad_token_id=0,
                                    **{key: value})
                sequences = getattr(out, "sequences", out)
                ids = sequences[0, source.shape[1]:].tolist()
            except Exception:  # pylint: disable=broad-except # whatever it makes of such a value
                continue
            if (ids[:ids.index(END)] if END in ids else ids) != plain:
                changing[key] = value
                break
    case.expect("transformers changes texts by many keys", len(changing) >= 8, sorted(changing))
    for key, value in changing.items():
        if key == "repetition_penalty":
            continue
        (model / "generation_config.json").write_text(json.dumps({"eos_token_id": END, key: value}))
        record, done = generated(case, model)
        case.expect(f"{key}: {value} is named", record and record["not_applied"] == [key] and
                    key in done.stderr, (record, done.stderr))
    print("change greedy texts:", ", ".join(sorted(changing)))


def nothing_to_say(case, model, source):
    neutral = {"num_beams": 1, "guidance_scale": 1.0, "no_repeat_ngram_size": 0, "min_length": 0,
               "encoder_repetition_penalty": 1.0, "suppress_tokens": [], "sequence_bias": None,
               "length_penalty": 2.0, "token_healing": False, "top_k": 50, "typical_p": 1.0,
               "prompt_lookup_num_tokens": None, "diversity_penalty": 0.0, "bad_words_ids": None}
    (model / "generation_config.json").write_text(json.dumps({"eos_token_id": END} | neutral))
    record, done = generated(case, model)
    case.expect("neutral values are not named", record and not record["not_applied"] and
                "warning" not in done.stderr, done.stderr)
    case.expect("and change nothing", record["ids"] == right_ids(model, source), record)


def main():
    warnings.simplefilter("ignore")
    case = Case(sys.argv[1])
    if not case.can_measure:
        peers.skip("organ-train is not built")
    model = add_tokenizer(make("llama", case.folder / "model", seed=4, tie_word_embeddings=False))
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    source = tokenizer(PROMPT, return_tensors="pt").input_ids
    applied(case, model, source)
    of_config_json(case, model, source)
    nothing_to_say(case, model, source)
    every_key(case, model, source)
    case.end()


main()
