"""Families of preference games against their closed forms, and what they refuse."""

from __future__ import annotations

import importlib
import inspect
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import prefsim.games
from prefsim.equilibrium import solve_equilibrium
from prefsim.game import PreferenceGame
from prefsim.games.additive import additive
from prefsim.games.bradley_terry import bradley_terry
from prefsim.games.cyclic import cyclic
from prefsim.games.from_csv import from_csv
from prefsim.games.planted import planted
from prefsim.games.random import random
from prefsim.games.rock_paper_scissors import rock_paper_scissors
from prefsim.metrics import duality_gap, gap
from prefsim.noise import normal, open_stream, seek, stream_key, uniform

FAMILIES = sorted(f.stem for f in Path(prefsim.games.__path__[0]).glob("*.py") if not f.stem.startswith(("_", "from_")))


def perturbed(game: PreferenceGame, i: int, j: int) -> PreferenceGame:
    """The common control: one entry of the payoff moved by 0.05, nothing re-planted."""
    matrix = game.preference.copy()
    move = 0.05 if matrix[..., i, j].max() < 0.9 else -0.05
    matrix[..., i, j] += move
    matrix[..., j, i] -= move
    return PreferenceGame(matrix, beta=game.beta, log_reference=game.log_reference)


def log_residual(game: PreferenceGame, log_policy: np.ndarray) -> float:
    """Largest violation of log pi = log mu + A pi / beta + const."""
    p = np.exp(log_policy)
    right = game.log_reference + np.einsum("...ij,...j->...i", game.payoff, p) / game.beta[..., None]
    return float(np.ptp(log_policy - right, axis=-1).max())


@pytest.mark.parametrize("key", FAMILIES)
def test_every_family_builds_a_game_from_plain_defaults(key):
    build = getattr(importlib.import_module(f"prefsim.games.{key}"), key)
    game = build()
    assert isinstance(game, PreferenceGame)
    assert (game.preference + np.swapaxes(game.preference, -1, -2) == 1).all()
    defaults = [p.default for p in inspect.signature(build).parameters.values()]
    assert inspect.Parameter.empty not in defaults
    json.dumps(defaults)


# Closed forms.


@pytest.mark.parametrize("weights", [(0.5, 0.5, 0.5), (0.1, 0.3, 0.45), (1 / 18, 1 / 18, 1 / 18)])
def test_rock_paper_scissors(weights):
    a, b, c = weights
    game = rock_paper_scissors(weights=weights)
    assert game.preference[0, 1] == pytest.approx(0.5 + a, abs=1e-16)
    assert game.preference[2, 0] == pytest.approx(0.5 + b, abs=1e-16)
    assert game.preference[1, 2] == pytest.approx(0.5 + c, abs=1e-16)
    nash = np.array([c, b, a]) / (a + b + c)
    assert duality_gap(game, nash) <= 1e-15
    assert duality_gap(perturbed(game, 0, 1), nash) > 1e-3


def test_rock_paper_scissors_has_the_published_nash_policies():
    assert duality_gap(rock_paper_scissors((0.1, 0.3, 0.45)), np.array([9, 6, 2]) / 17) <= 1e-15
    dice = rock_paper_scissors((1 / 18, 1 / 18, 1 / 18))
    assert dice.preference[0, 1] == pytest.approx(5 / 9, abs=1e-15)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.3])
def test_three_raters(epsilon):
    # P(2>1) = 2/3 - eps/2, P(1>3) = P(3>2) = 2/3 + eps/4: the default cycle, turned round.
    p21, p13, p32 = 2 / 3 - epsilon / 2, 2 / 3 + epsilon / 4, 2 / 3 + epsilon / 4
    game = PreferenceGame([[0.5, 1 - p21, p13], [p21, 0.5, 1 - p32], [1 - p13, p32, 0.5]])
    nash = [1 / 3 + epsilon / 2, 1 / 3 + epsilon / 2, 1 / 3 - epsilon]
    assert duality_gap(game, nash) <= 1e-15
    assert duality_gap(perturbed(game, 0, 1), nash) > 1e-3


