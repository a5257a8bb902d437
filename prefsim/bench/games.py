"""Solvers of preference games to be timed: mirror prox in every loop of the engine, and all solvers against their products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import prefsim as ps
from prefsim import registry
from prefsim.bench.bars import HAND_FUSED, NUMPY, PRODUCTS
from prefsim.bench.timing import Case, Measured, Work, compare, load
from prefsim.engines.numba_games import play_game
from prefsim.feedback import evaluations

Floats = NDArray[np.float64]

STEP, BETA = 0.1, 0.1
PULL = STEP * BETA
"""Mirror prox's weight on the reference."""

POLICIES = 256
FEW = 9
"""Iterations whose policies are compared."""


def cases(engines: Iterable[str]) -> Iterator[Case]:
    """Rows of all solvers; mirror prox is ``egpo``."""
    for n in (10, 100):
        hand = partial(against_hand_fused, n)
        yield Case("egpo", f"one game, n = {n}", "numba", "iteration", HAND_FUSED, hand, ("hand_fused_games",))
        yield Case("egpo", f"one game, n = {n}", "numba", "iteration", NUMPY, partial(against_numpy, 1, n))
    yield Case("egpo", "1000 games, n = 10", "numba", "game-iteration", NUMPY, partial(against_numpy, 1000, 10))
    for n in (256, 1024, 4096):
        products = partial(against_products, n)
        yield Case("egpo", f"{POLICIES} policies, n = {n}", "numba", "iteration", PRODUCTS, products, slow=n > 2000)
    for solver in registry.algorithms("solvers"):
        asked = evaluations(registry.algorithm("solvers", solver).module)
        count = 1 if np.isnan(asked) else int(asked)
        for n in (10, 100):
            for engine in engines:
                measure = partial(against_its_products, solver, n, count, engine)
                what = f"{count} {PRODUCTS if count > 1 else 'matrix product'}"
                yield Case(solver, f"a run, n = {n}", engine, "iteration", what, measure)


def games(count: int, n: int, runs: int = 1) -> tuple[Floats, Floats, Floats]:
    """Random payoffs (count, n, n), the uniform reference in logarithms and policies to start from (count, runs, n)."""
    generator = np.random.default_rng(n)
    payoff = generator.uniform(size=(count, n, n)) / 2
    payoff = payoff - payoff.transpose(0, 2, 1)
    start = generator.normal(size=(count, runs, n))
    start -= np.log(np.exp(start).sum(axis=-1, keepdims=True))
    return payoff, np.full((count, n), -np.log(n)), start


def player(payoff: Floats, reference: Floats, start: Floats) -> Any:
    """Mirror prox on the compiled engine."""
    rule = registry.algorithm("solvers", "egpo")
    hypers = [rule.hyper({"step": STEP})] * len(payoff)
    return play_game(rule.module, hypers, np.full(len(payoff), BETA), 0.5 + payoff, reference, start, False)


def advance(payoff: Floats, reference: Floats, start: Floats) -> Work:
    """So many more iterations of mirror prox on the compiled engine."""
    made = player(payoff, reference, start)
    return lambda iterations: made.advance(made.t + iterations)


def numpy_loop(payoff: Floats, reference: Floats, policy: Floats, iterations: int) -> Floats:
    """What one would write with NumPy: one game (n,), or a batch (count, n)."""

    def step(played: Floats) -> Floats:
        values = (1 - PULL) * policy + PULL * reference + STEP * (payoff @ np.exp(played)[..., None])[..., 0]
        values = values - values.max(axis=-1, keepdims=True)
        return values - np.log(np.exp(values).sum(axis=-1, keepdims=True))

    for _ in range(iterations):
        policy = step(step(policy))
    return policy


def matrix_products(n: int) -> Work:
    """The two products of an iteration of many policies on one matrix, and nothing else."""
    payoff, _, start = games(1, n, POLICIES)
    weights, out, turned = np.exp(start[0]), np.empty((POLICIES, n)), payoff[0].T

    def work(iterations: int) -> None:
        for _ in range(2 * iterations):
            np.matmul(weights, turned, out=out)

    return work


def _against(loop: Any, count: int, n: int) -> Measured:
    """Mirror prox on the engine and by `loop`; the error is the largest difference of log-policies after a few iterations."""
    made = games(count, n)
    few = player(*made)
    few.advance(FEW)
    given = [array[0] for array in made[:2]] + [made[2][0, 0]] if count == 1 else [*made[:2], made[2][:, 0]]
    error = np.max(np.abs(few.current[:, 0] - loop(*given, FEW)))
    return Measured(compare(advance(*made), partial(loop, *given), per=count), float(error))


def against_hand_fused(n: int) -> Measured:
    """One game, and a loop written by hand with everything in one function."""
    hand = load("hand_fused_games").mirror_prox
    return _against(lambda payoff, reference, start, iterations: hand(payoff, reference, PULL, STEP, start, iterations), 1, n)


def against_numpy(count: int, n: int) -> Measured:
    """Games side by side, and arrays of them in NumPy."""
    return _against(numpy_loop, count, n)


def against_products(n: int) -> Measured:
    """Policies on one matrix, and the matrix products alone."""
    return Measured(compare(advance(*games(1, n, POLICIES)), matrix_products(n)))


def against_its_products(solver: str, n: int, products: int, engine: str) -> Measured:
    """A run of any solver, and as many products of a matrix and a vector as it asks for."""
    game = ps.games.random(n, seed=n).replace(beta=BETA)
    policy, payoff = np.exp(game.log_reference), np.array(game.payoff)

    def play(iterations: int) -> None:
        ps.run(game, [solver], horizon=iterations, record=[iterations], engine=engine, metrics=["policy"])

    def multiply(iterations: int) -> None:
        for _ in range(iterations * products):
            payoff @ policy

    return Measured(compare(play, multiply, besides=True, repeats=3))
