"""Malik, Igoe, Li and Singh (2023), "Weighted tallying bandits: overcoming intractability via repeated exposure optimality".

The paper's constants are not at hand: what is tested with constants is derived (``prefsim.bandits.tallying``,
``prefsim.policies.warmup_elimination``).
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefsim import bandits, registry
from prefsim.bandit import Bandit
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import CONFIDENCE, truths
from prefsim.engines import reference
from prefsim.noise import open_stream, stream_key
from prefsim.policies import warmup_elimination as rule
from prefsim.run import run

Floats = NDArray[np.float64]

SIZES = {"fast": (100_000, 20), "paper": (1_000_000, 100)}
"""Horizon and runs."""


def total_cost(weights: Floats, curves: Floats, plays: NDArray[np.int64]) -> Floats:
    """Summed mean losses of sequences of plays, shape (sequences, rounds), by the definition; shape (sequences,)."""
    knots, total = np.linspace(0, weights.sum(), curves.shape[1]), np.zeros(len(plays))
    for t in range(plays.shape[1]):
        recent = plays[:, t::-1][:, : len(weights)] == plays[:, t : t + 1]
        tallies = recent @ weights[: recent.shape[1]]
        for arm, curve in enumerate(curves):
            chosen = plays[:, t] == arm
            total[chosen] += np.interp(tallies[chosen], knots, curve)
    return total


def follow(bandit: Bandit, plays: Any) -> tuple[Floats, Floats]:
    """Let the environment's own functions play; tallies (rounds,) and summed regrets (metrics,)."""
    truth, environment = truths(bandit)[0], registry.load("bandits", "tallying")
    world = reference.allocate(environment)(bandit.problem(), truth)
    nature, tallies, regret = open_stream(*stream_key(0, "", "environment"), 0, 0), [], np.zeros(2)
    for t, arm in enumerate(plays, 1):
        signal = environment.feedback(truth, world, arm, t, nature)
        tallies.append(environment.tally(truth, world, arm, t))
        regret += environment.regrets(truth, world, arm, t, signal)
    return np.array(tallies), regret


def full_tally(budget: str, early: int = 0) -> Evidence:
    """``|z - W|`` at the ``m - early``-th and later successive plays after random ones."""
    random, wrong = np.random.default_rng(0), []
    for m in np.repeat((1, 2, 3, 7, 20), {"fast": 5, "paper": 50}[budget]):
        weights = random.random(m) + 0.01
        bandit = bandits.tallying(weights, np.full((3, 2), 0.5))
        before = random.integers(3, size=random.integers(30))
        arm = (before[-1] + 1) % 3 if len(before) else 0
        tallies, _ = follow(bandit, [*before, *[arm] * (2 * m)])
        wrong.append(np.abs(tallies[len(before) + max(0, m - 1 - early) :] - np.cumsum(weights)[-1]).max())
    return Evidence(wrong, 1e-12, label="distance of the tally from W")


def drawn(random: np.random.Generator, shape: str) -> Bandit:
    """A small instance at random: ``"any"`` or ``"reo"`` curves, or ``"falling"`` or ``"rising"`` ones with falling weights."""
    m, arms = random.integers(2, 4), random.integers(2, 4)
    weights, curves = random.random(m), random.random((arms, 2 * m + 1))
    if shape in ("falling", "rising"):
        weights, curves = -np.sort(-weights), np.sort(curves, axis=1)
    if shape == "falling":
        curves = curves[:, ::-1]
    elif shape == "reo":
        curves[0, -1] = 0.9 * curves.min()
    elif shape == "any":
        curves[:, -1] = 1.0
    return bandits.tallying(weights, curves, reo=shape in ("falling", "reo"))


def regret_and_slack(bandit: Bandit, random: np.random.Generator) -> tuple[float, float, Floats]:
    """Complete policy regret of random plays, by trying all sequences; what the best arm alone costs more; recorded regrets."""
    weights, curves = truths(bandit)[0].weights, truths(bandit)[0].curves
    rounds = 7
    least = total_cost(weights, curves, np.array(list(product(range(bandit.arms), repeat=rounds)))).min()
    alone = total_cost(weights, curves, np.arange(bandit.arms)[:, np.newaxis].repeat(rounds, axis=1)).min()
    plays = random.integers(bandit.arms, size=rounds)
    return total_cost(weights, curves, plays[np.newaxis])[0] - least, alone - least, follow(bandit, plays)[1]


