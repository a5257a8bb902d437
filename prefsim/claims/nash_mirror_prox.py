"""Nash mirror prox (Tiapkin et al. 2025, arXiv 2505.19731): linear convergence of the last iterate, in KL and uniformly.

The abstract gives a KL of order ``(1 + 2 beta)^(-N/2)`` after ``N`` win-rate calls, linear convergence of exploitability
and, uniformly over actions, of the log-probabilities, none depending on the number of actions. The constants checked
here are derived; a step ``eta = 2 beta`` reproduces the abstract's rate. Steps are those of ``mirror_prox``, which
divides the game by ``beta``; an iteration is two win-rate calls.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from prefsim import metrics, ops
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on
from prefsim.claims.egpo import mirror_prox_rule

BETAS = (0.01, 0.1, 1.0)
SPAN_FLOOR = 1e-10
"""Spans of log-probabilities below this are rounding: probabilities of 1e-40 occur, with logarithms known to 1e-14."""


def _times(budget: str) -> np.ndarray:
    return on.record({"fast": 300, "paper": 3000}[budget])


def _half(batch: on.Instances, eta: float, beta: float, path: on.Floats) -> on.Floats:
    """The first half-step from every policy of a path: one OMD step."""
    return on.moves("omd", {"step": eta / (beta * (1 + eta))}, batch, path)


def _linear_rate(budget: str, *, eta: float | None = None, betas: tuple[float, ...] = BETAS) -> Evidence:
    times = _times(budget)
    cells = []
    for beta, batch, start in on.grid(budget, betas):
        step = eta or 2 * beta
        kl = batch.kl(on.trajectory("mirror_prox", {"step": step}, batch, start, times))
        cells.append(on.Cell(kl[..., 1:], (1.0 + step) ** -times[1:] * kl[..., :1]))
    return on.evidence("KL(pi*, pi_k)", cells, times[1:], on.FLOOR)


def _energy(budget: str, *, eta: float | None = None, betas: tuple[float, ...] = BETAS) -> Evidence:
    times = np.arange({"fast": 40, "paper": 400}[budget] + 1)
    cells = []
    for beta, batch, start in on.grid(budget, betas):
        step = eta or 2 * beta * (beta + sqrt(beta**2 + 1))
        path = on.trajectory("mirror_prox", {"step": step}, batch, start, times)
        kl = batch.kl(path)
        half = _half(batch, step, beta, path[:, :, :-1])
        spent = ops.kl(half, np.broadcast_to(batch.log_equilibrium[:, None, None], half.shape))
        cells.append(on.Cell((1 + step) * kl[..., 1:] + step * spent, kl[..., :-1]))
    return on.evidence("(1 + eta) KL(pi*, pi_k+1) + eta KL(pi_k+1/2, pi*)", cells, times[1:], on.FLOOR)


def _span(budget: str, *, eta: float | None = None, betas: tuple[float, ...] = BETAS) -> Evidence:
    times = _times(budget)
    cells = []
    for beta, batch, start in on.grid(budget, betas):
        step = eta or 2 * beta
        path = on.trajectory("mirror_prox", {"step": step}, batch, start, times)
        span = metrics.span_to_equilibrium(None, path, batch.log_equilibrium[:, None, None])  # type: ignore[arg-type]
        kl = batch.kl(path)[..., :1]
        slow = np.sqrt(2 * step * kl) / (beta * (sqrt(1 + step) - 1))
        bound = (1.0 + step) ** -times * span[..., :1] + (1 + step) ** (-times / 2) * slow
        cells.append(on.Cell(span[..., 1:], bound[..., 1:]))
    return on.evidence("span of log(pi_k / pi*)", cells, times[1:], SPAN_FLOOR)


def _half_step_gap(budget: str, *, eta: float | None = None, betas: tuple[float, ...] = BETAS) -> Evidence:
    times = _times(budget)
    cells = []
    for beta, batch, start in on.grid(budget, betas):
        step = eta or 2 * beta
        path = on.trajectory("mirror_prox", {"step": step}, batch, start, times)
        gap = metrics.gap(batch.wide(2), _half(batch, step, beta, path))
        bound = (2 * beta + 1 / (2 * beta)) / step * (1.0 + step) ** -times * batch.kl(path)[..., :1]
        cells.append(on.Cell(gap, bound))
    return on.evidence("Gap_beta(pi_k+1/2)", cells, times, on.FLOOR)


def _fixed_point(budget: str, *, pull: bool = True) -> Evidence:
    times = on.record({"fast": 600, "paper": 3000}[budget])
    last = np.where(times == times[-1], 1.0, np.nan)
    cells = []
    for beta, batch, start in on.grid(budget, (0.1, 1.0)):
        solver = "mirror_prox" if pull else mirror_prox_rule(pull=False)
        path = on.trajectory(solver, {"step": 2 * beta}, batch, start, times)
        error = np.abs(path - batch.log_equilibrium[:, None, None]).max(axis=-1)
        size = 1 + np.abs(path).max(axis=-1)
        cells.append(on.Cell(error, on.TOLERANCE * size / beta * last))
    return on.evidence("largest error of log-probabilities", cells, times)


_LIMIT = ("|A| <= 1/2", "eta = 2 beta, the largest step of the abstract's rate")
_BEYOND = Control("eta = 10 at beta = 0.01, far beyond 2 beta", {"eta": 10.0, "betas": (0.01,)})
_PAPER = "rate: Tiapkin et al. (arXiv 2505.19731), abstract; constants derived from the energy identity"

CLAIMS = (
    Claim(
        "mirror_prox.linear_rate",
        "KL(pi*, pi_k) <= (1 + eta)^-k KL(pi*, pi_0) for eta <= 2 beta.",
        _PAPER,
        _LIMIT,
        _linear_rate,
        (_BEYOND,),
        ("mirror_prox", "egpo"),
    ),
    Claim(
        "mirror_prox.energy_inequality",
        "(1 + eta) KL(pi*, pi_k+1) + eta KL(pi_k+1/2, pi*) <= KL(pi*, pi_k) for eta <= 2 beta sqrt(1 + eta).",
        "derived from the energy identity",
        ("|A| <= 1/2", "eta = 2 beta (beta + sqrt(beta^2 + 1)), the largest covered"),
        _energy,
        (_BEYOND,),
        ("mirror_prox", "egpo"),
    ),
    Claim(
        "mirror_prox.span",
        "span log(pi_k / pi*) <= (1 + eta)^-k span_0 + (1 + eta)^(-k/2) sqrt(2 eta KL_0) / (beta (sqrt(1 + eta) - 1)) "
        "for eta <= 2 beta.",
        _PAPER,
        _LIMIT,
        _span,
        (_BEYOND,),
        ("mirror_prox", "egpo"),
    ),
    Claim(
        "mirror_prox.half_step_gap",
        "Gap_beta(pi_k+1/2) <= (2 beta + 1/(2 beta)) (1 + eta)^-k KL_0 / eta for eta <= 2 beta.",
        _PAPER,
        _LIMIT,
        _half_step_gap,
        (_BEYOND,),
        ("mirror_prox", "egpo"),
    ),
    Claim(
        "mirror_prox.fixed_point",
        "With eta = 2 beta the iterates converge to the regularised equilibrium itself.",
        "derived: the fixed point of both half-steps",
        ("the pull to the reference is part of both half-steps",),
        _fixed_point,
        (Control("no pull to the reference in the first half-step", {"pull": False}),),
        ("mirror_prox", "egpo"),
    ),
)
