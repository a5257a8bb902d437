"""Every algorithm of the mirror family trains a policy from samples, asked for by its name and its step alone."""

import numpy as np
import pytest
import torch
from ladder import BETA, games, hyper

import prefsim as ps
from prefsim.llm import LogitsPolicy, matrix, train
from prefsim.llm.methods import PRESETS

REGULARISED = ("omd", "online_ipo", "mmd", "nash_md", "egpo", "mirror_prox", "nash_prox", "inpo", "apo")
PLAIN = ("sppo", "dno", "onpo", "gpo", "mpo")
"""These aim at the equilibrium of the game without regularisation."""

SETTINGS = {"mpo": {"step": 1.0, "period": 10}}
N, PROMPTS, HORIZON = 6, 16, 120


def gaps(key, backwards=False):
    """Duality gap before and after: of a policy trained on samples, mean over prompts, and of the tabular solver."""
    odds = "log_odds" if key == "gpo" else "probability"
    drawn, given = games(N, count=1, transform=odds), SETTINGS.get(key, hyper(key))
    game = drawn.replace(beta=BETA if key in REGULARISED else 0.0)
    reference, adam = torch.tensor(np.array(game.log_reference[0])), lambda parameters: torch.optim.Adam(parameters, lr=0.05)
    policy, found = LogitsPolicy(N, reference, prompts=PROMPTS, optimizer=adam), []

    def callback(t, policy):
        if t in (0, HORIZON):
            log_policy = policy.logprob_of("current", policy.enumerate(range(PROMPTS))).numpy()
            found.append(ps.duality_gap(game, log_policy=log_policy).mean())

    preference = game.preference[0].T if backwards else game.preference[0]
    oracle = matrix(np.broadcast_to(preference, (PROMPTS, N, N)), payoff=odds)
    train(policy, range(PROMPTS), oracle, (key, given), beta=BETA, horizon=HORIZON, record=[0], callback=callback)
    data = ps.run(game, [(key, given)], horizon=HORIZON, record=[HORIZON], engine="reference")
    return found, data["duality_gap"].values[0, 0, 0, [0, -1]]


@pytest.mark.parametrize("key", [*REGULARISED, *PLAIN])
def test_trains_a_policy(key):
    ours, tabular = gaps(key)
    assert ours[0] == pytest.approx(tabular[0])
    assert tabular[1] < 0.1 * tabular[0]
    assert ours[1] < 0.1 * ours[0]


@pytest.mark.parametrize("key", ["omd", "nash_prox", "dno", "mpo"])
def test_preference_read_backwards_is_caught(key):
    ours, _ = gaps(key, backwards=True)
    assert ours[1] > 0.5 * ours[0]


def test_estimators_of_their_own_are_used():
    assert {PRESETS.get(key, {}).get("estimator", "variance") for key in (*REGULARISED, *PLAIN)} == {
        "variance", "policy_gradient", "pair_label", "soft_logistic",
    }  # fmt: skip
