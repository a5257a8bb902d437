"""Ratios of the game engine to a hand-fused loop, to NumPy and to the machine's rate of matrix products, in one process.

    python -m pytest benchmarks/test_games.py -s -n 0

One thread (``conftest.py`` sets it before the linear-algebra library loads). The jobs alternate and the best repetition
of each counts; only ratios are asserted.
"""

import time

import numpy as np
import pytest
from hand_fused_games import mirror_prox as hand_fused

from prefsim import registry
from prefsim.engines import numba_games as engine

STEP, BETA = 0.1, 0.1
PULL = STEP * BETA  # egpo's weight on the reference


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("PREFSIM_THREADS", "1")


def games(count, n, runs=1):
    """Random payoffs (count, n, n), the uniform reference in logarithms and policies to start from (count, runs, n)."""
    generator = np.random.default_rng(n)
    payoff = generator.uniform(size=(count, n, n)) / 2
    payoff = payoff - payoff.transpose(0, 2, 1)
    start = generator.normal(size=(count, runs, n))
    start -= np.log(np.exp(start).sum(axis=-1, keepdims=True))
    return payoff, np.full((count, n), -np.log(n)), start


def player(payoff, reference, start):
    """Mirror prox on the engine, compiled."""
    rule = registry.algorithm("solvers", "egpo")
    hypers = [rule.hyper({"step": STEP})] * len(payoff)
    made = engine.play_game(rule.module, hypers, np.full(len(payoff), BETA), 0.5 + payoff, reference, start, False)
    made.advance(2)
    return made


def advance(made, iterations):
    return lambda: made.advance(made.t + iterations)


def numpy_loop(payoff, reference, policy, iterations):
    """What one would write with NumPy: one game (n,), or a batch (count, n)."""

    def step(played):
        values = (1 - PULL) * policy + PULL * reference + STEP * (payoff @ np.exp(played)[..., None])[..., 0]
        values = values - values.max(axis=-1, keepdims=True)
        return values - np.log(np.exp(values).sum(axis=-1, keepdims=True))

    for _ in range(iterations):
        policy = step(step(policy))
    return policy


def best_times(*jobs, repeats=25):
    """Smallest seconds of each job; the jobs alternate, so that a busy moment of the machine hits all."""
    for job in jobs:
        job()
    times = np.empty((repeats, len(jobs)))
    for row in times:
        for k, job in enumerate(jobs):
            begun = time.perf_counter()
            job()
            row[k] = time.perf_counter() - begun
    return times.min(axis=0)


@pytest.mark.parametrize(("n", "over_numpy"), [(10, 30), (100, 3)])
def test_one_game(n, over_numpy):
    payoff, reference, start = games(1, n)
    many = 200_000 // n**2 + 20
    one = (payoff[0], reference[0])
    np.testing.assert_allclose(hand_fused(*one, PULL, STEP, start[0, 0], 9), numpy_loop(*one, start[0, 0], 9), atol=1e-12)
    ours, hand, loop = best_times(
        advance(player(payoff, reference, start), many),
        lambda: hand_fused(*one, PULL, STEP, start[0, 0], many),
        lambda: numpy_loop(*one, start[0, 0], 20),
    )
    ours, hand, loop = ours / many, hand / many, loop / 20
    print(f"\nmirror prox, one game, n = {n}: {ours * 1e9:.0f} ns an iteration, hand-fused {hand * 1e9:.0f}, ", end="")
    print(f"ratio {ours / hand:.2f}; NumPy {loop * 1e9:.0f}, {loop / ours:.0f} times as long")
    assert ours / hand <= 1.2
    assert loop / ours >= over_numpy


def test_many_small_games():
    count, n = 1000, 10
    payoff, reference, start = games(count, n)
    ours, loop = best_times(
        advance(player(payoff, reference, start), 100), lambda: numpy_loop(payoff, reference, start[:, 0], 2), repeats=15
    )
    ours, loop = ours / 100 / count, loop / 2 / count
    print(f"\nmirror prox, {count} games of n = {n}: {ours * 1e9:.0f} ns a game and iteration, ", end="")
    print(f"batched NumPy {loop * 1e9:.0f}, {loop / ours:.1f} times as long")
    assert loop / ours >= 3.5


@pytest.mark.parametrize(("n", "share"), [(256, 0.70), (1024, 0.80), (4096, 0.88)])
def test_many_policies_on_one_matrix(n, share):
    policies = 256
    payoff, reference, start = games(1, n, policies)
    weights, out, turned = np.exp(start[0]), np.empty((policies, n)), payoff[0].T
    made = player(payoff, reference, start)
    ours, product = best_times(
        advance(made, 1), lambda: (np.matmul(weights, turned, out=out), np.matmul(weights, turned, out=out)),
        repeats=200 if n < 1000 else 12 if n < 4000 else 4,
    )
    print(f"\nmirror prox, {policies} policies, n = {n}: {100 * product / ours:.0f} % of the rate of matrix products, ", end="")
    print(f"{4 * policies * n * n / product / 1e9:.0f} GFLOP/s")
    assert product / ours >= share
