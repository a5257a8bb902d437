"""Magnetic mirror descent and the outer loops around it: MMD, MPO and COMAL.

Sokota et al. 2023 (arXiv 2206.05825) prove linear convergence of the implicit KL step for ``eta <= alpha / L^2``; in
symmetric games with ``|A| <= 1/2`` that reads ``eta <= 4 alpha`` and follows from the energy identity. Moving the magnet
to the inner equilibrium is an exact proximal step (COMAL, Liu et al. 2024, arXiv 2410.23223; approximately MPO, Wang et
al. 2025, arXiv 2410.16714): ``KL(u, magnet)`` never increases for any equilibrium ``u`` of the game without
regularisation, and the gap of the new magnet is explicit. That the gap decreases is *not* claimed, it need not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prefsim import games, metrics, ops
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on

BETAS = (0.01, 0.1, 1.0)
SOLVED = 150
"""Inner iterations after which the inner equilibrium is known to rounding, at the temperatures below."""


def _inner(budget: str, *, factor: float = 4.0, betas: tuple[float, ...] = BETAS) -> Evidence:
    times = on.record({"fast": 300, "paper": 3000}[budget])
    cells = []
    for beta, batch, start in on.grid(budget, betas):
        eta = factor * beta
        kl = batch.kl(on.trajectory("mmd", {"step": eta}, batch, start, times))
        cells.append(on.Cell(kl[..., 1:], (1 + eta * beta) ** -times[1:].astype(float) * kl[..., :1]))
    return on.evidence("KL(pi*, pi_k)", cells, times[1:], on.FLOOR)


def _dictionary(budget: str, *, translate: bool = True) -> Evidence:
    times = on.record({"fast": 50, "paper": 500}[budget])
    cells = []
    for beta, batch, start in on.grid(budget, BETAS):
        for eta in (0.3, 4 * beta):
            path = on.trajectory("mmd", {"step": eta}, batch, start, times)
            explicit, inverse = (eta / (1 + eta * beta), beta + 1 / eta) if translate else (min(eta, 1 / beta), max(eta, beta))
            for solver, step in (("omd", explicit), ("inpo", inverse)):
                other = on.trajectory(solver, {"step": step}, batch, start, times)
                size = 1 + np.abs(path).max(axis=-1)
                cells.append(on.Cell(np.abs(path - other).max(axis=-1), on.TOLERANCE * size))
    return on.evidence("largest difference of log-probabilities", cells, times)


def _magnets(budget: str, period: int) -> Any:
    """Yield ``alpha``, games with known equilibria, and the magnets of a proximal run on them, shape (m, 2, rounds, n)."""
    rounds = {"fast": 12, "paper": 60}[budget]
    cycle = on.unregularised(games.cyclic(5).payoff[None])
    for batch in (cycle, *(on.interior(n) for n in (3, 5, 8)), on.dominant(4)):
        for alpha in (0.5, 1.0):
            step = 4 * alpha / (1 + 4 * alpha**2)
            hyper = {"step": step, "alpha": alpha, "period": period}
            start = on.starts(batch)
            times = period * np.arange(rounds + 1)
            yield alpha, batch, on.trajectory("comal", hyper, batch, start, times)


def _proximal(budget: str, *, period: int = SOLVED) -> Evidence:
    cells = []
    for alpha, batch, path in _magnets(budget, period):
        m, after = path[:, :, :-1], path[:, :, 1:]
        u = np.broadcast_to(on.random_policies("comparator", (1, 1), batch.n), after.shape)
        terms = [ops.kl(u, m), -ops.kl(after, m), -on.inner(np.exp(u), batch.gain(after)) / alpha]
        cells.append(on.residual(ops.kl(u, after), terms))
    return on.evidence("residual of the proximal identity", cells, np.arange(1, path.shape[2]))


def _comparator(batch: on.Instances, m: on.Floats, which: str) -> on.Floats:
    """An equilibrium of the original game, or one of two policies that are none; shape of the magnets."""
    if which == "equilibrium":
        u = batch.log_equilibrium[:, None, None]
    elif which == "random":
        u = on.random_policies("no equilibrium", (len(batch.beta), 1), batch.n)[:, :, None]
    else:
        u = ops.log_normalize(m[:, :, :1] + 1e-3 * on.random_policies("nearby", (1, 1), batch.n))
    return np.broadcast_to(u, m.shape)


def _monotone(budget: str, *, comparator: str = "equilibrium") -> Evidence:
    cells = []
    for _, batch, path in _magnets(budget, SOLVED):
        kl = ops.kl(_comparator(batch, path, comparator), path)
        cells.append(on.Cell(kl[..., 1:], kl[..., :-1] + on.TOLERANCE))
    return on.evidence("KL(u, m_k+1)", cells, np.arange(1, path.shape[2]))


def _gap(budget: str, *, period: int = SOLVED) -> Evidence:
    cells = []
    for alpha, batch, path in _magnets(budget, period):
        m, after = path[:, :, :-1], path[:, :, 1:]
        climb = 2 * alpha * (after - m).max(axis=-1)
        cells.append(on.residual(metrics.gap(batch.wide(2), after), [climb, -2 * alpha * ops.kl(after, m)]))
    return on.evidence("error of the predicted Gap_0", cells, np.arange(1, path.shape[2]))


def _travel(budget: str, *, comparator: str = "equilibrium") -> Evidence:
    cells = []
    for _, batch, path in _magnets(budget, SOLVED):
        distance = np.cumsum(ops.kl(path[:, :, 1:], path[:, :, :-1]), axis=-1)
        start = ops.kl(_comparator(batch, path, comparator), path)[..., :1]
        cells.append(on.Cell(distance, start))
    return on.evidence("sum of KL(m_k+1, m_k)", cells, np.arange(1, path.shape[2]))


_EARLY = Control("the inner loop stops after 3 steps", {"period": 3})
_DERIVED = "derived: the proximal step in closed form and skewness of A"

CLAIMS = (
    Claim(
        "mmd.inner_rate",
        "KL(pi*, pi_k) <= (1 + eta alpha)^-k KL(pi*, pi_0) for eta <= 4 alpha, alpha the temperature.",
        "Sokota et al. (arXiv 2206.05825) for eta <= alpha / L^2; derived here from the energy identity",
        ("|A| <= 1/2", "eta = 4 alpha, the largest covered"),
        _inner,
        (Control("eta = 200 alpha at alpha = 0.01", {"factor": 200.0, "betas": (0.01,)}),),
        ("mmd",),
    ),
    Claim(
        "mmd.dictionary",
        "MMD with step eta, OMD with step eta / (1 + eta alpha) and INPO with eta_I = alpha + 1 / eta visit the same policies.",
        "derived: the three closed forms",
        ("common reference",),
        _dictionary,
        (Control("the same number as step of all three", {"translate": False}),),
        ("mmd", "omd", "inpo"),
    ),
    Claim(
        "comal.proximal_identity",
        "KL(u, m+) = KL(u, m) - KL(m+, m) - <u, A m+> / alpha for every policy u, m+ the inner equilibrium of magnet m.",
        _DERIVED,
        ("the inner loop is solved",),
        _proximal,
        (_EARLY,),
        ("comal", "mpo"),
    ),
    Claim(
        "comal.magnet_approaches",
        "KL(u, m_k) never increases, for every equilibrium u of the game without regularisation.",
        _DERIVED,
        ("the inner loop is solved", "u is an equilibrium of the original game"),
        _monotone,
        (Control("u is not an equilibrium", {"comparator": "random"}),),
        ("comal", "mpo"),
    ),
    Claim(
        "comal.magnet_gap",
        "Gap_0(m+) = 2 alpha [max_y log(m+ / m) - KL(m+, m)].",
        _DERIVED,
        ("the inner loop is solved",),
        _gap,
        (_EARLY,),
        ("comal", "mpo"),
    ),
    Claim(
        "comal.magnet_travel",
        "sum_k KL(m_k+1, m_k) <= KL(u, m_0) for every equilibrium u of the game without regularisation.",
        _DERIVED,
        ("the inner loop is solved", "u is an equilibrium of the original game"),
        _travel,
        (Control("u is near the first magnet and not an equilibrium", {"comparator": "nearby"}),),
        ("comal", "mpo"),
    ),
)
