"""Iterative Nash policy optimisation (Zhang et al. 2025, arXiv 2407.00617).

The update is the exact minimiser of the paper's pairwise loss with target ``1 / (2 eta)``, where ``eta`` is an *inverse*
rate. The paper proves ``KL(pi*, pi+) <= (1 - tau/eta) KL(pi*, pi) + 8 C^2/eta^2`` and, with ``eta_t = tau (t + 2)/2``,
``KL(pi*, pi_T) <= 32 C^2/(tau^2 (T + 1))``, ``C = max(B tau, 1)`` for log-ratios within ``B``. From the reference they
stay within ``1/tau``, so that ``C = 1``; and for constant ``eta >= tau + 1/(4 tau)`` the residual vanishes (derived).
Bounds only: exact runs decay faster. ``tau`` is the game's ``beta``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prefsim import ops
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on

BETAS = (0.01, 0.1, 1.0)
RATE, RESIDUAL = 32.0, 8.0


def loss_gradient(path: on.Floats, after: on.Floats, batch: on.Instances, eta: float, goal: float) -> tuple[Any, Any]:
    """Gradient in the log-ratios of the pairwise loss ``E (h(w, l) - goal)^2`` at `after`, and the size of its terms.

    Pairs ``y, y'`` are drawn from ``pi_t = path``; ``y`` wins with probability ``P(y > y')``, and ``h`` is the
    difference between ``y`` and ``y'`` of ``log pi - (tau/eta) log mu - (1 - tau/eta) log pi_t``.
    """
    wide = batch.wide(2)
    pull = (wide.beta / eta)[..., None]
    change = after - pull * wide.log_reference - (1 - pull) * path
    h = change[..., :, None] - change[..., None, :]
    wins = 0.5 + wide.payoff
    weight = np.exp(path)[..., :, None] * np.exp(path)[..., None, :]
    # d/dh of P (h - goal)^2 + (1 - P)(-h - goal)^2, each pair counted in both orders
    slopes = 2 * weight * (wins * (h - goal) - (1 - wins) * (-h - goal))
    return 2 * slopes.sum(axis=-1), np.abs(slopes).sum(axis=-1)


def _loss(budget: str, *, goal: Any = lambda eta: 1 / (2 * eta)) -> Evidence:
    times = np.arange({"fast": 6, "paper": 40}[budget] + 1)
    cells = []
    for beta, batch, start in on.grid(budget, BETAS):
        for eta in (beta, 2.0 + beta, 20.0):
            path = on.trajectory("inpo", {"step": eta}, batch, start, times)
            gradient, size = loss_gradient(path[:, :, :-1], path[:, :, 1:], batch, eta, goal(eta))
            scale = np.maximum(1.0, size.max(axis=-1)) * (1 + np.abs(path[:, :, 1:]).max(axis=-1))
            cells.append(on.Cell(np.abs(gradient).max(axis=-1), on.TOLERANCE * scale))
    return on.evidence("gradient of the loss at the update", cells, times[1:])


def _schedule(budget: str, *, scale: float = 1.0) -> Evidence:
    times = on.record({"fast": 200, "paper": 10000}[budget])
    cells = []
    for beta, batch, start in on.grid(budget, BETAS, scale):
        kl = batch.kl(on.trajectory("inpo", {"schedule": True}, batch, start, times))
        cells.append(on.Cell(kl[..., 1:], RATE / (beta**2 * (times[1:] + 1))))
    return on.evidence("KL(pi*, pi_T)", cells, times[1:])


def _schedule_tail(budget: str, *, early: bool = False) -> Evidence:
    """From the first covered iteration ``t0`` on, or, if `early`, with the bound started at a twentieth of it."""
    firsts = {beta: int(np.ceil(1 / (2 * beta**2))) for beta in (0.07, 0.1, 0.3, 1.0)}
    if early:
        firsts = {beta: max(1, first // 20) for beta, first in firsts.items()}
    times = np.union1d(on.record({"fast": 300, "paper": 3000}[budget]), list(firsts.values()))
    cells = []
    for beta, batch, start in on.grid(budget, tuple(firsts)):
        first = firsts[beta]
        kl = batch.kl(on.trajectory("inpo", {"schedule": True}, batch, start, times))
        bound = first * (first + 1) / np.maximum(times * (times + 1), 1) * kl[..., times == first]
        cells.append(on.Cell(kl, np.where(times > first, bound, np.nan)))
    return on.evidence("KL(pi*, pi_T)", cells, times, on.FLOOR)


def _one_step(budget: str, *, scale: float = 1.0) -> Evidence:
    times = np.arange({"fast": 20, "paper": 300}[budget] + 1)
    cells = []
    for beta, batch, start in on.grid(budget, BETAS, scale):
        for factor in (1.0, 2.0, 10.0):
            eta = factor * beta
            kl = batch.kl(on.trajectory("inpo", {"step": eta}, batch, start[:, :1], times))
            cells.append(on.Cell(kl[..., 1:] - (1 - beta / eta) * kl[..., :-1], RESIDUAL / eta**2))
    return on.evidence("KL(pi*, pi_t+1) - (1 - tau/eta) KL(pi*, pi_t)", cells, times[1:])


def _constant(budget: str, *, factor: float = 1.0, betas: tuple[float, ...] = BETAS) -> Evidence:
    times = on.record({"fast": 300, "paper": 3000}[budget])
    cells = []
    for beta, batch, start in on.grid(budget, betas):
        eta = factor * (beta + 1 / (4 * beta))
        kl = batch.kl(on.trajectory("inpo", {"step": eta}, batch, start, times))
        cells.append(on.Cell(kl[..., 1:], (1 - beta / eta) ** times[1:] * kl[..., :1]))
    return on.evidence("KL(pi*, pi_T)", cells, times[1:], on.FLOOR)


def _log_ratio(budget: str, *, scale: float = 1.0) -> Evidence:
    times = on.record({"fast": 100, "paper": 3000}[budget])
    cells = []
    for beta, batch, start in on.grid(budget, (0.1, 1.0), scale):
        for hyper in ({"step": beta}, {"step": 3 * beta}, {"schedule": True}):
            path = on.trajectory("inpo", hyper, batch, start[:, :1], times)
            ratio = np.abs(path - batch.log_reference[:, None, None]).max(axis=-1)
            cells.append(on.Cell(ratio, 1 / beta + 1e-9))
    return on.evidence("largest |log pi_t / mu|", cells, times)


def _energy(budget: str, *, comparator: str = "equilibrium") -> Evidence:
    times = np.arange({"fast": 20, "paper": 200}[budget] + 1)
    cells = []
    for beta, batch, start in on.grid(budget, BETAS):
        for eta in (1.5 * beta, 10.0):
            path = on.trajectory("inpo", {"step": eta}, batch, start, times)
            l, after, c = path[:, :, :-1], path[:, :, 1:], beta / eta
            star = batch.log_equilibrium if comparator == "equilibrium" else batch.log_reference
            star = np.broadcast_to(star[:, None, None], after.shape)
            turn = on.inner(batch.gain(l) - batch.gain(after), np.exp(after) - np.exp(star))
            terms = [ops.kl(star, after), c * ops.kl(after, star), (1 - c) * ops.kl(after, l), -turn / eta]
            cells.append(on.residual((1 - c) * ops.kl(star, l), terms))
    return on.evidence("residual of the energy identity", cells, times[1:])


_PAPER = "Zhang et al. (arXiv 2407.00617)"
_SCALED = Control("payoffs 100 times too large, with C = 1 kept", {"scale": 100.0})

CLAIMS = (
    Claim(
        "inpo.loss",
        "The update is the stationary point of E (h(w, l) - 1/(2 eta))^2 over pairs from pi_t labelled by P.",
        f"{_PAPER} for the loss; its gradient derived",
        ("pairs i.i.d. from pi_t", "target 1/(2 eta)"),
        _loss,
        (Control("the target of ONPO, eta/2, instead", {"goal": lambda eta: eta / 2}),),
        ("inpo",),
    ),
    Claim(
        "inpo.schedule",
        "KL(pi*, pi_T) <= 32/(tau^2 (T + 1)) for eta_t = tau (t + 2)/2, T >= 1.",
        f"{_PAPER}; C = 1 derived",
        ("|A| <= 1/2", "the schedule"),
        _schedule,
        (_SCALED,),
        ("inpo",),
    ),
    Claim(
        "inpo.schedule_tail",
        "KL(pi*, pi_T) <= t0 (t0 + 1) / (T (T + 1)) KL(pi*, pi_t0) under the schedule, t0 = ceil(1 / (2 tau^2)), T > t0.",
        "derived: from t0 on the steps are within the theorem for constant ones",
        ("|A| <= 1/2", "the schedule"),
        _schedule_tail,
        (Control("claimed from a twentieth of t0 on", {"early": True}),),
        ("inpo",),
    ),
    Claim(
        "inpo.one_step",
        "KL(pi*, pi_t+1) <= (1 - tau/eta) KL(pi*, pi_t) + 8/eta^2 for eta >= tau.",
        f"{_PAPER}; C = 1 derived",
        ("|A| <= 1/2", "start at the reference"),
        _one_step,
        (_SCALED,),
        ("inpo",),
    ),
    Claim(
        "inpo.constant",
        "KL(pi*, pi_T) <= (1 - tau/eta)^T KL(pi*, pi_0) for constant eta >= tau + 1/(4 tau).",
        "derived from the energy identity of the step",
        ("|A| <= 1/2", "eta = tau + 1/(4 tau), the smallest covered"),
        _constant,
        (Control("eta 20 times smaller: beyond the stability limit of RPS", {"factor": 0.05, "betas": (0.01,)}),),
        ("inpo",),
    ),
    Claim(
        "inpo.log_ratio",
        "|log pi_t / mu| <= 1/tau from the start mu, so that the paper's C is 1.",
        "derived: the log-ratio is a convex combination of win rates against past policies, divided by tau",
        ("|A| <= 1/2", "start at the reference"),
        _log_ratio,
        (_SCALED,),
        ("inpo",),
    ),
    Claim(
        "inpo.energy_identity",
        "(1 - c) KL(pi*, l) = KL(pi*, l+) + c KL(l+, pi*) + (1 - c) KL(l+, l) - <A (l - l+), l+ - pi*>/eta, c = tau/eta.",
        "derived: three-point equality of the mirror step and skewness of A",
        ("A is skew", "pi* is the regularised equilibrium", "eta >= tau"),
        _energy,
        (Control("the reference in place of the equilibrium", {"comparator": "reference"}),),
        ("inpo",),
    ),
)
