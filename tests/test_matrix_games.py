"""Matrix games: pivoting, the interior point and the selections against closed forms, other solvers and each other."""

from __future__ import annotations

import itertools
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.linalg import lapack
from scipy.optimize import linprog
from scipy.special import entr

import prefsim as ps
from prefsim import faces, matrix_games, pivoting
from prefsim.equilibrium import EquilibriumError
from prefsim.interior_point import _ended, interior_point
from prefsim.matrix_games import SELECTIONS, nash

SHAPES = [(1, 1), (1, 6), (6, 1), (2, 2), (2, 9), (9, 2), (7, 8), (40, 25), (25, 40), (10, 300), (300, 280)]
"""Of two-player games; the last two are beyond pivoting."""


def skew(matrix):
    lower = np.tril(matrix, -1)
    return lower - lower.T


def policy(payoff, selection="vertex", reference=None):
    """The equilibrium of one symmetric game; its gap is checked here for all tests."""
    mu = np.full(len(payoff), 1 / len(payoff)) if reference is None else np.array(reference)
    game = ps.PreferenceGame(0.5 + np.array(payoff), mu)
    answer = ps.solve_equilibrium(game, selection=selection)
    assert answer.gap <= 1e-14 and abs(answer.policy.sum() - 1) <= 1e-14
    return answer.policy


def degenerate_games():
    """Games with many equilibria: ties, wins by chance of -1, 0, 1, copies of actions, low rank."""
    rng = np.random.default_rng(0)
    for n in (2, 5, 8, 13, 20):
        yield skew(rng.integers(-1, 2, size=(n, n)) / 2.0)
        copies = rng.integers(0, 5, n)
        yield skew(rng.uniform(-0.5, 0.5, size=(5, 5)))[np.ix_(copies, copies)]
        x, y = rng.uniform(-0.5, 0.5, size=(2, n, 2))
        yield (x @ y.T - y @ x.T) / 2


def another(payoff, objective):
    """A vertex of the set of equilibria, by HiGHS."""
    n = len(payoff)
    found = linprog(objective, A_ub=payoff, b_ub=np.zeros(n), A_eq=np.ones((1, n)), b_eq=[1], method="highs-ds")
    assert found.status == 0
    return found.x


# Two players.


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("law", ["uniform", "few values"])
def test_value_against_highs(shape, law):
    rng = np.random.default_rng(sum(shape))
    payoff = rng.uniform(-3, 5, size=shape) if law == "uniform" else rng.integers(-1, 3, size=shape) * 1.0
    answer = ps.solve_zero_sum(payoff)
    m, n = shape
    optimum = linprog(
        np.append(np.zeros(n), 1.0),
        A_ub=np.column_stack([payoff, -np.ones(m)]),
        b_ub=np.zeros(m),
        A_eq=np.append(np.ones(n), 0.0)[None],
        b_eq=[1],
        bounds=[(0, None)] * n + [(None, None)],
    )
    assert answer.value == pytest.approx(optimum.fun, abs=1e-8)
    assert answer.method == ("interior point" if max(shape) > 256 else "pivoting")
    # The certificate, written out.
    assert (answer.row >= 0).all() and (answer.column >= 0).all()
    assert answer.row.sum() == pytest.approx(1, abs=1e-14) and answer.column.sum() == pytest.approx(1, abs=1e-14)
    gap = (payoff @ answer.column).max() - (answer.row @ payoff).min()
    assert answer.gap == pytest.approx(gap, abs=1e-15) and gap <= 1e-13
    assert abs(answer.value - answer.row @ payoff @ answer.column) <= 1e-13


