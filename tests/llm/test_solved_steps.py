"""Steps solved to their minimiser are the tabular steps, whatever the estimator (ladder T1s)."""

import numpy as np
import pytest
from ladder import BETA, SOLVED, STEP, error, games, hyper, logits_policy, paths, tabular

from prefsim.llm import matrix, train
from prefsim.llm.train import Training

OUTER = 40


def solved(key, given, n=20, preference=None, transform="probability", horizon=OUTER, **settings):
    """Log-policies of a logits policy whose every step is solved, and the games."""
    game, found = games(n, count=1, transform=transform), []
    oracle = matrix(game.preference if preference is None else preference, payoff=transform)
    asked = {**SOLVED, **settings}
    policy = logits_policy(game, 1.0)
    train(policy, [0], oracle, (key, given), beta=BETA, horizon=horizon, callback=paths(found), **asked)
    return np.stack(found, axis=1), game


CASES = {
    "inpo, soft labels": ("inpo", {"estimator": "pair_label"}),
    "inpo, expected hard labels": ("inpo", {"estimator": "pair_label", "label": "bernoulli"}),
    "dno": ("dno", {"estimator": "soft_logistic"}),
    "onpo": ("onpo", {"estimator": "pair_label"}),
    "sppo": ("sppo", {"estimator": "variance"}),
    "sppo, exact log Z": ("sppo", {"estimator": "unpaired", "log_z": "exact"}),
    "omd, pairs": ("omd", {"estimator": "pairs"}),
}


@pytest.mark.parametrize("case", CASES)
def test_estimators_reach_the_tabular_step(case):
    key, settings = CASES[case]
    found, game = solved(key, hyper(key), **settings)
    assert error(found, tabular(game, key, hyper(key), OUTER)) <= 1e-6


@pytest.mark.parametrize("settings", [{"estimator": "variance"}, {"estimator": "unpaired", "log_z": "exact"}])
def test_log_odds(settings):
    found, game = solved("gpo", {"step": 8.0}, transform="log_odds", **settings)
    assert error(found, tabular(game, "gpo", {"step": 8.0}, OUTER)) <= 1e-6


def test_published_normaliser_is_the_lambert_policy():
    given = {"step": 2.0}
    found, game = solved("sppo", given, estimator="unpaired", log_z="half", horizon=10)
    assert error(found, tabular(game, "sppo", {**given, "half_partition": True}, 10)) <= 1e-6
    assert error(found, tabular(game, "mwu", given, 10)) > 1e-4  # not the step it stands in for


def test_pairs_from_elsewhere_are_caught(monkeypatch):
    """Labels say how a response fares against those it is paired with: these must be the opponent's."""
    with pytest.raises(ValueError, match=r"pair_label.* needs responses of the opponent"):
        solved("inpo", hyper("inpo"), estimator="pair_label", behaviour="uniform")
    monkeypatch.setattr(Training, "_check_opponent", lambda *_: None)
    found, game = solved("inpo", hyper("inpo"), estimator="pair_label", behaviour="uniform", horizon=5)
    assert error(found, tabular(game, "inpo", hyper("inpo"), 5)) > 1e-4


@pytest.mark.parametrize("solve", ["optimizer", "lbfgs"])
def test_inner_steps_stop_at_the_tolerance(solve):
    game = games(8, count=1)
    policy = logits_policy(game, 1.0)
    data = train(
        policy, [0], matrix(game.preference[0]), "omd", beta=BETA, step=STEP, horizon=1, expectation="exact",
        behaviour="uniform", inner=500, inner_solver=solve, inner_tolerance=1e-6,
    )  # fmt: skip
    assert 2 < int(data["gradients"].values[0, -1]) < 200
    assert data["residual"].values[0, 0, 0, -1] < 1e-9 * data["loss"].values[0, 0, 0, -1]
