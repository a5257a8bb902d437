"""How two pieces of work are timed against each other, and what a row of the benchmark is made of."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SECONDS = 0.05
"""Seconds that a timed piece of work should take at least."""

REPEATS = 7
"""How often work is timed; the shortest time counts."""

SOURCES = Path(__file__).parents[2] / "benchmarks"
"""Where a checkout of the sources keeps the hand-fused kernels and the adapters of other libraries."""

Work = Callable[[int], Any]
"""Does a piece of work so many times."""

Clock = Callable[[], float]


class Measured(NamedTuple):
    """What a case found."""

    seconds: list[float]
    """Of a unit of work: ours, and the baseline's."""
    error: float | None = None
    """What must be as small as rounding: the largest difference from the baseline's answer, or the certificate of ours."""


class Case(NamedTuple):
    """One row of the benchmark, not measured yet."""

    name: str
    """The algorithm, or ``"equilibria"``."""
    problem: str
    """What it is timed on."""
    engine: str
    """``"numba"`` or ``"reference"``; empty where no engine takes part."""
    unit: str
    """What is counted: a round, an iteration, ..."""
    baseline: str
    """What it is held against."""
    measure: Callable[[], Measured | None]
    """Times both; None where the problem is none for the algorithm."""
    needs: tuple[str, ...] = ()
    """Modules of other packages, or of `SOURCES`, that the baseline takes."""
    slow: bool = False
    """Whether it takes minutes, or gigabytes."""


def best_times(*jobs: Callable[[], Any], repeats: int = REPEATS, clock: Clock | None = None) -> NDArray[np.float64]:
    """Smallest time of each job, in CPU seconds of all threads unless another clock is given.

    Every job is done once before; then they alternate, so that a busy moment of the machine hits all.
    """
    for job in jobs:
        job()
    return _least(jobs, repeats, clock)


def compare(
    *works: Work, per: float = 1.0, besides: bool = False, repeats: int = REPEATS, clock: Clock | None = None
) -> list[float]:
    """Seconds a unit of pieces of work, each done often enough to be timed.

    Parameters
    ----------
    *works : callable
        Called with how often to do the work.
    per : float
        Units in one piece of each.
    besides : bool
        Whether what a call costs besides is taken off, by timing twice the work as well.
    repeats, clock
        As in :func:`best_times`.
    """
    sizes = (1, 2) if besides else (1,)
    counts = [_enough(work, sizes, clock) for work in works]
    jobs = [partial(work, size * count) for work, count in zip(works, counts, strict=True) for size in sizes]
    least = _least(jobs, repeats, clock).reshape(-1, len(sizes))
    each = (least[:, -1] - (least[:, 0] if besides else 0.0)) / counts / per
    return np.maximum(each, 1e-12).tolist()  # type: ignore[no-any-return]


def _enough(work: Work, sizes: tuple[int, ...], clock: Clock | None) -> int:
    """How often to do a piece of work so that it takes ``SECONDS``."""
    count = 1 if len(sizes) == 1 else 64  # the difference of two calls needs work that stands out
    work(count)  # the first call may compile
    while True:
        taken = [_seconds(partial(work, size * count), clock) for size in sizes]
        cost = taken[-1] - (taken[0] if len(sizes) > 1 else 0.0)
        if cost >= SECONDS / 4 or count >= 2**26:
            return max(1, int(count * min(16.0, SECONDS / max(cost, 1e-9))))
        count *= 4


def _least(jobs: Sequence[Callable[[], Any]], repeats: int, clock: Clock | None) -> NDArray[np.float64]:
    return np.min([[_seconds(job, clock) for job in jobs] for _ in range(repeats)], axis=0)


def _seconds(job: Callable[[], Any], clock: Clock | None) -> float:
    clock = clock or time.process_time
    begun = clock()
    job()
    return clock() - begun


def again(job: Callable[[], Any]) -> Work:
    """The work of doing a job over and over."""

    def work(count: int) -> None:
        for _ in range(count):
            job()

    return work


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Give the engines so many threads."""
    before = os.environ.get("PREFSIM_THREADS")
    os.environ["PREFSIM_THREADS"] = str(count)
    try:
        yield
    finally:
        os.environ.pop("PREFSIM_THREADS")
        if before is not None:
            os.environ["PREFSIM_THREADS"] = before


def missing(case: Case) -> str:
    """What a case takes that is not here, as the end of a sentence; empty if all is."""
    for need in case.needs:
        if (SOURCES / f"{need}.py").is_file() or find_spec(need) is not None:
            continue
        if need.startswith(("hand_fused", "peer")):
            return f"{need}.py is in the folder benchmarks of prefsim's sources, not in what pip installs"
        return f"the package {need} is not installed"
    return ""


@cache
def load(name: str) -> Any:
    """Import a module of `SOURCES`."""
    sys.path.insert(0, str(SOURCES))
    try:
        return import_module(name)
    finally:
        sys.path.remove(str(SOURCES))
