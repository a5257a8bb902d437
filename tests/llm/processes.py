"""Runs that one process or several give the same numbers of, and what each of several processes does about them."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from ladder import BETA, games, prefix_policy
from tiny import MODELS, adapted, policy_of

from prefsim.llm import Key, LogitsPolicy, PrefixPolicy, from_callable, matrix, moves, parallel, runs, train
from prefsim.llm.train import Training

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.5),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.02),
}
PROMPTS = [[7], [5, 9, 6], [8, 8, 5, 11, 10], [6, 6]]


class Killed(Exception):
    """What ends a run in the middle."""


def small(kind, optimizer="adamw", dtype=torch.float64):
    """A policy of five prompts that holds every response."""
    if kind == "logits":
        reference = torch.tensor(np.random.default_rng(2).normal(size=(5, 6)), dtype=dtype)
        return LogitsPolicy(6, reference, prompts=5, optimizer=OPTIMIZERS[optimizer])
    start = prefix_policy(True, count=5).table.detach().to(dtype)
    return PrefixPolicy("abcd", 3, prompts=5, reference=start, optimizer=OPTIMIZERS[optimizer], clip=1.0)


def on_small(kind, algorithm, optimizer="adamw", dtype=torch.float64, **settings):
    """Train it."""
    policy = small(kind, optimizer, dtype)
    space = policy.enumerate([0])
    preference = games(space.tokens.shape[1]).preference
    oracle = matrix(np.stack([preference[i % 3] for i in range(5)]), names=space.texts[0])
    asked = {"beta": BETA, "horizon": 4, "k": 4, "m": 3, "seed": 4, **settings}
    return policy, train(policy, range(5), oracle, algorithm, **asked)


def on_model(name, algorithm, optimizer="sgd", dtype=torch.float64, *, prompts=3, shard=False, lora=False, **settings):
    """Train a small transformer."""
    model = MODELS[name](dtype=dtype)
    model = adapted(model).to(dtype) if lora else model
    policy = policy_of(model, optimizer=OPTIMIZERS[optimizer], shard=shard, score_batch=5)
    preference = games(85).preference
    texts = policy.enumerate(PROMPTS[:1]).texts[0]
    places = {text: i for i, text in enumerate(texts)}

    def judge(prompt, a, b):
        return preference[len(prompt) % 3][np.ix_([places[x] for x in a], [places[y] for y in b])]

    asked = {"beta": BETA, "horizon": 2, "k": 4, "m": 3, "seed": 4, **settings}
    return policy, train(policy, PROMPTS[:prompts], from_callable(judge), algorithm, **asked)


EXACT = {"expectation": "exact", "behaviour": "uniform"}
SHARDED = {"prompts": 4, "shard": True}
SINGLE = {"optimizer": "sgd", "dtype": torch.float32}
RUNS = {
    **{f"logits {key}": (on_small, "logits", key, EXACT) for key in ("egpo", "nash_md", "online_ipo")},
    **{f"prefix {key}": (on_small, "prefix", key, {"batch": 3}) for key in ("egpo", "nash_md", "online_ipo", "omwu")},
    "prefix coins": (on_small, "prefix", "nash_md_pg", {"label": "bernoulli", "mixture_by": "sequence"}),
    "prefix solved": (on_small, "prefix", "inpo", {"inner_solver": "lbfgs", "inner": 4, "step": 2.0, "horizon": 2}),
    "prefix inner": (on_small, "prefix", "dno", {"inner": 3, "inner_tolerance": 0.5, "step": 2.0, "micro_batch": 5}),
    "prefix single egpo": (on_small, "prefix", "egpo", {"batch": 3, **SINGLE}),
    "gpt2 egpo": (on_model, "gpt2", "egpo", {}),
    "llama nash_md": (on_model, "llama", "nash_md", {"micro_batch": 3}),
    "llama lora online_ipo": (on_model, "llama", "online_ipo", {"lora": True, "optimizer": "adamw"}),
    "gpt2 single nash_md": (on_model, "gpt2", "nash_md", SINGLE),
    "llama single egpo": (on_model, "llama", "egpo", SINGLE),
    "llama sharded egpo": (on_model, "llama", "egpo", {**SHARDED, "optimizer": "adamw", "micro_batch": 3}),
    "llama sharded lora omwu": (on_model, "llama", "omwu", {**SHARDED, "lora": True}),
    "gpt2 sharded single nash_md": (on_model, "gpt2", "nash_md", {**SHARDED, **SINGLE}),
}
"""How a policy is trained, on what, by what rule, with what settings."""
CUT = ("prefix egpo", "prefix omwu", "llama sharded egpo")
"""Runs that are cut off and gone on with."""


def whole(name, **settings):
    """A run to its end: parameters, and everything measured."""
    trained, what, rule, given = RUNS[name]
    policy, data = trained(what, rule, **given, **settings)
    columns = {str(each): data[each].values for each in (*data.data_vars, *data.coords) if each != "seconds"}
    return {"parameters": parallel.whole(policy.read()), "columns": columns}


def cut(name, folder):
    """The same, killed in the second iteration."""

    def kill(t, policy):
        if t == 1:
            raise Killed

    try:
        whole(name, checkpoint=str(folder), callback=kill)
    except Killed:
        return


def local_key(self, t, stream):
    return Key.of(self.seed, self.name, stream, t, range(len(self.instances)))


MISTAKES = {
    "gradients are summed": (moves, "_scaled", lambda run, values: run.switches.loss_scale * values.mean()),
    "shares count alike": (moves, "_scaled", lambda run, values: run.switches.loss_scale * values.mean() / 2),
    "gradients are not added up": (parallel, "add_up", lambda parameters: None),
    "all work on the first prompts": (parallel, "share", lambda items: items[: len(items) // 2]),
    "keys count the share": (Training, "key", local_key),
}
MISTAKEN = "prefix egpo"

REFUSED = {
    "batch must be at least the number of processes, 2; got 1": lambda: on_small("prefix", "egpo", batch=1),
    "prompts must be a multiple of the 2 processes": lambda: on_model("llama", "egpo", shard=True),
    "is for small policies": lambda: on_model("llama", "egpo", **SHARDED, inner_solver="lbfgs"),
    "must be the same in every process; got 0, 1": lambda: parallel.agree("it", parallel.rank()),
}


def refused(run):
    """The sentence of a refusal."""
    try:
        run()
    except ValueError as error:
        return str(error)
    return ""


def work(folder):
    """All that a process of several does; `folder` holds ``cut-NAME`` of one process, and gets the results."""
    found = {name: whole(name) for name in RUNS}
    for name in CUT:
        cut(name, folder / f"together-{name}")
        if parallel.main():
            shutil.copytree(folder / f"together-{name}", folder / f"again-{name}")
        parallel.gather(None)
        for left in ("again", "alone"):
            found[f"{left} {name}"] = whole(name, checkpoint=str(folder / f"{left}-{name}"))
    for name, (module, attribute, mistake) in MISTAKES.items():
        true = getattr(module, attribute)
        setattr(module, attribute, mistake)
        found[name] = whole(MISTAKEN)
        setattr(module, attribute, true)
    data, _ = runs.train_file(folder / "together.toml")
    found["file"] = {str(each): data[each].values for each in data.data_vars}
    found["refused"] = {words: refused(run) for words, run in REFUSED.items()}
    torch.save(found, folder / f"found-{parallel.rank()}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    work(Path(sys.argv[1]))
    torch.distributed.destroy_process_group()
