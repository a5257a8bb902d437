"""Small transformers reach the regularised equilibrium of a game they can enumerate (ladder T4)."""

import math

import pytest
import torch
from ladder import BETA, STEP, games
from tiny import MODELS, PROMPTS, policy_of

import prefsim as ps
from prefsim.claims._ladder_mistakes import token_penalty
from prefsim.llm import losses, matrix, train

BAR = 1e-3
ALGORITHMS = {
    "online_ipo": ("online_ipo", 0.01, 200, {"behaviour": "uniform"}),
    "egpo": ("egpo", 0.01, 200, {"behaviour": "uniform"}),
    "nash_md_pg": ("nash_md", 0.003, 450, {"estimator": "policy_gradient", "mixture_by": "sequence"}),
}
"""Name, learning rate of Adam, iterations, switches."""


def stage(name, rate, horizon):
    """A policy under Adam with a decaying rate, the game with its reference, and all responses to a prompt."""
    policy = policy_of(
        MODELS[name](),
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=rate),
        clip=None,
        schedule=lambda t: 0.5 * (1 + math.cos(math.pi * t / horizon)),
    )
    space = policy.enumerate([PROMPTS[1]])
    reference = policy.logprob_ref(space)[0].double().numpy()
    return policy, ps.PreferenceGame(games(85, count=1).preference[0], beta=BETA, log_reference=reference), space


def gaps(name, algorithm, backwards=False):
    """Duality gaps along a run with exact expectations."""
    key, rate, horizon, settings = ALGORITHMS[algorithm]
    policy, truth, space = stage(name, rate, horizon)
    found = []

    def callback(t, policy):
        if t % 5:
            return
        log_policy = policy.logprob_of("current", space)[0].double().numpy()
        found.append(float(ps.duality_gap(truth, log_policy=log_policy)))

    oracle = matrix(truth.preference.T if backwards else truth.preference, names=space.texts[0])
    asked = {"step": STEP, "horizon": horizon, "expectation": "exact", "record": [0], **settings}
    train(policy, [PROMPTS[1]], oracle, key, beta=BETA, callback=callback, **asked)
    return found


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", MODELS)
def test_equilibrium(name, algorithm):
    found = gaps(name, algorithm)
    assert found[0] > 20 * BAR
    assert found[-1] <= BAR


@pytest.mark.parametrize("name", MODELS)
def test_bias_of_the_mixture_leaves_room(name):
    """Nash-MD with a fixed weight rests beside the equilibrium; here less than half a bar from it."""
    _, truth, _ = stage(name, 1.0, 1)
    data = ps.run(truth, [("nash_md", {"step": STEP})], horizon=4000, record=[4000], engine="reference")
    assert data["duality_gap"].values[..., -1].max() < BAR / 2


def test_preference_read_backwards_is_caught():
    assert gaps("gpt2", "online_ipo", backwards=True)[-1] > BAR


def test_length_normalised_log_probabilities_are_caught(monkeypatch):
    true, lengths = losses.variance, policy_of(MODELS["gpt2"]()).enumerate([[0]]).lengths
    monkeypatch.setattr(losses, "variance", lambda lp, target, weights: true(lp / lengths, target / lengths, weights))
    assert gaps("gpt2", "online_ipo")[-1] > BAR


def test_token_local_penalty_is_caught(monkeypatch):
    """The token's own log-ratio alone; the loss goes down all the same."""
    monkeypatch.setattr(losses, "policy_gradient", token_penalty)
    assert min(gaps("llama", "nash_md_pg")) > BAR
