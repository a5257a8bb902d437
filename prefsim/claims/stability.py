"""How fast self-play turns around an equilibrium, and how fast it contracts there.

``omega`` is the largest ``|Im|`` of the eigenvalues of ``A S``, ``S = diag(pi*) - pi* pi*^T``. Each mode is multiplied by a
complex ``z(omega_j)`` an iteration, the normalisation along the constant vector not being one of them, and KL by ``|z|^2``.
"""

from __future__ import annotations

import numpy as np

from prefsim import games, ops
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on
from prefsim.claims import _stability as near
from prefsim.equilibrium import local_frequency
from prefsim.stability import largest_frequency

WINDOW = (1e-14, 1e-22)
"""KL divergences between which the factor is measured: first order is exact to 1e-6 above, rounding is below."""


def _frequency_spread(budget: str, *, share: float = 0.5) -> Evidence:
    cells = []
    for _, batch, _ in on.grid(budget, (0.05, 1.0)):
        p = np.exp(batch.log_equilibrium)
        spread = (p[:, :, None] * p[:, None, :] * batch.payoff**2).sum(axis=(1, 2))
        cells.append(on.Cell(local_frequency(batch.game(), batch.log_equilibrium), np.sqrt(share * spread)))
    return on.evidence("omega", cells)


def _frequency_bound(budget: str, *, share: float = 1.0) -> Evidence:
    cells = []
    for _, batch, _ in on.grid(budget, (0.05, 1.0)):
        omega = local_frequency(batch.game(), batch.log_equilibrium)
        cells.append(on.Cell(omega, share * largest_frequency(batch.n)))
    for n in (3, 5, 7, 21):
        batch = on.unregularised(games.cyclic(n).payoff[None])
        bound = share * largest_frequency(n)
        omega = local_frequency(batch.game(), batch.log_equilibrium)
        cells.append(on.Cell(omega, bound, (1 - on.TOLERANCE) * bound))
    return on.evidence("omega", cells)


def amplification(solver: str, step: float, omega: on.Floats, beta: float) -> on.Floats:
    """``|z|^2`` of each mode."""
    c, x = step * beta, step * omega
    z = (1 - c) + 1j * x if solver == "omd" else (1 - c) * (1 + 1j * x) - x**2
    return np.abs(z) ** 2


def modes(batch: on.Instances, normalisation: bool) -> on.Floats:
    """Frequencies of one game at its equilibrium, with or without the zero of the constant vector."""
    p = np.exp(batch.log_equilibrium[0])
    turning = np.sort(np.abs(np.linalg.eigvals(batch.payoff[0] @ (np.diag(p) - np.outer(p, p))).imag))
    return turning[0 if normalisation else 1 :]


def measured_rate(kl: on.Floats) -> float:
    """Mean ``log`` of the factor per iteration within :data:`WINDOW`, NaN if the path does not cross it."""
    inside = np.flatnonzero((kl < WINDOW[0]) & (kl > WINDOW[1]))
    if len(inside) < 5 or kl[-1] > WINDOW[1]:
        return float("nan")
    return float(np.log(kl[inside[-1]] / kl[inside[0]]) / (inside[-1] - inside[0]))


def _asymptotic(budget: str, *, normalisation: bool = False) -> Evidence:
    beta, times = 0.05, np.arange({"fast": 1500, "paper": 4000}[budget])
    cells = []
    for n in (3,) if normalisation else (3, 4, 5):
        payoff = games.random(n, seed=3, count=2).payoff
        if n % 2:
            payoff = np.concatenate([games.cyclic(n).payoff[None], payoff])
        batch = on.plant(payoff, on.random_policies("asymptotic", (len(payoff), 1), n, 0.3)[:, 0], np.full(len(payoff), beta))
        for i in range(len(payoff)):
            one = on.Instances(*(field[i : i + 1] for field in batch))
            start = ops.log_normalize(one.log_equilibrium[:, None] + 1e-3 * on.random_policies("push", (1, 1), n))
            frequency = modes(one, normalisation)
            if frequency[-1] < 2 * beta:
                continue  # it hardly turns, and EGPO has no limit
            limits = {"omd": near.omd_limit, "egpo": near.egpo_limit}
            for solver in ("egpo",) if normalisation else ("omd", "egpo"):
                step = 0.5 * limits[solver](float(frequency[-1]), beta)
                rate = measured_rate(one.kl(on.trajectory(solver, {"step": step}, one, start, times))[0, 0])
                predicted = np.log(amplification(solver, step, frequency, beta).max())
                cells.append(on.Cell(np.array([abs(rate / predicted - 1)]), 1e-3))
    return on.evidence("relative error of the predicted log factor of KL", cells)


CLAIMS = (
    Claim(
        "stability.frequency_spread",
        "omega <= sqrt(sum_ij pi*_i pi*_j A_ij^2 / 2), with equality for three actions.",
        "derived: trace of the square of a skew matrix",
        ("A is skew",),
        _frequency_spread,
        (Control("a quarter in place of a half", {"share": 0.25}),),
        (),
    ),
    Claim(
        "stability.frequency_bound",
        "omega <= cot(pi / 2n) / 2n for every game of n actions, with equality on cyclic tournaments.",
        "derived: isoperimetric inequality for the zonogon of the mode",
        ("|A| <= 1/2",),
        _frequency_bound,
        (Control("0.99 times the bound", {"share": 0.99}),),
        (),
    ),
    Claim(
        "stability.asymptotic_factor",
        "KL is multiplied by max_j |z(omega_j)|^2 an iteration in the limit: z = 1 - c + i x for OMD and "
        "(1 - c)(1 + i x) - x^2 for EGPO, x = step omega_j, c = step beta.",
        "derived: linearisation; the modes are orthogonal in the metric of KL",
        ("half the stability limit", "KL between 1e-14 and 1e-22", "log factor to 1e-3"),
        _asymptotic,
        (Control("the normalisation is taken for a mode, at n = 3", {"normalisation": True}),),
        ("omd", "egpo"),
    ),
)
