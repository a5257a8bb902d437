"""Equilibria to be timed, each with its certificate: against QuantEcon, the interior point of HiGHS and a cone program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import prefsim as ps
from prefsim import pivoting
from prefsim.bench.bars import ALONE, CONE, HIGHS, MINMAX
from prefsim.bench.timing import Case, Measured, again, compare


def cases() -> Iterator[Case]:
    """Rows of ``ps.solve_equilibrium``; errors are duality gaps, and residuals of regularised games."""
    case = partial(Case, "equilibria", engine="", unit="game")
    for n in (10, 20, 50, 100, 200):
        for what, alone in (("", False), (", kernel alone", True)):
            measure = partial(against_minmax, n, alone)
            yield case(f"Nash, n = {n}{what}", baseline=MINMAX, measure=measure, needs=("quantecon",))
    yield case("Nash, 1000 games, n = 10", baseline=MINMAX, measure=batch_against_minmax, needs=("quantecon",))
    for n in (200, 300, 1000, 2000):
        yield case(f"Nash, n = {n}", baseline=HIGHS, measure=partial(against_highs, n), slow=n > 1000)
    for beta in (1.0, 0.1, 0.01):
        measure = partial(against_cone_program, beta)
        yield case(f"KL, n = 500, beta = {beta:g}", baseline=CONE, measure=measure, needs=("cvxpy", "clarabel"))
    yield case("KL, 1000 games, n = 10", baseline=ALONE, measure=batch_against_single_calls)


def highs(payoff: NDArray[np.float64]) -> NDArray[np.float64]:
    """Equilibrium by the interior point of HiGHS: minimise ``t`` subject to ``A p <= t``."""
    from scipy.optimize import linprog

    n = len(payoff)
    return linprog(
        np.append(np.zeros(n), 1.0),
        A_ub=np.column_stack([payoff, -np.ones(n)]),
        b_ub=np.zeros(n),
        A_eq=np.append(np.ones(n), 0.0)[None],
        b_eq=[1.0],
        bounds=[(0, None)] * n + [(None, None)],
        method="highs-ipm",
    ).x[:n]


def _against(game: Any, theirs: Callable[[], Any], *, ours: Callable[[], Any] | None = None, **how: Any) -> Measured:
    """``ps.solve_equilibrium``, or another way of ours, and theirs; the error is the largest gap of ``solve_equilibrium``."""

    def solve() -> Any:
        return ps.solve_equilibrium(game)

    error = float(np.max(solve().gap))
    return Measured(compare(again(ours or solve), again(theirs), **how), error)


def against_minmax(n: int, alone: bool) -> Measured:
    """One small game: the whole call, or the pivoting kernel alone."""
    from quantecon.optimize import minmax

    game = ps.games.random(n, seed=n)
    payoff = np.array(game.payoff)
    return _against(game, lambda: minmax(payoff), ours=(lambda: pivoting.vertices(2 * payoff[None])) if alone else None)


def batch_against_minmax() -> Measured:
    """Small games in one call."""
    from quantecon.optimize import minmax

    games = ps.games.random(10, seed=10, count=1000)
    payoffs = np.array(games.payoff)
    return _against(games, lambda: [minmax(payoff) for payoff in payoffs], per=1000)


def against_highs(n: int) -> Measured:
    """One large game."""
    game = ps.games.random(n, seed=n)
    payoff = np.array(game.payoff)
    return _against(game, lambda: highs(payoff), repeats=2 if n <= 1000 else 1)


def against_cone_program(beta: float) -> Measured:
    """A regularised game, and Clarabel on half the gap, ``beta KL(p, mu) + beta log sum mu exp(A p / beta)``."""
    import cvxpy

    n = 500
    game = ps.games.random(n, seed=n).replace(beta=beta)
    payoff, log_mu = np.array(game.payoff), np.array(game.log_reference)

    def program() -> None:
        p = cvxpy.Variable(n, nonneg=True)
        half_gap = beta * (cvxpy.sum(cvxpy.rel_entr(p, np.exp(log_mu))) + cvxpy.log_sum_exp(log_mu + payoff @ p / beta))
        cvxpy.Problem(cvxpy.Minimize(half_gap), [cvxpy.sum(p) == 1]).solve(solver=cvxpy.CLARABEL)

    answer = ps.solve_equilibrium(game)
    residual = np.ptp(answer.log_policy - log_mu - payoff @ answer.policy / beta)
    return _against(game, program, repeats=1)._replace(error=float(residual))


def batch_against_single_calls() -> Measured:
    """A thousand regularised games in one call, and one call each."""
    games = ps.games.random(10, seed=1, count=1000).replace(beta=0.1)
    singles = [games[k] for k in range(1000)]
    return _against(games, lambda: [ps.solve_equilibrium(game) for game in singles], per=1000, repeats=2)
