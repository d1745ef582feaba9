# SPDX-License-Identifier: Apache-2.0
"""The rival of `organ baseline lora`: PEFT's LoRA on q and v in a plain transformers loop.

    peft_loop.py MODEL TEXT_FILE... --rank 8 --alpha 16 --steps 4 --precision bf16

Prints one JSON record: seconds of each step after the warm-up step, tokens per step, losses.
"""
import peft

from transformers_loop import load_model, loop_arguments, run


def main():
    parser = loop_arguments()
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--alpha", type=int, default=16)
    options = parser.parse_args()
    model = peft.get_peft_model(load_model(options), peft.LoraConfig(
        r=options.rank, lora_alpha=options.alpha, target_modules=["q_proj", "v_proj"],
        task_type="CAUSAL_LM"))
    run(model, [p for p in model.parameters() if p.requires_grad], options)


if __name__ == "__main__":
    main()
