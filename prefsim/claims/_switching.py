"""What claims about switching costs share: sweeps for the worst epsilon, exponents as evidence, rules driven by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefsim import noise, registry
from prefsim.bandit import Problem
from prefsim.claim import Control, Evidence
from prefsim.engines import reference
from prefsim.statistics import Rate
from prefsim.worst_case import worst_case, worst_exponent

Floats = NDArray[np.float64]

ARMS = 4

ROWS = ({"observe": 1}, {"observe": 0})
"""SD-flexible and SD-full."""

BIASED = "sd_played_arm_biased"
DARTBOARD = ("shrinking_dartboard",)
OBLIVIOUS = "losses in [0, 1], fixed in advance"
PLAYED = Control("the observed entry does not depend on the played arm: it is the played arm's", {"policy": BIASED})

RISK = 1e-3
"""Family-wise probability with which a true identity may fail its tests."""


class Exponent(Evidence):
    """Evidence about exponents: `measured` holds fitted ones with the ends of their intervals, shape (3, ...)."""

    def limits(self) -> tuple[Floats, Floats, Floats]:
        """Slopes, and the ends of their intervals."""
        slope, low, high = np.asarray(self.measured, dtype=np.float64)
        return slope, low, high


def exponents(rates: list[Rate], upper: float | None = None, lower: float | None = None, sign: int = 1) -> Exponent:
    """Evidence of exponents, or with ``sign=-1`` of those of decay."""
    ends = [(r.slope, r.lower, r.upper) if sign > 0 else (-r.slope, -r.upper, -r.lower) for r in rates]
    return Exponent(np.transpose(ends), upper, lower, label="exponent")


def hashable(policy: str | tuple[str, dict[str, Any]]) -> tuple[str, tuple[tuple[str, Any], ...]]:
    """A policy and its hyperparameters as :func:`sweep` takes them."""
    key, hyper = (policy, {}) if isinstance(policy, str) else policy
    return key, tuple(hyper.items())


@cache
def sweep(
    policy: tuple[str, tuple[tuple[str, Any], ...]],
    horizon: int | tuple[int, ...],
    budget: tuple[int, ...] | None,
    arms: int,
    feedback: str,
    runs: int,
    cost: float = 1.0,
) -> Any:
    """One policy's :func:`prefsim.worst_case`; claims that look at the same sweep share it."""
    spec = (policy[0], dict(policy[1]))
    return worst_case([spec], horizon, budget=budget, arms=arms, feedback=feedback, runs=runs, cost=cost)


def worst_rate(data: Any, decades: float = np.inf) -> Rate:
    """Exponent of a sweep over its last `decades`."""
    sizes = data["size"].values
    late = sizes >= sizes[-1] / 10**decades * (1 - 1e-12)
    return worst_exponent(sizes[late], data["regret"].values[0, late])


def runs_first(data: Any) -> Floats:
    """Regret of a sweep, shape (runs, sizes, epsilons)."""
    return np.moveaxis(data["regret"].values[0], -1, 0)


def drive(
    policy: str,
    hyper: dict[str, Any],
    losses: Floats,
    budget: float,
    runs: int,
    probe: Callable[[Any, int, int], None],
    meddle: Callable[[Any, int], None] | None = None,
) -> None:
    """Play a policy on written-down losses by its plain reading, entries free of doubt, and look at its state.

    Parameters
    ----------
    policy, hyper
        One that asks for entries.
    losses : ndarray, shape (rounds, arms)
    budget : float
        Entries it is told of.
    runs : int
        Independent runs.
    probe : callable
        ``probe(state, run, t)``, after the round was played and learned from.
    meddle : callable, optional
        ``meddle(state, t)``, between the choice of the arm and the feedback.
    """
    rule = registry.load("policies", policy)
    settings = rule.Hyper(**hyper)
    rounds, arms = losses.shape
    problem = Problem(arms, rounds, budget=budget, free=False)
    learn, key = reference.learn_rule(rule, "entries"), noise.stream_key(0, "", "policy")
    for run in range(runs):
        state, handle = reference.allocate(rule)(problem), noise.open_stream(*key, 0, run)
        rule.init(settings, state, problem)
        for t in range(1, rounds + 1):
            noise.seek(handle, t)
            arm = rule.act(settings, state, problem, t, handle)
            if meddle:
                meddle(state, t)
            wanted = np.zeros(arms)
            rule.ask(settings, state, problem, t, arm, handle, wanted)
            learn(settings, state, problem, t, arm, np.where(wanted > 0, 1 - losses[t - 1], np.nan))
            probe(state, run, t)


def z_shares(samples: Floats, comparisons: int) -> Floats:
    """Absolute means of samples (runs, ...) over what they may be if the true mean is 0, `comparisons` in all."""
    from scipy import stats

    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    limit = stats.norm.isf(RISK / comparisons / 2)
    return np.abs(samples.mean(axis=0)) / np.maximum(limit * error, 1e-12)