def surrogate(budget: str, shape: str = "reo") -> Evidence:
    """``1 + cpr_hat - CPR`` of random plays, between 1 and ``m``."""
    random, slack, memory = np.random.default_rng(1), [], []
    for _ in range({"fast": 20, "paper": 300}[budget]):
        bandit = drawn(random, shape)
        regret, _, recorded = regret_and_slack(bandit, random)
        slack.append(1 + recorded[0] - regret)
        memory.append(len(truths(bandit)[0].weights))
    return Evidence(slack, upper=memory, lower=1 - 1e-12, label="1 + cpr_hat - CPR")


def constant_play(budget: str, shape: str = "falling") -> Evidence:
    """Cost of the best arm alone less that of the best sequence, and the error of the recorded ``cpr``."""
    random, wrong = np.random.default_rng(2), []
    for _ in range({"fast": 20, "paper": 300}[budget]):
        regret, saved, recorded = regret_and_slack(drawn(random, shape), random)
        wrong.append((saved, abs(recorded[1] - regret) if shape == "falling" else 0.0))
    return Evidence(wrong, 1e-12, label="what the best sequence saves on the best arm")


def instances() -> list[Bandit]:
    """Practice curves with equal and with decaying weights."""
    return [bandits.practice_curves(), bandits.practice_curves(decay=0.9)]


