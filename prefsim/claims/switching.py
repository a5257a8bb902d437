"""Switching costs with limited feedback: the dartboard, batches, the hard instance, and the rates.

Sources: Cheng, Zhou and Ji (2023), "Understanding the role of feedback in online learning with switching costs"; Geulen, Vocking
and Winkler (2010); Dekel, Ding, Koren and Peres (2014), "Bandits with switching costs: T^(2/3) regret"; Kalai and Vempala (2005);
Rouyer, Seldin and Cesa-Bianchi (2021). Constants are derived unless said otherwise (``prefsim.policies._batches``). Rates are those
of the largest mean regret over epsilon, taken anew for every horizon and budget.
"""

from __future__ import annotations

from math import floor, log, log2

import numpy as np

from prefsim import bandits, registry
from prefsim.bandits.multi_scale_random_walk import literal, parent
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import CONFIDENCE
from prefsim.claims._switching import (
    Exponent,
    Floats,
    drive,
    exponents,
    hashable,
    runs_first,
    sweep,
    worst_rate,
    z_shares,
)
from prefsim.run import run
from prefsim.statistics import tail_rate

ARMS = 4
BUDGETS = {"fast": (2**13, tuple(2**k for k in range(6, 14)), 50), "paper": (2**18, tuple(2**k for k in range(8, 19)), 50)}
"""Horizon, budgets and runs of the sweeps over the budget."""

HORIZONS = {"fast": (tuple(2**k for k in range(8, 15)), 20), "paper": (tuple(2**k for k in range(10, 19)), 40)}
"""Horizons and runs of the sweeps over the horizon, two arms."""

SLACK = 0.1
"""How far a fitted exponent may lie from that of a theorem."""

ROWS = ({"observe": 1}, {"observe": 0})
"""SD-flexible and SD-full."""

TREND = np.array([0.9, 0.3, 0.6]) * np.linspace(0.2, 1.0, 12)[:, None]
"""Losses that rise within every batch."""

BIASED = "sd_played_arm_biased"


def own_weights(budget: str, policy: str = "shrinking_dartboard") -> Evidence:
    """Share of its tolerance that the mean of ``p_b(A_b) - sum_k p_b(k)^2`` uses up in each batch after the first."""
    runs, shares = {"fast": 3000, "paper": 30_000}[budget], []
    table = np.tile([1.0, 0.5, 0.2], (6, 1))
    for hyper in ROWS if policy == "shrinking_dartboard" else ({"batches": 6},):
        surplus = np.zeros((runs, 6))
        before = np.zeros(3)

        def note(state, run, t, surplus=surplus, before=before):  # type: ignore[no-untyped-def]
            if t > 1:
                surplus[run, t - 1] = before[state.arm[0]] - (before**2).sum()
            before[:] = state.weight / state.total[0]

        entries = 18 if hyper.get("observe") == 0 else 6
        drive(policy, {**hyper, "step": 0.7}, table, entries, runs, note)
        shares.append(z_shares(surplus[:, 1:], 5 * len(ROWS)))
    return Evidence(np.array(shares), 1.0, label="bias of the own weight over what chance allows")


