"""Published forms that end elsewhere than at the rule's step: refused unless asked for, named in the results, as written."""

import math

import numpy as np
import pytest
import torch
from ladder import BETA, SOLVED, error, games, paths, prefix_policy, tabular

from prefsim.llm import LogitsPolicy, losses, matrix, train

GAIN = torch.tensor([[0.2, 0.9, 0.4, 0.7], [0.5, 0.45, 0.55, 0.5], [0.6, 0.6, 0.6, 0.6]], dtype=torch.float64)
LP, ANCHOR = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
ALLOWED = {"allow_heuristics": True}


@pytest.mark.parametrize(("margin", "counted"), [(0.0, [0, 1]), (0.2, [0])])
def test_best_against_worst(margin, counted):
    """One pair a prompt, read plainly; the third prompt has no better response, the second hardly any."""
    slope, found = 0.5, losses.best_worst(LP, ANCHOR, 0.5, GAIN, margin)
    for prompt, (best, worst) in enumerate([(1, 0), (2, 1), (0, 0)]):
        d = ((LP - ANCHOR)[prompt, best] - (LP - ANCHOR)[prompt, worst]).item() / slope
        expected = math.log1p(math.exp(-d)) if prompt in counted else 0.0
        assert found[prompt].item() == pytest.approx(expected, abs=1e-14)


def test_best_against_worst_does_not_rest_at_the_step():
    """At the minimiser of DNO its loss is at rest, and the practical one is not (DN1, control)."""
    lp = torch.log_softmax(ANCHOR + 0.5 * GAIN, dim=-1).requires_grad_()
    for loss, rests in ((losses.soft_logistic, True), (losses.best_worst, False)):
        (gradient,) = torch.autograd.grad(loss(lp, ANCHOR, 0.5, GAIN).sum(), lp)
        assert (gradient.abs().max() < 1e-12) == rests


def few(**settings):
    game = games(5, count=2)
    policy = LogitsPolicy(5, prompts=2, optimizer=lambda p: torch.optim.SGD(p, lr=1.0))
    oracle = matrix(game.preference)
    return policy, train(policy, range(2), oracle, ("dno", {"step": 2.0}), beta=BETA, horizon=3, k=6, **settings)


def test_results_name_the_variant():
    policy, data = few(estimator="best_worst", **ALLOWED)
    assert data["algorithm"].values.tolist() == ["dno, estimator=best_worst"] and data["key"].values.tolist() == ["dno"]
    assert '"allow_heuristics": true' in data.attrs["provenance"]
    assert not torch.equal(policy.table, few()[0].table)
    assert few(**ALLOWED)[1]["algorithm"].values.tolist() == ["dno"]  # allowed, not used
    assert torch.equal(few(estimator="best_worst", margin=0.9, **ALLOWED)[0].table, torch.zeros(2, 1, 5))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"estimator": "best_worst"}, "estimator=best_worst does not take the rule's step .* give allow_heuristics=True"),
        ({"log_prob": "mean"}, "log_prob=mean does not take the rule's step"),
        ({"log_prob": "mean", "estimator": "policy_gradient", **ALLOWED}, "log_prob='mean' has no form for policy_gradient"),
        ({"estimator": "best_worst", "expectation": "exact", **ALLOWED}, "best_worst picks among samples"),
        ({"estimator": "best_worst", "margin": -0.1, **ALLOWED}, "margin must be a difference of win rates"),
        ({"log_prob": "means"}, "unknown log_prob: 'means'; did you mean 'mean'"),
    ],
)
def test_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        few(**settings)


@pytest.mark.parametrize("ends", [True, False])
def test_means_over_tokens_end_elsewhere(ends):
    """``log pi = anchor + length (s gain + const)``: gains weighted by length; at equal lengths, three steps at once."""
    policy, found = prefix_policy(ends), []
    space = policy.enumerate([0])
    mu, lengths = policy.logprob_ref(space)[0].numpy(), space.lengths[0].numpy()
    game = games(len(mu), count=1).replace(log_reference=mu[None])
    oracle = matrix(game.preference[0], names=space.texts[0])
    settings = {**SOLVED, "behaviour": "uniform", "estimator": "variance", "log_prob": "mean", **ALLOWED}
    train(policy, [0], oracle, ("omd", {"step": 0.5}), beta=BETA, horizon=1, callback=paths(found), **settings)
    gain = game.preference[0] @ np.exp(mu)
    low, high = -10.0, 10.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.exp(mu + lengths * (0.5 * gain + middle)).sum() < 1 else (low, middle)
    assert error(found[1][0], mu + lengths * (0.5 * gain + low)) <= 1e-6
    assert error(found[1], tabular(game, "omd", {"step": 0.5}, 1)[:, 1]) > 1e-3
