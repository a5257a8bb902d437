"""A complete autoregressive policy whose steps are solved in parameter space follows the tabular path (ladder T3).

The mistakes these must catch are the controls of the claim ``llm.words``.
"""

import numpy as np
import pytest
import torch
from ladder import BETA, SOLVED, error, games, prefix_policy, tabular

import prefsim as ps
from prefsim.claims.llm_ladder import WORDS, word_error
from prefsim.llm import losses, matrix, train

SHAPES = {"three letters": False, "at most three letters": True}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("key", WORDS)
def test_prefix_policy(key, shape):
    assert word_error(key, SHAPES[shape], 25) <= 1e-6


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