def batch_estimate(budget: str, first: bool = False) -> Evidence:
    """Share of its tolerance that the bias of a batch's estimated losses uses up; `first` looks at the first round."""
    runs, shares = {"fast": 3000, "paper": 30_000}[budget], []
    meddle = (lambda state, t: state.look.fill((t - 1) // 4 * 4 + 1)) if first else None
    for policy, hyper, entries in (
        ("shrinking_dartboard", {"observe": 1}, 3),
        ("shrinking_dartboard", {"observe": 2}, 6),
        ("shrinking_dartboard", {"observe": 0}, 9),
        ("batched_exp3", {"batches": 3}, 3),
    ):
        estimates = np.zeros((runs, 3, 3))

        def note(state, run, t, estimates=estimates):  # type: ignore[no-untyped-def]
            if t % 4 == 0:
                estimates[run, t // 4 - 1] = state.loss

        drive(policy, {**hyper, "step": 0.3}, TREND, entries, runs, note, meddle)
        estimates[:, 1:] -= estimates[:, :-1].copy()
        shares.append(z_shares(estimates - TREND.reshape(3, 4, 3).mean(axis=1), 36))
    return Evidence(np.array(shares), 1.0, label="bias of the estimates over what chance allows")


def dartboard_switches(budget: str, policy: str = "shrinking_dartboard") -> Evidence:
    """Changes of arm over ``step N``, and, above 1, by how much they exceed ``step`` times the own loss of the batches."""
    rounds, runs = {"fast": (4096, 60), "paper": (65536, 200)}[budget]
    table = np.random.default_rng(1).random((rounds, ARMS)) * np.array([0.4, 0.5, 0.6, 1.0])
    least, shares = table.sum(axis=0).min(), []
    for hyper in ROWS:
        batches = rounds // 4 // (ARMS if hyper["observe"] == 0 else 1)
        step = (2 * log(ARMS) / (batches * (1 if hyper["observe"] == 0 else ARMS))) ** 0.5
        rule = (policy, hyper if policy == "shrinking_dartboard" else {"batches": batches})
        game = bandits.switching_losses(table, feedback="entries", budget=rounds // 4)
        data = run(game, [rule], horizon=rounds, runs=runs, record=[rounds], metrics=["regret", "loss_regret", "switches"])
        switches, regret = (data[name].values[0, 0, :, -1] for name in ("switches", "loss_regret"))
        own = step * batches / rounds * (least + regret)
        shares += [switches / (step * batches), 1 + (switches - own) / own.mean()]
    return Evidence(np.transpose(shares), 1.0, confidence=CONFIDENCE, label="changes of arm over their bound")


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


BANDIT = ("batched_exp3", "tsallis_switch")
FULL = ("shrinking_dartboard", "follow_lazy_leader")


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


def random_walk(budget: str, chain: bool = False) -> Evidence:
    """Depth and width of the walk over ``floor(log2 T) + 1``, and its share of clipped losses over 1e-6; `chain`: parent t - 1."""
    rounds = {"fast": 2**12, "paper": 2**16}[budget]
    depth, width, value = np.zeros(rounds + 1), np.zeros(rounds + 2), np.zeros(rounds + 1)
    generator, (epsilon, sigma) = np.random.default_rng(0), literal(2, rounds)
    for t in range(1, rounds + 1):
        before = t - 1 if chain else parent(t)
        depth[t] = depth[before] + 1
        value[t] = value[before] + sigma * generator.standard_normal()
        width[before + 1] += 1  # the edge from `before` to t spans the cuts before + 1 .. t
        width[t + 1] -= 1
    most = floor(log2(rounds)) + 1
    clipped = np.abs(value[1:, None] - np.array([0.0, epsilon])) >= 0.5
    shares = [depth.max() / most, np.cumsum(width).max() / most, clipped.mean() / 1e-6]
    return Evidence(shares, 1.0, label="over floor(log2 T) + 1, and clipped losses over 1e-6")


def never_switch(budget: str, epsilon: float = 0.02) -> Evidence:
    """Distance of the cost of one arm for ever from 0 or ``epsilon T``, and the share of runs that pay, over what chance allows."""
    rounds, runs = {"fast": (1024, 400), "paper": (2**14, 4000)}[budget]
    game = bandits.multi_scale_random_walk(ARMS, epsilon)
    data = run(game, [("batched_exp3", {"batches": 1})], horizon=rounds, runs=runs, record=[rounds], metrics=["regret", "switches"])
    paid = data["regret"].values[0, 0, :, -1] / (epsilon * rounds)
    off = np.minimum(np.abs(paid), np.abs(paid - 1)).max() / 1e-9
    shares = [off, z_shares(paid[:, None] - (1 - 1 / ARMS), 1)[0], data["switches"].values[..., -1].max()]
    return Evidence(shares, 1.0, label="deviation over its tolerance")


def lazy_leader(budget: str, fresh: bool = False) -> Evidence:
    """Changes of arm of the lazy leader over ``rate`` times the sum of all losses."""
    rounds, runs = {"fast": (2000, 200), "paper": (50_000, 1000)}[budget]
    table, rate = np.random.default_rng(2).random((rounds, ARMS)), 0.02
    game = bandits.switching_losses(table, feedback="full")
    rule = ("follow_lazy_leader", {"rate": rate, "fresh": fresh})
    data = run(game, [rule], horizon=rounds, runs=runs, record=[rounds], metrics=["switches"])
    share = data["switches"].values[0, 0, :, -1] / (rate * table.sum())
    return Evidence(share[:, None], 1.0, confidence=CONFIDENCE, label="changes of arm over their bound")


def constrained(budget: str, gap: float = 0.4) -> Exponent:
    """Exponent of Tsallis-Switch in the horizon over its last decade, with coins of fixed gaps on a base that jumps."""
    rounds, runs = {"fast": (2**16, 20), "paper": (2**20, 40)}[budget]
    base = np.where(np.arange(200) < 100, 0.1, 0.5)[:, None]
    game = bandits.switching_losses(base + gap * (np.arange(ARMS) > 0), coins=True)
    data = run(game, ["tsallis_switch"], horizon=rounds, runs=runs, metrics=["regret", "switches"])
    return exponents([tail_rate(data["t"].values[1:], data["regret"].values[0, 0][:, 1:])], upper=0.5)


OBLIVIOUS = "losses in [0, 1], fixed in advance"
DARTBOARD = ("shrinking_dartboard",)
PLAYED = Control("the observed entry does not depend on the played arm: it is the played arm's", {"policy": BIASED})

CLAIMS = (
    Claim(
        key="switching.own_weights",
        statement="The dartboard's arm is drawn from the current exponential weights, however often it was kept: the mean of "
        "p_b(A_b) - sum_k p_b(k)^2 is 0 in every batch.",
        source="derived: keeping and redrawing add up to the new weights (Geulen, Vocking, Winkler 2010)",
        assumptions=("estimates are non-negative", "the observed entry does not depend on the played arm"),
        measure=own_weights,
        controls=(PLAYED,),
        algorithms=(*DARTBOARD, BIASED),
    ),
    Claim(
        key="switching.unbiased_estimate",
        statement="Estimated losses have the mean of the batch's losses, for every arm and batch, whichever arms were picked.",
        source="derived: round and arms are picked uniformly",
        assumptions=("the round is uniform in the batch and drawn before it begins",),
        measure=batch_estimate,
        controls=(Control("the round is uniform: it is the first of the batch, on losses that rise", {"first": True}),),
        algorithms=(*DARTBOARD, "batched_exp3"),
    ),
    Claim(
        key="switching.dartboard_changes",
        statement="The dartboard changes arms at most step N times in expectation, and at most step times the sum over batches "
        "of the played arm's mean loss.",
        source="derived: 1 - exp(-x) <= x",
        assumptions=(OBLIVIOUS, "arms are kept with probability exp(-step lhat)"),
        measure=dartboard_switches,
        controls=(Control("arms are kept: batched EXP3 draws one for every batch", {"policy": "batched_exp3"}),),
        algorithms=(*DARTBOARD, "batched_exp3"),
    ),
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
        key="switching.random_walk",
        statement="The multi-scale random walk has depth and width at most floor(log2 T) + 1, and fewer than one loss in a "
        "million is clipped at the literal sigma.",
        source="Dekel, Ding, Koren, Peres 2014 (recalled); counts of bits",
        assumptions=("a round's parent is the round without its lowest bit",),
        measure=random_walk,
        controls=(Control("the parent: it is the round before", {"chain": True}),),
    ),
    Claim(
        key="switching.never_switch",
        statement="Keeping one arm for ever costs epsilon T or nothing on the random walk, epsilon T (1 - 1 / K) in expectation: "
        "with the literal constants less than any learner's changes of arm.",
        source="derived",
        assumptions=("no loss is clipped",),
        measure=never_switch,
        controls=(Control("no clipping: epsilon = 1/2, beyond which losses end", {"epsilon": 0.5}),),
        algorithms=("batched_exp3",),
    ),
    Claim(
        key="switching.lazy_leader",
        statement="The lazy leader changes arms at most rate sum_t |l_t|_1 times in expectation.",
        source="Kalai and Vempala 2005 (recalled); derived: a coordinate passes a grid point with probability rate l_t(k)",
        assumptions=(OBLIVIOUS, "one perturbation for the whole run"),
        measure=lazy_leader,
        controls=(Control("one perturbation: it is drawn anew every round", {"fresh": True}),),
        algorithms=("follow_lazy_leader",),
    ),
    Claim(
        key="switching.constrained_exponent",
        statement="Where gaps to one best arm are fixed, regret and changes of Tsallis-Switch grow as T^(1/3) up to logarithms; "
        "tested: with exponent at most 1/2 over the last decade.",
        source="Rouyer, Seldin, Cesa-Bianchi 2021 (recalled)",
        assumptions=("one arm is best by a fixed gap",),
        measure=constrained,
        controls=(Control("one arm is best: all gaps are 0, where the exponent is 2/3", {"gap": 0.0}),),
        algorithms=("tsallis_switch",),
        asymptotic=True,
    ),
)
