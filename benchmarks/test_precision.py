"""Ratios of single to double precision in the game engine, in one process; only ratios are asserted.

    python -m pytest benchmarks/test_precision.py -s -n 0
"""

import numpy as np
import pytest

from prefsim import registry
from prefsim.bench.games import BETA, STEP, games
from prefsim.bench.timing import best_times
from prefsim.engines import numba_games as engine


@pytest.mark.parametrize(
    ("count", "n", "runs", "iterations"),
    [(1, 10, 1, 2000), (1, 100, 1, 100), (1000, 10, 1, 100), (1000, 20, 1, 30), (1, 256, 256, 4), (1, 1024, 256, 1)],
)
def test_single_against_double(count, n, runs, iterations, monkeypatch):
    """Half the bytes: twice as fast where arithmetic or memory decides, which one game of 10 actions leaves to latency."""
    monkeypatch.setenv("PREFSIM_THREADS", "1")
    payoff, reference, start = games(count, n, runs)
    rule = registry.algorithm("solvers", "egpo")
    given = ([rule.hyper({"step": STEP})] * count, np.full(count, BETA), 0.5 + payoff, reference, start, False)
    made = [engine.play_game(rule.module, *given, precision=precision) for precision in ("float64", "float32")]
    for player in made:
        player.advance(2)
    jobs = (lambda player=player: player.advance(player.t + iterations) for player in made)
    double, single = best_times(*jobs, repeats=20)
    weights, matrix = np.exp(start[0]), payoff[0]
    print(f"\nmirror prox, {count} games, n = {n}, {runs} policies each: ", end="")
    each = 1e9 / iterations / count
    print(f"{each * double:.0f} and {each * single:.0f} ns, ratio {double / single:.2f}")
    if runs > 1:
        halves = [(weights.astype(kind), matrix.astype(kind).T) for kind in ("float64", "float32")]
        rates = best_times(*(lambda pair=pair: pair[0] @ pair[1] for pair in halves), repeats=20)
        print(f"ratio of the products alone {rates[0] / rates[1]:.2f}")
    assert double / single >= (1.5 if n > 10 or count > 1 else 0.9)