def test_two_by_two_in_closed_form():
    a, b, c, d = 3.0, -1.0, -2.0, 1.0  # no saddle point
    answer = ps.solve_zero_sum([[a, b], [c, d]])
    total = a - b - c + d
    np.testing.assert_allclose(answer.row, [(d - c) / total, (a - b) / total], atol=1e-15)
    np.testing.assert_allclose(answer.column, [(d - b) / total, (a - c) / total], atol=1e-15)
    assert answer.value == pytest.approx((a * d - b * c) / total, abs=1e-15)
    saddle = ps.solve_zero_sum([[4.0, 2.0, 3.0], [1.0, 0.0, 9.0]])
    assert saddle.row.tolist() == [1, 0] and saddle.column.tolist() == [0, 1, 0] and saddle.value == 2


def test_against_quantecon():
    optimize = pytest.importorskip("quantecon.optimize")
    for m, n in ((3, 5), (20, 30), (90, 60)):
        payoff = np.random.default_rng(m).normal(size=(m, n))
        value, row, column = optimize.minmax(payoff)
        answer = ps.solve_zero_sum(payoff)
        assert answer.value == pytest.approx(value, abs=1e-12)
        np.testing.assert_allclose(answer.row, row, atol=1e-11)
        np.testing.assert_allclose(answer.column, column, atol=1e-11)


def test_units_of_the_payoff():
    """Policies do not depend on the unit of a payoff or on a constant added to it."""
    payoff = np.random.default_rng(3).normal(size=(6, 8))
    plain = ps.solve_zero_sum(payoff)
    for factor, shift in ((1e-200, 0.0), (1e200, 0.0), (1.0, 1000.0), (1e6, -1e6)):
        moved = ps.solve_zero_sum(factor * payoff + shift)
        np.testing.assert_allclose(moved.row, plain.row, atol=1e-11)
        np.testing.assert_allclose(moved.column, plain.column, atol=1e-11)
        assert moved.value == pytest.approx(factor * plain.value + shift, rel=1e-12)
    constant = ps.solve_zero_sum(np.full((3, 4), 7.0))
    assert constant.value == 7 and constant.gap == 0


def test_batches_of_two_player_games():
    payoff = np.random.default_rng(4).normal(size=(2, 3, 5, 4))
    answer = ps.solve_zero_sum(payoff)
    assert answer.row.shape == (2, 3, 5) and answer.column.shape == (2, 3, 4) and answer.gap.shape == (2, 3)
    for index in np.ndindex(2, 3):
        single = ps.solve_zero_sum(payoff[index])
        assert (single.row == answer.row[index]).all() and (single.column == answer.column[index]).all()
        assert single.value == answer.value[index] and single.gap.shape == ()


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("copies", [([2, 1], [1, 3]), ([2, 1], [1, 1]), ([1, 1], [1, 3])])
def test_selections_with_two_players(copies, selection):
    """Equal rows, equal columns or both: centre and entropy share evenly among them."""
    matching = np.array([[1.0, -1.0], [-2.0, 1.0]])
    rows, columns = (np.repeat([0, 1], count) for count in copies)
    answer = ps.solve_zero_sum(matching[np.ix_(rows, columns)], selection=selection)
    small = ps.solve_zero_sum(matching)
    assert answer.value == pytest.approx(small.value, abs=1e-15)
    np.testing.assert_allclose(np.bincount(rows, answer.row), small.row, atol=1e-14)
    np.testing.assert_allclose(np.bincount(columns, answer.column), small.column, atol=1e-14)
    if selection == "vertex":
        assert (answer.row > 0).sum() == 2 and (answer.column > 0).sum() == 2
    else:
        np.testing.assert_allclose(answer.row, (small.row / copies[0])[rows], atol=1e-13)
        np.testing.assert_allclose(answer.column, (small.column / copies[1])[columns], atol=1e-13)


# Pivoting.


