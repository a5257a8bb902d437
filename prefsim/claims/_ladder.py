"""Games, policies and paths by which the torch adapter is held to the tabular solvers; loaded where torch is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from prefsim import games as families
from prefsim import qualify, registry
from prefsim.claims._instances import Floats
from prefsim.game import PreferenceGame
from prefsim.llm import LogitsPolicy, Policy, PrefixPolicy, matrix, train
from prefsim.ops import softmax
from prefsim.run import run

BETA, STEP = 0.1, 0.5
N = 64
INVERSE = ("inpo", "dno", "gpo")
"""Algorithms whose step divides."""
SOLVED = {"expectation": "exact", "inner_solver": "lbfgs", "inner": 300, "inner_tolerance": 1e-9, "record": [0]}
"""Settings that solve every step."""


@contextmanager
def one_thread() -> Iterator[None]:
    """The arrays here are small: threads that wait for each other would take most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def regressed() -> list[str]:
    """Every registered solver with a target of its own that trains a policy by regression."""
    known = {key: entry.module for key, entry in registry.algorithms("solvers").items() if not hasattr(entry.module, "step")}
    return [key for key, module in known.items() if not qualify.torch_complaint(module)]


def pull(key: str) -> float:
    """Weight ``c`` of the reference in the step of an algorithm of :data:`prefsim.claims.llm.PULLED`, where ``eta = STEP``."""
    return {"mirror_prox": STEP / (1 + STEP), "mmd": STEP * BETA / (1 + STEP * BETA)}.get(key, STEP * BETA)


def hyper(key: str, step: float = STEP) -> dict[str, float]:
    """The ladder's step in the units of an algorithm."""
    return {"step": 1 / step if key in INVERSE else step}


def games(
    n: int, count: int = 3, beta: float = BETA, transform: str = "probability", scale: float = 1.0
) -> PreferenceGame:
    """Games of `n` responses: log-odds of scores plus a skew form of rank 4, and an uneven reference."""
    drawn = families.low_rank_mixture(n, rank=4, seed=7, count=count, scale=scale, transform=transform)
    logits = np.random.default_rng(n).normal(size=(count, n))
    return PreferenceGame(drawn.preference, beta=beta, log_reference=logits, transform=transform)


def tabular(game: PreferenceGame, key: str, given: dict[str, Any], horizon: int, start: Floats | None = None) -> Floats:
    """Log-policies of the reference engine, shape (games, horizon + 1, n)."""
    start = np.exp(game.log_reference) if start is None else start
    settings: dict[str, Any] = {"horizon": horizon, "record": "all", "metrics": ["policy"], "engine": "reference"}
    with np.errstate(divide="ignore"):
        return np.log(run(game, [(key, given)], start=start, **settings)["policy"].values[0, :, 0])


def logits_policy(game: PreferenceGame, rate: float, optimizer: Any = torch.optim.SGD) -> LogitsPolicy:
    """A logits policy for a batch of games, at the reference."""
    count, n = game.log_reference.shape
    reference = torch.tensor(np.array(game.log_reference))
    return LogitsPolicy(n, reference, prompts=count, optimizer=lambda p: optimizer(p, lr=rate * count))


def prefix_policy(ends: bool, count: int = 1, seed: int = 3, **settings: Any) -> PrefixPolicy:
    """A prefix policy on words of at most (exactly) three letters whose reference has normal logits."""
    rows, tokens = 21, 4 + ends
    logits = np.random.default_rng(seed).normal(size=(count, rows, tokens))
    return PrefixPolicy("abcd", 3, ends=ends, prompts=count, reference=torch.tensor(logits), **settings)


def paths(found: list[Floats]) -> Callable[[int, Policy], None]:
    """The callback that fills a list with log-policies, shape (prompts, n) each."""

    def callback(t: int, policy: Any) -> None:
        found.append(policy.logprob_of("current", policy.enumerate(range(policy.table.shape[0]))).numpy())

    return callback


def error(found: Floats, expected: Floats) -> float:
    """Largest difference of probabilities."""
    return float(np.abs(np.exp(found) - np.exp(expected)).max())


@one_thread()
def trained(policy: Policy, oracle: Any, algorithm: Any, horizon: int, prompts: Sequence[int], **settings: Any) -> Floats:
    """Log-policies of a training run, shape (prompts, horizon + 1, n)."""
    found: list[Floats] = []
    asked = {"expectation": "exact", "record": [0], **settings}
    train(policy, prompts, oracle, algorithm, beta=BETA, horizon=horizon, callback=paths(found), **asked)
    return np.stack(found, axis=1)


def stepped(
    key: str,
    horizon: int,
    target: str = "step",
    *,
    backwards: bool = False,
    rate: float | None = None,
) -> Floats:
    """Differences of log-probabilities from the tabular engine, a gradient step a phase: the largest of each iterate."""
    game, given = games(N), hyper(key)
    rate = (N / 4 if target == "step" else pull(key) * N / 4) if rate is None else rate
    preference = np.swapaxes(game.preference, 1, 2) if backwards else game.preference
    settings: dict[str, Any] = {"behaviour": "uniform", "estimator": "variance", "target": target}
    found = trained(logits_policy(game, rate), matrix(preference), (key, given), horizon, range(3), **settings)
    return np.abs(found - tabular(game, key, given, horizon)).max(axis=(0, 2))


def recursion(
    game: PreferenceGame, step: float, horizon: int, mixture: float | None = None, decay: float | None = None
) -> Floats:
    """Exact softmax policy gradient against a mixture with the reference, or a slow copy; log-policies (games, t, n)."""
    logits, slow, path = np.array(game.log_reference), np.array(game.log_reference), []
    for _ in range(horizon + 1):
        policy = softmax(logits)
        path.append(np.log(policy))
        played = softmax(slow if mixture is None else (1 - mixture) * logits + mixture * game.log_reference)
        reward = np.einsum("gij,gj->gi", game.preference, played) - BETA * (np.log(policy) - game.log_reference)
        logits = logits + step * policy * (reward - (policy * reward).sum(-1, keepdims=True))
        slow = logits if decay is None else decay * slow + (1 - decay) * logits
    return np.stack(path, axis=1)


def ascended(algorithm: Any, horizon: int, rate: float = 2.0, **settings: Any) -> Floats:
    """Log-policies of a method that follows its policy gradient, shape (games, horizon + 1, n)."""
    game = games(N)
    return trained(logits_policy(game, rate), matrix(game.preference), algorithm, horizon, range(3), **settings)


def solved(
    key: str, given: dict[str, Any], horizon: int, transform: str = "probability", **settings: Any
) -> tuple[Floats, PreferenceGame]:
    """Log-policies of a logits policy whose every step is solved, and the game."""
    game = games(20, count=1, transform=transform)
    oracle = matrix(game.preference, payoff=transform)
    return trained(logits_policy(game, 1.0), oracle, (key, given), horizon, [0], **{**SOLVED, **settings}), game


def grown(key: str, given: dict[str, Any], ends: bool, horizon: int, **settings: Any) -> tuple[Floats, PreferenceGame]:
    """Log-policies of a prefix policy whose every step is solved in parameter space, and the game."""
    policy = prefix_policy(ends)
    space = policy.enumerate([0])
    reference = policy.logprob_ref(space).numpy()
    game = games(reference.shape[1], count=1).replace(log_reference=reference)
    oracle = matrix(game.preference[0], names=space.texts[0])
    return trained(policy, oracle, (key, given), horizon, [0], **{**SOLVED, **settings}), game
