"""Group-relative advantages and their losses against closed forms, enumeration and autograd."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from prefsim import ops
from prefsim.llm import arrays, reinforce, surrogate
from prefsim.llm.reinforce import (
    asymre_advantages,
    backward_rewards,
    bnpo_advantages,
    bnpo_parameters,
    forward_weights,
    group_advantages,
    pad,
    regression_advantages,
    topr_weights,
)
from prefsim.llm.surrogate import clipped_loss, kl_estimate, policy_loss, reduce

torch = pytest.importorskip("torch", reason="needs torch: install prefsim[llm].")
pytest.importorskip("array_api_compat", reason="needs array-api-compat: install prefsim[llm].")

RNG = np.random.default_rng(11)
N = 4
PI, B, MU = ops.log_normalize(RNG.normal(size=(3, N)))
CORRECT = np.array([1.0, 0.0, 1.0, 0.0])
R0, R1 = 0.1, 0.25
BAR = 1e-3


def slope(loss, logits=PI):
    """Gradient of a scalar loss of the log-policy in the logits."""
    theta = torch.tensor(logits, requires_grad=True)
    return torch.autograd.grad(loss(torch.log_softmax(theta, -1)), theta)[0].numpy()


def score_gradient(weight, behaviour=PI):
    """``E_b[weight grad log pi]`` in the logits, written out: ``b w - (b . w) pi``."""
    mass = np.exp(behaviour) * weight
    return mass - mass.sum() * np.exp(PI)


# RF1: the limit of AsymRE.


def limit(value, kappa=True):
    """``((b (r - V) - kappa) / W)_+``, or the positive part normalised without kappa."""
    mass = np.exp(B) * (REWARDS - value)
    if not kappa:
        return np.maximum(mass, 0) / np.maximum(mass, 0).sum()
    return np.exp(ops.log(ops.project_simplex(mass / mass.sum())))


REWARDS = np.array([1.0, 0.3, 0.6, 0.1])


def flow(value, advantage=lambda value: asymre_advantages(REWARDS, value=value), steps=3000):
    """Gradient descent on the expected loss, every response once with the probability it is drawn with as its weight."""
    weight = N * np.exp(B)
    theta = np.zeros(N)
    for _ in range(steps):
        theta += 3.0 * (weight * advantage(value) - (weight * advantage(value)).sum() * ops.softmax(theta)) / N
    return ops.softmax(theta)


def test_the_step_of_the_flow_is_the_loss_gradient():
    weight, advantage = N * np.exp(B), asymre_advantages(REWARDS, value=0.2)
    loss = slope(lambda lp: policy_loss(lp, torch.tensor(advantage), torch.tensor(weight)))
    np.testing.assert_allclose(-loss, (weight * advantage - (weight * advantage).sum() * np.exp(PI)) / N, atol=1e-14)


@pytest.mark.parametrize("value", [-0.2, 0.05, 0.2])
def test_asymre_ends_at_the_positive_part(value):
    """RF1; at V = 0.2 a term is negative, responses have left the support, and kappa matters."""
    mean = np.exp(B) @ REWARDS
    assert value < mean
    end = flow(value)
    assert np.abs(end - limit(value)).max() < BAR
    if value == 0.2:
        assert np.exp(B).min() > 0.05 and limit(value).min() == 0 < mean - value
        assert np.abs(end - limit(value, kappa=False)).max() > 10 * BAR
    assert np.abs(flow(value, lambda v: asymre_advantages(REWARDS, value=v + 0.1)) - limit(value)).max() > 5 * BAR


def test_asymre_collapses_above_the_mean():
    assert flow(np.exp(B) @ REWARDS + 0.05).max() > 0.999


def test_asymre_takes_its_baseline_below_the_mean_of_the_group():
    rewards = RNG.normal(size=(3, 5))
    np.testing.assert_allclose(asymre_advantages(rewards), rewards - rewards.mean(1, keepdims=True) + 0.1, rtol=1e-13)
    np.testing.assert_allclose(asymre_advantages(rewards, value=rewards.mean(1) - 0.3), asymre_advantages(rewards, offset=0.3))


# RF2: TOPR.


@pytest.mark.parametrize(("p", "c"), [(0.3, 0.0), (0.3, 0.4), (0.7, -0.6), (0.1, 0.8)])
def test_topr_share_of_positives(p, c):
    rewards = np.where(np.arange(1000) < 1000 * p, 1.0, -1.0)
    terms = topr_weights(rewards, PI[0] + 0 * rewards, PI[0] + 0 * rewards) * np.abs(asymre_advantages(rewards, value=c))
    share = terms[rewards > 0].sum() / terms.sum()
    assert share == pytest.approx(p * (1 - c) / (1 + c * (1 - 2 * p)), rel=1e-12)
    if c:  # the control: without the baseline the share is p
        bare = topr_weights(rewards, 0 * rewards, 0 * rewards)
        assert abs(bare[rewards > 0].sum() / bare.sum() - share) > 0.03


def test_topr_tapers_negatives_alone():
    gap = np.array([-2.0, -0.5, 0.0, 0.7])
    np.testing.assert_allclose(topr_weights(-np.ones(4), gap, 0 * gap), np.exp(gap.clip(max=0)))
    assert (topr_weights(np.ones(4), gap, 0 * gap) == 1).all()
    assert topr_weights(-np.ones(1), np.array([800.0]), np.zeros(1)) == 1  # no overflow on the way


# RF3 to RF5: noisy verifiers.


def reported(r0=R0, r1=R1):
    """Probability of each report (1, 0) given that the truth is 1, and given that it is 0."""
    return {1: np.array([1 - r1, r1]), 0: np.array([r0, 1 - r0])}


SEEN = np.array([1.0, 0.0])


def test_backward_rewards_are_unbiased():
    for truth, chance in reported().items():
        assert chance @ backward_rewards(SEEN, R0, R1) == pytest.approx(truth, abs=1e-15)
        assert abs(chance @ backward_rewards(SEEN, R1, R0) - truth) > 0.1  # rates swapped


def test_forward_weights_have_their_conditional_means():
    for truth, chance in reported().items():
        goal = 0.0 if truth else -(1 - R0 - R1)
        assert chance @ forward_weights(SEEN, R1) == pytest.approx(goal, abs=1e-15)
        assert abs(chance @ forward_weights(SEEN, R0) - goal) > 0.1  # the other rate


def test_forward_gradient_is_the_clean_one_scaled_on_policy_only():
    """RF5; and that any weights one apart have it, which is why means are tested and not gradients."""
    means = np.array([reported()[int(truth)] @ forward_weights(SEEN, R1) for truth in CORRECT])
    for behaviour, equal in ((PI, True), (B, False)):
        ours = slope(lambda lp, b=behaviour: -(torch.tensor(np.exp(b) * means) * lp).sum())
        np.testing.assert_allclose(-ours, score_gradient(means, behaviour), atol=1e-14)
        clean = (1 - R0 - R1) * score_gradient(CORRECT, behaviour)
        assert (np.abs(-ours - clean).max() < 1e-14) == equal
        assert equal or np.abs(-ours - clean).max() > 1e-2
    np.testing.assert_allclose(score_gradient(means + 3.0), score_gradient(means), atol=1e-14)


def test_a_baseline_after_forward_weights_is_harmless_on_policy_only():
    """Why the specification forbids it: off policy it moves the conditional mean of correct responses from 0."""
    rewards = forward_weights(np.array([1.0, 0.0, 0.0, 1.0]), R1)
    assert np.abs(group_advantages(rewards) - rewards).min() > 0.1


# RF6: BNPO.


def normaliser(p, parameters, size=1000):
    """``f(p)`` read off the advantages of a group with success rate p."""
    rewards = (np.arange(size) < p * size).astype(float)
    return (rewards - p)[0] / bnpo_advantages(rewards, parameters=parameters)[0]


def test_bnpo_normaliser():
    rates = np.array([0.05, 0.2, 0.5, 0.9])
    scale = np.sqrt(rates * (1 - rates))
    right = np.array([normaliser(p, (1.5, 1.5)) for p in rates]) / scale
    assert np.ptp(right) < 1e-12 and right[0] == pytest.approx(8 / np.pi, rel=1e-12)  # a density: 1 / B(3/2, 3/2)
    assert np.ptp(np.array([normaliser(p, (2, 2)) for p in rates]) / scale) > 0.5
    rewards = (RNG.uniform(size=(6, 8)) < 0.6).astype(float)
    np.testing.assert_allclose(bnpo_advantages(rewards, parameters=(1, 1)), group_advantages(rewards), atol=1e-15)
    ratio = bnpo_advantages(rewards, parameters=(1.5, 1.5)) * 8 / np.pi
    np.testing.assert_allclose(ratio, group_advantages(rewards, scale=True), atol=1e-13)
    assert (bnpo_advantages(np.array([[1.0, 1.0], [0.0, 0.0]]), parameters=(0.5, 3)) == 0).all()


def test_bnpo_fits_by_moments_and_minimises_the_second_moment():
    from scipy.stats import beta

    a, d = 2.0, 3.5
    # The law with two atoms that has the moments of Beta(a, d).
    mean, deviation = beta(a, d).mean(), beta(a, d).std()
    first, second = bnpo_parameters(np.array([mean - deviation, mean + deviation]))
    assert (first, second) == pytest.approx((1 + a / 3, 1 + d / 3), rel=1e-12)
    assert bnpo_parameters(np.array([0.0, 1.0, 1.0])) == pytest.approx((1, 1), abs=1e-12)
    grid = (np.arange(20_000) + 0.5) / 20_000

    def moment(x, y):
        """``E (R - p)^2 / f(p)^2`` under the Beta law."""
        return (beta(a, d).pdf(grid) * grid * (1 - grid) / beta(x, y).pdf(grid) ** 2).mean()

    least = moment(first, second)
    others = [(first + i, second + j) for i, j in itertools.product((-0.2, 0, 0.2), repeat=2) if (i, j) != (0, 0)]
    assert all(moment(*other) > least * 1.001 for other in others)


# Baselines of a group.


def test_opmd_baselines():
    rewards = RNG.normal(size=(4, 6))
    mean = group_advantages(rewards)
    np.testing.assert_allclose(mean, rewards - rewards.mean(1, keepdims=True), atol=1e-15)
    np.testing.assert_allclose(group_advantages(rewards + 7.0), mean, atol=1e-14)  # shift invariance
    assert np.abs(group_advantages(rewards + 7.0, baseline="none") - group_advantages(rewards, baseline="none")).min() > 6
    soft = group_advantages(rewards, baseline="log_mean_exp", tau=0.5)
    np.testing.assert_allclose(soft, rewards - 0.5 * np.log(np.exp(rewards / 0.5).mean(1, keepdims=True)), rtol=1e-12)
    np.testing.assert_allclose(np.exp(soft / 0.5).mean(1), 1, rtol=1e-13)
    np.testing.assert_allclose(group_advantages(rewards, baseline="log_mean_exp", tau=1e6), mean, atol=1e-5)
    far = group_advantages(np.array([1e4, 0.0]), baseline="log_mean_exp", tau=1.0)
    np.testing.assert_allclose(far, [np.log(2), np.log(2) - 1e4], rtol=1e-13)
    for baseline in ("mean", "log_mean_exp", "leave_one_out"):
        assert group_advantages(np.array([[0.7]]), baseline=baseline) == 0


def test_equal_rewards_are_no_signal_when_scaled():
    assert (group_advantages(np.full((2, 6), 0.1), scale=True) == 0).all()  # their rounded mean is not 0.1
    assert np.full(6, 0.1).mean() != 0.1
    scaled = group_advantages(RNG.normal(size=(3, 7)), scale=True)
    np.testing.assert_allclose((scaled**2).mean(1), 1, rtol=1e-13)


@pytest.mark.parametrize(("baseline", "factor"), [("leave_one_out", 1.0), ("mean", 2 / 3), ("none", 1.0)])
def test_expected_gradient_of_a_group(baseline, factor):
    """All groups of three responses, with their probabilities: the mean baseline is short by (K - 1) / K."""
    total = 0
    for group in itertools.product(range(N), repeat=3):
        index = list(group)
        advantage = group_advantages(REWARDS[index], baseline=baseline)
        loss = slope(lambda lp, i=index, a=advantage: policy_loss(lp[i], torch.tensor(a)))
        total = total - np.exp(PI[index].sum()) * loss
    np.testing.assert_allclose(total, factor * score_gradient(REWARDS), atol=1e-14)
    assert np.abs(total - (2 / 3 if factor == 1 else 1) * score_gradient(REWARDS)).max() > BAR


def test_regression_to_a_target_is_autograd_of_the_variance():
    target = RNG.normal(size=(3, 5))
    lp = torch.tensor(RNG.normal(size=(3, 5)), requires_grad=True)
    z = lp - torch.tensor(target)
    expected = torch.autograd.grad((2 * z.var(dim=-1, correction=1)).mean(), lp)[0]
    advantage, weight = regression_advantages(z.detach())
    ours = torch.autograd.grad(policy_loss(lp, advantage, weight), lp)[0]
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-14)
    assert (torch.autograd.grad(policy_loss(lp, advantage, weight * 4 / 5), lp)[0] - expected).abs().max() > BAR


def test_regression_of_ragged_groups_is_the_sum_of_their_variances():
    z, mask = pad([[0.3, -1.0, 0.4], [1.0, 2.5]])
    lp = torch.tensor(z, requires_grad=True)
    parts = [2 * row[there].var(correction=1) * there.sum() for row, there in zip(lp, torch.tensor(mask), strict=True)]
    expected = torch.autograd.grad(sum(parts) / 5, lp)[0]
    advantage, weight = regression_advantages(z, mask)
    ours = torch.autograd.grad(policy_loss(lp, torch.tensor(advantage), torch.tensor(weight), torch.tensor(mask)), lp)[0]
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("baseline", reinforce.BASELINES)
@pytest.mark.parametrize("scale", [False, True])
def test_masked_groups_are_the_groups_without_the_mask(baseline, scale):
    groups = [[1.0, 0.0, 0.0, 1.0], [1.0], [0.0, 1.0, 1.0]]
    rewards, mask = pad(groups)
    found = group_advantages(np.where(mask, rewards, np.nan), mask, baseline=baseline, scale=scale)
    for row, present, group in zip(found, mask, groups, strict=True):
        alone = group_advantages(np.array(group), baseline=baseline, scale=scale)
        np.testing.assert_allclose(row[present], alone, rtol=1e-14, atol=1e-15)
        assert (row[~present] == 0).all()
    lone = asymre_advantages(np.array(groups[2]))
    np.testing.assert_allclose(asymre_advantages(rewards, mask)[2, :3], lone, rtol=1e-14)
    one = bnpo_advantages(np.array(groups[2]), parameters=(1.2, 1.4))
    np.testing.assert_allclose(bnpo_advantages(rewards, mask, parameters=(1.2, 1.4))[2, :3], one, rtol=1e-14)


# Losses of advantages.


def test_clipping():
    log_ratio = np.log([0.5, 0.79, 0.81, 1.0, 1.19, 1.21, 3.0])
    for advantage in (2.0, -2.0):
        lp = torch.tensor(log_ratio, requires_grad=True)
        value = clipped_loss(lp, torch.zeros(7), torch.full((7,), advantage, dtype=torch.float64))
        gradient = torch.autograd.grad(value.sum(), lp)[0].numpy()
        left = log_ratio > np.log(1.2) if advantage > 0 else log_ratio < np.log(0.8)
        np.testing.assert_allclose(gradient, np.where(left, 0, -advantage * np.exp(log_ratio)), rtol=1e-12)
        # Never better than the unclipped objective: the mutation "max" is.
        assert (value.detach().numpy() >= -advantage * np.exp(log_ratio) - 1e-15).all()
    wide = clipped_loss(torch.tensor([2.0]), torch.zeros(1), torch.ones(1), low=0.2, high=9.0)
    assert wide.item() == pytest.approx(-np.exp(2.0))


def test_kl_estimators():
    """Enumerated under the policy: values, and gradients as losses."""
    p = torch.tensor(np.exp(PI))
    truth = ops.kl(PI, MU)
    values = {kind: np.exp(PI) @ kl_estimate(PI, MU, kind) for kind in surrogate.KL_ESTIMATORS}
    assert values["k1"] == pytest.approx(truth, rel=1e-12) and values["k3"] == pytest.approx(truth, rel=1e-12)
    assert abs(values["k2"] - truth) > 0.01 and (kl_estimate(PI, MU) >= 0).all()
    reverse = slope(lambda lp: (lp.exp() * (lp - torch.tensor(MU))).sum())
    forward = slope(lambda lp: -(torch.tensor(np.exp(MU)) * lp).sum())
    expected = {"k1": 0 * reverse, "k2": reverse, "k3": forward}
    for kind, gradient in expected.items():
        ours = slope(lambda lp, kind=kind: (p * kl_estimate(lp, torch.tensor(MU), kind)).sum())
        np.testing.assert_allclose(ours, gradient, atol=1e-14)
    assert np.abs(forward - reverse).max() > BAR < np.abs(reverse).max()


def test_reductions():
    values, mask = np.array([[1.0, 2.0, 3.0, np.nan], [5.0, np.nan, np.nan, np.nan]]), None
    mask = np.isfinite(values)
    expected = {"sequence_sum": (6 + 5) / 2, "sequence_mean": (2 + 5) / 2, "token_mean": 11 / 4, "fixed_length": 11 / 2 / 10}
    for reduction in surrogate.REDUCTIONS:
        length = 10 if reduction == "fixed_length" else None
        assert reduce(values, mask, reduction, length) == pytest.approx(expected[reduction])
    # The sequence loss is the policy loss of summed log-probabilities; no other reduction is.
    tokens = torch.tensor(np.where(mask, values, 0.0), requires_grad=True)
    advantage = torch.tensor([2.0, -1.0], dtype=torch.float64)
    whole = torch.autograd.grad(policy_loss(tokens.sum(-1), advantage), tokens)[0][mask]
    for reduction in surrogate.REDUCTIONS:
        per_token = reduce(-advantage[:, None] * tokens, torch.tensor(mask), reduction, 10)
        gradient = torch.autograd.grad(per_token, tokens)[0][mask]
        assert torch.allclose(gradient, whole) == (reduction == "sequence_sum")


@pytest.mark.parametrize(
    "call",
    [
        lambda r, lp, m: group_advantages(r, m, baseline="log_mean_exp", scale=True),
        lambda r, lp, m: group_advantages(r, m, baseline="leave_one_out"),
        lambda r, lp, m: asymre_advantages(r, m),
        lambda r, lp, m: topr_weights(r, lp, 0 * lp),
        lambda r, lp, m: bnpo_advantages(r, m),
        lambda r, lp, m: backward_rewards(r, 0.1, 0.2),
        lambda r, lp, m: forward_weights(r, 0.2),
        lambda r, lp, m: regression_advantages(lp, m)[0],
        lambda r, lp, m: regression_advantages(lp, m)[1],
        lambda r, lp, m: policy_loss(lp, r, 2.0, m),
        lambda r, lp, m: clipped_loss(lp, 0 * lp, r),
        lambda r, lp, m: kl_estimate(lp, 0 * lp),
        lambda r, lp, m: reduce(lp, m, "token_mean"),
    ],
)
def test_numpy_and_torch_are_the_same_function(call):
    rewards = (RNG.uniform(size=(5, 4)) < 0.5).astype(float)
    rewards[0, :2] = 0, 1  # not all rates equal
    rewards[1] = 1
    lp, mask = RNG.normal(size=(5, 4)), np.arange(4) < np.array([4, 3, 2, 4, 4])[:, None]
    plain = call(rewards, lp, mask)
    tensors = call(torch.tensor(rewards), torch.tensor(lp), torch.tensor(mask))
    np.testing.assert_allclose(plain, tensors.numpy(), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(plain, call(rewards, torch.tensor(lp), mask), rtol=1e-13, atol=1e-14)
    counts = call(torch.tensor(rewards).long(), torch.tensor(lp).float(), torch.tensor(mask))  # what a verifier returns
    np.testing.assert_allclose(plain, counts.numpy(), rtol=1e-4, atol=1e-5)


def test_broken_code_is_caught(monkeypatch):
    """Signs and constants inside the shared parts; each must turn a test of this file red."""
    tests = [
        test_asymre_takes_its_baseline_below_the_mean_of_the_group,
        test_opmd_baselines,
        test_bnpo_normaliser,
        test_regression_to_a_target_is_autograd_of_the_variance,
        test_reductions,
    ]

    def red():
        for test in tests:
            try:
                test()
            except AssertionError:
                return True
        return False

    assert not red()
    mean, there = reinforce.group_mean, surrogate.there
    mutations = [
        (reinforce, "group_mean", lambda values, weight: values.mean() + 0 * mean(values, weight)),  # over the whole batch
        (reinforce, "group_mean", lambda values, weight: -mean(values, weight)),
        (surrogate, "there", lambda values, mask: 0 * there(values, mask) + 1),
        (reinforce, "_largest", lambda xp, values, weight: 0 * values),
        (reinforce, "lgamma", lambda x: 0.0),
    ]
    for module, name, wrong in mutations:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, wrong)
            with np.errstate(all="ignore"):
                assert red(), name


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: group_advantages([[1.0, 0.0], [1.0]]), "rewards has groups of different sizes; give pad"),
        (lambda: group_advantages(np.array([[1.0, np.nan]])), "rewards must be finite; mask responses that have none"),
        (lambda: group_advantages(np.ones((2, 0))), r"rewards must have shape \(..., K\)"),
        (lambda: group_advantages(np.ones((2, 2)), np.ones((2, 2))), "mask must hold booleans"),
        (lambda: group_advantages(np.ones((2, 2)), np.ones((2, 1), bool)), r"have shape \(2, 2\); got bool, \(2, 1\)"),
        (lambda: group_advantages(np.ones((2, 2)), np.array([[True, True], [False, False]])), "a group without responses"),
        (lambda: group_advantages(np.ones(2), baseline="median"), "baseline must be one of mean, leave_one_out"),
        (lambda: group_advantages(np.ones(2), baseline="log_mean_exp", tau=0.0), "tau must be a finite number above 0"),
        (lambda: pad([]), "at least one group"),
        (lambda: pad([[1.0], []]), "every group a reward"),
        (lambda: asymre_advantages(np.ones(2), offset=np.inf), "offset must be a finite number"),
        (lambda: asymre_advantages(np.ones((2, 2)), value=np.ones(3)), "value must be a number or have shape"),
        (lambda: topr_weights(np.ones(2), np.ones(3), np.ones(3)), "these must have one shape"),
        (lambda: bnpo_advantages(np.array([0.5, 1.0])), r"rewards must be 0 \(wrong\) or 1 \(correct\)"),
        (lambda: bnpo_advantages(np.array([[0.0, 1.0], [1.0, 0.0]])), "rates are all 0.5, to which no Beta law"),
        (lambda: bnpo_advantages(np.array([0.0, 1.0]), parameters=(0, 1)), r"parameters\[0\] must be a finite number above 0"),
        (lambda: bnpo_parameters(np.array([0.5, 1.5])), "rates must hold probabilities"),
        (lambda: backward_rewards(np.ones(2), 0.6, 0.4), "false_positive [+] false_negative must be below 1; got 0.6 [+] 0.4"),
        (lambda: backward_rewards(np.ones(2), -0.1, 0.4), "false_positive must be a finite number of at least 0"),
        (lambda: forward_weights(np.ones(2), 1.0), "false_negative must be a finite number of at least 0 and below 1"),
        (lambda: forward_weights(np.array([0.3]), 0.1), r"rewards must be 0 \(wrong\)"),
        (lambda: regression_advantages(np.ones((3, 1))), "at least 2 responses a group"),
        (lambda: clipped_loss(np.ones(1), np.ones(1), np.ones(1), low=1.0), "low must be a finite number"),
        (lambda: kl_estimate(np.ones(1), np.ones(1), "k4"), "kind must be one of k1, k2, k3; got 'k4'"),
        (lambda: reduce(np.ones((1, 2)), np.ones((1, 2), bool), "mean"), "reduction must be one of sequence_sum"),
        (lambda: reduce(np.ones((1, 2)), np.zeros((1, 2), bool)), "a response without tokens"),
        (lambda: reduce(np.ones((1, 2)), np.ones((1, 2), bool), "fixed_length", 1), "needs length, at least 2 tokens"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_log_sigmoid_is_accurate_at_both_ends():
    z = np.array([-800.0, -1.0, 0.0, 40.0])
    expected = [-800.0, -1 - np.log1p(np.exp(-1)), -np.log(2), -np.exp(-40.0)]
    np.testing.assert_allclose(arrays.log_sigmoid(z), expected, rtol=1e-15)
    np.testing.assert_allclose(arrays.sigmoid(z), [0.0, 1 / (1 + np.e), 0.5, 1.0], rtol=1e-15)