def test_compiled_loops_are_the_plain_ones():
    """The same functions compiled, as Python on floats, and as Python on fractions."""
    rng = np.random.default_rng(5)
    for payoff in (rng.uniform(-1, 1, size=(2, 6, 9)), rng.integers(-2, 3, size=(3, 8, 5)) / 4, np.zeros((1, 4, 4))):
        compiled = pivoting.vertices(payoff)
        plain = pivoting._solved(pivoting._solve_games, payoff, float, pivoting.ROUNDING)
        exact = pivoting.exact_vertices(payoff)
        for one, two, three in zip(compiled, plain, exact, strict=True):
            np.testing.assert_allclose(one, two, rtol=0, atol=1e-13)
            np.testing.assert_allclose(one, three, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [3, 9, 30])
def test_pivots_without_rounding(n):
    """In fractions the optimum is one exactly: ``A y <= 0`` for the basis that the table ends with."""
    payoff = skew(np.random.default_rng(n).integers(-5, 6, size=(n, n)))
    fractions = np.vectorize(Fraction, otypes=[object])(payoff)
    table, rows, columns = np.zeros((n + 1, n + 1), dtype=object), np.empty(n, int), np.empty(n, int)
    pivoting._fill(fractions, table, rows, columns, np.empty(n + 1))
    pivoting._simplex(table, rows, columns, np.ones(n + 1), np.zeros(n + 1, dtype=object), 0)
    y = np.zeros(n, dtype=object)
    y[rows[rows < n]] = table[:n, n][rows < n]
    assert (y >= 0).all() and max(fractions @ y) == 0


@pytest.mark.parametrize("n", [100, 200])
def test_policies_are_refined_to_rounding(n):
    """Pivots leave errors of some 1e-14, which one product with the inverse in the table removes, for both players."""
    payoff = 2 * ps.games.random(n, seed=n).payoff
    found = pivoting.vertices(payoff[None])
    assert (payoff @ found.column[0]).max() <= 3e-16 and (payoff @ found.row[0]).max() <= 3e-16


def test_rule_against_cycling(monkeypatch):
    """Bland's rule, which takes over while pivots are degenerate, ends at the same values from the first pivot on."""
    entering, leaving = pivoting._entering, pivoting._leaving
    monkeypatch.setattr(pivoting, "_entering", lambda *given: entering(*given[:-1], True))
    monkeypatch.setattr(pivoting, "_leaving", lambda *given: leaving(*given[:-1], True))
    for payoff in degenerate_games():
        unit = payoff / (np.abs(payoff).max() or 1)
        found = pivoting._solved(pivoting._solve_games, unit[None], float, pivoting.ROUNDING)
        assert (unit @ found.column[0]).max() <= 1e-14


def test_margin_tells_whether_a_game_has_one_equilibrium():
    for payoff in itertools.chain(degenerate_games(), [ps.games.random(n, seed=n).payoff for n in range(1, 12)]):
        unit = payoff / (np.abs(payoff).max() or 1)
        n = len(payoff)
        ways = np.eye(n) if n > 1 else np.zeros((1, 1))
        spread = max(np.ptp([another(payoff, way)[i], another(payoff, -way)[i]]) for i, way in enumerate(ways))
        assert (pivoting.vertices(unit[None]).margin[0] > 1e-11) == (spread <= 1e-9)


def test_a_small_margin_decides():
    """Rock-paper-scissors in which margins differ by nine orders of magnitude."""
    for small in (1e-3, 1e-6, 1e-9):
        answer = policy(ps.games.rock_paper_scissors((0.5, small, 0.25)).payoff)
        np.testing.assert_allclose(answer, np.array([0.25, small, 0.5]) / (0.75 + small), rtol=1e-7, atol=1e-16)


# The interior point.


