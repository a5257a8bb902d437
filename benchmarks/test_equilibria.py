"""Ratios of the equilibrium solvers to QuantEcon, the interior point of HiGHS and an exponential-cone program.

    python -m pytest benchmarks/test_equilibria.py -s -n 0               # a minute
    python -m pytest benchmarks/test_equilibria.py -s -n 0 -m slow       # HiGHS with 2000 actions, minutes

Solvers alternate, the smallest of several CPU times counts (that of all threads, so that neither other work on the machine
nor a second core helps); only ratios are asserted, never seconds.
"""

import time

import numpy as np
import pytest
from scipy.optimize import linprog

import prefsim as ps
from prefsim import pivoting


def best_times(repeats, *jobs):
    """Smallest CPU time of each job, and what each returned last."""
    times, answers = np.full((repeats, len(jobs)), np.inf), [None] * len(jobs)
    for row in times:
        for k, job in enumerate(jobs):
            begun = time.process_time()
            answers[k] = job()
            row[k] = time.process_time() - begun
    return times.min(axis=0), answers


def highs(payoff):
    """Equilibrium by the interior point of HiGHS: minimise ``t`` subject to ``A p <= t``."""
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


@pytest.mark.parametrize("n", [10, 20, 50, 100, 200])
def test_small_games_against_quantecon(n):
    """At most 1.5 times the time of ``minmax``: the kernel for all sizes, the whole call where it is not all overhead."""
    optimize = pytest.importorskip("quantecon.optimize")
    game = ps.games.random(n, seed=n)
    payoff = np.array(game.payoff)
    jobs = (
        lambda: optimize.minmax(payoff),
        lambda: pivoting.vertices(2 * payoff[None]),
        lambda: ps.solve_equilibrium(game),
    )
    best_times(1, *jobs)
    (theirs, kernel, call), (_, _, answer) = best_times(200 if n <= 50 else 30, *jobs)
    print(
        f"\nn = {n}: minmax {1e6 * theirs:.1f} us, pivoting {1e6 * kernel:.1f} us, solve_equilibrium {1e6 * call:.1f} us, ",
        end="",
    )
    print(f"ratios {kernel / theirs:.2f} and {call / theirs:.2f}, gap {answer.gap:.1g}")
    assert answer.gap <= 1e-12
    assert kernel / theirs <= 1.5
    assert n < 100 or call / theirs <= 1.5


def test_batch_of_small_games_against_quantecon():
    optimize = pytest.importorskip("quantecon.optimize")
    games = ps.games.random(10, seed=10, count=1000)
    payoffs = np.array(games.payoff)
    jobs = (lambda: [optimize.minmax(payoff) for payoff in payoffs], lambda: ps.solve_equilibrium(games))
    best_times(1, *jobs)
    (theirs, ours), (_, answer) = best_times(10, *jobs)
    print(f"\n1000 games, n = 10: minmax {1e3 * theirs:.1f} ms, one call {1e3 * ours:.1f} ms, ratio {ours / theirs:.2f}")
    assert answer.gap.max() <= 1e-12 and ours / theirs <= 1.5


@pytest.mark.parametrize("n", [300, 1000, pytest.param(2000, marks=pytest.mark.slow)])
def test_large_games_against_highs(n):
    """At least 6 times as fast as the interior point of HiGHS from 1000 actions on."""
    game = ps.games.random(n, seed=n)
    payoff = np.array(game.payoff)
    (ours,), (answer,) = best_times(2, lambda: ps.solve_equilibrium(game))
    (theirs,), (policy,) = best_times(1, lambda: highs(payoff))
    print(f"\nn = {n}: interior point {ours:.3f} s, HiGHS {theirs:.2f} s, {theirs / ours:.1f} times as fast, ", end="")
    print(f"gaps {answer.gap:.1g} and {2 * (payoff @ policy).max():.1g}")
    assert answer.method == "interior point" and answer.gap <= 1e-12
    assert theirs / ours >= (6 if n >= 1000 else 1)


@pytest.mark.parametrize("beta", [1.0, 0.1, 0.01])
def test_regularised_games_against_the_cone_program(beta):
    """At least 40 times as fast as Clarabel on half the gap, ``beta KL(p, mu) + beta log sum mu exp(A p / beta)``."""
    cvxpy = pytest.importorskip("cvxpy")
    n = 500
    game = ps.games.random(n, seed=n).replace(beta=beta)
    payoff, log_mu = np.array(game.payoff), np.array(game.log_reference)
    p = cvxpy.Variable(n, nonneg=True)
    half_gap = beta * (cvxpy.sum(cvxpy.rel_entr(p, np.exp(log_mu))) + cvxpy.log_sum_exp(log_mu + payoff @ p / beta))
    problem = cvxpy.Problem(cvxpy.Minimize(half_gap), [cvxpy.sum(p) == 1])
    (ours,), (answer,) = best_times(5, lambda: ps.solve_equilibrium(game))
    (theirs,), _ = best_times(1, lambda: problem.solve(solver=cvxpy.CLARABEL))
    residual = np.ptp(answer.log_policy - log_mu - payoff @ answer.policy / beta)
    print(
        f"\nbeta = {beta:g}: Newton {1e3 * ours:.0f} ms, cone program {theirs:.2f} s, {theirs / ours:.0f} times as fast, ",
        end="",
    )
    print(f"residual {residual:.1g}, policies differ by {np.abs(p.value - answer.policy).max():.1g}")
    assert residual <= 1e-13 and theirs / ours >= 40


def test_batch_of_regularised_games():
    """A thousand games in one call against one call each."""
    games = ps.games.random(10, seed=1, count=1000).replace(beta=0.1)
    singles = [games[k] for k in range(100)]
    jobs = (lambda: [ps.solve_equilibrium(game) for game in singles], lambda: ps.solve_equilibrium(games))
    best_times(1, *jobs)
    (apart, together), _ = best_times(5, *jobs)
    print(f"\n1000 games, n = 10, beta = .1: {1e6 * apart / 100:.0f} us each alone, {1e6 * together / 1000:.0f} us in one call")
    assert apart / 100 >= 5 * together / 1000
