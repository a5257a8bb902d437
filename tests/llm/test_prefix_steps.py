"""A complete autoregressive policy whose steps are solved in parameter space follows the tabular path (ladder T3)."""

import numpy as np
import pytest
import torch
from ladder import BETA, SOLVED, error, games, hyper, paths, prefix_policy, tabular

import prefsim as ps
from prefsim.llm import losses, matrix, train

SHAPES = {"three letters": False, "at most three letters": True}


def grown(key, ends, horizon=25, **settings):
    """Largest error of a prefix policy whose every step is solved, and its log-policies."""
    policy, found = prefix_policy(ends), []
    space = policy.enumerate([0])
    reference = policy.logprob_ref(space).numpy()
    n = reference.shape[1]
    game = games(n, count=1).replace(log_reference=reference)
    oracle = matrix(game.preference[0], names=space.texts[0])
    asked = {**SOLVED, "estimator": "variance", "behaviour": "uniform", "mixture_by": "sequence", **settings}
    train(policy, [0], oracle, (key, hyper(key)), beta=BETA, horizon=horizon, callback=paths(found), **asked)
    found = np.stack(found, axis=1)
    return error(found, tabular(game, key, hyper(key), horizon)), found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("key", ["omd", "egpo", "nash_md", "inpo", "sppo"])
def test_prefix_policy(key, shape):
    assert grown(key, SHAPES[shape])[0] <= 1e-6


def test_without_truncated_responses():
    """With those left out that hit the limit, a step is the tabular step of the game of the 21 that end."""
    policy, found = prefix_policy(True), []
    space = policy.enumerate([0])
    ended = space.finished[0].numpy()
    mu = policy.logprob_ref(space)[0].numpy()
    whole = games(85, count=1).preference[0]
    oracle = matrix(whole, names=space.texts[0])

    def callback(t, policy):
        found.append(policy.logprob_of("current", space)[0].numpy())

    asked = {**SOLVED, "estimator": "variance", "behaviour": "uniform", "truncation": "drop", "record": "all"}
    data = train(policy, [0], oracle, ("omd", {"step": 0.5}), beta=BETA, horizon=5, callback=callback, **asked)
    game = ps.PreferenceGame(whole[None][:, ended][:, :, ended], beta=BETA, log_reference=mu[None, ended])
    expected = tabular(game, "omd", {"step": 0.5}, 5)
    given = np.stack(found)[:, ended]
    given = given - np.log(np.exp(given).sum(-1, keepdims=True))
    assert error(given, expected[0]) <= 1e-6
    assert np.allclose(np.exp(expected[0, 5]) @ whole[ended][:, ended] @ np.exp(expected[0, 0]),
                       data["win_rate_vs_reference"].values[0, 0, 0, -1], atol=1e-6)  # fmt: skip


def test_length_normalised_log_probabilities_are_caught(monkeypatch):
    true = losses.variance

    def normalised(lp, target, weights):
        return true(lp / lengths, target, weights)

    lengths = prefix_policy(True).enumerate([0]).lengths
    monkeypatch.setattr(losses, "variance", normalised)
    assert grown("omd", True, 2)[0] > 1e-4


def test_token_mixture_is_not_the_sequence_mixture():
    assert grown("nash_md", True, 6, mixture_by="token")[0] > 1e-6


def test_one_half_for_the_normaliser_is_caught():
    def distance(log_z):
        policy, found = prefix_policy(True), []
        space = policy.enumerate([0])
        game = games(85, count=1).replace(log_reference=policy.logprob_ref(space).numpy())
        oracle = matrix(game.preference[0], names=space.texts[0])
        asked = {**SOLVED, "estimator": "unpaired", "log_z": log_z, "step": 2.0}
        train(policy, [0], oracle, "sppo", beta=BETA, horizon=2, callback=paths(found), **asked)
        return error(np.stack(found, axis=1), tabular(game, "mwu", {"step": 2.0}, 2))

    assert distance("exact") <= 1e-6
    assert distance("half") > 1e-4


def test_closed_form_of_the_solved_step():
    """The minimiser over prefix policies holds the conditional marginals of the target: no solver involved."""
    policy = prefix_policy(True)
    space = policy.enumerate([0])
    target = torch.log_softmax(torch.randn(85, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=0)
    policy.solve(lambda: losses.variance(policy.logprob(space), target[None]).mean(), 400, 1e-12)
    mass, prefixes = {}, {}
    for text, ended, probability in zip(space.texts[0], space.finished[0].tolist(), target.exp().tolist(), strict=True):
        path = text + "." * ended
        for size in range(len(path)):
            step = mass.setdefault(path[:size], {})
            step[path[size]] = step.get(path[size], 0.0) + probability
            prefixes.setdefault(path[:size], policy._prefixes(space.tokens)[0][space.texts[0].index(text)][size].item())
    rows = torch.softmax(policy.table[0].detach(), dim=-1)
    for prefix, step in mass.items():
        total = sum(step.values())
        expected = torch.tensor([step[letter] / total for letter in "abcd."], dtype=torch.float64)
        assert (rows[prefixes[prefix]] - expected).abs().max() <= 1e-6
