"""Extragradient preference optimisation (Zhou, Fazel and Du 2025, arXiv 2503.08942).

The paper claims linear convergence of the last iterate to the KL-regularised equilibrium; the condition on the step and
the constants checked here are derived from the exact energy identity of the two half-steps and cover the paper's small
steps. The method is Nash mirror prox (Tiapkin et al. 2025, arXiv 2505.19731) in another parametrisation, because both
half-steps start from the same point; that, too, is checked against the minimisations which define Nash mirror prox.
"""

from __future__ import annotations

from math import sqrt
from types import SimpleNamespace
from typing import Any

import numpy as np

from prefsim import ops
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on
from prefsim.claims import _stability as near

BETAS = (0.01, 0.1, 1.0)


def covered(beta: float) -> float:
    """Largest step of the theorem in its simple form."""
    return 2 / (1 + 2 * beta)


def covered_sharp(beta: float) -> float:
    """Largest step of the theorem in its sharp form, the positive root of ``step^2 / 4 = 1 - step beta``."""
    return 2 * (sqrt(1 + beta**2) - beta)


def _linear_rate(
    budget: str, *, largest: Any = covered, solver: str = "egpo", factor: float = 1.0, betas: tuple[float, ...] = BETAS
) -> Evidence:
    times = on.record({"fast": 300, "paper": 3000}[budget])
    cells = []
    for beta, batch, start in on.grid(budget, betas):
        step = factor * largest(beta)
        kl = batch.kl(on.trajectory(solver, {"step": step}, batch, start, times))
        cells.append(on.Cell(kl[..., 1:], (1 - step * beta) ** times[1:] * kl[..., :1]))
    return on.evidence("KL(pi*, pi_t)", cells, times[1:], on.FLOOR)


def _linear_rate_sharp(budget: str, **change: Any) -> Evidence:
    return _linear_rate(budget, largest=covered_sharp, **change)


def mirror_prox_rule(anchor: str = "current", pull: bool = True) -> Any:
    """Nash mirror prox from its definition, or with one thing changed.

    Each move minimises ``P(opponent > pi) / beta + KL(pi, mu) + KL(pi, anchor) / eta`` over ``pi``. `anchor` is where
    the second move starts (``"current"`` is right); without `pull` the first move leaves ``KL(pi, mu)`` out.
    """

    def target(hyper: Any, iterate: Any, gain: Any, phase: int) -> Any:
        eta = hyper.step
        anchored = iterate.half if phase == 1 and anchor == "half" else iterate.current
        if phase == 0 and not pull:
            return anchored + eta / iterate.beta * gain
        return (anchored + eta * iterate.reference + eta / iterate.beta * gain) / (1 + eta)

    def opponent(hyper: Any, iterate: Any, phase: int) -> Any:
        return iterate.current if phase == 0 else iterate.half

    return SimpleNamespace(PHASES=2, opponent=opponent, target=target)


def _is_mirror_prox(budget: str, *, anchor: str = "current") -> Evidence:
    times = on.record({"fast": 50, "paper": 500}[budget])
    cells = []
    for beta, batch, start in on.grid(budget, BETAS):
        for eta in (2 * beta, 0.2 * beta):
            ours = on.trajectory("egpo", {"step": eta / (beta * (1 + eta))}, batch, start, times)
            theirs = on.trajectory(mirror_prox_rule(anchor), {"step": eta}, batch, start, times)
            size = 1 + np.abs(theirs).max(axis=-1)
            cells.append(on.Cell(np.abs(ours - theirs).max(axis=-1), on.TOLERANCE * size))
    return on.evidence("largest difference of log-probabilities", cells, times)


def _energy(budget: str, *, diagonal: float = 0.0, comparator: str = "equilibrium") -> Evidence:
    times = np.arange({"fast": 20, "paper": 200}[budget] + 1)
    cells = []
    for beta, batch, start in on.grid(budget, BETAS):
        if diagonal:
            batch = batch.skewed(diagonal)
        for step in (0.1, 0.9 / beta):
            path = on.trajectory("egpo", {"step": step}, batch, start, times)
            l, after, c = path[:, :, :-1], path[:, :, 1:], step * beta
            half = on.moves("omd", {"step": step}, batch, l)
            star = batch.log_equilibrium if comparator == "equilibrium" else batch.log_reference
            star = np.broadcast_to(star[:, None, None], after.shape)
            turn = on.inner(batch.gain(l) - batch.gain(half), np.exp(half) - np.exp(after))
            terms = [ops.kl(star, after), c * ops.kl(half, star), ops.kl(after, half)]
            terms += [(1 - c) * ops.kl(half, l), -step * turn]
            cells.append(on.residual((1 - c) * ops.kl(star, l), terms))
    return on.evidence("residual of the energy identity", cells, times[1:])