@pytest.mark.parametrize("n", [3, 5, 7, 11])
def test_cyclic(n):
    game = cyclic(n, margin=0.3)
    for i in range(n):
        for step in range(1, n):
            expected = 0.8 if step <= (n - 1) // 2 else 0.2
            assert game.preference[i, (i + step) % n] == pytest.approx(expected, abs=1e-15)
    uniform_policy = np.full(n, 1 / n)
    for beta in (0.0, 0.01, 1.0):
        assert duality_gap(game.replace(beta=beta), uniform_policy) <= 1e-15
    skewed = np.arange(1.0, n + 1)
    control = game.replace(beta=0.1, reference=skewed / skewed.sum())
    assert duality_gap(control, uniform_policy) > 1e-3
    assert duality_gap(perturbed(game, 0, 1), uniform_policy) > 1e-3


def test_cyclic_of_three_is_rock_paper_scissors():
    assert (cyclic(3).preference == rock_paper_scissors().preference).all()


def test_bradley_terry_is_logistic_in_rewards():
    rewards = [1.5, -0.2, 0.0, 30.0]
    game = bradley_terry(rewards, scale=2.0)
    for i, r in enumerate(rewards):
        for j, s in enumerate(rewards):
            assert game.preference[i, j] == pytest.approx(1 / (1 + math.exp(-2 * (r - s))), abs=1e-15)
    assert (bradley_terry([800.0, -800.0]).preference == [[0.5, 1], [0, 0.5]]).all()
    best = [0.0, 0.0, 0.0, 1.0]
    assert duality_gap(game, best) == 0
    assert duality_gap(perturbed(bradley_terry([0.0, 0.1]), 0, 1), [0.0, 1.0]) > 1e-3


@pytest.mark.parametrize("beta", [1.0, 0.1, 0.01])
def test_additive(beta):
    u = np.array([0.5, 0.3, 0.1, 0.02])
    mu = np.array([0.1, 0.2, 0.3, 0.4])
    game = additive(u).replace(beta=beta, reference=mu)
    answer = np.log(mu) + u / beta
    answer -= np.log(np.exp(answer - answer.max()).sum()) + answer.max()
    assert log_residual(game, answer) <= 1e-15 / beta
    assert log_residual(perturbed(game, 0, 1), answer) > 1e-2
    assert gap(game, answer) <= 1e-25


def test_families_take_batches():
    assert bradley_terry([[0.0, 1.0], [2.0, 3.0]]).batch_shape == (2,)
    assert additive(np.zeros((3, 2, 5))).batch_shape == (3, 2)
    batch = planted([[0.5, 0.5], [0.3, 0.7]], [[0, 0.2], [-0.2, 0]], beta=[0.1, 1.0])
    assert batch.batch_shape == (2,)
    assert log_residual(batch, np.log([[0.5, 0.5], [0.3, 0.7]])) <= 1e-14


@settings(deadline=None)
@given(st.integers(1, 12), st.sampled_from([1.0, 0.1, 0.01, 0.001]), st.integers(0, 10**6))
def test_planted(n, beta, seed):
    game = random(n, seed=seed)
    policy = random(n, seed=seed + 1).reference
    answer = planted(policy, game.payoff, beta)
    # mu is rounded relative to its logarithms, which reach 1 / beta.
    assert log_residual(answer, np.log(policy)) <= 4e-15 / beta
    assert gap(answer, np.log(policy)) <= 1e-25
    if n > 1:
        assert log_residual(perturbed(answer, 0, 1), np.log(policy)) > 1e-4


