"""What simulating costs here: every rule against baselines measured in the same process, in turns.

A policy is held against a hand-fused kernel where there is one, against PyMAB, and against ``uniform`` on the same bandit,
which costs what the loop, the noise and the records cost; a solver against the matrix products alone that its iterations
need, by NumPy; mirror prox also against a hand-fused loop, a NumPy loop and the rate of matrix products of many policies;
equilibria against QuantEcon, HiGHS and a cone program. Ratios carry over from machine to machine; nanoseconds do not.

`python -m pytest benchmarks -s -n 0` in the sources measures the same cases and asserts their bars (:mod:`prefsim.bench.bars`).
"""

from __future__ import annotations

import json
import platform
import warnings
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from prefsim import registry
from prefsim.bench import bandits, equilibria, games
from prefsim.bench.bars import bar
from prefsim.bench.timing import Case, missing, use_threads
from prefsim.results import package_version

ENGINES = ("numba", "reference")

EQUILIBRIA = "equilibria"
"""What rows of :func:`prefsim.solve_equilibrium` go by."""

PACKAGES = ("prefsim", "numpy", "numba", "scipy", "quantecon", "cvxpy", "pymab")


class Timing(NamedTuple):
    """Cost of one rule on one problem."""

    name: str
    """The algorithm, or ``"equilibria"``."""
    problem: str
    """What it was timed on."""
    engine: str
    """``"numba"`` or ``"reference"``; empty where no engine takes part."""
    unit: str
    """What is counted: a round, an iteration, ..."""
    nanoseconds: float
    """Time a unit."""
    baseline: str
    """What it is held against."""
    ratio: float
    """Time as a multiple of the baseline's, measured beside it."""
    error: float | None
    """Largest difference from the baseline's answer, or the certificate of an equilibrium; None where neither is asked for."""
    bar: float | None
    """Most that the ratio may be; None where the project holds no bar."""
    verdict: str
    """``"met"`` or ``"missed"``; empty without a bar."""

    def __str__(self) -> str:
        error = "" if self.error is None else f"{self.error:.0e}"
        verdict = f"{self.verdict}, bar {self.bar:.3g}" if self.bar is not None else ""
        cost = f"{self.nanoseconds:,.{1 if self.nanoseconds < 1000 else 0}f}"
        return (
            f"{self.name:26} {self.problem:27} {self.engine:9} {cost:>14} {self.unit:14} "
            f"{self.ratio:10.3g} {self.baseline:23} {error:6} {verdict}"
        ).rstrip()


HEADER = (
    f"{'name':26} {'problem':27} {'engine':9} {'nanoseconds':>14} {'a':14} {'ratio':>10} {'to baseline':23} {'error':6} verdict"
)
"""Names of the columns of ``str(timing)``."""


def cases() -> Iterator[Case]:
    """All rows there are, not measured yet."""
    yield from chain(bandits.cases(ENGINES), games.cases(ENGINES), equilibria.cases())


def bench(names: Iterable[str] = (), engines: Iterable[str] = ENGINES, *, slow: bool = False) -> Iterator[Timing]:
    """Time algorithms one after the other, each beside its baselines.

    Parameters
    ----------
    names : iterable of str
        Algorithms, and ``"equilibria"``; everything when empty.
    engines : iterable of str
        Engines to time; rows in which none takes part are timed in any case.
    slow : bool
        Whether to time the largest problems too: games of 4096 actions, equilibria of 2000.

    Yields
    ------
    Timing
        Algorithms that none of the problems here is one for are left out.

    Raises
    ------
    ValueError
        If a name or engine is unknown.

    Warns
    -----
    UserWarning
        Where rows are left out because their baseline is not installed.
    """
    engines, names = tuple(engines), tuple(names)
    for engine in engines:
        if engine not in ENGINES:
            raise registry.unknown(engine, ENGINES, "engine")
    known = [*registry.algorithms("policies"), *registry.algorithms("solvers"), EQUILIBRIA]
    for name in names:
        if name not in known:
            raise registry.unknown(name, known, "algorithm")
    chosen = [case for case in cases() if case.engine in ("", *engines) and (slow or not case.slow)]
    left_out: set[tuple[str, str]] = set()
    for case in (case for name in names or known for case in chosen if case.name == name):
        reason = missing(case)
        if not reason:
            timing = measure(case)
            if timing is not None:
                yield timing
        elif (case.baseline, reason) not in left_out:
            left_out.add((case.baseline, reason))
            warnings.warn(f"rows against {case.baseline} are left out: {reason}.", stacklevel=2)


def measure(case: Case) -> Timing | None:
    """Time one case on one thread and hold it against its bar; None where the problem is none for the algorithm."""
    with use_threads(1):
        found = case.measure()
    if found is None:
        return None
    ours, baseline = found.seconds
    ratio, held = ours / baseline, bar(case)
    verdict = ""
    if held is not None:
        verdict = "met" if ratio <= held.ratio and (found.error is None or found.error <= held.error) else "missed"
    return Timing(
        case.name, case.problem, case.engine, case.unit, 1e9 * ours, case.baseline, ratio, found.error,
        None if held is None else held.ratio, verdict,
    )  # fmt: skip


def save(timings: list[Timing], path: str | Path) -> None:
    """Write timings and what they were taken with as JSON."""
    packages = {name: package_version(name) for name in PACKAGES}
    made = {"machine": platform.machine(), "processors": platform.processor(), "python": platform.python_version(), **packages}
    Path(path).write_text(json.dumps({**made, "timings": [t._asdict() for t in timings]}, indent=1) + "\n")
