"""One gradient step on the logits is the tabular step: every iterate of every solver that qualifies (ladder T1)."""

import numpy as np
import pytest
import torch
from ladder import BETA, PULLED, REGRESSED, STEP, games, hyper, logits_policy, paths, prefix_policy, tabular

from prefsim.llm import losses, matrix, moves, opponents, train
from prefsim.llm import policy as policies
from prefsim.llm.records import SamplingSpec

N, HORIZON = 64, 300
ORACLE = {"behaviour": "uniform", "expectation": "exact", "estimator": "variance", "record": [0]}


def distance(key, horizon=HORIZON, target="step", preference=None, rate=None, **settings):
    """Largest difference of log-probabilities from the tabular engine over all iterates of three games."""
    game, found = games(N), []
    given = hyper(key)
    c = {"mirror_prox": STEP / (1 + STEP), "mmd": STEP * BETA / (1 + STEP * BETA)}.get(key, STEP * BETA)
    rate = (N / 4 if target == "step" else c * N / 4) if rate is None else rate
    oracle = matrix(game.preference if preference is None else preference)
    asked = {**ORACLE, "target": target, **settings}
    train(logits_policy(game, rate), range(3), oracle, (key, given), beta=BETA, horizon=horizon, callback=paths(found), **asked)
    return np.abs(np.stack(found, axis=1) - tabular(game, key, given, horizon)).max()


@pytest.mark.parametrize("key", REGRESSED)
def test_step_target(key):
    assert distance(key) <= 1e-10


@pytest.mark.parametrize("key", PULLED)
def test_fixed_point_target(key):
    assert distance(key, target="fixed_point") <= 1e-10


@pytest.mark.parametrize("key", ["omd", "egpo", "nash_md", "mwu", "omwu", "apo", "comal"])
def test_preference_read_backwards_is_caught(key):
    assert distance(key, 3, preference=np.swapaxes(games(N).preference, 1, 2)) > 1e-6


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_another_mixture_weight_is_caught(monkeypatch, factor):
    true = opponents.draw

    def draw(run, t, phase, spec, responses):
        weight = factor * dict(spec.weights)["reference"]
        return true(run, t, phase, SamplingSpec((("current", 1 - weight), ("reference", weight))), responses)

    monkeypatch.setattr(opponents, "draw", draw)
    assert distance("nash_md", 3) > 1e-6


def test_second_phase_against_the_first_opponent_is_caught(monkeypatch):
    true = opponents.draw
    current = SamplingSpec((("current", 1.0),))
    monkeypatch.setattr(opponents, "draw", lambda run, t, phase, spec, y: true(run, t, phase, current, y))
    assert distance("egpo", 3) > 1e-6


def test_second_phase_anchored_at_the_half_step_is_caught(monkeypatch):
    true = opponents.draw

    def draw(run, t, phase, spec, responses):
        if phase == 1:
            run.half = run.policy.logprob_of("half", responses)
        return true(run, t, phase, spec, responses)

    def objective(run, t, plan, responses, verdict, phase, moved=""):
        if phase == 1:
            responses.log_probs["current"] = run.half
        return anchored(run, t, plan, responses, verdict, phase, moved)

    anchored = moves.objective
    monkeypatch.setattr(opponents, "draw", draw)
    monkeypatch.setattr(moves, "objective", objective)
    assert distance("egpo", 3) > 1e-6


def test_second_phase_started_at_the_half_step_is_caught(monkeypatch):
    monkeypatch.setattr(policies.Policy, "restore", lambda self, snapshot: None)
    assert distance("egpo", 3, target="fixed_point") > 1e-6


@pytest.mark.parametrize("key", ["omd", "egpo", "mwu"])
def test_another_learning_rate_is_caught(key):
    assert distance(key, 3, rate=0.9 * N / 4) > 1e-6


def test_divisor_of_samples_on_all_responses_is_caught(monkeypatch):
    # The sample variance divides by n - 1; the identity with the tabular step needs the population's.
    monkeypatch.setattr(losses, "variance", lambda lp, target, weights: 2 * (lp - target).var(dim=-1))
    assert distance("omd", 3) > 1e-6


@pytest.mark.parametrize("period", [20, 40])
def test_inner_loop_arrives_at_the_proximal_point(period):
    """40 inner iterations end at the exact step of the tabular solver; 20 are not enough for the bar."""
    game, found, given = games(N), [], {"step": 0.25, "period": period}
    policy = logits_policy(game, N / 4)
    asked = {**ORACLE, "horizon": 4 * period, "callback": paths(found)}
    train(policy, range(3), matrix(game.preference), ("nash_prox", given), beta=BETA, **asked)
    expected = tabular(game, "nash_prox", {"step": 0.25}, 4)
    difference = np.abs(np.stack(found[::period], axis=1) - expected).max()
    assert np.abs(np.diff(expected, axis=1)).max(axis=(0, 2)).min() > 0.01
    assert difference <= 1e-10 if period == 40 else 1e-10 < difference < 1e-3


