"""Samples across prompts: wasted samples by hand and by the optimum, and Reinforce-Ada against a plain reading."""

import numpy as np
import pytest
from scipy import optimize

import prefsim as ps
from prefsim.claim import check, select
from prefsim.claims._regret import truths
from prefsim.registry import load

environment = load("bandits", "prompt_allocation")


@pytest.mark.parametrize("claim", select(["reinforce_ada"]), ids=lambda claim: claim.key)
def test_claim_holds_and_its_controls_fail(claim):
    verdict = check(claim)
    assert verdict.outcome == "supported", verdict
    assert [control.outcome for control in verdict.controls] == ["violated"] * len(claim.controls), verdict


@pytest.mark.parametrize("objective", ["success", "log_success"])
def test_wasted_samples_are_those_the_best_allocation_saves(objective):
    """The least ``sum n`` at the same variance, found numerically, is what was asked minus what was wasted."""
    chances, plays = np.array([0.05, 0.3, 0.8]), [0, 1, 0, 2, 2, 1, 2, 2, 0, 1]
    cost = chances * (1 - chances) if objective == "success" else 1 / chances - 1
    truth = truths(ps.bandits.prompt_allocation(chances, objective))[0]
    world, total = environment.State(np.zeros(3), np.zeros(1)), []
    for t, arm in enumerate(plays, 1):
        total.append(environment.regrets(truth, world, arm, t, 0.0)[0])
    np.testing.assert_array_equal(np.cumsum(total)[:3], [1, 2, 3])
    variance = (cost / np.bincount(plays)).sum()
    same = {"type": "eq", "fun": lambda n: (cost * np.exp(-n)).sum() / variance - 1}
    fewest = optimize.minimize(lambda n: np.exp(n).sum(), np.log([3.0, 3.0, 3.0]), constraints=same).fun
    assert sum(total) == pytest.approx(len(plays) - fewest, rel=1e-5)


def test_best_shares_waste_nothing():
    """Chances 1/2, 1/5, 1/10 have c = 1, 4, 9 for the logarithm, so that shares 1 : 2 : 3 are best."""
    bandit = ps.bandits.prompt_allocation([0.5, 0.2, 0.1])
    np.testing.assert_allclose(bandit.truth.cost, [[1, 4, 9]], rtol=1e-14)
    truth, world = truths(bandit)[0], environment.State(np.zeros(3), np.zeros(1))
    plays = [0, 1, 1, 2, 2, 2] * 5
    total = np.cumsum([environment.regrets(truth, world, arm, t, 0.0)[0] for t, arm in enumerate(plays, 1)])
    np.testing.assert_allclose(total[5::6], 0, atol=1e-12)
    assert (total[2::6] > 0.1).all()


@pytest.mark.parametrize("policy", ["reinforce_ada", "uniform", "thompson"])
def test_engines_agree_on_it(policy):
    plain, fast = (
        ps.run("prompt_allocation", [policy], horizon=300, runs=3, engine=e)["regret"] for e in ("reference", "numba")
    )
    np.testing.assert_array_equal(plain, fast)
    assert (plain.attrs["normalisation"], plain.attrs["units"]) == ("wasted_samples", "samples")
    assert (plain >= 0).all() and (plain <= plain["t"]).all()


def ask(answers, arms, positives, negatives, group, cap):
    """Prompts asked by the rule, told ``answers(t)``; a generator."""
    t = 0
    while True:
        active, right, wrong = list(range(arms)), [0] * arms, [0] * arms
        while active:
            for arm in active:
                for _ in range(group):
                    yield arm
                    right[arm], wrong[arm] = right[arm] + answers[t], wrong[arm] + 1 - answers[t]
                    t += 1
            active = [
                a for a in active if (right[a] < positives or wrong[a] < negatives) and not (cap and right[a] + wrong[a] >= cap)
            ]


@pytest.mark.parametrize(("positives", "negatives"), [(1, 0), (2, 2), (0, 1)])
@pytest.mark.parametrize(("group", "cap"), [(1, 0), (1, 6), (3, 6)])
def test_reinforce_ada_plays_its_pseudo_code(positives, negatives, group, cap):
    answers = (np.random.default_rng(5).random(400) < 0.3).astype(int)
    live = ps.agent("reinforce_ada", arms=4, positives=positives, negatives=negatives, group=group, cap=cap)
    played = []
    for answer in answers:
        played.append(live.act())
        live.learn(played[-1], float(answer))
    plain = ask(answers, 4, positives, negatives, group, cap)
    assert played == [next(plain) for _ in answers]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        ps.bandits.prompt_allocation([0.0, 0.5])
    with pytest.raises(ValueError, match="objective must be"):
        ps.bandits.prompt_allocation(objective="variance")
    for hyper in ({"group": 0}, {"positives": 0}, {"cap": -1}):
        with pytest.raises(ValueError, match=r"must be at least|must be above 0"):
            ps.run("prompt_allocation", [("reinforce_ada", hyper)], horizon=10)
