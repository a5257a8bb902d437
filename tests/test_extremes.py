"""Degenerate and extreme inputs end in a right answer or a clear sentence, never in NaN or a warning of NumPy's."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

import prefsim as ps
from prefsim import ops, registry
from prefsim.equilibrium import fixed_point

SOLVERS = sorted(registry.algorithms("solvers"))
METRICS = ["duality_gap", "average_duality_gap", "policy"]
BETAS = [0.0, 1e-8, 1e-3, 1.0, 1e8]

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


def hard_games():
    """Six actions: sure wins, ties, a random game; references that are mild and down to 1e-300, once in logarithms."""
    tournament = ps.games.random(6, seed=2, law="sign").preference
    payoffs = [tournament, np.full((6, 6), 0.5), ps.games.random(6, seed=1).preference, ps.games.dominated(6).preference]
    references = np.log([[1 / 6] * 6, [1 - 4e-300 - 1e-12, 1e-12, *[1e-300] * 4]]).tolist()
    references += [[0, -700, -700, -5, -1, -700]]
    grid = [(p, r) for p in payoffs for r in references]
    return ps.PreferenceGame([p for p, _ in grid], log_reference=[r for _, r in grid])


SURE = np.array([[0.5, 1.0], [0.0, 0.5]])
FAMILIES = {
    "six actions": hard_games(),
    "two actions": ps.PreferenceGame([SURE] * 2, [[0.5, 0.5], [1e-300, 1.0]]),
    "one action": ps.PreferenceGame([[[0.5]]]),
}


def settings_of(solver):
    """Its defaults, a step beyond all reason, one that hardly moves, and its options."""
    fields = registry.algorithm("solvers", solver).parameters._field_defaults
    steps = [{"step": 1e6}, {"step": 1e-6}] if "step" in fields else []
    return [{}, *steps, *({name: True} for name, value in fields.items() if value is False)]


@pytest.mark.parametrize("engine", ["reference", "numba"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_answers_or_explains(solver, engine, monkeypatch):
    monkeypatch.setattr("prefsim.stability.LARGEST_WATCHED", 0)  # the hint about steps solves every game anew
    answered = 0
    for name, games in FAMILIES.items():
        for beta in BETAS if name == "six actions" else BETAS[1:4]:
            game = games.replace(beta=beta)
            for settings in settings_of(solver):
                if solver == "nash_prox":
                    settings = {**settings, "inner": 300}
                try:
                    with warnings.catch_warnings(record=True) as caught:
                        warnings.simplefilter("always")
                        data = ps.run(game, [(solver, settings)], horizon=3, metrics=METRICS, engine=engine)
                except ValueError as error:
                    # The name of what was given, what is needed instead, and how it depends on the game.
                    assert re.search(rf"{solver}.*(step|beta).*(choose|needs|give|at most|at least)", str(error)), error
                    continue
                categories = {w.category for w in caught}
                assert categories <= {ps.DivergenceWarning}, [str(w.message) for w in caught]
                if ps.DivergenceWarning in categories:
                    # Only the one that certifies its steps refuses to return what it has not solved.
                    assert solver == "nash_prox" and "choose a smaller step" in str(caught[-1].message)
                    continue
                answered += 1
                for metric in METRICS:
                    assert not np.isnan(data[metric]).any(), (name, beta, settings, metric)
                assert np.isfinite(data.duality_gap).all() and data.duality_gap.min() >= -1e-15
                np.testing.assert_allclose(data.policy.sum("action"), 1, rtol=0, atol=1e-12)
                if name == "one action":
                    assert (data.policy == 1).all() and (data.duality_gap == 0).all()
                if name == "two actions" and beta < 1:  # the sure winner does not lose ground
                    assert (data.policy[0, :, 0, -1, 0] >= data.policy[0, :, 0, 0, 0]).all()
    assert answered >= 11


@pytest.mark.parametrize("beta", [0.0, 1e-8, 1.0])
def test_distances_to_the_equilibria_of_hard_games(beta):
    """Infinite where one of two policies leaves an action out that the other plays, but never NaN."""
    solvers = ["mwu", "omwu", "fictitious_play", "regret_matching_plus", "projected_gradient", "replicator"]
    metrics = ["kl_to_equilibrium", "span_to_equilibrium"]
    data = ps.run(FAMILIES["six actions"].replace(beta=beta), solvers, horizon=3, metrics=metrics)
    for metric in metrics:
        assert not np.isnan(data[metric]).any() and (data[metric] >= 0).all()
    assert np.isinf(data.kl_to_equilibrium).any() and (data.kl_to_equilibrium < np.inf).any()


@pytest.mark.parametrize("step", [1e6, 1e12])
@pytest.mark.parametrize("engine", ["reference", "numba"])
def test_policies_of_huge_steps_are_policies(engine, step):
    """Log-policies in the millions: what they are normalised by must not cost their digits."""
    game = ps.games.rock_paper_scissors((0.1, 0.3, 0.45))
    settings = {"start": [0.4, 0.35, 0.25], "metrics": ["policy"], "engine": engine}
    data = ps.run(game, [("mwu", {"step": step}), ("omwu", {"step": step})], horizon=5, record="all", **settings)
    np.testing.assert_allclose(data.policy.sum("action"), 1, rtol=0, atol=1e-14)
    best = (game.payoff @ np.array([0.4, 0.35, 0.25])).argmax()
    assert (data.policy[:, 0, 0, 1, int(best)] == 1).all()
    # Two actions as good as each other: what is left between them are digits that a normaliser of this size loses.
    twins = ps.PreferenceGame([[0.5, 0.5, 0.8], [0.5, 0.5, 0.8], [0.2, 0.2, 0.5]])
    data = ps.run(twins, [("mwu", {"step": step / 3}), ("sppo", {"step": step / 3})], start=[0.4, 0.35, 0.25], horizon=1,
                  metrics=["policy"], engine=engine)  # fmt: skip
    np.testing.assert_allclose(data.policy[:, 0, 0, 1], [[8 / 15, 7 / 15, 0]] * 2, rtol=0, atol=1e-15 + 1e-16 * step)
    np.testing.assert_allclose(data.policy.sum("action"), 1, rtol=0, atol=1e-14)


# Equilibria and gaps against closed forms.


@pytest.mark.parametrize("beta", [1e-8, 1e-3, 1.0, 1e8])
@pytest.mark.parametrize("log_odds", [0.0, 690.0, -690.0, 1e5])
def test_two_actions_in_closed_form(beta, log_odds):
    """A sure win over a reference as lopsided as doubles allow: ``logit pi* = logit mu + 1 / (2 beta)``."""
    game = ps.PreferenceGame(SURE, beta=beta, log_reference=[log_odds, 0.0])
    logit = log_odds + 0.5 / beta
    exact = -np.logaddexp(0, [-logit, logit])
    np.testing.assert_allclose(ps.solve_equilibrium(game).log_policy, exact, rtol=1e-14, atol=1e-15 * (1 + abs(log_odds)))
    if beta >= 1e-3:
        np.testing.assert_allclose(fixed_point(game).log_policy, exact, rtol=1e-12, atol=1e-14 * (1 + abs(log_odds)))
    # For sure of winning nothing: 2 beta KL((0, 1), BR) = 2 beta softplus(logit + 1 / (2 beta)) with a best response to it.
    for policy, answer in (([0.0, 1.0], logit), ([1.0, 0.0], -logit)):
        np.testing.assert_allclose(ps.duality_gap(game, policy), 2 * beta * np.logaddexp(0, answer), rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("beta", [1e-8, 1e-3, 1.0, 1e8])
@pytest.mark.parametrize("low", [1e-300, 1e-12, None])
def test_additive_games_in_closed_form(beta, low):
    """Where the opponent does not matter, ``pi* = softmax(log mu + u / beta)``, for any reference."""
    utilities = np.array([0.5, 0.25, 0.0])
    log_mu = np.array([0.0, -700.0, -300.0]) if low is None else np.log([low, low, 1 - 2 * low])
    game = ps.PreferenceGame(ps.games.additive(utilities).preference, beta=beta, log_reference=log_mu)
    exact = ops.log_normalize(log_mu + utilities / beta)
    answer = ps.solve_equilibrium(game)
    np.testing.assert_allclose(answer.log_policy, exact, rtol=1e-13, atol=1e-12)
    assert 0 <= answer.gap <= 1e-12 and answer.policy.sum() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("beta", BETAS)
def test_equilibria_of_hard_games(beta):
    games = FAMILIES["six actions"].replace(beta=beta)
    answer = ps.solve_equilibrium(games)
    assert not np.isnan(answer.log_policy).any() and answer.gap.max() <= 1e-12
    if beta > 0:
        # The defining equation, written out; ties end in the reference itself.
        gain = np.einsum("kij,kj->ki", games.payoff, answer.policy)
        residual = np.ptp(answer.log_policy - games.log_reference - gain / beta, axis=-1)
        assert (residual <= 1e-14 * (1 + 1 / beta + np.ptp(games.log_reference, axis=-1))).all()
        ties = (games.payoff == 0).all(axis=(1, 2))
        assert ties.sum() == 3
        np.testing.assert_allclose(answer.log_policy[ties], games.log_reference[ties], rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("beta", BETAS)
def test_gaps_at_corners(beta):
    """All probability on one action, everywhere: finite, at least 0, and at ``beta = 0`` twice the best reply's win."""
    games = FAMILIES["six actions"].replace(beta=beta)
    for y in range(6):
        gap = ps.duality_gap(games, np.eye(6)[y])
        assert np.isfinite(gap).all() and (gap >= 0).all()
        if beta == 0:
            np.testing.assert_array_equal(gap, 2 * games.payoff[:, :, y].max(axis=-1))
        np.testing.assert_array_equal(gap, ps.duality_gap(games, log_policy=np.where(np.eye(6)[y] == 1, 0, -np.inf)))


