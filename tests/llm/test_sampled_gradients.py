"""Sampled gradients have the enumerated gradient as their mean, coordinate by coordinate (ladder T2).

Every prompt has a table of its own, all alike, so one training step on thousands of prompts leaves thousands of
independent gradients in the tables.
"""

import numpy as np
import pytest
import torch
from ladder import BETA, games

from prefsim.llm import Judge, LogitsPolicy, PrefixPolicy, matrix, opponents, train
from prefsim.llm.progress import Progress

N, LIMIT = 6, 4.5


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Thousands of prompts share one game: look it up as it is, and do not evaluate."""
    monkeypatch.setattr(Judge, "gains", lambda self, prompt, a, b: self.oracle.win_matrix(0, a, b))
    monkeypatch.setattr(Progress, "measure_if_due", lambda self, t: None)


def moved(policy, space, algorithm, prompts, preference, settings, exact):
    """Changes of the tables by one step at rate 1 a prompt, shape (prompts, entries)."""
    start = np.random.default_rng(5).normal(scale=0.6, size=policy.table[0].shape)
    policy.write([policy.table + torch.tensor(start)])
    before = policy.read()[0]
    oracle = matrix(preference, names=space)
    settings = {**settings, "expectation": "exact" if exact else "sampled"}
    if exact and settings.get("estimator") != "pair_label":
        settings.pop("label", None)  # exact win rates are the means of the coins
    train(policy, range(prompts), oracle, algorithm, beta=BETA, horizon=1, seed=11, record=[0], **settings)
    return (policy.read()[0] - before).flatten(1).numpy()


def worst(algorithm, samples=20_000, k=2, prefix=False, share=1.0, **settings):
    """Largest deviation from (a share of) the exact gradient over coordinates, in standard errors, and the relative error."""
    prompts = samples // k
    game = games(7 if prefix else N, count=1)

    def policy(count):
        optimizer = lambda p: torch.optim.SGD(p, lr=count)  # noqa: E731
        if prefix:
            return PrefixPolicy("ab", 2, prompts=count, optimizer=optimizer)
        reference = torch.tensor(np.array(game.log_reference[0]))
        return LogitsPolicy(N, reference, prompts=count, optimizer=optimizer)

    space = policy(1).enumerate([0]).texts[0]
    preference = game.preference[0]
    exact = share * moved(policy(1), space, algorithm, 1, preference, {**settings, "k": k}, True)[0]
    many = policy(prompts)
    assert many.logprob(many.enumerate([0])).min() > np.log(1e-3)
    found = moved(many, space, algorithm, prompts, preference, {**settings, "k": k}, False)
    spread = found.std(axis=0, ddof=1) / prompts**0.5
    some = spread > 0
    deviation = np.abs(found.mean(axis=0) - exact)
    return (deviation[some] / spread[some]).max(), np.linalg.norm(deviation) / np.linalg.norm(exact)


CASES = {
    "variance, fresh": ("omd", {"m": 3, "k": 4}),
    "variance, fresh, one-bit": ("omd", {"m": 1, "k": 4, "label": "bernoulli"}),
    "variance, shared": ("omd", {"opponents": "shared"}),
    "variance, shared, three": ("omd", {"opponents": "shared", "k": 3}),
    "variance, shared, one-bit": ("omd", {"opponents": "shared", "label": "bernoulli"}),
    "variance, mixture": ("nash_md", {"m": 2}),
    "pairs, shared": ("omd", {"estimator": "pairs", "opponents": "shared", "k": 4}),
    "pairs, fresh": ("mwu", {"estimator": "pairs", "m": 1}),
    "labels": ("online_ipo_2", {}),
    "labels, one-bit": ("online_ipo_2", {"label": "bernoulli"}),
    "unpaired, fresh": ("mwu", {"estimator": "unpaired", "log_z": "half", "m": 2}),
    "unpaired, shared": ("mwu", {"estimator": "unpaired", "log_z": "half", "opponents": "shared"}),
    "policy gradient, mixture": (("nash_md_pg", {"mixture": 0.3}), {"m": 2}),
    "policy gradient, shared": ("spo", {}),
}


@pytest.mark.parametrize("case", CASES)
def test_unbiased(case):
    algorithm, settings = CASES[case]
    assert worst(algorithm, **settings)[0] < LIMIT


@pytest.mark.parametrize("kl_gradient", ["reward_to_go", "sequence"])
def test_unbiased_on_words(kl_gradient):
    settings = {"kl_gradient": kl_gradient, "m": 2, "prefix": True}
    assert worst(("nash_md_pg", {"mixture": 0.4}), **settings)[0] < LIMIT


def ending():
    """Probability that a response of the policy of these tests ends, and one of each kind of it."""
    policy = PrefixPolicy("ab", 2)
    policy.write([policy.table + torch.tensor(np.random.default_rng(5).normal(scale=0.6, size=policy.table[0].shape))])
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
    asked = {"prefix": True, "truncation": "drop", **settings}
    assert 0.2 < ending() < 0.8
    assert worst("online_ipo", share=share(ending()), **asked)[0] < LIMIT
    assert case != "fresh" or worst("online_ipo", share=share(ending()), **{**asked, "truncation": "open"})[1] > 0.2


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
    settings, f = {"prefix": True, "truncation": "drop", "m": 2, "k": 4}, ending()
    share = (1 - (1 - f) ** 4 - 4 * f * (1 - f) ** 3) if mutation == "responses" else 1 - (1 - f) ** 2
    assert worst("online_ipo", share=share, **settings)[0] > LIMIT


def test_ten_times_the_samples():
    few, many = (worst("online_ipo_2", samples=count) for count in (20_000, 200_000))
    assert max(few[0], many[0]) < LIMIT
    assert 1.5 < few[1] / many[1] < 7  # sqrt(10) on average


def test_leave_one_out_in_variance_is_caught():
    assert worst("omd", opponents="shared", shared_divisor="k-1")[0] > LIMIT


def test_self_included_in_unpaired_is_caught():
    settings = {"estimator": "unpaired", "log_z": "half", "opponents": "shared", "shared_divisor": "k"}
    assert worst("mwu", step=2.0, **settings)[0] > LIMIT


def test_self_included_in_policy_gradient_is_caught():
    assert worst("spo", shared_divisor="k")[0] > LIMIT
