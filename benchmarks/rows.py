"""The rows of ``prefsim bench`` that have a bar, as tests."""

import pytest

from prefsim.bench import measure
from prefsim.bench.bars import bar
from prefsim.bench.timing import missing


def with_bars(cases):
    """Parameters of a test, one for each case with a bar."""
    for case in cases:
        if bar(case) is not None:
            reason = missing(case)
            marks = [pytest.mark.skip(reason=reason)] if reason else [pytest.mark.slow] * case.slow
            yield pytest.param(case, marks=marks, id=f"{case.name}, {case.problem}, {case.baseline}")


def hold(case):
    """Measure a case, print its row and hold it against its bar."""
    timing = measure(case)
    print(f"\n{timing}")
    assert timing.verdict == "met"
