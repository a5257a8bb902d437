"""Bars of the game engine: ratios of mirror prox to a hand-fused loop, to NumPy and to the machine's rate of matrix products.

    python -m pytest benchmarks/test_games.py -s -n 0               # with -m slow: 4096 actions

One thread (``conftest.py`` sets it before the linear-algebra library loads); the cases are those of ``prefsim bench``.
"""

import pytest
from rows import hold, with_bars

from prefsim.bench import ENGINES, games


@pytest.mark.parametrize("case", with_bars(games.cases(ENGINES)))
def test_bar(case):
    hold(case)