def test_planted_in_two_actions_is_the_logit_shift():
    game = planted([0.8, 0.2], [[0, 0.3], [-0.3, 0]], beta=0.5)
    assert game.log_reference[0] - game.log_reference[1] == pytest.approx(math.log(4) - 0.3 / 0.5, abs=1e-15)


# The random family.


def test_random_draws_are_those_of_the_scalar_generator():
    n, instance = 4, 2
    game = random(n, seed=7, count=3)
    noise = open_stream(*stream_key(7, "games.random", "preference"), instance, 0)
    seek(noise, 0)
    for i in range(n):
        for j in range(i):
            draw = uniform(noise)
            assert game.preference[instance, i, j] == pytest.approx(draw, abs=1e-15)
    noise = open_stream(*stream_key(7, "games.random", "reference"), instance, 0)
    seek(noise, 0)
    logits = np.array([normal(noise) for _ in range(n)])
    assert np.ptp(game.log_reference[instance] - logits) <= 1e-14


def test_random_games_do_not_depend_on_how_many_are_drawn():
    few, many = random(6, seed=3, count=2), random(6, seed=3, count=5)
    one = random(6, seed=3)
    assert (many.preference[:2] == few.preference).all()
    assert (many.log_reference[:2] == few.log_reference).all()
    assert one.batch_shape == () and (one.preference == few.preference[0]).all()
    assert (one.log_reference == few.log_reference[0]).all()
    assert (random(6, seed=4).preference != one.preference).any()
    assert (few.preference[0] != few.preference[1]).any()


def test_random_distribution():
    game = random(20, seed=1, count=200)
    rows, columns = np.tril_indices(20, -1)
    below = np.sort(game.preference[:, rows, columns].ravel())
    # Kolmogorov-Smirnov distance to the uniform law; 1.95 / sqrt(N) has level 0.001.
    assert np.abs(below - np.arange(len(below)) / len(below)).max() < 1.95 / np.sqrt(len(below))
    logits = game.log_reference - game.log_reference.mean(axis=-1, keepdims=True)
    assert logits.var() * 20 / 19 == pytest.approx(1, abs=0.1)
    assert (random(5, reference="uniform", count=3).reference == 0.2).all()


# CSV.


def written(tmp_path, text: str, encoding: str = "utf-8"):
    path = tmp_path / "wins.csv"
    path.write_text(text, encoding=encoding)
    return path


ROWS = "0.5,0.7,0.2\n0.3,0.5,0.6\n0.8,0.4,0.5\n"
NAMED_ROWS = "a,0.5,0.7,0.2\nb,0.3,0.5,0.6\nc,0.8,0.4,0.5\n"


@pytest.mark.parametrize(
    "text",
    [
        "a,b,c\n" + ROWS,
        ",a,b,c\n" + NAMED_ROWS,
        "player,a,b,c\n" + NAMED_ROWS,
        "a,b,c\n" + NAMED_ROWS,
        " a , b,c\n\n0.5, 0.7,0.2\n0.3,0.5,0.6\n,,\n0.8,0.4,5e-1\n\n",
        '"a","b","c"\r\n' + ROWS.replace("\n", "\r\n"),
    ],
    ids=["plain", "empty corner", "named corner", "no corner", "spaces and blank lines", "quotes and CRLF"],
)
def test_csv_of_probabilities(tmp_path, text):
    game = from_csv(written(tmp_path, text), beta=0.25)
    assert game.names == ("a", "b", "c")
    assert game.beta == 0.25
    np.testing.assert_allclose(game.preference, [[0.5, 0.7, 0.2], [0.3, 0.5, 0.6], [0.8, 0.4, 0.5]], atol=1e-16)


def test_csv_with_numbers_as_names_and_a_byte_order_mark(tmp_path):
    game = from_csv(written(tmp_path, "\ufeffid,1,2\n1,0.5,0.9\n2,0.1,0.5\n"))
    assert game.names == ("1", "2")
    assert game.preference[0, 1] == pytest.approx(0.9)
    plain = from_csv(written(tmp_path, "1,2\n0.5,0.9\n0.1,0.5\n"))
    assert plain.names == ("1", "2")