def regret_bound(budget: str, grid: str = "phases", **change: Any) -> Evidence:
    """Mean regret against the derived bound, for the three phase rules or for four bounds on the memory.

    `change` alters what is played, never the bound.
    """
    horizon, runs = SIZES[budget]
    hypers: list[dict[str, Any]] = [{"phases": p} for p in (0, 1, 2)]
    if grid == "memory":
        hypers = [{"phases": 1, "memory": bound} for bound in (20, 80, 320, 1280)]
    record, measured, bounds = [horizon // 100, horizon // 10], [], []
    for bandit in instances() if grid == "phases" else instances()[:1]:
        played = [{"key": "warmup_elimination", "label": str(k), **hyper, **change} for k, hyper in enumerate(hypers)]
        data = run(bandit, played, horizon=horizon, runs=runs, record=record)
        measured.append(np.moveaxis(data["regret"].values[:, 0], 0, 1))
        problem, truth = bandit.problem(horizon), truths(bandit)[0]
        bounds += [rule.regret_bound(rule.Hyper(**hyper), truth, problem, data["t"].values) for hyper in hypers]
    limit = np.where(np.array(bounds) > 0, bounds, np.nan)
    return Evidence(np.concatenate(measured, axis=1), limit, times=data["t"].values, confidence=CONFIDENCE, label="regret")


def flat(budget: str, **change: Any) -> Evidence:
    """Growth of ``cpr_hat`` after the round by which all wrong arms must have gone, the worst run."""
    horizon, runs = SIZES[budget]
    grown = []
    for bandit in instances():
        truth, problem, warm = truths(bandit)[0], bandit.problem(horizon), len(truths(bandit)[0].weights)
        need = 32 * problem.deviation**2 * np.log(2 * problem.arms * horizon) / truth.gap[truth.gap > 0].min() ** 2
        end, phase, size = warm, 0, 0
        while size <= need:
            phase += 1
            size = rule.samples(rule.Hyper(), problem, phase)
            end += bandit.arms * (warm + size)
        data = run(bandit, [("warmup_elimination", change)], horizon=horizon, runs=runs, record=[end])
        values = data["regret"].sel(t=[end, horizon]).values[0, 0]
        grown.append((values[:, 1] - values[:, 0]).max())
    return Evidence(grown, 1e-9, label="growth of regret after elimination")


def no_guarantee(budget: str, memory: int = 20) -> Evidence:
    """Regret of UCB1 and EXP3 on practice curves over the bounds they have where losses do not depend on the past."""
    horizon, runs = SIZES[budget]
    bandit, keys = bandits.practice_curves(memory=memory), ("ucb1", "exp3")
    regret = run(bandit, keys, horizon=horizon, runs=runs)["regret"].values[:, 0, :, -1]
    rules = [registry.load("policies", key) for key in keys]
    truth, problem = truths(bandit)[0], bandit.problem(horizon)
    bounds = [float(one.regret_bound(one.Hyper(), truth, problem, np.array(horizon))) for one in rules]
    return Evidence(regret.T, lower=bounds, confidence=CONFIDENCE, label="regret")


SEARCHERS = ("warmup_elimination", "warmup_commit", "ucb1", "exp3", "uniform")


def search_cost(budget: str, told: bool = False) -> Evidence:
    """Complete policy regret where a round costs 1 unless one arm has its full tally; `told` leaves that arm alone."""
    m, arms = 8, 6
    curves = np.ones((arms, m + 1))
    curves[0, m] = 0.0
    bandit = bandits.tallying(np.ones(m), curves[:1] if told else curves)
    runs = {"fast": 100, "paper": 2000}[budget]
    data = run(bandit, SEARCHERS, horizon=4 * m * arms, runs=runs, metrics=["cpr"])
    measured = data["cpr"].values[:, 0, :, -1].T
    return Evidence(measured, lower=m * (arms - 1) / 2, confidence=CONFIDENCE, label="complete policy regret")


REO = "repeated exposure optimality"
DERIVED_BOUND = "derived from Hoeffding's inequality and a union over arms and phases (prefsim.policies.warmup_elimination)"

CLAIMS = (
    Claim(
        key="tallying.full_tally",
        statement="At the k-th successive play, k >= m, an arm's tally is W, whatever was played before.",
        source="derived: the last m plays are its own",
        assumptions=("k >= m",),
        measure=full_tally,
        controls=(Control("k >= m: k = m - 1, where the oldest weight is missing", {"early": 1}),),
    ),
    Claim(
        key="tallying.surrogate",
        statement="cpr_hat - (m - 1) <= CPR <= cpr_hat, against the best of all K^T sequences.",
        source="derived: x* throughout costs at most T h* + m - 1, and no round costs less than h*",
        assumptions=(REO,),
        measure=surrogate,
        controls=(
            Control(f"{REO}: every arm costs 1 at its full tally, and a mixture does better than T h*", {"shape": "any"}),
        ),
    ),
    Claim(
        key="tallying.constant_play",
        statement="If neither weights nor curves increase, the best of all sequences plays one arm throughout, and the "
        "recorded cpr is complete policy regret.",
        source="derived: a sum of concave functions of the numbers of plays is least at a corner (prefsim.bandits.tallying)",
        assumptions=("weights do not increase with age", "curves do not increase with the tally"),
        measure=constant_play,
        controls=(Control("curves do not increase: they do, and taking turns is better", {"shape": "rising"}),),
    ),
    Claim(
        key="warmup_elimination.regret_bound",
        statement="E cpr_hat(t) stays below the derived bound (m - 1 rounds a warm-up, 32 sigma^2 ln(2 K T) / D^2 samples) for "
        "all three phase rules.",
        source=DERIVED_BOUND,
        assumptions=(REO, "M >= m", "M plays are forgotten before the samples of an arm"),
        measure=regret_bound,
        controls=(Control("M plays are forgotten: none are, and the arm that looks worst when fresh goes", {"warmup": False}),),
        algorithms=("warmup_elimination",),
    ),
    Claim(
        key="warmup_elimination.flat",
        statement="Once n_s > 32 sigma^2 ln(2 K T) / D_min^2 only the best arm is left, and cpr_hat stands still, to the last "
        "digit (no run of those played may fail).",
        source=DERIVED_BOUND,
        assumptions=(REO, "M >= m", "M plays are forgotten before the samples of an arm"),
        measure=flat,
        controls=(
            Control("M plays are forgotten: none are", {"warmup": False}),
            Control("M >= m: M = 1", {"memory": 1}),
        ),
        algorithms=("warmup_elimination",),
    ),
    Claim(
        key="warmup_elimination.memory",
        statement="E cpr_hat stays below the derived bound for M = 20, 80, 320, 1280 at m = 20: additive in M, at most K M ln.",
        source=f"{DERIVED_BOUND}; the order O~(sqrt(K T) + (m + M) K) is the paper's",
        assumptions=(REO, "M >= m"),
        measure=lambda budget, **change: regret_bound(budget, "memory", **change),
        controls=(Control("M >= m: M = 1, whose samples are those of fresh arms", {"memory": 1}),),
        algorithms=("warmup_elimination",),
    ),
    Claim(
        key="practice_curves.no_guarantee",
        statement="UCB1 and EXP3 exceed on practice curves the regret bounds they have for losses without memory.",
        source="derived: neither ever plays the best arm m times in a row; bounds as printed for the two",
        assumptions=("memory m = 20",),
        measure=no_guarantee,
        controls=(Control("memory: m = 1, where tallies are always full and the bounds are theorems", {"memory": 1}),),
        algorithms=("ucb1", "exp3"),
    ),
    Claim(
        key="tallying.search_cost",
        statement="Where one arm costs 0 after m successive plays, and everything else 1, every algorithm has expected "
        "complete policy regret of at least m (K - 1) / 2 from round m K on.",
        source="derived: no two arms have full tallies together, so the j-th arm tried to the end costs j m - 1 rounds, and "
        "the best one is equally likely to be any; the order Omega~(m K + M) is the paper's",
        assumptions=("the algorithm is not told which arm it is",),
        measure=search_cost,
        controls=(Control("the algorithm is not told: it is given the best arm alone", {"told": True}),),
        algorithms=SEARCHERS,
    ),
)
