"""Tournament summaries against enumeration of all pairs and triples."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefsim.bandits.arithmetic8 import arithmetic8
from prefsim.bandits.arxiv_six_rankers import arxiv_six_rankers
from prefsim.bandits.cyclic4 import cyclic4
from prefsim.bandits.mslr5 import mslr5
from prefsim.games.bradley_terry import bradley_terry
from prefsim.games.cyclic import cyclic
from prefsim.games.random import random
from prefsim.tournament import summarize


@st.composite
def matrices(draw):
    """Preference matrices with many ties."""
    n = draw(st.integers(1, 7))
    values = draw(st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.5, 0.8, 1.0]), min_size=n * n, max_size=n * n))
    matrix = np.full((n, n), 0.5)
    for i, j in combinations(range(n), 2):
        matrix[i, j], matrix[j, i] = values[i * n + j], 1 - values[i * n + j]
    return matrix


@settings(deadline=None)
@given(matrices())
def test_against_enumeration(matrix):
    n = len(matrix)
    summary = summarize(matrix)
    cyclic_triples = sum(
        any(matrix[a, b] > 0.5 and matrix[b, c] > 0.5 and matrix[c, a] > 0.5 for a, b, c in permutations(triple))
        for triple in combinations(range(n), 3)
    )
    assert summary.cyclic_triples == cyclic_triples
    assert summary.triples == len(list(combinations(range(n), 3)))
    transitive = all(
        matrix[i, k] >= 0.5 for i, j, k in permutations(range(n), 3) if matrix[i, j] >= 0.5 and matrix[j, k] >= 0.5
    )
    assert summary.transitive == transitive
    winners = [i for i in range(n) if all(matrix[i, j] > 0.5 for j in range(n) if j != i)]
    assert summary.condorcet_winner == (winners[0] if winners else None)
    for i in range(n):
        others = [matrix[i, j] for j in range(n) if j != i]
        assert summary.copeland[i] == sum(x > 0.5 for x in others) + sum(x == 0.5 for x in others) / 2
        assert summary.borda[i] == pytest.approx(np.mean(others) if others else 0.5, abs=1e-15)


@settings(deadline=None)
@given(matrices())
def test_margins_against_enumeration(matrix):
    """Chains of victories of every length, and the inequalities triple by triple."""
    n, summary, margin = len(matrix), summarize(matrix), matrix - 0.5
    orders = [p for p in permutations(range(n)) if all(matrix[b, a] <= 0.5 for a, b in combinations(p, 2))] if n < 6 else None
    if orders is not None:
        assert summary.total_order == bool(orders)
    chains = [(i, j, k) for i, j, k in permutations(range(n), 3) if margin[i, j] > 0 and margin[j, k] > 0]
    strong = all(margin[i, k] >= max(margin[i, j], margin[j, k]) - 1e-12 for i, j, k in chains)
    triangle = all(margin[i, k] <= margin[i, j] + margin[j, k] + 1e-12 for i, j, k in chains)
    assert summary.strong == (summary.total_order and strong)
    assert summary.triangle == (summary.total_order and triangle)
    winner = summary.condorcet_winner
    if winner is None or not summary.total_order:
        assert np.isnan(summary.gamma)
    else:
        ratios = [max(margin[winner, j], margin[j, k]) / margin[winner, k] for i, j, k in chains if i == winner]
        assert summary.gamma == pytest.approx(max([1.0, *ratios]))


@pytest.mark.parametrize(
    ("bandit", "order", "strong", "triangle", "gamma"),
    [
        (arxiv_six_rankers, True, False, False, 1.25),
        (cyclic4, False, False, False, np.nan),
        (arithmetic8, True, True, True, 1.0),
        (mslr5, True, True, False, 1.0),
    ],
)
def test_structure_of_the_printed_matrices(bandit, order, strong, triangle, gamma):
    summary = summarize(bandit().truth.preference[0])
    assert (summary.total_order, summary.strong, summary.triangle) == (order, strong, triangle)
    assert summary.gamma == pytest.approx(gamma, nan_ok=True)


def test_a_circle_of_four_with_ties_across_is_no_order():
    circle = np.full((4, 4), 0.5)
    for i in range(4):
        circle[i, (i + 1) % 4], circle[(i + 1) % 4, i] = 0.7, 0.3
    assert summarize(circle).cyclic_triples == 0
    assert not summarize(circle).total_order


@settings(deadline=None)
@given(matrices(), st.randoms(use_true_random=False))
def test_renaming_the_actions_renames_the_answer(matrix, shuffle):
    order = list(range(len(matrix)))
    shuffle.shuffle(order)
    before, after = summarize(matrix), summarize(matrix[np.ix_(order, order)])
    np.testing.assert_array_equal(after.copeland, before.copeland[order])
    np.testing.assert_allclose(after.borda, before.borda[order], atol=1e-15)
    assert after.cyclic_triples == before.cyclic_triples
    assert after.transitive == before.transitive
    winner = None if before.condorcet_winner is None else order.index(before.condorcet_winner)
    assert after.condorcet_winner == winner


@pytest.mark.parametrize("n", [3, 5, 9])
def test_cyclic_tournaments_have_the_most_cycles(n):
    summary = summarize(cyclic(n).preference)
    assert summary.cyclic_triples == (n**3 - n) // 24  # Kendall and Babington Smith's maximum for odd n
    assert summary.condorcet_winner is None
    assert not summary.transitive
    assert (summary.copeland == (n - 1) / 2).all()


def test_cyclic_triples_follow_from_the_scores_without_ties():
    matrix = random(40, seed=2).preference
    scores = (matrix > 0.5).sum(axis=1)
    expected = 40 * 39 * 38 // 6 - (scores * (scores - 1) // 2).sum()
    assert summarize(matrix).cyclic_triples == expected


def test_bradley_terry_is_transitive():
    summary = summarize(bradley_terry([0.3, 2.0, -1.0, 0.3]).preference)
    assert summary.transitive
    assert summary.condorcet_winner == 1
    assert summary.copeland.tolist() == [1.5, 3.0, 0.0, 1.5]
    assert summary.cyclic_triples == 0


def test_a_cycle_of_four_need_not_have_one_of_three():
    # a > b > c > d > a, with a ~ c and b ~ d: no cyclic triple, and yet no ranking.
    matrix = np.full((4, 4), 0.5)
    for i in range(4):
        matrix[i, (i + 1) % 4], matrix[(i + 1) % 4, i] = 0.9, 0.1
    summary = summarize(matrix)
    assert summary.cyclic_triples == 0
    assert not summary.transitive


def test_ties_alone_are_transitive_and_one_win_among_ties_is_not():
    assert summarize(np.full((3, 3), 0.5)).transitive
    assert not summarize([[0.5, 0.6, 0.5], [0.4, 0.5, 0.5], [0.5, 0.5, 0.5]]).transitive


@pytest.mark.parametrize(
    ("matrix", "error", "sentence"),
    [
        (np.full((2, 3, 3), 0.5), ValueError, r"one matrix of shape \(n, n\); got \(2, 3, 3\)"),
        ([[0.5, 0.6], [0.6, 0.5]], ValueError, r"P \+ P\^T = 1"),
        ([[0.5, 3], [-2, 0.5]], ValueError, "probabilities lie in"),
        ([["a"]], TypeError, "must be a number or a regular array of numbers"),
    ],
)
def test_refusals(matrix, error, sentence):
    with pytest.raises(error, match=sentence):
        summarize(matrix)