def test_one_action():
    for beta in BETAS:
        game = ps.PreferenceGame([[0.5]], beta=beta)
        assert ps.solve_equilibrium(game).policy.tolist() == [1] and ps.duality_gap(game, [1.0]) == 0
    assert fixed_point(ps.PreferenceGame([[0.5]], beta=0.1)).policy.tolist() == [1]


def test_five_thousand_actions():
    """Closed forms of an additive game: equilibrium, gap, and log-ratio errors that shrink by ``1 - step beta`` a step."""
    n = 5000
    utilities = np.linspace(0, 0.5, n)
    game = ps.PreferenceGame(ps.games.additive(utilities).preference, beta=0.7)
    exact = ops.log_normalize(utilities / 0.7)
    assert 0 <= ps.duality_gap(game, np.exp(exact)) <= 1e-25 < 1e-4 < ps.duality_gap(game, game.reference)
    for answer in (ps.solve_equilibrium(game), fixed_point(game)):
        np.testing.assert_allclose(answer.log_policy, exact, rtol=0, atol=1e-12)
    data = ps.run(game, [("egpo", {"step": 1.0}), ("omd", {"step": 1.0})], horizon=4, metrics=["duality_gap", "policy"])
    np.testing.assert_allclose(data.policy[:, 0, 0, -1].sum("action"), 1, atol=1e-12)
    predicted = exact + 0.3**4 * (game.log_reference - exact)
    np.testing.assert_allclose(np.log(data.policy[:, 0, 0, -1]), [ops.log_normalize(predicted)] * 2, atol=1e-11)