@pytest.mark.parametrize("n", [2, 3, 10, 51, 120])
def test_interior_point_and_pivoting_agree(n):
    for seed in range(3):
        payoff = 2 * ps.games.random(n, seed=seed).payoff
        found = interior_point(payoff, np.ones((n, 1)))
        vertex = pivoting.vertices(payoff[None])
        assert found.strict and found.unique and (found.support == (vertex.column[0] > 0)).all()
        np.testing.assert_allclose(found.policy, vertex.column[0], rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.policy, vertex.row[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n", "most"), [(100, 12), (400, 16)])
def test_steps_of_the_interior_point(n, most, monkeypatch):
    """One factorisation each; without the corrector, or with its sign wrong, there are half as many again."""
    steps = []

    def counted(matrix, **options):
        steps.append(len(matrix) == n and bool(options))
        return lapack.dgetrf(matrix, **options)

    pieces = SimpleNamespace(dgetrf=counted, dgetrs=lapack.dgetrs, dgecon=lapack.dgecon)
    monkeypatch.setattr("prefsim.interior_point.lapack", pieces)
    assert interior_point(2 * ps.games.random(n, seed=n).payoff, np.ones((n, 1))).strict
    assert 5 <= sum(steps) <= most


def test_only_the_right_support_ends_the_interior_point():
    """Of all supports of a game of five, odd ones included whose equations have a solution with negative entries."""
    payoff = 2 * ps.games.random(5, seed=5).payoff
    played = pivoting.vertices(payoff[None]).column[0] > 0
    assert played.sum() == 3
    blocks, guess = np.ones((5, 1)), np.full(5, 0.2)
    for bits in itertools.product([False, True], repeat=5):
        ended = _ended(payoff, blocks, guess, np.zeros(1), np.array(bits))
        assert (ended is not None) == (np.array(bits) == played).all()


def test_a_support_is_tried_again_closer_to_the_end():
    """In this game the right support is identified early, from where its equations lead to negative probabilities."""
    payoff = skew(np.random.default_rng(142).integers(-1, 2, size=(25, 25)) * 1.0)
    assert interior_point(payoff, np.ones((25, 1))).strict


def test_support_of_degenerate_games():
    """An action belongs to the support exactly if some equilibrium plays it (Goldman and Tucker)."""
    for payoff in degenerate_games():
        n = len(payoff)
        found = interior_point(payoff / (np.abs(payoff).max() or 1), np.ones((n, 1)))
        largest = np.array([another(payoff, -np.eye(n)[i])[i] for i in range(n)])
        assert found.strict and (found.support == (largest > 1e-9)).all()


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("n", [300, 500])
def test_large_games(n, selection):
    tournament = ps.games.random(n, seed=n, law="sign")
    assert ps.solve_equilibrium(tournament, selection=selection).gap <= 1e-14
    for game in (tournament, ps.games.random(n, seed=n)):
        answer = ps.solve_equilibrium(game, selection=selection)
        assert answer.method == "interior point" and answer.gap <= 1e-14
        assert (answer.policy > 0).sum() % 2 == 1  # unique, hence odd
    weights = (0.2, 0.5, 0.3)
    copies = (100, 80, n - 180)
    answer = ps.solve_equilibrium(ps.games.degenerate(copies, weights), selection=selection)
    kinds = np.add.reduceat(answer.policy, [0, 100, 180])
    np.testing.assert_allclose(kinds, [0.3, 0.5, 0.2], atol=1e-13)
    if selection == "vertex":
        assert (answer.policy > 0).sum() == 3
    else:
        np.testing.assert_allclose(answer.policy, np.repeat([0.3, 0.5, 0.2] / np.array(copies), copies), rtol=1e-10)


# Selections in closed form.


def test_copies_share_as_selected():
    reference = np.array([0.1, 0.3, 0.05, 0.05, 0.2, 0.3])
    payoff = ps.games.degenerate((1, 2, 3), (0.2, 0.5, 0.3)).payoff
    centre = np.array([0.3, 0.25, 0.25, 0.2 / 3, 0.2 / 3, 0.2 / 3])
    np.testing.assert_allclose(policy(payoff, "analytic_center", reference), centre, atol=1e-14)
    np.testing.assert_allclose(policy(payoff, "max_entropy"), centre, atol=1e-14)
    shared = np.array([0.3, 0.5 * 6 / 7, 0.5 / 7, 0.2 / 11, 0.2 * 4 / 11, 0.2 * 6 / 11])
    np.testing.assert_allclose(policy(payoff, "max_entropy", reference), shared, atol=1e-13)
    assert (policy(payoff, "vertex") > 0).sum() == 3


@pytest.mark.parametrize(("a", "b"), [(0.1, 0.4), (0.5, 0.05), (0.3, 0.3)])
def test_two_ties_over_a_loser(a, b):
    """Two equal actions win against the third by `a` and `b`: equilibria are ``(p, 1 - p, 0)``."""
    payoff = np.array([[0, 0, a], [0, 0, b], [-a, -b, 0]])
    # The centre maximises p (1 - p) (b + (a - b) p): its derivative is b + 2 (a - 2 b) p - 3 (a - b) p^2.
    roots = np.roots([-3 * (a - b), 2 * (a - 2 * b), b] if a != b else [2 * (a - 2 * b), b])
    (p,) = [root for root in roots if 0 < root < 1]
    np.testing.assert_allclose(policy(payoff, "analytic_center"), [p, 1 - p, 0], atol=1e-14)
    np.testing.assert_allclose(policy(payoff, "max_entropy"), [0.5, 0.5, 0], atol=1e-14)
    np.testing.assert_allclose(policy(payoff, "max_entropy", [0.2, 0.3, 0.5]), [0.4, 0.6, 0], atol=1e-13)
    assert sorted(policy(payoff, "vertex")) == [0, 0, 1]


@pytest.mark.parametrize(("a", "b"), [(0.1, 0.4), (0.2, 0.3), (0.5, 0.05)])
def test_entropy_against_a_bound(a, b):
    """The third action loses by `a` to the first and wins by `b` against the second: ``p >= b / (a + b)``."""
    payoff = np.array([[0, 0, a], [0, 0, -b], [-a, b, 0]])
    p = max(0.5, b / (a + b))
    np.testing.assert_allclose(policy(payoff, "max_entropy"), [p, 1 - p, 0], atol=1e-12)
    least = b / (a + b)
    # Centre: the maximiser of p (1 - p) (p - least).
    p = max(np.roots([-3, 2 * (1 + least), -least]))
    np.testing.assert_allclose(policy(payoff, "analytic_center"), [p, 1 - p, 0], atol=1e-14)


def test_ties_everywhere():
    for n in (1, 2, 7):
        assert sorted(policy(np.zeros((n, n)), "vertex")) == [0] * (n - 1) + [1]
        np.testing.assert_allclose(policy(np.zeros((n, n)), "analytic_center"), np.full(n, 1 / n), atol=1e-15)
        reference = np.arange(1.0, n + 1) / (n * (n + 1) / 2)
        np.testing.assert_allclose(policy(np.zeros((n, n)), "max_entropy", reference), reference, atol=1e-13)


# Selections by what defines them.


def central_path(payoff, mu):
    """Solve ``p_i (v - (A p)_i) = mu``, ``sum p = 1`` by Newton's method from the uniform policy, for falling mu."""
    n = len(payoff)
    p, v, level = np.full(n, 1 / n), 1.0, 1.0
    while level > mu:
        level = max(level / 2, mu)
        for _ in range(100):
            s = v - payoff @ p
            matrix = np.block([[np.diag(s) - p[:, None] * payoff, p[:, None]], [np.ones((1, n)), np.zeros((1, 1))]])
            change = np.linalg.solve(matrix, np.append(level - p * s, 0.0))
            fastest = max((-change[:n] / p).max(), ((payoff @ change[:n] - change[n]) / s).max())
            step = min(1.0, 0.9 / max(fastest, 1e-300))
            p, v = p + step * change[:n], v + step * change[n]
            if np.abs(change[:n] / p).max() < 1e-10:
                break
    return p


def test_analytic_center_is_the_end_of_the_central_path():
    for payoff in degenerate_games():
        centre = policy(payoff, "analytic_center")
        errors = [np.abs(central_path(payoff, mu) - centre).max() for mu in (1e-7, 1e-8)]
        assert errors[1] <= 1e-4 and (errors[1] <= 0.2 * errors[0] or errors[0] <= 1e-9)


@pytest.mark.parametrize("uniform", [True, False])
def test_max_entropy_is_the_limit_of_regularisation(uniform):
    rng = np.random.default_rng(1)
    for payoff in degenerate_games():
        n = len(payoff)
        mu = np.full(n, 1 / n) if uniform else rng.dirichlet(np.full(n, 3.0))
        limit = policy(payoff, "max_entropy", mu)
        game = ps.PreferenceGame(0.5 + payoff, mu)
        errors = [np.abs(ps.solve_equilibrium(game.replace(beta=b)).policy - limit).max() for b in (1e-5, 1e-7)]
        assert errors[1] <= 1e-4 and (errors[1] <= 0.05 * errors[0] or errors[0] <= 1e-9)


def test_selections_are_the_best_of_their_kind():
    rng = np.random.default_rng(2)
    for payoff in degenerate_games():
        n = len(payoff)
        entropic, centre, vertex = (policy(payoff, s) for s in ("max_entropy", "analytic_center", "vertex"))
        support = centre > 0
        corners = np.array([another(payoff, rng.normal(size=n)) for _ in range(20)])
        assert np.abs(corners[:, ~support]).max(initial=0) <= 1e-9

        for weights in rng.dirichlet(np.ones(20), size=20):
            other = weights @ corners
            assert entr(other).sum() <= entr(entropic).sum() + 1e-9
            products = [np.log(np.where(support, p, -payoff @ p)).sum() for p in (0.5 * (other + centre), centre)]
            assert products[0] <= products[1] + 1e-9
        assert is_vertex(payoff, vertex)


def is_vertex(payoff, p):
    """Whether what is 0 there, actions not played and losses, determines the policy."""
    tight = [np.eye(len(p))[p == 0], payoff[payoff @ p > -1e-12], np.ones((1, len(p)))]
    return np.linalg.matrix_rank(np.vstack(tight), tol=1e-9) == len(p)


def test_walk_from_the_inside_to_a_vertex():
    """How vertices of large games are found, on small ones."""
    for payoff in degenerate_games():
        unit, blocks = payoff / (np.abs(payoff).max() or 1), np.ones((len(payoff), 1))
        found = interior_point(unit, blocks)
        vertex = faces.select(unit, blocks, found, "vertex", np.zeros(len(payoff)))
        assert (unit @ vertex).max() <= 1e-13 and vertex.min() >= 0 and vertex.sum() == pytest.approx(1, abs=1e-14)
        assert is_vertex(payoff, vertex) and (found.unique or not is_vertex(payoff, found.policy))


@pytest.mark.parametrize("selection", ["analytic_center", "max_entropy"])
def test_renaming_actions(selection):
    rng = np.random.default_rng(6)
    for payoff in degenerate_games():
        order = rng.permutation(len(payoff))
        renamed = policy(payoff[np.ix_(order, order)], selection)
        np.testing.assert_allclose(renamed, policy(payoff, selection)[order], rtol=0, atol=1e-11)


def test_one_equilibrium_is_every_selection():
    game = ps.games.random(21, seed=3, count=4)
    answers = [ps.solve_equilibrium(game, selection=s) for s in SELECTIONS]
    assert all((a.policy == answers[0].policy).all() and a.method == "pivoting" for a in answers)
    regularised = [ps.solve_equilibrium(game.replace(beta=0.1), selection=s).policy for s in SELECTIONS]
    assert all((p == regularised[0]).all() for p in regularised)


def test_batches_select_game_by_game():
    games = [ps.games.degenerate((1, 2, 2)).payoff, ps.games.random(5, seed=1).payoff, np.zeros((5, 5))]
    for selection in SELECTIONS:
        together = ps.solve_equilibrium(ps.PreferenceGame(0.5 + np.array(games)), selection=selection)
        for k, payoff in enumerate(games):
            assert (together.policy[k] == policy(payoff, selection)).all()


# Hard and bad input.


@pytest.mark.parametrize("selection", SELECTIONS)
def test_many_orders_of_magnitude(selection):
    rng = np.random.default_rng(7)
    methods = set()
    for n in (5, 12, 40):
        for span in (6, 11):
            for _ in range(5):
                payoff = skew(rng.uniform(-0.5, 0.5, size=(n, n)) * 10.0 ** rng.integers(-span, 1, size=(n, n)))
                log_policy, method = nash(payoff, 1e-12, selection)
                assert 2 * (payoff @ np.exp(log_policy)).max() <= 1e-12
                methods.add(str(method))
    assert "pivoting" in methods


def test_the_next_method_takes_over(monkeypatch):
    payoff = ps.games.degenerate((1, 2, 2)).payoff

    def lost(games):
        return pivoting.Vertices(np.eye(5)[[0]], np.eye(5)[[0]], np.ones(1))

    monkeypatch.setattr(pivoting, "vertices", lost)
    log_policy, method = nash(payoff, 1e-12)
    assert method == "interior point" and (payoff @ np.exp(log_policy)).max() <= 1e-15
    failed = interior_point(payoff, np.ones((5, 1)))._replace(strict=False)
    monkeypatch.setattr("prefsim.interior_point.interior_point", lambda *given: failed)
    log_policy, method = nash(payoff, 1e-12)
    assert method == "exact pivoting" and (payoff @ np.exp(log_policy)).max() <= 1e-15
    with pytest.raises(EquilibriumError, match="max_entropy is not known; selection='vertex'"):
        monkeypatch.setattr(pivoting, "vertices", lambda games: lost(games)._replace(margin=np.zeros(1)))
        nash(payoff, 1e-12, "max_entropy")
    monkeypatch.setattr(matrix_games, "LARGEST_EXACT", 4)
    with pytest.raises(EquilibriumError, match=r"solved by pivoting only to a duality gap of 1, above the tolerance 1e-12"):
        ps.solve_equilibrium(ps.PreferenceGame(0.5 + payoff))
    with pytest.raises(EquilibriumError, match=r"game \[1, 0\] was solved by pivoting only to .*; raise tolerance"):
        ps.solve_zero_sum([[np.zeros((5, 5))], [payoff]])


def test_bad_input():
    game = ps.games.random(3)
    for call in (lambda s: ps.solve_equilibrium(game, selection=s), lambda s: ps.solve_zero_sum(np.eye(2), selection=s)):
        for wrong in ("center", None):
            with pytest.raises(ValueError, match="selection must be one of 'vertex', 'analytic_center', 'max_entropy'; got"):
                call(wrong)
    with pytest.raises(ValueError, match="tolerance must be a number above 0"):
        ps.solve_zero_sum(np.eye(2), tolerance=0)
    for wrong in (3.0, [1.0, 2.0], np.zeros((2, 0)), [[np.nan, 1.0]], [[np.inf, 1.0]]):
        with pytest.raises(ValueError, match="payoff must hold finite numbers in shape"):
            ps.solve_zero_sum(wrong)
    with pytest.raises(TypeError, match="payoff must be a number or a regular array"):
        ps.solve_zero_sum([["a", "b"]])


def test_directions_of_the_set():
    """As many as the set has dimensions: copies beyond the first of each kind; none of a game with one equilibrium."""
    for payoff, dimensions in (
        (ps.games.degenerate((1, 2, 4)).payoff, 4),
        (np.zeros((6, 6)), 5),
        (ps.games.cyclic(5).payoff, 0),
    ):
        blocks = np.ones((len(payoff), 1))
        found = interior_point(2 * payoff, blocks)
        assert faces._directions(2 * payoff, blocks, found).shape == (len(payoff), dimensions)
        assert found.unique == (dimensions == 0)
