"""Bars of the bandit engine: ratios to hand-fused kernels, of a whole ``ps.run`` call to its kernel, of two threads to one.

    python -m pytest benchmarks/test_kernels.py -s -n 0

One thread but in the last, which needs a machine that does nothing else; the cases are those of ``prefsim bench``.
"""

import pytest
from rows import hold, with_bars

from prefsim.bench import ENGINES, bandits


@pytest.mark.parametrize("case", with_bars(bandits.cases(ENGINES)))
def test_bar(case):
    hold(case)