def _stability(budget: str, *, limit: Any = near.egpo_limit) -> Evidence:
    return near.stability_evidence(budget, "egpo", near.rotating(0.05), limit, near.egpo_amplification)


def _additive(budget: str, *, cycle: float = 0.0) -> Evidence:
    return on.additive_evidence(budget, "egpo", cycle)


_BEYOND = Control(
    "the step is 2.5 times the largest covered, at beta = 0.01 beyond the local stability limit of RPS",
    {"factor": 2.5, "betas": (0.01,)},
)

CLAIMS = (
    Claim(
        "egpo.linear_rate",
        "KL(pi*, pi_T) <= (1 - step beta)^T KL(pi*, pi_0) for step <= 2 / (1 + 2 beta).",
        "linear rate: Zhou, Fazel and Du (arXiv 2503.08942); condition and constants derived",
        ("|A| <= 1/2", "step = 2 / (1 + 2 beta)"),
        _linear_rate,
        (_BEYOND,),
        ("egpo",),
    ),
    Claim(
        "egpo.linear_rate_sharp",
        "KL(pi*, pi_T) <= (1 - step beta)^T KL(pi*, pi_0) for step <= 2 (sqrt(1 + beta^2) - beta).",
        "derived from the energy identity",
        ("|A| <= 1/2", "step = 2 (sqrt(1 + beta^2) - beta), the largest covered"),
        _linear_rate_sharp,
        (
            Control("one win-rate call: OMD at the same step, beta = 0.01", {"solver": "omd", "betas": (0.01,)}),
            _BEYOND,
        ),
        ("egpo",),
    ),
    Claim(
        "egpo.is_mirror_prox",
        "EGPO with step s and Nash mirror prox with step eta, s beta = eta / (1 + eta), visit the same policies.",
        "derived from the minimisations that define Nash mirror prox (arXiv 2505.19731)",
        ("both half-steps start from the current policy",),
        _is_mirror_prox,
        (Control("the second half-step starts from the first", {"anchor": "half"}),),
        ("egpo", "mirror_prox"),
    ),
    Claim(
        "egpo.energy_identity",
        "(1 - c) KL(pi*, l) = KL(pi*, l+) + c KL(h, pi*) + KL(l+, h) + (1 - c) KL(h, l) - step <A (l - h), h - l+>, "
        "c = step beta, for every iteration from l by h to l+.",
        "derived: three-point equalities of both half-steps and skewness of A",
        ("A is skew", "pi* is the regularised equilibrium", "any step with step beta <= 1"),
        _energy,
        (
            Control("the reference in place of the equilibrium", {"comparator": "reference"}),
            Control("A is not skew: a diagonal of 0.1 is added", {"diagonal": 0.1}),
        ),
        ("egpo", "mirror_prox"),
    ),
    Claim(
        "egpo.local_stability",
        "Near the equilibrium KL is multiplied by at most the largest |(1 - c)(1 + i x) - x^2|^2 an iteration, "
        "x = step omega, c = step beta; EGPO converges locally below the step where that is 1 and not above.",
        "derived: linearisation, with omega the largest rotation frequency of A (diag pi* - pi* pi*^T)",
        ("perturbation of 1e-5", "0.9 and 1.1 times the limit"),
        _stability,
        (Control("the limit of OMD, 2 beta / (omega^2 + beta^2), is claimed for EGPO", {"limit": near.omd_limit}),),
        ("egpo",),
    ),
    Claim(
        "egpo.additive_game",
        "In an additive game A_ij = u_i - u_j every log-ratio error is multiplied by exactly 1 - step beta an iteration.",
        "derived: A p = u - <u, p>, so the opponent does not matter",
        ("A_ij = u_i - u_j",),
        _additive,
        (Control("a cyclic component of weight 0.2 is mixed into A", {"cycle": 0.2}),),
        ("egpo",),
    ),
)