def softmax(logits):
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def recursion(game, step, horizon, mixture=None, decay=None):
    """Exact softmax policy gradient against a mixture with the reference, or a slow copy; log-policies (games, t, n)."""
    logits, slow, path = np.array(game.log_reference), np.array(game.log_reference), []
    for _ in range(horizon + 1):
        policy = softmax(logits)
        path.append(np.log(policy))
        played = softmax(slow) if mixture is None else softmax((1 - mixture) * logits + mixture * game.log_reference)
        reward = np.einsum("gij,gj->gi", game.preference, played) - BETA * (np.log(policy) - game.log_reference)
        logits = logits + step * policy * (reward - (policy * reward).sum(-1, keepdims=True))
        slow = None if mixture is not None else decay * slow + (1 - decay) * logits
        slow = logits if slow is None else slow
    return np.stack(path, axis=1)


def proximal(game, rate, horizon, eta, period):
    """Self-play that pays for leaving the reference and, weighted by 1 / eta, the policy a period began with."""
    logits, path = np.array(game.log_reference), []
    for t in range(horizon + 1):
        policy = softmax(logits)
        path.append(np.log(policy))
        if t % period == 0:
            slow = path[-1]
        leaving = path[-1] - game.log_reference + (path[-1] - slow) / eta
        reward = np.einsum("gij,gj->gi", game.preference, policy) - BETA * leaving
        logits = logits + rate * policy * (reward - (policy * reward).sum(-1, keepdims=True))
    return np.stack(path, axis=1)


def ascended(algorithm, horizon=HORIZON, rate=2.0, **settings):
    game, found = games(N), []
    asked = {"expectation": "exact", "record": [0], **settings}
    policy = logits_policy(game, rate)
    train(policy, range(3), matrix(game.preference), algorithm, beta=BETA, horizon=horizon, callback=paths(found), **asked)
    return np.stack(found, axis=1)


@pytest.mark.parametrize("kl_gradient", ["reward_to_go", "sequence"])
def test_policy_gradient_against_the_mixture(kl_gradient):
    found = ascended(("nash_md_pg", {"step": 2.0, "mixture": 0.3}), kl_gradient=kl_gradient)
    game = games(N)
    assert np.abs(found - recursion(game, 2.0, HORIZON, mixture=0.3)).max() <= 1e-10
    assert np.abs(found - tabular(game, "nash_md_pg", {"step": 2.0, "mixture": 0.3}, HORIZON)).max() <= 1e-10


def test_policy_gradient_of_nash_md_ties_the_weight_to_the_step():
    found = ascended(("nash_md", {"step": 3.0}), estimator="policy_gradient")
    assert np.abs(found - recursion(games(N), 2.0, HORIZON, mixture=3.0 * BETA)).max() <= 1e-10
    assert np.abs(found[:, :4] - recursion(games(N), 2.0, 3, mixture=1.5 * BETA)).max() > 1e-6


@pytest.mark.parametrize("kl_gradient", ["reward_to_go", "sequence"])
def test_policy_gradient_of_the_proximal_point(kl_gradient):
    found = ascended(("nash_prox", {"step": 0.7, "period": 4}), kl_gradient=kl_gradient)
    assert np.abs(found - proximal(games(N), 2.0, HORIZON, 0.7, 4)).max() <= 1e-10
    assert np.abs(found - proximal(games(N), 2.0, HORIZON, 1 / 0.7, 4)).max() > 1e-6
    assert np.abs(found - proximal(games(N), 2.0, HORIZON, 0.7, 5)).max() > 1e-6


def test_policy_gradient_against_the_slow_copy():
    found = ascended(("nash_ema_pg", {"decay": 0.8}))
    assert np.abs(found - recursion(games(N), 2.0, HORIZON, decay=0.8)).max() <= 1e-10


@pytest.mark.parametrize("kl_gradient", ["reward_to_go", "sequence", "token"])
def test_exact_gradient_of_the_regularised_win_rate(kl_gradient, monkeypatch):
    """On a prefix policy away from its reference; a token's own log-ratio alone is wrong, and shows."""
    policy = prefix_policy(ends=True)
    noise = np.random.default_rng(0).normal(scale=0.5, size=policy.table.shape)
    policy.write([policy.table + torch.tensor(noise)])
    space = policy.enumerate([0])
    gain = torch.rand(85, generator=torch.Generator().manual_seed(1), dtype=torch.float64)[None]
    log_policy, reference = policy.logprob(space), policy.logprob_ref(space)
    value = (log_policy.exp() * (gain - BETA * (log_policy - reference))).sum()
    (exact,) = torch.autograd.grad(value, policy.table)
    lp, other = policy.token_logprobs(space), policy.token_logprobs_of("reference", space)
    weights = log_policy.detach().exp()
    if kl_gradient == "token":
        ratio = lp.detach() - other
        loss = -(weights[..., None] * (gain[..., None] - 0.5 - BETA * ratio) * lp).sum()
    else:
        loss = losses.policy_gradient(lp, other, gain, BETA, weights, kl_gradient=kl_gradient).sum()
    (found,) = torch.autograd.grad(loss, policy.table)
    error = ((found + exact).norm() / exact.norm()).item()
    assert error > 1e-2 if kl_gradient == "token" else error <= 1e-10