def test_csv_of_counts(tmp_path):
    game = from_csv(written(tmp_path, ",x,y,z\nx,0,3,0\ny,1,5,2\nz,0,2,0\n"), counts=True)
    assert game.names == ("x", "y", "z")
    np.testing.assert_array_equal(game.preference, [[0.5, 0.75, 0.5], [0.25, 0.5, 0.5], [0.5, 0.5, 0.5]])


def test_csv_round_trip(tmp_path):
    game = random(7, seed=5)
    lines = [",".join(game.labels)] + [",".join(repr(float(x)) for x in row) for row in game.preference]
    assert (from_csv(written(tmp_path, "\n".join(lines))).preference == game.preference).all()


@pytest.mark.parametrize(
    ("text", "counts", "sentence"),
    [
        ("a,b\n0.5,x\n0.5,0.5\n", False, "row 'a', column 'b' holds 'x', which is not a number"),
        ("a,b\n0.5,0.5\n,0.5\n", False, "row 'b', column 'a' is empty"),
        (",a,b\na,0.5,\nb,0.5,0.5\n", False, "row 'a', column 'b' is empty"),
        ("a,b\n0.5,0.5\n0.5\n", False, "row 'b' has 1 cells but the header names 2"),
        ("a,b\n0.5,0.5,0.5\n0.5,0.5,0.5\n", False, "row 'a' has 3 cells"),
        ("a,a\n0.5,0.5\n0.5,0.5\n", False, "names 'a' twice"),
        ("a,\n0.5,0.5\n0.5,0.5\n", False, "column 2 has no name"),
        ("a,b,c\n0.5,0.5,0.5\n0.5,0.5,0.5\n", False, "names 3 actions in its header but has 2 rows"),
        (",a,b\nb,0.5,0.5\na,0.5,0.5\n", False, "row 1 is named 'b' but column 1 is named 'a'"),
        ("a,b\n0.5,nan\n0.5,0.5\n", False, "row 'a', column 'b' holds nan; probabilities lie in"),
        ("a,b\n0.5,3\n1,0.5\n", False, "row 'a', column 'b' holds 3; probabilities lie in .* counts=True"),
        ("a,b\n0,-3\n1,0\n", True, "row 'a', column 'b' holds -3; win counts are finite"),
        ("a,b\n0.5,0.9\n0.2,0.5\n", False, "row 'a', column 'b' and its mirror cell hold 0.9 and 0.2"),
        ("a,b\n", False, "needs a header of names and a row per action"),
        ("", False, "needs a header of names and a row per action"),
    ],
)
def test_csv_refusals(tmp_path, text, counts, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        from_csv(written(tmp_path, text), counts=counts)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_csv_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match=r"there is no file .*absent\.csv"):
        from_csv(tmp_path / "absent.csv")
    with pytest.raises(ValueError, match="cannot be read as a CSV file"):
        from_csv(tmp_path)
    with pytest.raises(ValueError, match="cannot be read as a CSV file"):
        from_csv(written(tmp_path, "é,b\n0.5,0.5\n0.5,0.5\n", encoding="latin-1"))


# Refusals.

SKEW = [[0.0, 0.2], [-0.2, 0.0]]


