"""What simulating costs here: every rule against a baseline measured in the same process, in CPU time.

A policy is held against ``uniform`` on the same bandit, which costs what the loop, the noise and the records cost; a
solver against the matrix products alone that its iterations need, by NumPy. Ratios carry over from machine to machine;
nanoseconds do not. The ratios to hand-fused kernels and to other libraries are in the folder ``benchmarks`` of the sources.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from prefsim import registry
from prefsim.bandit import Bandit
from prefsim.feedback import evaluations
from prefsim.results import package_version

ENGINES = ("numba", "reference")

SECONDS = 0.05
"""CPU seconds that a timed piece of work should take at least."""


class Timing(NamedTuple):
    """Cost of one rule on one problem."""

    key: str
    """The algorithm."""
    problem: str
    """What it played."""
    engine: str
    """``"numba"`` or ``"reference"``."""
    nanoseconds: float
    """CPU time a round or an iteration."""
    baseline: str
    """What it is held against."""
    ratio: float
    """Cost as a multiple of the baseline's, measured beside it."""


def bench(keys: Iterable[str] = (), engines: Iterable[str] = ENGINES) -> Iterator[Timing]:
    """Time algorithms one after the other, each beside its baseline.

    Parameters
    ----------
    keys : iterable of str
        Algorithms; all that play a problem without arguments when empty.
    engines : iterable of str
        Engines to time.

    Yields
    ------
    Timing

    Raises
    ------
    ValueError
        If a key or engine is unknown.
    """
    engines, keys = tuple(engines), tuple(keys)
    for engine in engines:
        if engine not in ENGINES:
            raise registry.unknown(engine, ENGINES, "engine")
    known = {key: kind for kind in ("policies", "solvers") for key in registry.algorithms(kind)}
    for key in keys:
        if key not in known:
            raise registry.unknown(key, known, "algorithm")
    for key in keys or known:
        for engine in engines:
            yield from (_policy if known[key] == "policies" else _solver)(key, engine)


def save(timings: list[Timing], path: str | Path) -> None:
    """Write timings and what they were taken with as JSON."""
    packages = {name: package_version(name) for name in ("prefsim", "numpy", "numba")}
    made = {"machine": platform.machine(), "processors": platform.processor(), "python": platform.python_version(), **packages}
    Path(path).write_text(json.dumps({**made, "timings": [t._asdict() for t in timings]}, indent=1) + "\n")


def _example(feedback: str | tuple[str, ...]) -> tuple[str, Bandit] | None:
    """A problem that a policy of this feedback can play, with its name."""
    from prefsim import bandits

    if "duel" in (feedback, *feedback):
        return "arxiv_six_rankers", bandits.arxiv_six_rankers()
    if "bandit" in (feedback, *feedback):
        return "ten arms", bandits.bernoulli([0.5] + [0.4] * 9)
    if {"full", "entries"} & {feedback, *feedback}:
        return "all losses shown", bandits.switching_losses(feedback="full")
    return None


def _policy(key: str, engine: str) -> Iterator[Timing]:
    from prefsim.run import run

    example = _example(registry.algorithm("policies", key).module.FEEDBACK)
    if example is None:
        return
    name, bandit = example

    def play(policy: str) -> Callable[[int], Any]:
        return lambda rounds: run(bandit, [policy], horizon=rounds, runs=1, record=[rounds], engine=engine)

    try:
        play(key)(2)
    except ValueError:  # it needs features, advice or hints, which no default problem can stand for
        return
    ours, base = _together(play(key), play("uniform"))
    yield Timing(key, name, engine, ours, "uniform", ours / base)


def _solver(key: str, engine: str) -> Iterator[Timing]:
    from prefsim import games
    from prefsim.run import run

    entry = registry.algorithm("solvers", key)
    for n in (10, 100):
        game = games.random(n, seed=n).replace(beta=0.1)
        policy, payoff = np.exp(game.log_reference), np.array(game.payoff)
        asked = evaluations(entry.module)
        products = 1 if np.isnan(asked) else int(asked)
        baseline = f"{'one matrix product' if np.isnan(asked) else 'its matrix products'} in NumPy"

        def play(iterations: int, game: Any = game) -> Any:
            return run(game, [key], horizon=iterations, record=[iterations], engine=engine, metrics=["policy"])

        def multiply(iterations: int, policy: Any = policy, payoff: Any = payoff, products: int = products) -> None:
            for _ in range(iterations * products):
                payoff @ policy

        ours, base = _together(play, multiply)
        yield Timing(key, f"random game, n = {n}", engine, ours, baseline, ours / base)


def _together(one: Callable[[int], Any], other: Callable[[int], Any]) -> tuple[float, float]:
    """Nanoseconds a unit of two pieces of work, timed in turns; what a call costs besides is taken off."""
    units = [_enough(work) for work in (one, other)]
    least = np.full((2, 2), np.inf)
    for _ in range(3):
        for k, work in enumerate((one, other)):
            for size in (0, 1):
                least[k, size] = min(least[k, size], _seconds(work, units[k] * (1 + size)))
    each = (least[:, 1] - least[:, 0]) / units * 1e9
    return float(max(each[0], 0.0)), float(max(each[1], 1e-3))


def _enough(work: Callable[[int], Any]) -> int:
    """Units that take ``SECONDS``."""
    units = 64
    work(units)  # the first call may compile
    while True:
        taken = _seconds(work, 2 * units) - _seconds(work, units)
        if taken >= SECONDS / 4 or units >= 2**26:
            return max(1, int(units * min(16.0, SECONDS / max(taken, 1e-9))))
        units *= 4


def _seconds(work: Callable[[int], Any], units: int) -> float:
    begun = time.process_time()
    work(units)
    return time.process_time() - begun
