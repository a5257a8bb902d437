"""Steps solved to their minimiser are the tabular steps, whatever the estimator (ladder T1s).

The mistakes these must catch are the controls of the claims ``llm.solved_steps`` and ``llm.half_partition``.
"""

import pytest
from ladder import BETA, STEP, games, hyper, logits_policy, solved

from prefsim.claims.llm_ladder import SOLVED, solved_error
from prefsim.llm import matrix, train

OUTER = 40


@pytest.mark.parametrize("case", SOLVED)
def test_estimators_reach_the_tabular_step(case):
    assert solved_error(case, OUTER) <= 1e-6


def test_pairs_from_elsewhere_are_refused():
    """Labels say how a response fares against those it is paired with: these must be the opponent's."""
    with pytest.raises(ValueError, match=r"pair_label.* needs responses of the opponent"):
        solved("inpo", hyper("inpo"), 1, estimator="pair_label", behaviour="uniform")


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
