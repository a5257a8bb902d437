"""Self-play preference optimisation by regression (Wu et al. 2024, arXiv 2405.00675).

With the exact normaliser the minimiser of the paper's loss is the multiplicative-weights step, and the claims about
``mwu`` hold. The published loss replaces ``log Z`` by ``eta / 2``; what it then computes is explicit, a formula with
Lambert's function (derived), which agrees with multiplicative weights to leading order in ``eta`` and departs from it
for the large ``eta`` of language-model runs. The paper's constants are not known here; these statements stand alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on

STEPS = (0.1, 10.0, 100.0)


def _paths(budget: str, half: bool) -> Any:
    """Yield the step and one run per game: policies, the next ones, and ``g = eta A pi_t``."""
    times = np.arange({"fast": 3, "paper": 30}[budget] + 1)
    for _, batch, start in on.grid(budget, (0.1,)):
        for step in STEPS:
            path = on.trajectory("sppo", {"step": step, "half_partition": half}, batch, start, times)[:, :, :2]
            yield step, path[:, :, :-1], path[:, :, 1:], step * batch.gain(path[:, :, :-1])


def _exact(budget: str, *, half: bool = False) -> Evidence:
    cells = []
    for step, policy, after, change in _paths(budget, half):
        residual = np.abs(after - policy - change + on.log_mean_exp(policy, change)[..., None]).max(axis=-1)
        cells.append(on.Cell(residual, on.TOLERANCE * (1 + step + np.abs(after).max(axis=-1))))
    return on.evidence("largest residual of the regression", cells, np.array([1]))


def lambert(log_policy: on.Floats, change: on.Floats) -> on.Floats:
    """Minimiser for one policy from its formula, with SciPy's Lambert function and root finder."""
    from scipy.optimize import brentq
    from scipy.special import lambertw

    policy = np.exp(log_policy)

    def grown(kappa: float) -> on.Floats:
        return lambertw(kappa * np.exp(change)).real / kappa

    def excess(kappa: float) -> float:
        return float((policy * grown(kappa)).sum() - 1)

    if excess(1e-12) <= 0:  # kappa is 0 to rounding, where the formula tends to multiplicative weights
        return log_policy + change
    kappa = brentq(excess, 1e-12, max(change.max(), 1.0), xtol=1e-18, rtol=1e-14)
    return log_policy + np.log(grown(kappa))


def _half(budget: str, *, half: bool = True) -> Evidence:
    cells = []
    for step, policy, after, change in _paths(budget, half):
        if step < 1:
            continue  # where kappa is too small for SciPy's formula to be accurate
        n = policy.shape[-1]
        rows = [lambert(l, g) for l, g in zip(policy.reshape(-1, n), change.reshape(-1, n), strict=True)]
        error = np.abs(after - np.reshape(rows, after.shape)).max(axis=-1)
        cells.append(on.Cell(error, 1e-9 * (1 + step + np.abs(after).max(axis=-1))))
    return on.evidence("largest error of log-probabilities", cells, np.array([1]))


def _stationary(budget: str, *, half: bool = True) -> Evidence:
    """Gradient in the logits of ``E_pi_t (log pi+/pi_t - g)^2``, at the update."""
    cells = []
    for _, policy, after, change in _paths(budget, half):
        slope = 2 * np.exp(policy) * (after - policy - change)
        gradient = slope - np.exp(after) * slope.sum(axis=-1, keepdims=True)
        cells.append(on.Cell(np.abs(gradient).max(axis=-1), on.TOLERANCE * (1 + np.abs(slope).sum(axis=-1))))
    return on.evidence("gradient of the loss at the update", cells, np.array([1]))


def _partition(budget: str, *, scale: float = 1.0) -> Evidence:
    cells = []
    for _, batch, start in on.grid(budget, (0.1,)):
        uniform = np.full_like(start, -np.log(batch.n))
        for policy in (start, uniform, on.random_policies("partition", start.shape[:2], batch.n, 4.0)):
            for step in (0.01, 1.0, 10.0, 100.0):
                log_z = on.log_mean_exp(policy, step * scale * batch.gain(policy))
                rounding = 1e-14 * (1 + step)
                measured = np.where(log_z < -rounding, np.inf, log_z)  # a negative value breaks the lower side
                cells.append(on.Cell(measured, step**2 / 24 + rounding))
    return on.evidence("log Z - eta/2", cells)


CLAIMS = (
    Claim(
        "sppo.exact",
        "With the exact log Z the regression is solved without residual by the multiplicative-weights step.",
        "Wu et al. (arXiv 2405.00675) for the loss; minimiser derived",
        ("full-support policies",),
        _exact,
        (Control("log Z is replaced by eta/2", {"half": True}),),
        ("sppo", "mwu"),
    ),
    Claim(
        "sppo.half",
        "With log Z replaced by eta/2 the minimiser is pi_t W(kappa e^g) / kappa, g = eta A pi_t, with kappa from its sum.",
        "derived: Lagrange multiplier of the normalisation",
        ("full-support policies", "eta = 10 and 100"),
        _half,
        (Control("the multiplicative-weights step instead", {"half": False}),),
        ("sppo",),
    ),
    Claim(
        "sppo.half_stationary",
        "The update with eta/2 is a stationary point of E_pi_t (log pi/pi_t - eta (P(. > pi_t) - 1/2))^2 over policies.",
        "derived",
        ("full-support policies",),
        _stationary,
        (Control("the multiplicative-weights step instead", {"half": False}),),
        ("sppo",),
    ),
    Claim(
        "sppo.partition",
        "0 <= log Z - eta/2 <= eta^2/24, Z = E_pi exp(eta P(. > pi)).",
        "derived: win rates of a policy against itself lie below a uniform law in convex order",
        ("|A| <= 1/2",),
        _partition,
        (Control("payoffs 8 times larger, as log-odds may be", {"scale": 8.0}),),
        ("sppo",),
    ),
)
