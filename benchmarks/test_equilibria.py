"""Bars of the equilibrium solvers: ratios to QuantEcon, the interior point of HiGHS and an exponential-cone program.

    python -m pytest benchmarks/test_equilibria.py -s -n 0               # a minute
    python -m pytest benchmarks/test_equilibria.py -s -n 0 -m slow       # HiGHS with 2000 actions, minutes

The cases are those of ``prefsim bench equilibria``.
"""

import pytest
from rows import hold, with_bars

from prefsim.bench import equilibria


@pytest.mark.parametrize("case", with_bars(equilibria.cases()))
def test_bar(case):
    hold(case)
