"""Ailon, Karnin and Joachims (2014), "Reducing dueling bandits to cardinal bandits": MultiSBM."""

from __future__ import annotations

from prefsim.bandits.arithmetic8 import arithmetic8
from prefsim.bandits.cyclic4 import cyclic4
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims._regret import COIN, growth

SIZES = {"fast": (300_000, 40), "paper": (3_000_000, 100)}
"""Horizon and runs."""


def logarithmic(budget: str, order: str = "total", feedback: str = "true") -> Evidence:
    """Growth of mean regret / ln t over the last decade, where arms are ordered or run in a circle."""
    bandit = arithmetic8() if order == "total" else cyclic4()
    return growth([bandit], "multi_sbm", *SIZES[budget], feedback)


CLAIMS = (
    Claim(
        key="multi_sbm.logarithmic",
        statement="With utilities and linear links the regret is O(ln T); tested: regret / ln T grows less than twofold in the "
        "last decade.",
        source="Ailon, Karnin, Joachims 2014, Theorem 4 (form recalled)",
        assumptions=("P_ij - 1/2 is a difference of utilities", "duels follow P"),
        measure=logarithmic,
        controls=(
            Control("a total order: best replies run in a circle that avoids the winner", {"order": "circle"}),
            COIN,
        ),
        algorithms=("multi_sbm",),
        asymptotic=True,
    ),
)
