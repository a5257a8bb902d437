"""Online mirror descent on the KL-regularised game (OMD), which is Online IPO and the INPO step.

Munos et al. (2024, arXiv 2312.00886) give an averaged-regret guarantee, Zhang et al. (INPO, arXiv 2407.00617) a
``1/T`` bound under decreasing steps. What is checked here is derived from the exact energy identity of the step: linear
convergence of the last iterate up to a step of ``4 beta / (1 + 4 beta^2)``, and the sharp local limit beyond which
self-play cycles.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prefsim import ops
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on
from prefsim.claims import _stability as near

BETAS = (0.01, 0.1, 1.0)


def largest_covered(beta: float) -> float:
    """Largest step of the contraction theorem."""
    return 4 * beta / (1 + 4 * beta**2)


def _contraction(budget: str, *, factor: float = 1.0, betas: tuple[float, ...] = BETAS) -> Evidence:
    times = on.record({"fast": 300, "paper": 3000}[budget])
    cells = []
    for beta, batch, start in on.grid(budget, betas):
        step = factor * largest_covered(beta)
        kl = batch.kl(on.trajectory("omd", {"step": step}, batch, start, times))
        cells.append(on.Cell(kl[..., 1:], (1 - step * beta) ** times[1:] * kl[..., :1]))
    return on.evidence("KL(pi*, pi_t)", cells, times[1:], on.FLOOR)


def _energy(budget: str, *, diagonal: float = 0.0, comparator: str = "equilibrium") -> Evidence:
    times = np.arange({"fast": 20, "paper": 200}[budget] + 1)
    cells = []
    for beta, batch, start in on.grid(budget, BETAS):
        if diagonal:
            batch = batch.skewed(diagonal)
        for step in (0.1, 0.9 / beta):
            path = on.trajectory("omd", {"step": step}, batch, start, times)
            l, after, c = path[:, :, :-1], path[:, :, 1:], step * beta
            star = batch.log_equilibrium if comparator == "equilibrium" else batch.log_reference
            star = np.broadcast_to(star[:, None, None], after.shape)
            turn = on.inner(batch.gain(l) - batch.gain(after), np.exp(after) - np.exp(star))
            terms = [ops.kl(star, after), c * ops.kl(after, star), (1 - c) * ops.kl(after, l), -step * turn]
            cells.append(on.residual((1 - c) * ops.kl(star, l), terms))
    return on.evidence("residual of the energy identity", cells, times[1:])


def _stability(budget: str, *, limit: Any = near.omd_limit) -> Evidence:
    return near.stability_evidence(budget, "omd", near.rotating(0.05), limit, near.omd_amplification)


def _additive(budget: str, *, cycle: float = 0.0) -> Evidence:
    return on.additive_evidence(budget, "omd", cycle)


CLAIMS = (
    Claim(
        "omd.contraction",
        "KL(pi*, pi_T) <= (1 - step beta)^T KL(pi*, pi_0) for step <= 4 beta / (1 + 4 beta^2).",
        "derived from the energy identity of the step and |<A u, v>| <= |u|_1 |v|_1 / 2",
        ("|A| <= 1/2", "step = 4 beta / (1 + 4 beta^2), the largest covered"),
        _contraction,
        (
            Control(
                "the step is 20 times the largest covered, at beta = 0.01 beyond the local stability limit of RPS",
                {"factor": 20.0, "betas": (0.01,)},
            ),
        ),
        ("omd",),
    ),
    Claim(
        "omd.energy_identity",
        "(1 - c) KL(pi*, l) = KL(pi*, l+) + c KL(l+, pi*) + (1 - c) KL(l+, l) - step <A (l - l+), l+ - pi*>, "
        "c = step beta, for every step from l to l+.",
        "derived: three-point equality of the mirror step and skewness of A",
        ("A is skew", "pi* is the regularised equilibrium", "any step with step beta <= 1"),
        _energy,
        (
            Control("the reference in place of the equilibrium", {"comparator": "reference"}),
            Control("A is not skew: a diagonal of 0.1 is added", {"diagonal": 0.1}),
        ),
        ("omd",),
    ),
    Claim(
        "omd.local_stability",
        "Near the equilibrium KL is multiplied by at most |z|^2 = (1 - step beta)^2 + step^2 omega^2 an iteration, so "
        "it converges locally below step = 2 beta / (omega^2 + beta^2) and not above.",
        "derived: linearisation, with omega the largest rotation frequency of A (diag pi* - pi* pi*^T)",
        ("perturbation of 1e-5", "0.9 and 1.1 times the limit"),
        _stability,
        (Control("the limit of EGPO is claimed for OMD", {"limit": near.egpo_limit}),),
        ("omd",),
    ),
    Claim(
        "omd.additive_game",
        "In an additive game A_ij = u_i - u_j every log-ratio error is multiplied by exactly 1 - step beta an iteration.",
        "derived: A p = u - <u, p>, so the opponent does not matter",
        ("A_ij = u_i - u_j",),
        _additive,
        (Control("a cyclic component of weight 0.2 is mixed into A", {"cycle": 0.2}),),
        ("omd",),
    ),
)
