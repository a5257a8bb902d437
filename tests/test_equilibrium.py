"""Equilibria against closed forms, planted answers, published digits, a second solver and other libraries."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefsim import equilibrium, ops, pivoting
from prefsim.equilibrium import (
    EquilibriumError,
    fixed_point,
    local_frequency,
    solve_equilibrium,
)
from prefsim.game import PreferenceGame
from prefsim.games.additive import additive
from prefsim.games.bradley_terry import bradley_terry
from prefsim.games.cyclic import cyclic
from prefsim.games.planted import planted
from prefsim.games.random import random
from prefsim.games.rock_paper_scissors import rock_paper_scissors
from prefsim.metrics import gap

CASES = json.loads((Path(__file__).parent / "data" / "games.json").read_text())["cases"]


def number(text: str) -> float:
    return float(Fraction(text))


def game_of(case: dict) -> PreferenceGame:
    payoff = np.array([[number(x) for x in row] for row in case["payoff"]])
    return PreferenceGame(0.5 + payoff, [number(x) for x in case["reference"]])


def perturbed(game: PreferenceGame, i: int = 0, j: int = 1) -> PreferenceGame:
    """The common control: one entry moved by 0.05, nothing re-planted."""
    matrix = game.preference.copy()
    move = np.where(matrix[..., i, j] < 0.9, 0.05, -0.05)
    matrix[..., i, j] += move
    matrix[..., j, i] -= move
    return PreferenceGame(matrix, beta=game.beta, log_reference=game.log_reference)


def assert_solved(game: PreferenceGame, log_answer: np.ndarray, tolerance: float) -> None:
    """The answer is found, and no longer is after the control."""
    error = np.abs(solve_equilibrium(game).log_policy - log_answer).max()
    assert error <= tolerance
    assert np.abs(solve_equilibrium(perturbed(game)).log_policy - log_answer).max() > max(1e-6, 100 * tolerance)


# Published digits.


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_published_nash(case):
    assert case["nash_unique"]
    answer = solve_equilibrium(game_of(case))
    np.testing.assert_allclose(answer.policy, [number(x) for x in case["nash_exact"]], atol=1e-15)
    assert np.flatnonzero(answer.policy).tolist() == case["nash_support"]
    assert answer.gap <= 1e-15


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_published_regularised(case):
    game = game_of(case)
    for row in case["kl"]:
        beta = number(row["beta"])
        answer = solve_equilibrium(game.replace(beta=beta))
        for found, printed in zip(answer.log_policy, row["log_policy"], strict=True):
            # Fifteen printed digits, and the rounding of the payoffs over beta.
            unit = 10.0 ** (math.floor(math.log10(abs(float(printed)))) - 14)
            assert abs(found - float(printed)) <= 0.51 * unit + 1e-16 / beta
        for found, printed in zip(answer.policy, row["policy"], strict=True):
            assert found == pytest.approx(float(printed), rel=2e-14, abs=0)
        assert gap(game, answer.log_policy) == pytest.approx(float(row["nash_gap_of_policy"]), rel=1e-11, abs=0)
        assert answer.gap <= 1e-28


# Closed forms.


@pytest.mark.parametrize("beta", [10.0, 1.0, 0.1, 0.01, 0.001])
def test_two_actions(beta):
    game = PreferenceGame([[0.5, 0.8], [0.2, 0.5]], [0.3, 0.7], beta=beta)
    logit = math.log(3 / 7) + 0.3 / beta
    answer = np.array([-math.log1p(math.exp(-logit)), -logit - math.log1p(math.exp(-logit))])
    assert_solved(game, answer, 1e-15 * (3 + 1 / beta))


@pytest.mark.parametrize("beta", [10.0, 1.0, 0.1, 0.01, 0.001])
def test_additive(beta):
    u = np.array([0.5, 0.3, 0.1, 0.02, 0.0])
    mu = np.array([0.1, 0.2, 0.3, 0.15, 0.25])
    game = additive(u).replace(beta=beta, reference=mu)
    assert_solved(game, ops.log_normalize(np.log(mu) + u / beta), 1e-15 * (3 + 1 / beta))


def test_bradley_terry_is_not_rlhf():
    rewards = np.array([1.0, 0.3, -0.5])
    game = bradley_terry(rewards)
    assert solve_equilibrium(game).policy.tolist() == [1, 0, 0]
    rlhf = ops.log_normalize(rewards / 0.1)
    assert np.abs(solve_equilibrium(game.replace(beta=0.1)).log_policy - rlhf).max() > 1


@pytest.mark.parametrize("weights", [(0.5, 0.5, 0.5), (0.1, 0.3, 0.45), (1 / 18, 1 / 18, 1 / 18), (0.5, 1e-3, 0.2)])
def test_rock_paper_scissors(weights):
    a, b, c = weights
    nash = np.array([c, b, a]) / (a + b + c)
    assert_solved(rock_paper_scissors(weights), np.log(nash), 1e-12)


def test_published_cycles():
    answer = solve_equilibrium(rock_paper_scissors((0.1, 0.3, 0.45)))
    np.testing.assert_allclose(answer.policy, np.array([9, 6, 2]) / 17, atol=1e-15)
    for epsilon in (0.0, 0.1, 0.3):
        p21, p13 = 2 / 3 - epsilon / 2, 2 / 3 + epsilon / 4
        raters = PreferenceGame([[0.5, 1 - p21, p13], [p21, 0.5, 1 - p13], [1 - p13, p13, 0.5]])
        nash = np.array([1 / 3 + epsilon / 2, 1 / 3 + epsilon / 2, 1 / 3 - epsilon])
        assert_solved(raters, np.log(nash), 1e-13)


@pytest.mark.parametrize("beta", [1.0, 0.1, 0.01, 0.001])
def test_circulant_games_with_uniform_reference(beta):
    for n in (3, 5, 9):
        game = cyclic(n, margin=0.4).replace(beta=beta)
        assert np.abs(solve_equilibrium(game).policy - 1 / n).max() <= 1e-15
        skewed = np.arange(1.0, n + 1) / (n * (n + 1) / 2)
        control = solve_equilibrium(game.replace(reference=skewed))
        assert np.abs(control.policy - 1 / n).max() > 1e-4


def test_all_ties_and_one_action():
    assert solve_equilibrium(random(1)).policy.tolist() == [1]
    assert solve_equilibrium(random(1).replace(beta=0.1)).policy.tolist() == [1]
    ties = PreferenceGame(np.full((4, 4), 0.5), [0.1, 0.2, 0.3, 0.4])
    assert solve_equilibrium(ties).gap == 0
    np.testing.assert_allclose(solve_equilibrium(ties.replace(beta=0.1)).policy, [0.1, 0.2, 0.3, 0.4], atol=1e-16)


# Planted answers.


@pytest.mark.parametrize("beta", [1.0, 0.1, 0.01, 0.001])
@pytest.mark.parametrize("n", [2, 3, 10, 50, 200])
def test_planted(n, beta):
    count = 20 if n <= 10 else 1
    games = random(n, seed=n, count=count)
    policy = games.reference
    game = planted(policy, games.payoff, beta)
    answer = solve_equilibrium(game)
    assert np.abs(answer.log_policy - np.log(policy)).max() <= 1e-12
    assert answer.gap.shape == (count,) and answer.gap.max() <= 1e-28
    assert np.abs(solve_equilibrium(perturbed(game)).log_policy - np.log(policy)).max() > 1e-5


@pytest.mark.parametrize("beta", [1.0, 0.01, 0.001])
def test_planted_far_from_uniform(beta):
    logits = 10 * np.log(random(10, seed=0, count=10).reference)
    policy = ops.softmax(logits)
    answer = solve_equilibrium(planted(policy, random(10, seed=1, count=10).payoff, beta))
    # Rounding of the reference, of order 1e-16 / beta, moves what is hardly played by up to another 1 / beta.
    assert np.abs(answer.policy - policy).max() <= 2e-15 + 1e-16 / beta
    assert np.abs(answer.log_policy - np.log(policy)).max() <= 2e-14 + 1e-16 / beta**2
    assert answer.gap.max() <= 1e-28


@pytest.mark.parametrize("n", [3, 5, 9, 21])
def test_planted_without_regularisation(n):
    policy = random(n, seed=n).reference
    centred = np.eye(n) - np.outer(np.ones(n), policy)
    payoff = centred @ random(n, seed=n + 1).payoff @ centred.T
    payoff /= 2 * np.abs(payoff).max()
    answer = solve_equilibrium(PreferenceGame(0.5 + payoff))
    np.testing.assert_allclose(answer.policy, policy, atol=1e-13)
    np.testing.assert_allclose(policy @ payoff, 0, atol=1e-16)
    control = solve_equilibrium(perturbed(PreferenceGame(0.5 + payoff)))
    assert np.abs(control.policy - policy).max() > 1e-4


def test_one_newton_step_is_not_enough():
    game = planted(random(5, seed=3).reference, random(5, seed=4).payoff, 0.1)
    policy = random(5, seed=3).reference
    theta, p = game.log_reference, game.reference
    residual = theta - game.log_reference - game.payoff @ p / 0.1
    jacobian = np.eye(5) - game.payoff @ (np.diag(p) - np.outer(p, p)) / 0.1
    once = ops.log_normalize(theta - np.linalg.solve(jacobian, residual))
    assert np.abs(once - np.log(policy)).max() > 1e-3
    assert np.abs(solve_equilibrium(game).log_policy - np.log(policy)).max() <= 1e-11


# Two solvers, and other libraries.


@pytest.mark.parametrize("beta", [1.0, 0.1, 0.01])
def test_newton_and_fixed_point_agree(beta):
    for n in (2, 3, 4, 10):
        game = random(n, seed=n, count=5).replace(beta=beta)
        newton, iterated = solve_equilibrium(game), fixed_point(game)
        assert newton.method == "newton" and iterated.method == "fixed point"
        assert np.abs(newton.log_policy - iterated.log_policy).max() <= 1e-13 / beta
        early = fixed_point(game, tolerance=np.inf, iterations=int(1 / beta))
        # With two actions the first best response is the answer: its win rates do not depend on the opponent.
        assert n == 2 or np.abs(newton.log_policy - early.log_policy).max() > 1e-6


def test_solvers_agree_at_small_temperature():
    game = random(3, seed=8).replace(beta=1e-3)
    assert np.abs(solve_equilibrium(game).log_policy - fixed_point(game).log_policy).max() <= 1e-10


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
@pytest.mark.parametrize("beta", [0.5, 0.05])
def test_exponential_cone_program(beta):
    cvxpy = pytest.importorskip("cvxpy")

    def optimum(payoff, log_mu):
        n = len(payoff)
        p = cvxpy.Variable(n, nonneg=True)
        half_gap = beta * (cvxpy.sum(cvxpy.rel_entr(p, np.exp(log_mu))) + cvxpy.log_sum_exp(log_mu + payoff @ p / beta))
        problem = cvxpy.Problem(cvxpy.Minimize(half_gap), [cvxpy.sum(p) == 1])
        problem.solve(solver=cvxpy.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
        return problem.value, p.value

    for n in (3, 4):
        game = random(n, seed=n).replace(beta=beta)
        lowest, policy = optimum(game.payoff, game.log_reference)
        assert abs(lowest) <= 1e-9
        # Half the gap exceeds beta KL, hence beta / 2 times the squared distance.
        assert np.abs(policy - solve_equilibrium(game).policy).max() <= math.sqrt(2 * 1e-9 / beta)
    assert abs(optimum(game.payoff + 0.05 * np.eye(n), game.log_reference)[0]) > 1e-4


def test_nash_against_nashpy():
    nashpy = pytest.importorskip("nashpy")
    for n in (3, 5, 7):
        game = random(n, seed=n)  # generic and of odd support: unique
        row, column = nashpy.Game(game.payoff, -game.payoff).linear_program()
        answer = solve_equilibrium(game).policy
        np.testing.assert_allclose(row, answer, atol=1e-9)
        np.testing.assert_allclose(column, answer, atol=1e-9)


def test_nash_against_quantecon():
    game_theory = pytest.importorskip("quantecon.game_theory")
    for n in (5, 7, 10):
        game = random(n, seed=n)
        players = [game_theory.Player(np.array(a)) for a in (game.payoff, -game.payoff.T)]
        row, column = game_theory.lemke_howson(game_theory.NormalFormGame(players))
        answer = solve_equilibrium(game).policy
        np.testing.assert_allclose(row, answer, atol=1e-9)
        np.testing.assert_allclose(column, answer, atol=1e-9)
        control = perturbed(game, *np.flatnonzero(answer)[:2])
        assert np.abs(solve_equilibrium(control).policy - row).max() > 1e-3


def test_value_of_the_linear_program_is_that_of_the_payoff():
    from scipy.optimize import linprog

    n = 6
    for matrix, expected in ((random(n, seed=1).payoff, 0.0), (random(n, seed=1).preference, 0.5)):
        solution = linprog(
            np.append(np.zeros(n), -1.0),
            A_ub=np.column_stack([-matrix.T, np.ones(n)]),
            b_ub=np.zeros(n),
            A_eq=np.append(np.ones(n), 0.0)[None],
            b_eq=[1],
            bounds=[(0, None)] * n + [(None, None)],
        )
        assert -solution.fun == pytest.approx(expected, abs=1e-12)


# Hard games.


def test_large_games():
    for n in (50, 200):
        nash = solve_equilibrium(random(n, seed=n))
        assert nash.gap <= 1e-12 and nash.policy.sum() == pytest.approx(1, abs=1e-14)
        regularised = solve_equilibrium(random(n, seed=n).replace(beta=1e-3))
        assert regularised.gap <= 1e-25


def test_degenerate_games():
    rng = np.random.default_rng(0)
    for n in (2, 3, 4, 6, 10):
        for _ in range(10):
            payoff = np.tril(rng.choice([-0.5, 0.0, 0.5], size=(n, n)), -1)
            answer = solve_equilibrium(PreferenceGame(0.5 + payoff - payoff.T))
            assert answer.gap <= 1e-12 and (answer.policy >= 0).all()
    duplicated = np.kron(cyclic(3).payoff, np.ones((3, 3)))
    assert solve_equilibrium(PreferenceGame(0.5 + duplicated)).gap <= 1e-15


def test_margins_of_many_orders_of_magnitude():
    # Margins below the tolerances of pivoting in doubles decide the support.
    rng = np.random.default_rng(5)
    methods = set()
    for _ in range(60):
        payoff = np.tril(rng.uniform(-0.5, 0.5, size=(5, 5)) * 10.0 ** rng.integers(-11, 1, size=(5, 5)), -1)
        answer = solve_equilibrium(PreferenceGame(0.5 + payoff - payoff.T))
        assert answer.gap <= 1e-12
        methods.add(answer.method)
    assert methods == {"pivoting", "exact pivoting"}
    close = np.array([[0, 1e-10, 0.4], [-1e-10, 0, 0.4], [-0.4, -0.4, 0]])
    assert solve_equilibrium(PreferenceGame(0.5 + close)).policy.tolist() == [1, 0, 0]


@pytest.mark.parametrize("scale", [30.0, 1000.0])
@pytest.mark.parametrize("beta", [1.0, 0.1, 0.01, 1e-3])
def test_extreme_references(scale, beta):
    rng = np.random.default_rng(1)
    for n in (2, 3, 10):
        preference = random(n, seed=1, count=20).preference
        game = PreferenceGame(preference, beta=beta, log_reference=scale * rng.normal(size=(20, n)))
        answer = solve_equilibrium(game)
        assert answer.gap.max() <= 1e-28
        # The defining equation, also for actions that are hardly ever played.
        gain = np.einsum("kij,kj->ki", game.payoff, answer.policy)
        residual = np.ptp(answer.log_policy - game.log_reference - gain / beta, axis=-1)
        assert (residual <= 1e-15 * (3 / beta + np.ptp(game.log_reference, axis=-1))).all()


def test_the_fixed_point_takes_over_where_newton_stalls(monkeypatch):
    import prefsim.equilibrium as module

    game = random(4, seed=3, count=3).replace(beta=0.05)
    expected = solve_equilibrium(game)
    lost = ops.log_normalize(np.array([[0.0, -50.0, -50.0, -50.0]] * 3))
    real = module._newton
    monkeypatch.setattr(module, "_continuation", lambda flat, *pace: lost)
    monkeypatch.setattr(
        module,
        "_newton",
        lambda flat, beta, start, enough=0.0: start if start is lost else real(flat, beta, start, enough),
    )
    rescued = solve_equilibrium(game)
    assert rescued.method == "fixed point + newton"
    np.testing.assert_allclose(rescued.log_policy, expected.log_policy, atol=1e-13)


def test_very_small_temperatures_approach_the_nash_policy():
    game = random(5, seed=5)
    nash = solve_equilibrium(game)
    for beta in (1e-4, 1e-6, 1e-9):
        answer = solve_equilibrium(game.replace(beta=beta))
        assert answer.gap <= 1e-12
        assert gap(game, answer.log_policy) <= 2 * beta * -game.log_reference.min() + 1e-15
    np.testing.assert_allclose(answer.policy, nash.policy, atol=1e-6)


# Shapes and symmetries.


def test_batches_with_mixed_temperatures():
    games = random(4, seed=2, count=6)
    beta = np.array([[0.0, 1.0, 0.01], [0.1, 0.0, 1e-3]])
    grid = PreferenceGame(
        games.preference.reshape(2, 3, 4, 4), beta=beta, log_reference=games.log_reference.reshape(2, 3, 4)
    )
    answer = solve_equilibrium(grid)
    assert answer.policy.shape == (2, 3, 4) and answer.gap.shape == (2, 3)
    assert answer.method == "newton, pivoting"
    for index in np.ndindex(2, 3):
        single = solve_equilibrium(
            PreferenceGame(grid.preference[index], beta=beta[index], log_reference=grid.log_reference[index])
        )
        assert single.policy.shape == (4,) and single.gap.shape == ()
        np.testing.assert_allclose(answer.policy[index], single.policy, atol=1e-15)


@settings(deadline=None)
@given(
    st.integers(1, 8),
    st.integers(0, 10**6),
    st.sampled_from([1.0, 0.1, 0.01]),
    st.floats(-300, 300),
    st.randoms(use_true_random=False),
)
def test_renaming_actions_and_shifting_logs(n, seed, beta, shift, shuffle):
    order = list(range(n))
    shuffle.shuffle(order)
    game = random(n, seed=seed).replace(beta=beta)
    renamed = PreferenceGame(
        game.preference[np.ix_(order, order)], beta=beta, log_reference=game.log_reference[order] + shift
    )
    answer = solve_equilibrium(game)
    np.testing.assert_allclose(solve_equilibrium(renamed).log_policy, answer.log_policy[order], atol=1e-12)
    assert abs(answer.policy.sum() - 1) <= 1e-14
    assert solve_equilibrium(renamed.replace(beta=0.0)).gap <= 1e-12


# Rotation around the equilibrium.


@settings(deadline=None)
@given(st.integers(2, 8), st.integers(0, 10**6))
def test_frequency_is_the_largest_eigenvalue(n, seed):
    game = random(n, seed=seed).replace(beta=0.1)
    answer = solve_equilibrium(game)
    p = answer.policy
    eigenvalues = np.linalg.eigvals(game.payoff @ (np.diag(p) - np.outer(p, p)))
    omega = local_frequency(game, answer.log_policy)
    assert omega == pytest.approx(np.abs(eigenvalues.imag).max(), abs=1e-7)
    assert omega <= 1 / (2 * n * math.tan(math.pi / (2 * n))) + 1e-15
    assert omega <= math.sqrt(p @ game.payoff**2 @ p / 2) + 1e-15


@pytest.mark.parametrize("n", [3, 5, 7, 15])
def test_cyclic_tournaments_rotate_fastest(n):
    omega = local_frequency(cyclic(n), np.full(n, -np.log(n)))
    bound = 1 / (2 * n * math.tan(math.pi / (2 * n)))
    assert omega == pytest.approx(bound, abs=1e-15)
    assert omega > 0.99 * bound
    if n == 3:
        assert omega == pytest.approx(0.5 / math.sqrt(3), abs=1e-15)
        # The other bound is attained here, so a quarter instead of a half fails.
        assert omega > math.sqrt((cyclic(3).payoff ** 2).sum() / 9 / 4)


def test_additive_games_do_not_rotate():
    game = additive([0.5, 0.2, 0.0]).replace(beta=0.3)
    assert local_frequency(game, solve_equilibrium(game).log_policy) <= 1e-16


@pytest.mark.parametrize("beta", [0.3, 0.05])
def test_self_play_turns_unstable_at_its_limit(beta):
    game = random(5, seed=3, count=4).replace(beta=beta)
    answer = solve_equilibrium(game).log_policy
    limit = 2 * beta / (local_frequency(game, answer) ** 2 + beta**2)
    assert limit.shape == (4,)
    nudge = np.random.default_rng(0).normal(size=(4, 5))
    for factor, shrinks in ((0.9, True), (1.1, False)):
        step = (factor * limit)[:, None]
        theta = ops.log_normalize(answer + 1e-9 * nudge)
        errors = []
        for _ in range(2000 if beta < 0.1 else 400):
            errors.append(np.sqrt(ops.kl(answer, theta)))
            gain = np.einsum("kij,kj->ki", game.payoff, np.exp(theta))
            theta = ops.log_normalize((1 - step * beta) * theta + step * beta * game.log_reference + step * gain)
        late, early = np.array(errors[-1]), np.array(errors[20])
        assert ((late < 0.5 * early) if shrinks else (late > 2 * early)).all()


# Refusals.


def test_uncertified_answers_are_refused():
    games = random(4, seed=0, count=3).replace(beta=[1.0, 0.0, 0.5])
    with pytest.raises(
        EquilibriumError, match=r"game \[\d\] was solved by .* only to a duality gap of .* above the tol"
    ):
        solve_equilibrium(games, tolerance=1e-300)
    with pytest.raises(EquilibriumError, match=r"the game was solved by fixed point only .*raise tolerance or beta"):
        fixed_point(random(4).replace(beta=0.1), iterations=2)
    with pytest.raises(RuntimeError):
        fixed_point(random(4).replace(beta=0.1), iterations=0)


@pytest.mark.parametrize("tolerance", [0, -1e-9, math.nan, "small"])
def test_bad_tolerance(tolerance):
    for solve in (solve_equilibrium, fixed_point):
        with pytest.raises(ValueError, match="tolerance must be a number above 0"):
            solve(random(3).replace(beta=1.0), tolerance=tolerance)


def test_fixed_point_refuses_unregularised_games():
    with pytest.raises(ValueError, match="fixed_point needs beta > 0"):
        fixed_point(cyclic(3))


def test_two_solvers_agree_on_two_hundred_random_games():
    """Newton by continuation and mirror prox share nothing but the payoff's product and the certificate."""
    sizes = {2: 30, 3: 40, 4: 30, 5: 20, 8: 20, 13: 20, 30: 20, 60: 8, 100: 8, 200: 4}
    assert sum(sizes.values()) == 200
    rng = np.random.default_rng(7)
    for n, count in sizes.items():
        law = ("uniform", "sign", "beta_extreme", "normal")[n % 4]
        beta = 10 ** rng.uniform(-3, 0, size=count)
        beta[0] = 1e-3
        # From uniform references to some that differ by many orders of magnitude.
        logits = rng.normal(size=(count, n)) * rng.choice([0.0, 1.0, 10.0], size=(count, 1))
        game = PreferenceGame(random(n, seed=100 + n, count=count, law=law).preference, beta=beta, log_reference=logits)
        newton, iterated = solve_equilibrium(game), fixed_point(game)
        assert newton.method == "newton" and iterated.method == "fixed point"
        assert max(newton.gap.max(), iterated.gap.max()) <= 1e-22
        assert np.abs(newton.log_policy - iterated.log_policy).max() <= 1e-11
        # The equation itself, written out.
        gain = np.einsum("kij,kj->ki", game.payoff, newton.policy)
        equation = ops.log_normalize(game.log_reference + gain / beta[:, None])
        assert np.abs(equation - newton.log_policy).max() <= 1e-11


