"""A training step of prefsim beside TRL's online DPO trainer: same model, prompts, lengths and optimiser, in turns.

    python benchmarks/llm_step.py [--model tiny smollm2] [--device cpu] [--dtype float32] [--batch 4] [--tokens 32]

Needs TRL (a dependency of this file alone). Judges cost nothing on both sides, responses have full length, nothing is
logged; a step is sampling, scoring and the update. Prints Markdown.
"""

import argparse
import os
import tempfile
from collections import defaultdict
from contextlib import redirect_stdout
from io import StringIO

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import llm_models as made
import numpy as np
import torch
import transformers

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def beside_trl(shape, device, dtype, batch, tokens, steps, jobs):
    """Shortest steps of TRL's trainer and of `jobs`, which run between its steps."""
    import datasets
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    times = []

    class Turns(transformers.TrainerCallback):
        def on_step_begin(self, *_, **__):
            self.begun = made.clock(device)

        def on_step_end(self, *_, **__):
            own = made.clock(device) - self.begun
            times.append([own, *(made.seconds(job, device) for job in jobs)])

    with tempfile.TemporaryDirectory() as folder:
        config = OnlineDPOConfig(
            output_dir=folder, max_steps=steps + 1, per_device_train_batch_size=batch, learning_rate=1e-6,
            max_new_tokens=tokens, max_length=2048, temperature=1.0, top_k=0, top_p=1.0, beta=[made.BETA],
            loss_type="ipo", optim="adamw_torch_fused", lr_scheduler_type="constant", gradient_checkpointing=False,
            bf16=False, use_cpu=device == "cpu", report_to="none", logging_strategy="no", save_strategy="no",
            disable_tqdm=True,
        )  # fmt: skip
        trainer = OnlineDPOTrainer(
            made.model(shape, device, dtype),
            reward_funcs=lambda completions, **_: [0.0] * len(completions),
            args=config,
            train_dataset=datasets.Dataset.from_dict({"prompt": made.prompts(batch)}),
            processing_class=made.tokenizer(shape),
            callbacks=[Turns()],
        )
        with redirect_stdout(StringIO()):
            trainer.train()
    return np.min(times[1:], axis=0)


def split(run, device, steps):
    """Seconds of an iteration by what they are spent on, the iteration of least total."""
    spent = defaultdict(float)

    def timed(owner, name, label):
        plain = getattr(owner, name)

        def call(*args, **kwargs):
            begun, inside = made.clock(device), sum(spent.values())
            found = plain(*args, **kwargs)
            # What was already booked inside this call is not counted twice.
            spent[label] += made.clock(device) - begun - (sum(spent.values()) - inside)
            return found

        setattr(owner, name, call)

    policy = run.policy
    timed(policy, "sample", "sample")
    timed(run.judge, "gains", "judge")
    timed(policy, "logprob_of", "score")
    timed(policy.optimizers["current"], "step", "optimiser")
    timed(policy, "step", "forward-backward")
    timed(policy, "snapshot", "snapshot-restore")
    timed(policy, "restore", "snapshot-restore")
    found = []
    for t in range(steps + 1):
        spent.clear()
        whole = made.seconds(lambda t=t: run.iterate(t), device)
        found.append({"whole": whole, **spent, "rest": whole - sum(spent.values())})
    return min(found[1:], key=lambda row: row["whole"])


def report(shape, device, dtype, batch, tokens, steps, methods):
    """Tables of one model."""

    def run(method, k, **switches):
        policy = made.policy(made.model(shape, device, dtype), shape, tokens)
        return made.training(policy, made.prompts(batch), method, k, **switches)

    names = {method: run(method, 2) for method in methods}
    jobs = [made.stepping(each) for each in names.values()]
    theirs, *ours = beside_trl(shape, device, dtype, batch, tokens, steps, jobs)
    print(f"\n### {shape}: {batch} prompts of {made.PROMPT} tokens, {tokens} new tokens, {dtype}, {device}\n")
    print("| step | seconds | over TRL | gradients | responses |\n|---|---|---|---|---|")
    print(f"| TRL online DPO (IPO loss), 2 responses | {theirs:.3f} | 1 | 1 | {2 * batch} |")
    for (name, each), taken in zip(names.items(), ours, strict=True):
        gradients, responses = (each.counts[what] // (steps + 1) for what in ("gradients", "responses"))
        print(f"| {name} | {taken:.3f} | {taken / theirs:.2f} | {gradients} | {responses} |")
    rows = [split(each, device, steps) for each in names.values()]
    parts = ["whole", "sample", "judge", "score", "forward-backward", "optimiser", "snapshot-restore", "rest"]
    print(f"\n| seconds | {' | '.join(parts)} |\n|{'---|' * (len(parts) + 1)}")
    for name, row in zip(names, rows, strict=True):
        print(f"| {name} | {' | '.join(f'{row.get(part, 0.0):.4f}' for part in parts)} |")


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", default=["tiny", "smollm2"], choices=made.SHAPES)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="float32", choices=DTYPES)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=["online_ipo_2", "online_ipo_1", "egpo"])
    chosen = parser.parse_args()
    import trl

    print(f"{made.versions(chosen.device)}, TRL {trl.__version__}")
    for shape in chosen.model:
        report(shape, chosen.device, DTYPES[chosen.dtype], chosen.batch, chosen.tokens, chosen.steps, chosen.methods)


if __name__ == "__main__":
    main()
