"""Switching costs with limited feedback: what the dartboard, the lazy leader and the hard instance are built on.

Sources: Geulen, Vocking and Winkler (2010), the shrinking dartboard; Dekel, Ding, Koren and Peres (2014), "Bandits with
switching costs: T^(2/3) regret"; Kalai and Vempala (2005), "Efficient algorithms for online decision problems". What regret
follows is in ``switching_rates.py``; constants are derived unless said otherwise (``prefsim.policies._batches``).
"""

from __future__ import annotations

from math import floor, log, log2

import numpy as np

from prefsim import bandits
from prefsim.bandits.multi_scale_random_walk import literal, multi_scale_random_walk, parent
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import CONFIDENCE
from prefsim.claims._switching import ARMS, BIASED, DARTBOARD, OBLIVIOUS, PLAYED, ROWS, drive, z_shares
from prefsim.run import run

TREND = np.array([0.9, 0.3, 0.6]) * np.linspace(0.2, 1.0, 12)[:, None]
"""Losses that rise within every batch."""


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


def random_walk(budget: str, chain: bool = False) -> Evidence:
    """Depth and width of the walk over ``floor(log2 T) + 1``, share of clipped losses over 1e-6; `chain`: parent t - 1."""
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
    """How far one arm for ever costs anything but 0 or ``epsilon T``, and the share of runs that pay, over tolerances."""
    rounds, runs = {"fast": (1024, 400), "paper": (2**14, 4000)}[budget]
    game = multi_scale_random_walk(ARMS, epsilon)
    rule, metrics = ("batched_exp3", {"batches": 1}), ["regret", "switches"]
    data = run(game, [rule], horizon=rounds, runs=runs, record=[rounds], metrics=metrics)
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
        statement="Keeping one arm for ever costs epsilon T or nothing on the random walk, epsilon T (1 - 1 / K) in the mean: "
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
)
