"""Judges: directions, antisymmetry, memory, counts, and the numbers they refuse."""

import numpy as np
import pytest
import torch

import prefsim as ps
from prefsim.llm import Judge, committee, embedding_head, from_callable, from_scores, matrix

TEXTS = ("a", "bb", "ccc", "dd e")


def length(prompt, texts):
    return [len(text) for text in texts]


def spaces(prompt, texts):
    return [text.count(" ") for text in texts]


ORACLES = {
    "matrix": matrix(ps.games.random(4, seed=0).preference, TEXTS),
    "scores": from_scores(length, 2.0),
    "committee": committee([length, spaces], [1, 2], kappa=3.0),
    "embedding": embedding_head(lambda p, texts: [[len(t), 1.0, t.count("d"), t.count("c")] for t in texts], [0.3, 0.5]),
    "callable": from_callable(lambda p, a, b: [[0.9 if x < y else 0.3 for y in b] for x in a]),  # inconsistent
}


@pytest.mark.parametrize("name", ORACLES)
def test_antisymmetry(name):
    judge = Judge(ORACLES[name])
    forward, backward = judge.win_matrix(0, TEXTS[:3], TEXTS), judge.win_matrix(0, TEXTS, TEXTS[:3])
    assert (forward + backward.T - 1).abs().max() <= 1e-15
    assert (forward.diagonal() == 0.5).all()


def test_directions():
    assert matrix([[0.5, 0.9], [0.1, 0.5]]).win_matrix(0, ["0"], ["1"]).item() == 0.9
    assert from_scores(length).win_matrix(0, ["long"], ["s"]).item() == pytest.approx(1 / (1 + np.exp(-3)))
    assert from_scores(length).transitive and not from_callable(lambda prompt, one, two: 0.5).transitive
    assert committee([length]).win_matrix(0, ["long"], ["s"]).item() > 0.9
    bradley_terry = embedding_head(lambda p, texts: [[len(t), 1.0] for t in texts], [1.0])
    assert bradley_terry.win_matrix(0, ["long"], ["s"]).item() == pytest.approx(1 / (1 + np.exp(-3)))


def test_embedding_head_agrees_with_the_game_family():
    vectors = np.random.default_rng(0).normal(size=(4, 6))
    game = ps.games.general_preference(vectors, scales=[0.5, 1.0, 2.0])
    oracle = embedding_head(lambda p, texts: torch.tensor(vectors[[TEXTS.index(t) for t in texts]]), [0.5, 1.0, 2.0])
    assert np.abs(oracle.win_matrix(0, TEXTS, TEXTS).numpy() - game.preference).max() < 1e-15


def test_prompts_have_games_of_their_own():
    both = ps.games.random(3, seed=1, count=2).preference
    oracle = matrix(both)
    assert np.array_equal(oracle.win_matrix(1, "012", "012").numpy(), both[1])


def test_a_committee_can_be_intransitive_and_averages_probabilities():
    ranks = {"x": (0, 1, 2), "y": (2, 0, 1), "z": (1, 2, 0)}
    criteria = [lambda p, texts, c=c: [ranks[text][c] for text in texts] for c in range(3)]
    wins = committee(criteria, kappa=9.0).win_matrix(0, "xyz", "xyz")
    assert wins[0, 1] != 0.5 and (wins[0, 1] > 0.5) == (wins[1, 2] > 0.5) == (wins[2, 0] > 0.5)


def test_scales_come_from_the_calibration_not_the_company():
    oracle = committee([length], kappa=1.0)
    oracle.calibrate("p", ["a", "aaa", "aaaaa"])
    alone = oracle.win_matrix("p", ["aa"], ["a"])
    assert oracle.win_matrix("p", ["aa", "a" * 99], ["a", "a" * 50])[0, 0] == alone[0, 0]
    assert alone.item() == pytest.approx(1 / (1 + np.exp(-1 / 2)))  # the standard deviation of 1, 3, 5 is 2
    assert oracle.win_matrix("q", ["aa"], ["a"]).item() == pytest.approx(1 / (1 + np.exp(-1)))


def test_position_bias_cancels_and_is_reported():
    judge = Judge(from_callable(lambda p, a, b: torch.full((len(a), len(b)), 0.7)))  # always the first
    assert (judge.win_matrix(0, TEXTS, TEXTS) == 0.5).all()
    assert judge.inconsistency == pytest.approx(0.4)


def test_pairs_are_asked_once():
    asked = []

    def compare(prompt, a, b):
        asked.append((list(a), list(b)))
        return torch.full((len(a), len(b)), 0.5)

    judge = Judge(from_callable(compare))
    judge.win_matrix(0, ["a", "b"], ["c"])
    assert judge.comparisons == 4 and len(asked) == 2
    judge.win_matrix(0, ["c", "c"], ["a", "b", "c"])
    assert judge.comparisons == 4 and len(asked) == 2
    judge.win_matrix(1, ["a"], ["c"])  # another prompt
    assert judge.comparisons == 6


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda a, b: torch.full((len(a), len(b)), 1.2), r"probabilities in \[0, 1\]"),
        (lambda a, b: torch.full((len(a), len(b)), float("nan")), r"probabilities in \[0, 1\]"),
        (lambda a, b: torch.zeros(len(a)), r"returned shape \(2,\) for 2 by 2"),
    ],
)
def test_bad_numbers(answer, sentence):
    judge = Judge(from_callable(lambda p, a, b: answer(a, b)))
    with pytest.raises(ValueError, match=sentence):
        judge.win_matrix(0, ["a", "b"], ["c", "d"])


def test_asymmetry_without_order_swap():
    judge = Judge(ORACLES["callable"], order_swap=False)
    with pytest.raises(ValueError, match=r"must sum to 1. Give order_swap=True"):
        judge.win_matrix(0, TEXTS, TEXTS)


def test_log_odds():
    wins = ps.games.random(4, seed=0).preference
    gains = Judge(matrix(wins, payoff="log_odds")).gains(0, list("0123"), list("0123"))
    assert np.abs(gains.numpy() - np.log(wins / (1 - wins))).max() < 1e-12
    with pytest.raises(ValueError, match="log-odds are infinite"):
        Judge(matrix([[0.5, 1.0], [0.0, 0.5]], payoff="log_odds")).gains(0, ["0"], ["1"])


def test_bad_oracles():
    with pytest.raises(TypeError, match="has no payoff"):
        Judge(length)
    with pytest.raises(ValueError, match="weights must give each of the 2 criteria"):
        committee([length, spaces], [1])
    with pytest.raises(ValueError, match="scale must be above 0"):
        from_scores(length, 0)
    with pytest.raises(ValueError, match="payoff must be"):
        matrix([[0.5]], payoff="odds")
    with pytest.raises(ValueError, match="no response 'zzz'"):
        ORACLES["matrix"].win_matrix(0, ["zzz"], ["a"])
