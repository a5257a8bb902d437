"""Sampled gradients have the enumerated gradient as their mean, coordinate by coordinate (ladder T2).

The estimators and the mistakes they must catch are the claims ``llm.sampled_differences`` and ``llm.sampled_scores``.
"""

import numpy as np
import pytest
import torch

from prefsim.claims._ladder_samples import deviations, stage
from prefsim.claims.llm_samples import DEVIATION
from prefsim.llm import opponents


@pytest.mark.parametrize("words", ["", "ab"])
def test_no_response_is_rare(words):
    policy = stage(words).policy
    assert policy.logprob(policy.enumerate([0])).min() > np.log(1e-3)


def ending():
    """Probability that a response of the policy of these tests ends."""
    policy = stage("ab").policy
    space = policy.enumerate([0])
    return policy.logprob(space).exp()[space.finished].sum().item()


DROPPED = {
    "fresh": ({"m": 2, "k": 4}, lambda f: (1 - (1 - f) ** 4 - 4 * f * (1 - f) ** 3) * (1 - (1 - f) ** 2)),
    "shared": ({"opponents": "shared", "k": 4}, lambda f: 1 - (1 - f) ** 4 - 4 * f * (1 - f) ** 3),
    "labels": ({"estimator": "pair_label"}, lambda f: f**2),
    "pairs": ({"estimator": "pairs", "opponents": "shared"}, lambda f: f**2),
}
"""Settings, and the probability that enough responses and opponents end for a prompt to count."""


@pytest.mark.parametrize("case", DROPPED)
def test_without_truncated_responses(case):
    """The gradient is that of the game of responses that end, times how often there are enough of them."""
    settings, share = DROPPED[case]
    asked = {"words": "ab", "share": share(ending()), **settings}
    assert 0.2 < ending() < 0.8
    assert deviations("online_ipo", truncation="drop", **asked)[0].max() < DEVIATION
    assert case != "fresh" or deviations("online_ipo", truncation="open", **asked)[1] > 0.2


@pytest.mark.parametrize("mutation", ["opponents", "responses"])
def test_dropping_one_side_only_is_caught(mutation, monkeypatch):
    true = opponents.judge

    def judge(run, t, phase, drawn, responses):
        if run.exact:
            return true(run, t, phase, drawn, responses)
        if mutation == "responses":
            drawn = drawn._replace(responses=drawn.responses._replace(finished=torch.ones_like(drawn.responses.finished)))
        found = true(run, t, phase, drawn, responses)
        return found if mutation == "responses" else found._replace(kept=torch.ones_like(found.kept))

    monkeypatch.setattr(opponents, "judge", judge)
    settings, f = {"words": "ab", "truncation": "drop", "m": 2, "k": 4}, ending()
    share = (1 - (1 - f) ** 4 - 4 * f * (1 - f) ** 3) if mutation == "responses" else 1 - (1 - f) ** 2
    assert deviations("online_ipo", share=share, **settings)[0].max() > DEVIATION


def test_ten_times_the_samples():
    few, many = (deviations("online_ipo_2", samples=count) for count in (20_000, 200_000))
    assert max(few[0].max(), many[0].max()) < DEVIATION
    assert 1.5 < few[1] / many[1] < 7  # sqrt(10) on average
