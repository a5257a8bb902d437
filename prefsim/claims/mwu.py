"""Multiplicative weights in self-play: SPO (Swamy et al. 2024, arXiv 2401.04056), exact SPPO (Wu et al. 2024, 2405.00675).

The reduction is the papers': play the rewards ``P(. > pi_t)`` with a no-regret algorithm and return the *average*
policy. The constants are derived: in self-play the textbook ``eta/8`` of Hedge improves to ``eta/24``, because win rates
of a policy against itself lie below a uniform law in convex order. The last iterate spirals away from every
full-support equilibrium, by an amount known exactly. The fast rate under a gap is checked in a derived form for games
in which one action dominates. Games have ``beta = 0`` and the gap is the two-sided ``Gap_0``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prefsim import games, ops
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on
from prefsim.run import run

SELF_PLAY = 1 / 24
"""Coefficient of the step in the regret per round."""


def families(budget: str) -> list[on.Instances]:
    """Unregularised games of several sizes; the equilibrium is left open."""
    batches = []
    for n in on.SIZES[budget]:
        cycle = [games.cyclic(n).payoff] if n % 2 else []
        payoff = np.stack([*games.random(n, seed=4, count=on.COUNT[budget]).payoff, on.tournament(n), *cycle])
        batches.append(on.unregularised(payoff))
    return batches


def spread_starts(batch: on.Instances) -> on.Floats:
    """The uniform policy and a random one for each game, shape (m, 2, n)."""
    return np.stack([batch.log_reference, on.random_policies("spread", (len(batch.beta), 1), batch.n, 2.0)[:, 0]], 1)


def values(
    metric: str, batch: on.Instances, step: float, start: on.Floats, times: Any, solver: str = "mwu"
) -> on.Floats:
    """A metric as :func:`prefsim.run` reports it, shape (m, runs, t)."""
    settings: dict[str, Any] = {"horizon": int(times[-1]), "record": [int(t) for t in times], "metrics": [metric]}
    data = run(batch.game(), [(solver, {"step": step})], start=np.exp(start), runs=start.shape[1], **settings)
    return data[metric].values[0]


def _regret(budget: str, *, average: str = "arithmetic", diagonal: float = 0.0) -> Evidence:
    times = np.arange({"fast": 100, "paper": 1000}[budget] + 1)
    cells = []
    for batch in families(budget):
        batch = batch._replace(payoff=batch.payoff + diagonal * np.eye(batch.n))
        start, rounds = spread_starts(batch), times[1:, None]
        for step in (0.1, 1.0):
            path = on.trajectory("mwu", {"step": step}, batch, start, times)[:, :, :-1]
            gain = batch.gain(path)
            own = on.inner(np.exp(path), gain)
            regret = (np.cumsum(gain, axis=2) - np.cumsum(own, axis=2)[..., None]).max(axis=-1)
            if average == "arithmetic" and batch.legal:
                gap = values("average_duality_gap", batch, step, start, times)[..., 1:]
            else:
                means = np.cumsum(np.exp(path), axis=2) / rounds
                if average == "geometric":
                    means = np.exp(ops.log_normalize(np.cumsum(path, axis=2) / rounds))
                wins = np.matmul(batch.payoff[:, None, None], means[..., None])[..., 0]
                losses = np.matmul(np.swapaxes(batch.payoff, 1, 2)[:, None, None], means[..., None])[..., 0]
                gap = wins.max(axis=-1) - losses.min(axis=-1)
            cells.append(on.Cell(np.abs(gap - 2 * regret / times[1:]), on.TOLERANCE))
    return on.evidence("|Gap_0(average) - 2 Reg_T / T|", cells, times[1:])


def _average(budget: str, *, metric: str = "average_duality_gap", scale: float = 1.0) -> Evidence:
    times = on.record({"fast": 2000, "paper": 20000}[budget])
    cells = []
    for batch in families(budget):
        start = spread_starts(batch)
        distance = -start.min(axis=-1)[..., None]
        tuned = float(np.sqrt(np.log(batch.n) / SELF_PLAY / times[-1]))
        for step in (tuned, 0.05, 0.5):
            # MWU sees the step times A only: payoffs `scale` times larger are a step and a gap `scale` times larger.
            gap = scale * values(metric, batch, scale * step, start, times)[..., 1:]
            cells.append(on.Cell(gap, 2 * (distance / (step * times[1:]) + SELF_PLAY * step)))
    return on.evidence("Gap_0 of the average policy", cells, times[1:])


def _leaves(budget: str, *, instances: str = "interior") -> Evidence:
    times = np.arange({"fast": 300, "paper": 1000}[budget] + 1)
    batches = [on.dominant(5)]
    if instances == "interior":
        margins = [(0.5, 0.5, 0.5), (0.1, 0.3, 0.45), (0.2, 0.5, 0.1)]
        payoff = np.stack([games.rock_paper_scissors(m).payoff for m in margins])
        answers = np.log([[c, b, a] / np.sum((a, b, c)) for a, b, c in margins])
        batches = [on.unregularised(payoff, answers), *(on.interior(n) for n in (5, 8, 15))]
    cells = []
    for batch in batches:
        start = on.random_policies("leaving", (len(batch.beta), 2), batch.n)
        for step in (0.05, 0.5):
            path = on.trajectory("mwu", {"step": step}, batch, start, times)
            kl = batch.kl(path)
            growth = np.cumsum(on.log_mean_exp(path, step * batch.gain(path))[..., :-1], axis=-1)
            predicted = kl[..., :1] + growth
            cells.append(on.Cell(kl[..., 1:], predicted, predicted))
    return on.evidence("KL(pi*, pi_t)", cells, times[1:])


def _energy(budget: str, *, solver: str = "mwu") -> Evidence:
    times = np.arange({"fast": 40, "paper": 100}[budget] + 1)
    cells = []
    for _, batch, start in on.grid(budget, (0.1,)):
        for step in (0.1, 5.0):
            path = on.trajectory(solver, {"step": step}, batch, start, times)
            l, after = path[:, :, :-1], path[:, :, 1:]
            u = np.broadcast_to(on.random_policies("comparator", (1, 1), batch.n), after.shape)
            gain = batch.gain(l)
            terms = [ops.kl(u, l), -step * on.inner(np.exp(u), gain), on.log_mean_exp(l, step * gain)]
            cells.append(on.residual(ops.kl(u, after), terms))
    return on.evidence("residual of the energy identity", cells, times[1:])


def _dominance(budget: str, *, slowdown: float = 1.0) -> Evidence:
    times = on.record({"fast": 2000, "paper": 20000}[budget])
    cells = []
    for rewards in ((1.0, 0.5, 0.0), (2.0, 0.5, 0.4, 0.0, -1.0), tuple(np.linspace(3, -3, 12))):
        game = games.bradley_terry(rewards)
        delta = (game.payoff[0] - game.payoff[1:]).min()
        for step in (0.1, 1.0):
            batch = on.unregularised(game.payoff[None])
            gap = values("average_duality_gap", batch, step / slowdown, batch.log_reference[:, None], times)
            cells.append(on.Cell(gap[..., 1:], (game.n - 1) / (times[1:] * -np.expm1(-step * delta))))
    return on.evidence("Gap_0 of the average policy", cells, times[1:])


def _closed_form(budget: str, *, spread: float = 0.0) -> Evidence:
    times = np.arange({"fast": 200, "paper": 2000}[budget] + 1)
    cells = []
    for n in (2, 3, 10, 50):
        batch = on.dominant(n)
        for step in (0.1, 1.0):
            start = on.random_policies("dominant", (1, 1), n, spread)
            gap = values("average_duality_gap", batch, step, start, times)[..., 1:]
            odds = (n - 1) * np.exp(-step * times[:-1] / 2)  # of the other actions
            cells.append(on.Cell(np.abs(times[1:] * gap - np.cumsum(odds / (1 + odds))), on.TOLERANCE * times[1:]))
    return on.evidence("error of T Gap_0(average)", cells, times[1:])


_SPO = "reduction: Swamy et al. (SPO, arXiv 2401.04056); constants derived"

CLAIMS = (
    Claim(
        "mwu.regret_identity",
        "Gap_0 of the average of T iterates is exactly 2 Reg_T / T, Reg_T = max_y sum_t [(A pi_t)_y - <pi_t, A pi_t>].",
        _SPO,
        ("A is skew", "arithmetic average"),
        _regret,
        (
            Control("the geometric average instead", {"average": "geometric"}),
            Control("A is not skew: a diagonal of 0.1 is added", {"diagonal": 0.1}),
        ),
        ("mwu",),
    ),
    Claim(
        "mwu.average_bound",
        "Gap_0 of the average of T iterates <= 2 (D / (eta T) + eta / 24), D = max_y log 1 / pi_1(y).",
        _SPO,
        ("|A| <= 1/2", "constant step"),
        _average,
        (
            Control("the last iterate instead of the average", {"metric": "duality_gap"}),
            Control("payoffs 10 times too large", {"scale": 10.0}),
        ),
        ("mwu",),
    ),
    Claim(
        "mwu.last_iterate_leaves",
        "KL(pi*, pi_t) = KL(pi*, pi_0) + sum_s log E_{pi_s} exp(eta A pi_s) for every full-support equilibrium pi*; no "
        "term is negative, so the last iterate never comes closer.",
        "derived: definition of the step and A pi* = 0",
        ("pi* is an equilibrium of full support",),
        _leaves,
        (Control("one action dominates: the equilibrium lies at a corner", {"instances": "dominant"}),),
        ("mwu",),
    ),
    Claim(
        "mwu.energy_identity",
        "KL(u, l+) = KL(u, l) - eta <u, A l> + log E_l exp(eta A l) for every policy u and every step from l to l+.",
        "derived: definition of the step; holds for any A",
        ("the step does not look at the reference",),
        _energy,
        (Control("a step that is pulled to the reference: OMD", {"solver": "omd"}),),
        ("mwu",),
    ),
    Claim(
        "mwu.dominance",
        "If action 1 dominates, delta = min_{i != 1, j} (A_1j - A_ij) > 0, then from the uniform start Gap_0 of the "
        "average of T iterates <= (n - 1) / (T (1 - exp(-eta delta))).",
        "derived: 1 - pi_t(1) <= (n - 1) exp(-eta delta (t - 1))",
        ("row dominance (Bradley-Terry)", "constant step", "uniform start"),
        _dominance,
        (Control("the step is 100 times smaller than the bound's", {"slowdown": 100.0}),),
        ("mwu",),
    ),
    Claim(
        "mwu.dominant_action",
        "If action 1 beats all others for sure and those are equal, logit pi_t(1) = -log(n - 1) + eta (t - 1) / 2 and "
        "T Gap_0(average) = sum_t (1 - pi_t(1)).",
        "derived: the step in closed form",
        ("uniform start",),
        _closed_form,
        (Control("another start", {"spread": 1.0}),),
        ("mwu",),
    ),
)
