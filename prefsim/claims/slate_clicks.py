"""Slates under the position-based model (Richardson, Dominowska and Ragno 2007): what clicks say of items, and learning."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from prefsim import bandits, registry
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import CONFIDENCE, growth, truths
from prefsim.engines import reference
from prefsim.noise import open_stream, seek, stream_key
from prefsim.policies import in_slate_thompson as rule

STEEP = bandits.slate_clicks((0.6, 0.5, 0.4, 0.1), (1.0, 0.2))
"""Few look at the second position, so that the best item looks worse there than the third best does in the first."""


def best_slate(budget: str, sort: bool = True) -> Evidence:
    """Gap of the slate that sorts items by attraction into positions by examination; without `sort` by examination alone."""
    random, gaps = np.random.default_rng(0), []
    for _ in range({"fast": 50, "paper": 500}[budget]):
        theta, kappa = random.random(5), random.random(3) + 0.01
        truth = truths(bandits.slate_clicks(theta, kappa / kappa.max()))[0]
        items = np.argsort(-theta)[:3] if sort else np.arange(3)
        slate = items[np.argsort(np.argsort(-kappa))]
        gaps.append(truth.gap[list(permutations(range(5), 3)).index(tuple(slate))])
    return Evidence(gaps, 1e-12, label="gap of the sorted slate")


def unbiased(budget: str, positions: bool = True) -> Evidence:
    """``1 + (S - theta X) / sqrt(T)`` of every item after ``T`` rounds of the policy itself."""
    horizon, runs = {"fast": (50, 400), "paper": (200, 2000)}[budget]
    environment, truth, problem = registry.load("bandits", "slate_clicks"), truths(STEEP)[0], STEEP.problem(horizon)
    problem.features[:] = truth.features
    hyper, measured = rule.Hyper(positions=positions), []
    for run in range(runs):
        state, world = reference.allocate(rule)(problem), reference.allocate(environment)(problem, truth)
        rule.init(hyper, state, problem)
        nature, luck = (open_stream(*stream_key(0, "", name), 0, run) for name in ("environment", "policy"))
        for t in range(1, horizon + 1):
            seek(nature, t)
            seek(luck, t)
            action = rule.act(hyper, state, problem, t, luck)
            environment.feedback(truth, world, action, t, nature)
            rule.learn(hyper, state, problem, t, action, world.report)
        measured.append(1 + (state.clicks - 0.5 - truth.attraction * (state.exposure - 1)) / np.sqrt(horizon))
    return Evidence(np.array(measured), upper=1.1, lower=0.9, confidence=CONFIDENCE, label="1 + (S - theta X) / sqrt(T)")


def logarithmic(budget: str, positions: bool = True) -> Evidence:
    """Growth of regret / ln T in a decade."""
    return growth([STEEP], "in_slate_thompson", 50_000, {"fast": 100, "paper": 1000}[budget], positions=positions)


CLAIMS = (
    Claim(
        key="slate_clicks.best_slate",
        statement="The best slate puts the most attractive items into the positions that are looked at most, in order.",
        source="derived: rearrangement inequality",
        assumptions=("a click has chance kappa_l theta_i", "items are sorted by attraction"),
        measure=best_slate,
        controls=(Control("items are sorted by attraction: any three are shown", {"sort": False}),),
    ),
    Claim(
        key="in_slate_thompson.unbiased",
        statement="E S_i = theta_i E X_i for the clicks and the exposure of every item under the policy's own choices; tested "
        "to .1 sqrt(T).",
        source="derived: S - theta X is a martingale (prefsim.policies.in_slate_thompson)",
        assumptions=("exposure counts the chance of being looked at",),
        measure=unbiased,
        controls=(Control("exposure counts that chance: it counts rounds", {"positions": False}),),
        algorithms=("in_slate_thompson",),
    ),
    Claim(
        key="in_slate_thompson.regret",
        statement="Expected regret is of the order ln T (conjectured); tested: regret / ln T grows less than twofold when T "
        "grows tenfold.",
        source="observed, no theorem known to us",
        assumptions=("exposure counts the chance of being looked at",),
        measure=logarithmic,
        controls=(
            Control("exposure counts that chance: it counts rounds, and bad places pass for bad items", {"positions": False}),
        ),
        algorithms=("in_slate_thompson",),
        asymptotic=True,
    ),
)
