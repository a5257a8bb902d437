"""Switching costs with limited feedback: bounds, and the rates of the worst case over epsilon.

Sources: Cheng, Zhou and Ji (2023), "Understanding the role of feedback in online learning with switching costs"; Geulen,
Vocking and Winkler (2010); Dekel, Ding, Koren and Peres (2014); Rouyer, Seldin and Cesa-Bianchi (2021). Constants are derived
unless said otherwise. The largest mean regret over epsilon is taken for every horizon and budget before anything is fitted.
"""

from __future__ import annotations

from math import log

import numpy as np

from prefsim import bandits
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import CONFIDENCE
from prefsim.claims._switching import (
    ARMS,
    BIASED,
    DARTBOARD,
    OBLIVIOUS,
    PLAYED,
    ROWS,
    Exponent,
    Floats,
    exponents,
    hashable,
    runs_first,
    sweep,
    worst_rate,
)
from prefsim.run import run
from prefsim.statistics import tail_rate

BUDGETS = {"fast": (2**12, tuple(2**k for k in range(5, 13)), 50), "paper": (2**18, tuple(2**k for k in range(8, 19)), 20)}
"""Horizon, budgets and runs of the sweeps over the budget."""

HORIZONS = {"fast": (tuple(2**k for k in range(8, 15)), 20), "paper": (tuple(2**k for k in range(10, 19)), 40)}
"""Horizons and runs of the sweeps over the horizon, two arms."""

SLACK = 0.1
"""How far a fitted exponent may lie from that of a theorem."""

BANDIT = ("batched_exp3", "tsallis_switch")
FULL = ("shrinking_dartboard", "follow_lazy_leader")


def learning(budgets: Floats, horizon: int) -> Floats:
    """``T sqrt(2 K ln K / B)``, the loss regret on `budgets` entries."""
    return horizon * np.sqrt(2 * ARMS * log(ARMS) / budgets)


def dartboard_bound(budget: str, policy: str = "shrinking_dartboard", adaptive: bool = False) -> Evidence:
    """Mean regret of both rows at every budget and epsilon against their bound; `adaptive` plays the late trap instead."""
    horizon, budgets, runs = BUDGETS[budget]
    measured = []
    for hyper in ROWS if policy == "shrinking_dartboard" else ({"batches": "budget"},):
        if adaptive:
            games = [bandits.late_trap(ARMS, feedback="entries", budget=b) for b in budgets]
            played = [run(g, [(policy, hyper)], horizon=horizon, runs=runs, record=[horizon]) for g in games]
            measured.append(np.stack([d["regret"].values[0, :, :, -1].T for d in played], axis=1))
        else:
            measured.append(runs_first(sweep(hashable((policy, hyper)), horizon, budgets, ARMS, "entries", runs)))
    sizes = np.array(budgets)
    limit = learning(sizes, horizon) + np.sqrt(2 * sizes * log(ARMS) / ARMS)
    return Evidence(np.concatenate(measured, axis=2), limit[:, None], times=budgets, confidence=CONFIDENCE, label="regret")


def budget_exponent(budget: str, policy: str = "shrinking_dartboard") -> Exponent:
    """Exponent of decay of the worst regret in the budget, over its last decade and a half."""
    horizon, budgets, runs = BUDGETS[budget]
    hypers = ROWS if policy == "shrinking_dartboard" else ({"batches": "budget"},)
    sweeps = [sweep(hashable((policy, h)), horizon, budgets, ARMS, "entries", runs) for h in hypers]
    return exponents([worst_rate(data, 1.5) for data in sweeps], lower=0.5 - SLACK, sign=-1)


def many_batches(budget: str, policy: str = "batched_exp3") -> Evidence:
    """Worst regret of as many batches as entries: its bound, and beyond four times the turn at least ``B / 2``."""
    horizon, budgets, runs = BUDGETS[budget]
    sizes = np.array(budgets)
    rule = (policy, {"batches": "budget"} if policy == "batched_exp3" else {"observe": 1})
    data = sweep(hashable(rule), horizon, budgets, ARMS, "entries", runs)
    at = data["regret"].values[0].mean(axis=-1).argmax(axis=-1)
    worst = np.take_along_axis(runs_first(data), at[None, :, None], axis=2)[..., 0]
    turn = ARMS ** (1 / 3) * horizon ** (2 / 3)
    low = np.where(sizes >= 4 * turn * (1 - 1e-12), sizes / 2, np.nan)
    return Evidence(worst, learning(sizes, horizon) + sizes, low, times=budgets, confidence=CONFIDENCE, label="worst regret")


def optimal_bound(budget: str, factor: int = 1) -> Evidence:
    """Mean regret of batched EXP3 at `factor` times the optimal batches, over its bound at the optimum, every epsilon."""
    (*_, horizon), runs = HORIZONS[budget]
    measured = []
    for cost in (1.0, 4.0, 16.0):
        best = (horizon**2 * ARMS * log(ARMS) / (2 * cost**2)) ** (1 / 3)
        rule = ("batched_exp3", {"batches": round(factor * best)} if factor > 1 else {})
        data = sweep(hashable(rule), horizon, None, ARMS, "bandit", runs, cost)
        measured.append(runs_first(data)[:, 0] / (3 * cost * best))
    return Evidence(np.stack(measured, axis=1), 1.0, confidence=CONFIDENCE, label="regret over 3 cost N*")


