"""Slates: means and clicks by the position-based model, the policy against a plain reading, the feedback of an agent."""

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

import prefsim as ps
from prefsim import noise, registry
from prefsim.claim import check, select
from prefsim.claims._regret import truths
from prefsim.engines import reference

environment = registry.load("bandits", "slate_clicks")
rule = registry.load("policies", "in_slate_thompson")
THETA, KAPPA = (0.6, 0.5, 0.4, 0.1), (1.0, 0.2)
STEEP = ps.bandits.slate_clicks(THETA, KAPPA)


@pytest.mark.parametrize("claim", select(["slate_clicks", "in_slate_thompson"]), ids=lambda claim: claim.key)
def test_claim_holds_and_its_controls_fail(claim):
    verdict = check(claim)
    assert verdict.outcome == ("consistent on this window" if claim.asymptotic else "supported"), verdict
    assert [control.outcome for control in verdict.controls] == ["violated"] * len(claim.controls), verdict


def test_gaps_by_hand():
    slates = list(permutations(range(4), 2))
    assert STEEP.arms == len(slates) == 12
    truth = truths(STEEP)[0]
    for (first, second), features, gap in zip(slates, truth.features, truth.gap, strict=True):
        expected = np.zeros(4)
        expected[first], expected[second] = 1.0, 0.2
        np.testing.assert_array_equal(features, expected)
        assert gap == pytest.approx(0.7 - THETA[first] - 0.2 * THETA[second], abs=1e-15)


def test_policies_for_linear_rewards_are_told_what_they_need():
    known = {"deviation": np.sqrt(2) / 2, "norm": 2.0, "length": np.sqrt(1.04), "dimension": 4}
    assert {name: STEEP.known[name] for name in known} == pytest.approx(known)
    data = ps.run(STEEP, ["linucb", "in_slate_thompson"], horizon=100, runs=3)
    assert np.isfinite(data["regret_bound"].values[0]).all() and (data["regret"][0] <= data["regret_bound"][0]).all()


def test_clicks_follow_the_model():
    """Slate 5 puts item 1 first and item 3 second."""
    bandit = ps.bandits.slate_clicks(THETA, (0.5, 0.9))
    truth = truths(bandit)[0]
    assert truth.features[5].tolist() == [0.0, 0.5, 0.0, 0.9]
    world = reference.allocate(environment)(bandit.problem(), truth)
    nature, seen = noise.open_stream(*noise.stream_key(1, "", "environment"), 0, 0), np.zeros((2, 2))
    for t in range(1, 4001):
        noise.seek(nature, t)
        reward = environment.feedback(truth, world, 5, t, nature)
        assert np.isnan(world.report[[0, 2]]).all() and reward == world.report[1] + world.report[3]
        seen[int(world.report[1]), int(world.report[3])] += 1
    p, q = 0.5 * 0.5, 0.9 * 0.1
    expected = 4000 * np.outer([1 - p, p], [1 - q, q])
    assert stats.chisquare(seen.ravel(), expected.ravel()).pvalue > 1e-3


@pytest.mark.parametrize(("scale", "positions"), [(1.0, True), (0.5, False)])
def test_in_slate_thompson_draws_from_its_posterior(scale, positions):
    """After a fixed history the slate is the best one for draws of the stated law, made from the same noise."""
    problem, slates = STEEP.problem(), list(permutations(range(4), 2))
    problem.features[:] = truths(STEEP)[0].features
    hyper, state = rule.Hyper(scale, positions), reference.allocate(rule)(problem)
    rule.init(hyper, state, problem)
    clicks, exposure, rounds = np.full(4, 0.5), np.ones(4), np.ones(4)
    for t, (arm, *told) in enumerate([(0, 1.0, 0.0), (3, 0.0, 1.0), (7, 1.0, 1.0), (7, 0.0, 0.0)], 1):
        report = np.full(4, np.nan)
        for item, chance, click in zip(slates[arm], KAPPA, told, strict=True):
            report[item] = click
            clicks[item] += click
            exposure[item] += chance if positions else 1
            rounds[item] += 1
        rule.learn(hyper, state, problem, t, arm, report)
    played = []
    for seed in range(200):
        streams = [noise.open_stream(*noise.stream_key(seed, "", "policy"), 0, 0) for _ in range(2)]
        draws = [
            clicks[i] / exposure[i] + scale * np.sqrt(rounds[i] / 4) / exposure[i] * noise.normal(streams[0]) for i in range(4)
        ]
        played.append(rule.act(hyper, state, problem, 5, streams[1]))
        assert played[-1] == max(range(12), key=lambda a: draws[slates[a][0]] + 0.2 * draws[slates[a][1]])
    assert len(set(played)) > 4


def test_structure_pays_in_clicks():
    settings = {"horizon": 3000, "runs": 20}
    regret = ps.run("slate_clicks", ["in_slate_thompson", "lin_thompson", "gaussian_thompson"], **settings)["regret"]
    in_slate, linear, atomic = regret.isel(instance=0, t=-1).mean("run").values
    assert in_slate < 0.7 * linear and linear < 0.5 * atomic


def test_agent_is_told_clicks():
    features = truths(STEEP)[0].features
    live = ps.agent("in_slate_thompson", features=features)
    arm = live.act()
    for wrong in ([0.0, 0.0], 1.0, np.full(4, np.nan), np.full(4, 0.5)):
        with pytest.raises(ValueError, match="each of 4 items"):
            live.learn(arm, wrong)
    live.learn(arm, np.where(features[arm] > 0, 1.0, np.nan))
    np.testing.assert_array_equal(live.state.clicks, np.where(features[arm] > 0, 1.5, 0.5))
    np.testing.assert_array_equal(live.state.exposure, 1 + features[arm])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"attraction": [0.5, 1.2]}, r"attraction must hold mean rewards in \[0, 1\]"),
        ({"examination": [0.0]}, "chances above 0"),
        ({"examination": [[1.0]]}, "examination must list"),
        ({"attraction": [0.5], "examination": [1.0, 0.5]}, "1 items in 2 positions make 0 slates"),
        ({"attraction": np.full(30, 0.5)}, "make 24360 slates"),
    ],
)
def test_bad_input_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        ps.bandits.slate_clicks(**change)
    with pytest.raises(ValueError, match="scale must be >= 0"):
        ps.run("slate_clicks", [("in_slate_thompson", {"scale": -1.0})], horizon=10)
