"""Games, policies and tabular paths of the exactness ladder."""

import numpy as np
import torch

import prefsim as ps
from prefsim import qualify, registry
from prefsim.llm import LogitsPolicy, PrefixPolicy

BETA, STEP = 0.1, 0.5
INVERSE = ("inpo", "dno", "gpo")
"""Algorithms whose step divides."""

SOLVERS = {k: e.module for k, e in registry.algorithms("solvers").items() if not qualify.torch_complaint(e.module)}
REGRESSED = [key for key, module in SOLVERS.items() if not hasattr(module, "step")]
"""Algorithms whose iterations a policy takes; one that trains by the inner loop of its step has tests of its own."""
PULLED = ("omd", "online_ipo", "mmd", "egpo", "mirror_prox", "inpo", "nash_md", "nash_ema")
"""Algorithms of the form (1 - c) current + c reference + s gain."""


def hyper(key, step=STEP):
    """The ladder's step in the units of an algorithm."""
    return {"step": 1 / step if key in INVERSE else step}


def games(n, count=3, beta=BETA, transform="probability", scale=1.0):
    """Games of `n` responses: log-odds of scores plus a skew form of rank 4, and an uneven reference."""
    drawn = ps.games.low_rank_mixture(n, rank=4, seed=7, count=count, scale=scale, transform=transform)
    logits = np.random.default_rng(n).normal(size=(count, n))
    return ps.PreferenceGame(drawn.preference, beta=beta, log_reference=logits, transform=transform)


def tabular(game, key, given, horizon, start=None):
    """Log-policies of the reference engine, shape (games, horizon + 1, n)."""
    start = np.exp(game.log_reference) if start is None else start
    settings = {"horizon": horizon, "record": "all", "metrics": ["policy"], "engine": "reference"}
    with np.errstate(divide="ignore"):
        return np.log(ps.run(game, [(key, given)], start=start, **settings)["policy"].values[0, :, 0])


def logits_policy(game, rate, optimizer=torch.optim.SGD):
    """A logits policy for a batch of games, at the reference."""
    count, n = game.log_reference.shape
    reference = torch.tensor(np.array(game.log_reference))
    return LogitsPolicy(n, reference, prompts=count, optimizer=lambda p: optimizer(p, lr=rate * count))


def prefix_policy(ends, count=1, seed=3, **settings):
    """A prefix policy on words of at most (exactly) three letters whose reference has normal logits."""
    rows, tokens = 21, 4 + ends
    logits = np.random.default_rng(seed).normal(size=(count, rows, tokens))
    return PrefixPolicy("abcd", 3, ends=ends, prompts=count, reference=torch.tensor(logits), **settings)


def paths(found):
    """A list to fill with log-policies, shape (prompts, n) each, and the callback that fills it."""

    def callback(t, policy):
        found.append(policy.logprob_of("current", policy.enumerate(range(policy.table.shape[0]))).numpy())

    return callback


SOLVED = {"expectation": "exact", "inner_solver": "lbfgs", "inner": 300, "inner_tolerance": 1e-9, "record": [0]}
"""Settings that solve every step."""


def error(found, expected):
    """Largest difference of probabilities."""
    return np.abs(np.exp(found) - np.exp(expected)).max()
