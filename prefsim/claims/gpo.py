"""General preference optimisation (Zhang et al. 2024, arXiv 2410.02197): self-play on log-odds scores.

The paper proves a gap of order ``1 / sqrt(T)`` for the average policy when scores are bounded by ``rho``. With exact
multiplicative weights the constant is ``2 (D / (eta T) + eta rho^2 / 6)``, ``eta = 1 / beta`` (derived: the convex-order
argument scales with the square of the payoffs). The gap is that of the game in log-odds, ``2 max_y (S average)_y``,
which has another equilibrium than the game in probabilities.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prefsim import games, ops
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on
from prefsim.claims import mwu
from prefsim.equilibrium import solve_equilibrium
from prefsim.game import PreferenceGame
from prefsim.run import run


def _scores(batch: on.Instances, rho: float) -> on.Floats:
    """Probabilities whose log-odds reach `rho`, from payoffs of the same shape."""
    scores = rho * batch.payoff / np.abs(batch.payoff).max(axis=(1, 2), keepdims=True)
    return 0.5 + np.tanh(scores / 2) / 2


def _average(budget: str, *, bounded_by: float | None = None) -> Evidence:
    """Gaps against the bound for scores up to `bounded_by`; the truth, ``rho``, if not given."""
    times = on.record({"fast": 2000, "paper": 20000}[budget])
    settings: dict[str, Any] = {"horizon": int(times[-1]), "record": times.tolist(), "metrics": ["average_duality_gap"]}
    cells = []
    for batch in mwu.families(budget):
        start = mwu.spread_starts(batch)
        distance = -start.min(axis=-1)[..., None]
        for rho in (0.5, 2.0, 8.0):
            game = PreferenceGame(_scores(batch, rho), transform="log_odds")
            for beta in (rho / 2, 4 * rho):
                data = run(game, [("gpo", {"step": beta})], start=np.exp(start), runs=2, **settings)
                bound = 2 * (distance * beta / times[1:] + (bounded_by or rho) ** 2 / (6 * beta))
                cells.append(on.Cell(data["average_duality_gap"].values[0][..., 1:], bound))
    return on.evidence("Gap_0 of the average policy, in log-odds", cells, times[1:])


def _equilibria(budget: str, *, transform: str = "log_odds") -> Evidence:
    """Equilibria of rock-paper-scissors with given margins against ``(c, b, a)`` of the log-odds, normalised."""
    cells = []
    for margins in ((0.1, 0.3, 0.45), (0.2, 0.4, 0.1), (0.05, 0.25, 0.35)):
        preference = games.rock_paper_scissors(margins).preference
        a, b, c = (np.log((0.5 + m) / (0.5 - m)) for m in margins)
        known = ops.log_normalize(np.log([c, b, a]))
        found = solve_equilibrium(PreferenceGame(preference, transform=transform)).log_policy
        cells.append(on.Cell(np.abs(found - known).max()[None], on.TOLERANCE))
    return on.evidence("largest error of log-probabilities", cells)


CLAIMS = (
    Claim(
        "gpo.average_bound",
        "Gap_0 of the average of T iterates, in log-odds, <= 2 (D beta / T + rho^2 / (6 beta)), D = max_y log 1 / pi_1(y).",
        "Zhang et al. (arXiv 2410.02197) for the order; constants derived",
        ("|S| <= rho", "constant step 1 / beta"),
        _average,
        (Control("the constant of the game in probabilities, rho = 1/2", {"bounded_by": 0.5}),),
        ("gpo", "mwu"),
    ),
    Claim(
        "gpo.equilibria",
        "Games in log-odds and in probabilities have different equilibria: (c, b, a) of their own margins in RPS.",
        "derived: the kernel of a skew 3 x 3 matrix",
        ("rock-paper-scissors with unequal margins",),
        _equilibria,
        (Control("the game in probabilities", {"transform": "probability"}),),
        ("gpo",),
    ),
)