@pytest.mark.parametrize(
    ("build", "error", "sentence"),
    [
        (lambda: rock_paper_scissors((0.5, 0.5)), ValueError, r"weights must be three margins .* got \(0.5, 0.5\)"),
        (lambda: rock_paper_scissors((0.5, 0.5, 0.6)), ValueError, "weights must be three margins"),
        (lambda: rock_paper_scissors((0.5, 0.5, math.nan)), ValueError, "weights must be three margins"),
        (lambda: rock_paper_scissors("abc"), TypeError, "weights must be three numbers"),
        (lambda: cyclic(4), ValueError, "n must be an odd number .* got 4"),
        (lambda: cyclic(1), ValueError, "n must be an odd number"),
        (lambda: cyclic(3.5), ValueError, "n must be an odd number"),
        (lambda: cyclic(3, margin=0.7), ValueError, "margin must lie in .* got 0.7"),
        (lambda: bradley_terry([1.0, math.inf]), ValueError, "rewards must hold one finite number"),
        (lambda: bradley_terry(["best", "worst"]), TypeError, "rewards must be a list of numbers"),
        (lambda: bradley_terry([1.0, 2.0], scale=0.0), ValueError, "scale must be a finite number above 0; got 0"),
        (lambda: additive([0.0, 0.6]), ValueError, "range of 1/2.* it is 0.6. Multiply them by 0.833"),
        (lambda: additive([0.0, math.nan]), ValueError, "utilities must hold one finite number"),
        (lambda: additive(None), ValueError, "utilities must"),
        (lambda: random(0), ValueError, "n must be a whole number .* got 0"),
        (lambda: random(4, count=0), ValueError, "count must be a whole number"),
        (lambda: random(4, reference="gauss"), ValueError, '"normal" or "uniform"; got \'gauss\''),
        (lambda: random(4, seed=-1), ValueError, "seed must be at least 0"),
        (lambda: planted([0.5, 0.5], [[0, 0.2], [0.2, 0]], 0.1), ValueError, "payoff must be skew-symmetric"),
        (lambda: planted([0.5, 0.5], [[0, 0.7], [-0.7, 0]], 0.1), ValueError, "entries in .*; subtract 1/2"),
        (lambda: planted([0.5, 0.5], [[0, 0.7]], 0.1), ValueError, "payoff must be square"),
        (lambda: planted([0.5, 0.5], SKEW, 0.0), ValueError, "beta must be a finite temperature > 0"),
        (lambda: planted([1.0, 0.0], SKEW, 0.1), ValueError, r"policy\[1\] is 0"),
        (lambda: planted([0.2, 0.2, 0.6], SKEW, 0.1), ValueError, "policy must have 2 entries"),
    ],
)
def test_refusals(build, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        build()
    assert str(caught.value).endswith(".")


def test_log_odds_and_probability_games_have_different_equilibria():
    """Margins (.1, .3, .45) on one 3-cycle: (9, 6, 2) / 17 against (log 19, log 4, log 1.5) / log 114."""
    a, b, c = 0.1, 0.3, 0.45
    preference = 0.5 + np.array([[0, a, -b], [-a, 0, c], [b, -c, 0]])
    probability = solve_equilibrium(PreferenceGame(preference))
    log_odds = solve_equilibrium(PreferenceGame(preference, transform="log_odds"))
    np.testing.assert_allclose(probability.policy, np.array([9, 6, 2]) / 17, atol=1e-12)
    expected = np.log([19, 4, 1.5]) / np.log(114)
    np.testing.assert_allclose(log_odds.policy, expected, atol=1e-12)
    assert np.abs(probability.policy - log_odds.policy).max() > 0.05
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        PreferenceGame([[0.5, 1.0], [0.0, 0.5]], transform="log_odds")
    with pytest.raises(ValueError, match="'probability' or 'log_odds'"):
        PreferenceGame(preference, transform="logit")


def test_batches_are_indexed():
    batch = PreferenceGame(np.stack([PreferenceGame([[0.5, p], [1 - p, 0.5]]).preference for p in (0.6, 0.7)]), beta=[0.1, 0.2])
    one = batch[1]
    assert one.batch_shape == () and float(one.beta) == 0.2 and one.preference[0, 1] == 0.7
    assert batch[:, None].batch_shape == (2, 1) and batch[np.array([True, False])].batch_shape == (1,)
    with pytest.raises(TypeError, match="single game"):
        one[0]
