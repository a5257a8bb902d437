"""The bars this project holds, all in one place: how long work may take, as a multiple of its baseline's time."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from prefsim.bench.timing import Case

HAND_FUSED, EVERY_PAIR, KERNEL, ONE_THREAD = "hand-fused kernel", "every pair drawn", "its kernel", "one thread"
ONE_BY_ONE = "one by one"
UNIFORM, PYMAB = "uniform", "PyMAB"
NUMPY, PRODUCTS = "NumPy loop", "matrix products"
MINMAX, HIGHS, CONE, ALONE = "QuantEcon minmax", "HiGHS interior point", "cone program, Clarabel", "a call each"


class Bar(NamedTuple):
    """What holds for the cases that three patterns fit."""

    name: str
    problem: str
    baseline: str
    ratio: float
    """Most that the ratio may be."""
    error: float = 1e-12
    """Most that the error may be, where a case has one."""


BARS = (
    Bar("ucb1", "*", HAND_FUSED, 1.2),
    Bar("rucb", "*", HAND_FUSED, 1.3),
    Bar("double_thompson", "*", HAND_FUSED, 1.3),
    Bar("egpo", "*", HAND_FUSED, 1.2),
    Bar("*", "*", HAND_FUSED, 1.5),
    Bar("double_thompson", "*", EVERY_PAIR, 1 / 2, 4.0),
    Bar("gaussian_thompson", "*", ONE_BY_ONE, 1 / 1.2, 0.0),
    Bar("*", "*", ONE_BY_ONE, 1 / 2.5, 0.0),
    Bar("*", "*", KERNEL, 1.15),
    Bar("*", "*", ONE_THREAD, 1 / 1.8),
    Bar("egpo", "one game, n = 10", NUMPY, 1 / 30),
    Bar("egpo", "one game, n = 100", NUMPY, 1 / 3),
    Bar("egpo", "1000 games, n = 10", NUMPY, 1 / 3.5),
    Bar("egpo", "256 policies, n = 256", PRODUCTS, 1 / 0.70),
    Bar("egpo", "256 policies, n = 1024", PRODUCTS, 1 / 0.80),
    Bar("egpo", "256 policies, n = 4096", PRODUCTS, 1 / 0.88),
    Bar("equilibria", "Nash, n = ?00", MINMAX, 1.5),
    Bar("equilibria", "Nash, n = *, kernel alone", MINMAX, 1.5),
    Bar("equilibria", "Nash, 1000 games, n = 10", MINMAX, 1.5),
    Bar("equilibria", "Nash, n = ?000", HIGHS, 1 / 6),
    Bar("equilibria", "Nash, n = ?00", HIGHS, 1.0),
    Bar("equilibria", "KL, n = 500, *", CONE, 1 / 40, 1e-13),
    Bar("equilibria", "KL, 1000 games, n = 10", ALONE, 1 / 5),
)
"""The first that fits counts."""


def bar(case: Case) -> Bar | None:
    """The bar of a case, None where none is held."""
    for one in BARS:
        if all(map(fnmatchcase, (case.name, case.problem, case.baseline), one[:3])):
            return one
    return None