def test_the_two_solvers_are_independent(monkeypatch):
    """A mistake in one of them leaves the other, and the certificate notices it."""
    import prefsim.equilibrium as module

    game = random(5, seed=2, count=3).replace(beta=0.05)
    right = solve_equilibrium(game).log_policy
    with monkeypatch.context() as patch:
        residual = module._residual
        patch.setattr(module, "_residual", lambda flat, beta, theta: residual(flat, 1.01 * beta, theta))
        np.testing.assert_allclose(fixed_point(game).log_policy, right, atol=1e-12)
        with pytest.raises(EquilibriumError):
            solve_equilibrium(game)
    with monkeypatch.context() as patch:
        response = module.best_response
        patch.setattr(module, "best_response", lambda flat, theta: response(flat.replace(beta=1.01 * flat.beta), theta))
        np.testing.assert_array_equal(solve_equilibrium(game).log_policy, right)
        with pytest.raises(EquilibriumError):
            fixed_point(game)


@pytest.mark.parametrize("beta", [0.0, 0.05])
@pytest.mark.parametrize("n", [3, 17, 40])
def test_answers_do_not_depend_on_threads_or_on_the_batch(n, beta, monkeypatch):
    games = random(n, seed=n, count=75).replace(beta=beta)
    monkeypatch.setenv("PREFSIM_THREADS", "1")
    whole = solve_equilibrium(games).log_policy
    shared = []
    for module in (equilibrium, pivoting):
        monkeypatch.setattr(module, "WORTH_THREADS", 0)
        split = module.parallel
        monkeypatch.setattr(module, "parallel", lambda *given, split=split, **more: (shared.append(1), split(*given, **more)))
    for number in ("2", "3"):
        monkeypatch.setenv("PREFSIM_THREADS", number)
        np.testing.assert_array_equal(solve_equilibrium(games).log_policy, whole)
    assert shared == [1, 1]
    for k in (0, 37, 74):
        np.testing.assert_array_equal(solve_equilibrium(games[k]).log_policy, whole[k])