def bandit_exponent(budget: str, policies: tuple[str, ...] = BANDIT) -> Exponent:
    """Exponents of the worst regret in the horizon."""
    horizons, runs = HORIZONS[budget]
    rates = [worst_rate(sweep(hashable(p), horizons, None, 2, "bandit", runs)) for p in policies]
    return exponents(rates, upper=2 / 3 + SLACK, lower=2 / 3 - SLACK)


def full_exponent(budget: str, policies: tuple[str, ...] = FULL) -> Exponent:
    """Exponents of the worst regret in the horizon."""
    horizons, runs = HORIZONS[budget]
    rates = [worst_rate(sweep(hashable(p), horizons, None, 2, "full", runs)) for p in policies]
    return exponents(rates, upper=0.5 + SLACK)


def constrained(budget: str, gap: float = 0.4) -> Exponent:
    """Exponent of Tsallis-Switch in the horizon over its last decade, with coins of fixed gaps on a base that jumps."""
    rounds, runs = {"fast": (2**16, 20), "paper": (2**20, 40)}[budget]
    base = np.where(np.arange(200) < 100, 0.1, 0.5)[:, None]
    game = bandits.switching_losses(base + gap * (np.arange(ARMS) > 0), coins=True)
    data = run(game, ["tsallis_switch"], horizon=rounds, runs=runs, metrics=["regret", "switches"])
    return exponents([tail_rate(data["t"].values[1:], data["regret"].values[0, 0][:, 1:])], upper=0.5)


CLAIMS = (
    Claim(
        key="switching.dartboard_bound",
        statement="With B entries and nothing else seen, SD-full and SD-flexible have E regret(T) <= T sqrt(2 K ln K / B) + "
        "sqrt(2 B ln K / K), switches included, at every B and epsilon.",
        source="derived; rate T sqrt(K / B) of Cheng, Zhou, Ji 2023",
        assumptions=(OBLIVIOUS, "the observed entry does not depend on the played arm", "B divides T"),
        measure=dartboard_bound,
        controls=(PLAYED, Control("losses are fixed in advance: the arm of the round before is charged", {"adaptive": True})),
        algorithms=(*DARTBOARD, BIASED),
    ),
    Claim(
        key="switching.budget_exponent",
        statement="The worst regret of the dartboard falls with the budget as B^(-1/2).",
        source="Cheng, Zhou, Ji 2023, rate T sqrt(K / B)",
        assumptions=(OBLIVIOUS, "the observed entry does not depend on the played arm"),
        measure=budget_exponent,
        controls=(PLAYED,),
        algorithms=(*DARTBOARD, BIASED),
        asymptotic=True,
    ),
    Claim(
        key="switching.played_arms_are_not_enough",
        statement="Batched EXP3 on B entries follows T sqrt(2 K ln K / B) + B: beyond four times K^(1/3) T^(2/3) entries its "
        "worst regret is at least B / 2 and rises.",
        source="derived bound; phase transition of Cheng, Zhou, Ji 2023",
        assumptions=(OBLIVIOUS, "as many batches as entries, a new arm drawn in each"),
        measure=many_batches,
        controls=(Control("a new arm in each batch: the dartboard keeps its arm", {"policy": "shrinking_dartboard"}),),
        algorithms=("batched_exp3", *DARTBOARD),
    ),
    Claim(
        key="switching.batched_exp3_bound",
        statement="With N* = (T^2 K ln K / (2 cost^2))^(1/3) batches the worst regret is at most 3 cost N*.",
        source="derived: least value of T sqrt(2 K ln K / N) + cost N",
        assumptions=(OBLIVIOUS, "N* batches"),
        measure=optimal_bound,
        controls=(Control("N* batches: ten times as many", {"factor": 10}),),
        algorithms=("batched_exp3",),
    ),
    Claim(
        key="switching.bandit_exponent",
        statement="On the played arm's losses alone the worst regret of batched EXP3 and Tsallis-Switch grows as T^(2/3).",
        source="Dekel, Ding, Koren, Peres 2014; Arora, Dekel, Tewari 2012; Rouyer, Seldin, Cesa-Bianchi 2021",
        assumptions=(OBLIVIOUS, "arms are kept for a while"),
        measure=bandit_exponent,
        controls=(Control("arms are kept: EXP3 changes them in a constant share of the rounds", {"policies": ("exp3",)}),),
        algorithms=(*BANDIT, "exp3"),
        asymptotic=True,
    ),
    Claim(
        key="switching.full_information_exponent",
        statement="With all losses shown the worst regret of the dartboard and the lazy leader grows as T^(1/2).",
        source="Geulen, Vocking, Winkler 2010; Kalai and Vempala 2005",
        assumptions=(OBLIVIOUS, "arms are kept as long as the weights allow"),
        measure=full_exponent,
        controls=(Control("arms are kept: exponential weights are drawn from anew", {"policies": ("resampled_hedge",)}),),
        algorithms=(*FULL, "resampled_hedge"),
        asymptotic=True,
    ),
    Claim(
        key="switching.constrained_exponent",
        statement="Where gaps to one best arm are fixed, regret and changes of Tsallis-Switch grow as T^(1/3) up to logs; "
        "tested: with exponent at most 1/2 over the last decade.",
        source="Rouyer, Seldin, Cesa-Bianchi 2021 (recalled)",
        assumptions=("one arm is best by a fixed gap",),
        measure=constrained,
        controls=(Control("one arm is best: all gaps are 0, where the exponent is 2/3", {"gap": 0.0}),),
        algorithms=("tsallis_switch",),
        asymptotic=True,
    ),
)
