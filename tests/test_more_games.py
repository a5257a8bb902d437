"""Further families of preference games against their known answers, each with a control that breaks it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import prefsim as ps
from prefsim.game import PreferenceGame
from prefsim.metrics import duality_gap
from prefsim.noise import normals, stream_key


def perturbed(game: PreferenceGame, i: int = 0, j: int = 1) -> PreferenceGame:
    """The common control: one entry of the preference matrix moved by 0.05, nothing re-planted."""
    matrix = game.preference.copy()
    move = np.where(matrix[..., i, j] < 0.9, 0.05, -0.05)
    matrix[..., i, j] += move
    matrix[..., j, i] -= move
    return PreferenceGame(matrix, beta=game.beta, log_reference=game.log_reference)


def scores(game):
    return np.log(game.preference) - np.log(np.swapaxes(game.preference, -1, -2))


def test_rock_paper_scissors_lizard_spock():
    game = ps.games.rock_paper_scissors_lizard_spock()
    rules = "scissors paper, paper rock, rock lizard, lizard spock, spock scissors, scissors lizard, lizard paper, paper spock"
    rules += ", spock rock, rock scissors"
    index = {name: i for i, name in enumerate(game.names)}
    for winner, loser in (rule.split() for rule in rules.split(", ")):
        assert game.preference[index[winner], index[loser]] == 1
    assert (game.preference == 1).sum() == 10
    uniform = np.full(5, 0.2)
    for beta in (0.0, 0.05):
        assert duality_gap(game.replace(beta=beta), uniform) <= 1e-15
        assert duality_gap(perturbed(game.replace(beta=beta)), uniform) > 1e-4
    # It is the cyclic tournament on five actions in another order.
    cyclic = ps.games.cyclic(5).preference
    assert any((game.preference[np.ix_(o, o)] == cyclic).all() for o in map(list, itertools.permutations(range(5))))
    assert ps.games.rock_paper_scissors_lizard_spock(0.1).payoff.max() == pytest.approx(0.1)


def test_three_dice():
    game = ps.games.three_dice()
    np.testing.assert_allclose(game.payoff, np.array([[0, 1, -1], [-1, 0, 1], [1, -1, 0]]) / 18, atol=1e-16)
    assert duality_gap(game, [1 / 3] * 3) <= 1e-16
    assert duality_gap(perturbed(game), [1 / 3] * 3) > 1e-3
    # Efron's four dice: each beats the next 2 to 1; and a die against itself and against one that ties half the time.
    efron = ps.games.three_dice([[4, 4, 4, 4, 0, 0], [3] * 6, [6, 6, 2, 2, 2, 2], [5, 5, 5, 1, 1, 1]]).preference
    np.testing.assert_allclose([efron[i, (i + 1) % 4] for i in range(4)], 2 / 3, atol=1e-15)
    assert ps.games.three_dice([[1, 2], [2]]).preference[0, 1] == 0.25


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 1 / 3])
def test_three_raters(epsilon):
    game = ps.games.three_raters(epsilon)
    p = game.preference
    np.testing.assert_allclose([p[1, 0], p[0, 2], p[2, 1]], [2 / 3 - epsilon / 2, 2 / 3 + epsilon / 4, 2 / 3 + epsilon / 4])
    nash = np.array([1 / 3 + epsilon / 2, 1 / 3 + epsilon / 2, 1 / 3 - epsilon])
    assert duality_gap(game, np.maximum(nash, 0)) <= 1e-15
    assert duality_gap(perturbed(game), np.maximum(nash, 0)) > 1e-3
    shares = [1 / 3 - epsilon / 4, 1 / 3 + epsilon / 2, 1 / 3 - epsilon / 4]
    population = ps.games.rater_mixture([[1, 0, 2], [0, 2, 1], [2, 1, 0]], shares)
    np.testing.assert_allclose(population.preference, p, atol=1e-15)


@pytest.mark.parametrize(("n", "margin"), [(2, 0.5), (5, 0.3)])
def test_dominated(n, margin):
    game = ps.games.dominated(n, margin)
    best = np.eye(n)[0]
    assert duality_gap(game, best) == 0
    p = np.arange(1.0, n + 1) / np.arange(1.0, n + 1).sum()
    assert duality_gap(game, p) == pytest.approx(2 * margin * (1 - p[0]), rel=1e-14)
    mu, beta = p[::-1], 0.2
    answer = mu * np.exp(margin * best / beta)
    answer /= answer.sum()
    regularised = game.replace(beta=beta, reference=mu)
    assert duality_gap(regularised, answer) <= 1e-28
    assert duality_gap(perturbed(regularised), answer) > 1e-4
    # Multiplicative weights from the uniform policy.
    data = ps.run(game, [("mwu", {"step": 0.7})], horizon=20, metrics=["policy", "average_duality_gap"], record="all")
    first = data.policy.values[0, 0, 0, :, 0]
    np.testing.assert_allclose(np.log(first / (1 - first)), -np.log(n - 1) + 0.7 * margin * np.arange(21), atol=1e-13)
    expected = 2 * margin * np.cumsum(1 - first)[:-1] / np.arange(1, 21)
    np.testing.assert_allclose(data.average_duality_gap.values[0, 0, 0, 1:], expected, rtol=1e-12)


def test_degenerate():
    copies, weights = (1, 2, 3), (0.1, 0.3, 0.45)
    game = ps.games.degenerate(copies, weights)
    a, b, c = weights
    masses = np.array([c, b, a]) / (a + b + c)
    for split in ([1, 1, 0, 1, 0, 0], [1, 0.3, 0.7, 0.2, 0.5, 0.3], [1, 0, 1, 0, 0.9, 0.1]):
        assert duality_gap(game, np.repeat(masses, copies) * split) <= 1e-15
    assert duality_gap(game, np.repeat(masses[::-1], copies) * [1, 1, 0, 1, 0, 0]) > 1e-3
    assert duality_gap(perturbed(game, 0, 3), np.repeat(masses, copies) * [1, 1, 0, 1, 0, 0]) > 1e-3
    mu = np.array([0.1, 0.3, 0.05, 0.25, 0.2, 0.1])
    kinds = np.repeat(np.arange(3), copies)
    summed = np.bincount(kinds, mu)
    small = ps.solve_equilibrium(ps.games.rock_paper_scissors(weights).replace(beta=0.1, reference=summed)).policy
    answer = small[kinds] * mu / summed[kinds]
    regularised = game.replace(beta=0.1, reference=mu)
    np.testing.assert_allclose(ps.solve_equilibrium(regularised).policy, answer, atol=1e-13)
    assert duality_gap(perturbed(regularised), answer) > 1e-4
    assert game.names == ("rock 1", "scissors 1", "scissors 2", "paper 1", "paper 2", "paper 3")


def test_general_preference_has_the_sign_it_states():
    v = np.random.default_rng(0).normal(size=(6, 4))
    R = np.kron(np.eye(2), [[0, -1], [1, 0]])
    by_definition = (v @ R.T) @ v.T  # <R v_i, v_j>
    game = ps.games.general_preference(v)
    np.testing.assert_allclose(scores(game), by_definition, atol=1e-12)
    assert np.abs(scores(game) - v @ R @ v.T).max() > 1  # v_i^T R v_j is the negative
    scaled = ps.games.general_preference(v, scales=[2.0, 0.0])
    np.testing.assert_allclose(scores(scaled), 2 * (v[:, :2] @ R[:2, :2].T) @ v[:, :2].T, atol=1e-12)
    rewards = np.array([1.5, 0.2, -0.7])
    bradley_terry = ps.games.general_preference(np.stack([rewards, np.ones(3)], axis=1))
    np.testing.assert_allclose(bradley_terry.preference, ps.games.bradley_terry(rewards).preference, atol=1e-15)


def test_general_preference_equilibria():
    game = ps.games.general_preference()
    assert game.preference[0, 1] == pytest.approx(1 / (1 + np.exp(-(0.75**0.5))), abs=1e-15)  # sin 120 degrees
    assert duality_gap(game, [1 / 3] * 3) <= 1e-15
    assert duality_gap(perturbed(game), [1 / 3] * 3) > 1e-3
    v = np.random.default_rng(1).normal(size=(5, 2))
    centred = ps.games.general_preference(v - v.mean(axis=0), transform="log_odds")
    assert duality_gap(centred, np.full(5, 0.2)) <= 1e-13
    assert duality_gap(ps.games.general_preference(v, transform="log_odds"), np.full(5, 0.2)) > 1e-2
    assert ps.games.general_preference(np.zeros((2, 4, 6))).batch_shape == (2,)


@pytest.mark.parametrize("dial", [0.0, 0.3, 1.0])
def test_low_rank_mixture_splits_as_it_says(dial):
    game = ps.games.low_rank_mixture(n=9, rank=4, intransitivity=dial, seed=5, scale=0.8)
    s = scores(game)
    assert (s**2).sum() / 72 == pytest.approx(0.64, rel=1e-12)
    rewards = s.mean(axis=1)  # the least-squares rewards of a complete comparison
    rest = s - (rewards[:, None] - rewards)
    assert (rest**2).sum() / (s**2).sum() == pytest.approx(dial, abs=1e-12)
    rank = (np.linalg.svd(rest, compute_uv=False) > 1e-9).sum()
    assert rank == (4 if dial else 0)


def test_low_rank_mixture_at_its_ends():
    transitive = ps.games.low_rank_mixture(intransitivity=0.0, seed=1)
    best = np.eye(10)[scores(transitive).mean(axis=1).argmax()]
    assert duality_gap(transitive, best) == 0
    assert duality_gap(ps.games.low_rank_mixture(intransitivity=1.0, seed=1), best) > 0.1
    uniform = np.full(10, 0.1)
    cycle = ps.games.low_rank_mixture(intransitivity=1.0, seed=1, transform="log_odds")
    assert duality_gap(cycle, uniform) <= 1e-13
    assert duality_gap(ps.games.low_rank_mixture(intransitivity=0.9, seed=1, transform="log_odds"), uniform) > 0.1
    many = ps.games.low_rank_mixture(count=3, seed=1, intransitivity=0.0)
    assert (many.preference[0] == transitive.preference).all() and (many.preference[1] != many.preference[0]).any()


def test_rater_mixture():
    paradox = ps.games.rater_mixture()
    assert paradox.preference[0, 1] == paradox.preference[1, 2] == paradox.preference[2, 0] == pytest.approx(2 / 3)
    assert duality_gap(paradox, [1 / 3] * 3) <= 1e-15
    assert duality_gap(perturbed(paradox), [1 / 3] * 3) > 1e-3
    # A Condorcet winner that no one ranks first.
    winner = ps.games.rater_mixture([[0, 3, 1, 2], [1, 3, 2, 0], [2, 3, 0, 1]])
    assert duality_gap(winner, [0, 0, 0, 1]) == 0
    assert duality_gap(ps.games.rater_mixture([[0, 3, 1, 2], [1, 3, 2, 0], [2, 3, 0, 1]], [3, 1, 1]), [0, 0, 0, 1]) > 0.1
    utilities = np.array([[0.3, 1.2, -0.5], [2.0, 0.0, 0.1]])
    mixed = ps.games.rater_mixture(utilities=utilities, weights=[1, 3]).preference
    each = [ps.games.bradley_terry(u).preference for u in utilities]
    np.testing.assert_allclose(mixed, 0.25 * each[0] + 0.75 * each[1], atol=1e-15)
    strong = ps.games.rater_mixture(utilities=[[200.0, 100.0, 0.0], [0.0, 200.0, 100.0], [100.0, 0.0, 200.0]])
    np.testing.assert_allclose(strong.preference, paradox.preference, atol=1e-15)


def test_contextual_has_the_planted_equilibria():
    game = ps.games.contextual(n=30, contexts=4, seed=3, beta=0.05)
    logits = normals(stream_key(3, "games.contextual", "policy"), np.arange(4), 0, 0, 30)
    planted = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    assert game.batch_shape == (4,)
    assert duality_gap(game, planted).max() <= 1e-28
    assert duality_gap(perturbed(game), planted).min() > 1e-8
    assert duality_gap(game.replace(beta=0.06), planted).min() > 1e-3
    np.testing.assert_allclose(ps.solve_equilibrium(game).policy, planted, atol=1e-12)
    fewer = ps.games.contextual(n=30, contexts=2, seed=3, beta=0.05)
    assert (fewer.preference == game.preference[:2]).all() and (fewer.log_reference == game.log_reference[:2]).all()
    below = game.preference[:, *np.tril_indices(30, -1)].ravel()
    assert abs(below.mean() - 0.5) < 0.03 and abs(below.var() - 1 / 12) < 0.01


@pytest.mark.parametrize(
    ("law", "distribution"),
    [
        ("uniform", lambda x: x),
        ("beta_extreme", lambda x: 2 / np.pi * np.arcsin(np.sqrt(x))),
        ("normal", lambda x: None),
        ("sign", lambda x: None),
    ],
)
def test_laws_of_random_games(law, distribution):
    game = ps.games.random(20, seed=1, count=100, law=law)
    draws = np.sort(game.preference[:, *np.tril_indices(20, -1)].ravel())
    if law == "sign":
        assert set(draws) == {0.0, 1.0} and abs(draws.mean() - 0.5) < 0.02
    else:
        if law == "normal":
            from scipy.stats import norm

            levels = norm.cdf(np.log(draws / (1 - draws)))
        else:
            levels = distribution(draws)
        # Kolmogorov-Smirnov distance; 1.95 / sqrt(N) has level 0.001.
        assert np.abs(levels - np.arange(len(draws)) / len(draws)).max() < 1.95 / np.sqrt(len(draws))
    one = ps.games.random(20, seed=1, law=law)
    assert (one.preference == game.preference[0]).all() and one.recipe["law"] == law


def test_random_tournaments_have_an_odd_support():
    game = ps.games.random(8, seed=4, count=40, law="sign")
    sizes = (ps.solve_equilibrium(game).policy > 1e-9).sum(axis=-1)
    assert (sizes % 2 == 1).all() and len(set(sizes)) > 1


def test_recipes_build_the_same_game_again():
    for game in (
        ps.games.rater_mixture(utilities=[[1.0, 0.0], [0.0, 2.0]]),
        ps.games.general_preference(transform="log_odds"),
        ps.games.three_dice(),
        ps.games.low_rank_mixture(n=5, count=2),
        ps.games.contextual(n=4, contexts=2),
    ):
        recipe = {k: v for k, v in game.recipe.items() if k != "family" and v is not None}
        again = getattr(ps.games, game.recipe["family"])(**recipe)
        assert (again.preference == game.preference).all() and again.transform == game.transform


@pytest.mark.parametrize(
    ("build", "error", "sentence"),
    [
        (lambda: ps.games.rock_paper_scissors_lizard_spock(0.6), ValueError, "margin must lie in"),
        (lambda: ps.games.three_dice([[1, 2], []]), ValueError, "faces must hold at least one die"),
        (lambda: ps.games.three_dice([[1, "x"]]), TypeError, "faces must be a list of dice"),
        (lambda: ps.games.three_raters(0.4), ValueError, r"epsilon must lie in \[0, 1/3\].* got 0.4"),
        (lambda: ps.games.dominated(1), ValueError, "n must be a whole number of actions >= 2"),
        (lambda: ps.games.dominated(3, 0.0), ValueError, "margin must lie in"),
        (lambda: ps.games.degenerate((1, 0, 2)), ValueError, "copies must be three whole numbers"),
        (lambda: ps.games.degenerate((1, 1, 2), (0.1, 0.2, 0.6)), ValueError, "weights must be three margins"),
        (lambda: ps.games.general_preference([[1.0, 2.0, 3.0]]), ValueError, r"got shape \(1, 3\)"),
        (lambda: ps.games.general_preference(scales=[1.0, 1.0]), ValueError, "scales must hold"),
        (lambda: ps.games.general_preference([[9.0, 0], [0, 9.0]], transform="log_odds"), ValueError, "log-odds reach 81"),
        (lambda: ps.games.general_preference([["a"]]), TypeError, "must be arrays of numbers"),
        (lambda: ps.games.low_rank_mixture(rank=3), ValueError, "rank must be even"),
        (lambda: ps.games.low_rank_mixture(n=4, rank=4), ValueError, "at most n - 1 = 3"),
        (lambda: ps.games.low_rank_mixture(intransitivity=1.5), ValueError, "intransitivity must lie in"),
        (lambda: ps.games.low_rank_mixture(scale=0), ValueError, "scale must be"),
        (lambda: ps.games.low_rank_mixture(n=2), ValueError, "n must be a whole number >= 3"),
        (lambda: ps.games.rater_mixture([[0, 1, 1]]), ValueError, "rankings must each list all actions"),
        (lambda: ps.games.rater_mixture([[0, 1]], weights=[-1]), ValueError, "weights must be 1 finite shares"),
        (lambda: ps.games.rater_mixture([[0, 1]], utilities=[[0, 1]]), ValueError, "not both"),
        (lambda: ps.games.rater_mixture([[0, 1], [0]]), TypeError, "of one length"),
        (lambda: ps.games.contextual(beta=0.0), ValueError, "beta must be a finite temperature > 0"),
        (lambda: ps.games.contextual(contexts=0), ValueError, "contexts must be a whole number"),
        (lambda: ps.games.random(4, law="cauchy"), ValueError, "law must be one of 'uniform'.* got 'cauchy'"),
    ],
)
def test_refusals(build, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        build()
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("n", [2, 3, 6, 9])
def test_planted_nash_is_an_equilibrium_and_unique_at_odd_sizes(n):
    policy = np.arange(1.0, n + 1) / (n * (n + 1) / 2)
    game = ps.games.planted_nash(policy, seed=n)
    assert float(ps.duality_gap(game, policy)) <= 1e-14
    if n > 2:
        assert np.abs(game.payoff).max() == pytest.approx(0.5)
        moved = np.array(game.preference)
        nudge = 0.05 * np.sign(game.payoff[0, 1])  # towards 1/2, so that it stays a probability
        moved[0, 1], moved[1, 0] = moved[0, 1] - nudge, moved[1, 0] + nudge
        assert float(ps.duality_gap(ps.PreferenceGame(moved), policy)) > 1e-3
    if n % 2:
        assert np.linalg.matrix_rank(game.payoff, tol=1e-10) == n - 1
        np.testing.assert_allclose(ps.solve_equilibrium(game).policy, policy, atol=1e-10)
    with pytest.raises(ValueError, match="at least two actions"):
        ps.games.planted_nash([1.0])
