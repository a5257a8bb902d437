"""Tallying bandits: tallies, losses and regrets against plain readings, the policies against their pseudo-code, the bound."""

from math import ceil, log, log2, sqrt

import numpy as np
import pytest
from scipy import integrate, stats

import prefsim as ps
from prefsim import noise, registry
from prefsim.claim import check, select
from prefsim.claims._regret import truths
from prefsim.claims.tallying import follow
from prefsim.engines import reference
from prefsim.policies import warmup_elimination as rule

environment = registry.load("bandits", "tallying")
CLAIMS = select(["tallying", "warmup_elimination", "practice_curves"])
ODD = {"weights": [0.5, 2.0, 0.25], "curves": [[1.0, 0.2, 0.1], [0.4, 0.9, 0.3]]}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.key)
def test_claim_holds_and_its_controls_fail(claim):
    verdict = check(claim)
    assert verdict.outcome == "supported", verdict
    assert [control.outcome for control in verdict.controls] == ["violated"] * len(claim.controls), verdict


def test_tallies_and_losses_by_hand():
    """Weights 1/2, 2, 1/4 and W = 11/4: the curves' knots lie at 0, 11/8 and 11/4."""
    plays = [0, 0, 1, 0, 0, 0, 1, 1]
    expected = [0.5, 2.5, 0.5, 0.75, 2.5, 2.75, 0.5, 2.5]
    tallies, regret = follow(ps.bandits.tallying(**ODD, deviation=0.0), plays)
    np.testing.assert_array_equal(tallies, expected)
    losses = [np.interp(z, [0, 1.375, 2.75], ODD["curves"][arm]) for arm, z in zip(plays, expected, strict=True)]
    assert regret[0] == pytest.approx(sum(losses) - 8 * 0.1, rel=1e-12)
    assert np.isnan(regret[1])  # weights that grow with age


def test_complete_policy_regret_by_hand():
    """h_0 = 1, 1/2, 0 and h_1 = .8, .4, .2 at tallies 0, 1, 2: staying with arm 0 costs 1/2, 0, 0, with arm 1 .4, .2, .2."""
    bandit = ps.bandits.tallying([1.0, 1.0], [[1.0, 0.5, 0.0], [0.8, 0.4, 0.2]], deviation=0.0)
    for plays, cost, least in (([1], 0.4, 0.4), ([0, 1], 0.9, 0.5), ([1, 0, 1, 1], 1.5, 0.5)):
        np.testing.assert_allclose(follow(bandit, plays)[1], [cost, cost - least], rtol=1e-12)
    for unknown in ({"weights": [1.0, 2.0]}, {"curves": [[0.5, 0.6, 0.0]]}):
        odd = ps.bandits.tallying(**{"weights": [1.0, 1.0], "curves": [[1.0, 0.5, 0.0]], **unknown})
        assert np.isnan(follow(odd, [0])[1][1])


def test_recorded_regrets_in_a_run():
    """An arm alone: its warm-up is all the regret there is, and no sequence does better."""
    alone = ps.bandits.tallying([1.0, 1.0, 1.0], [[0.9, 0.8, 0.5, 0.2]], deviation=0.5)
    data = ps.run(alone, ["uniform"], horizon=50, runs=3, metrics=["regret", "cpr"], record=[1, 2, 3, 50])
    np.testing.assert_allclose(data["regret"].values[0, 0], np.array([[0, 0.6, 0.9, 0.9, 0.9]] * 3), rtol=1e-12)
    np.testing.assert_allclose(data["cpr"].values, 0, atol=1e-12)
    assert data["regret"].attrs["normalisation"] == "cpr_hat" and data["regret"].attrs["largest_gap"] == pytest.approx(0.7)


@pytest.mark.parametrize(("deviation", "loss"), [(0.1, 0.3), (0.1, 0.95), (0.3, 0.5), (0.5, 0.3)])
def test_noise_has_the_stated_moments(deviation, loss):
    truth = truths(ps.bandits.tallying([1.0], [[loss, loss]], deviation))[0]
    world = reference.allocate(environment)(ps.bandits.tallying([1.0], [[loss, loss]]).problem(), truth)
    nature = noise.open_stream(*noise.stream_key(0, "", "environment"), 0, 0)
    rewards = []
    for t in range(1, 4001):
        noise.seek(nature, t)
        rewards.append(environment.feedback(truth, world, 0, t, nature))
    assert 0 <= min(rewards) and max(rewards) <= 1
    spread = 4 * deviation**2 * loss * (1 - loss)
    assert np.mean(rewards) == pytest.approx(1 - loss, abs=4 * sqrt(spread / 4000))
    assert np.var(rewards) == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("deviation", [0.05, 0.1, 0.3, 0.45])
@pytest.mark.parametrize("loss", [0.02, 0.3, 0.5, 0.9])
def test_deviation_is_a_sub_gaussian_parameter(deviation, loss):
    k = 1 / (4 * deviation**2) - 1
    law = stats.beta(k * loss, k * (1 - loss))
    for pull in np.array([-4, -1, 1, 4]) / deviation:

        def tilted(x, pull=pull):
            return np.exp(pull * (x - loss)) * law.pdf(x)

        moment = integrate.quad(tilted, 0, 0.5, limit=200)[0] + integrate.quad(tilted, 0.5, 1, limit=200)[0]
        assert log(moment) <= pull**2 * deviation**2 / 2 + 1e-6


def test_practice_curves_are_the_printed_ones():
    bandit = ps.bandits.practice_curves(arms=5, memory=20, gap=0.05, seed=3)
    truth = truths(bandit)[0]
    y = np.arange(21) / 20
    at = np.array([[environment.loss_at(truth, arm, float(z)) for z in range(21)] for arm in range(5)])
    np.testing.assert_allclose(at[0], 0.3 + 0.65 * (1 - y**6), rtol=1e-12)
    end, fresh = at[1:, -1:], at[1:, :1]
    np.testing.assert_allclose(at[1:], end + (fresh - end) * (1 - y), rtol=1e-12)
    assert (0.35 <= end).all() and (end <= 0.4).all() and (0.5 <= fresh).all() and (fresh <= 0.7).all()
    assert truth.falling[0] == 1 and at[0, 0] == at[:, 0].max()
    other = ps.bandits.practice_curves(memory=20, decay=0.9)
    np.testing.assert_allclose(other.truth.ladder[0], (1 - 0.9 ** np.arange(1, 21)) / 0.1, rtol=1e-12)
    assert ps.bandits.practice_curves(seed=4).truth.gap[0, 1] != ps.bandits.practice_curves().truth.gap[0, 1]


def eliminate(rewards, arms, horizon, M, phases, warmup, deviation):
    """Plays of the pseudo-code, told ``rewards(t, arm)``; a generator of arms."""
    active, t, s = list(range(arms)), 1, 0
    while True:
        s += 1
        n = {0: max(2**s, M), 1: M * 2 ** (s - 1), 2: 2**s}[phases]
        means = []
        for arm in active:
            told = []
            for _ in range((M if warmup else 0) + n):
                yield arm
                told.append(rewards(t, arm))
                t += 1
            means.append(np.mean(told[-n:]))
        radius = deviation * sqrt(2 * log(2 * arms * horizon) / n)
        active = [arm for arm, mean in zip(active, means, strict=True) if max(means) - mean <= 2 * radius]
        while len(active) == 1:
            yield active[0]


@pytest.mark.parametrize("phases", [0, 1, 2])
@pytest.mark.parametrize("warmup", [True, False])
def test_elimination_plays_its_pseudo_code(phases, warmup):
    random = np.random.default_rng(phases)
    table = np.clip(random.normal([0.2, 0.5, 0.55, 0.9], 0.1, (600, 4)), 0, 1)
    live = ps.agent("warmup_elimination", arms=4, horizon=600, hints=[7], deviation=0.1, phases=phases, warmup=warmup)
    plain = eliminate(lambda t, arm: table[t - 1, arm], 4, 600, 7, phases, warmup, 0.1)
    played = []
    for row in table:
        played.append(live.act())
        live.learn(played[-1], row[played[-1]])
    assert played == [next(plain) for _ in table]
    assert played[-1] == 3 and set(played) == {0, 1, 2, 3}


def test_commit_plays_its_pseudo_code():
    T, K, M = 600, 3, 5
    live = ps.agent("warmup_commit", arms=K, horizon=T, memory=M, hints=[99])
    n = ceil((T / K) ** (2 / 3) * log(T) ** (1 / 3))
    played = []
    for t in range(T):
        arm = live.act()
        played.append(arm)
        # Arm 2 pays all through its warm-up, arm 1 once, in the round after it.
        live.learn(arm, float((arm == 2 and t % (M + n) < M) or (arm == 1 and t % (M + n) == M)))
    assert played == [0] * (M + n) + [1] * (M + n) + [2] * (M + n) + [1] * (T - 3 * (M + n))
    short = ps.agent("warmup_commit", arms=4, horizon=10, hints=[20])
    for _ in range(10):
        short.learn(short.act(), 0.5)


def test_bound_by_hand():
    """m = M = 2, one rival with D = 1/2, sigma = 1/2: it goes in the ninth phase."""
    bandit = ps.bandits.tallying([1.0, 1.0], [[0.9, 0.9, 0.1], [0.8, 0.7, 0.6]], deviation=0.5)
    truth, problem = truths(bandit)[0], bandit.problem(70_000)
    need = 8 * log(280_000) / 0.25
    sizes = [2**s for s in range(1, 10)]
    assert sizes[-2] <= need < sizes[-1]
    rival = 9 * (0.7 + 0.5) + 0.5 * sum(sizes)
    begun = next(s for s in range(1, 40) if sum(2 * (2 + 2**r) for r in range(1, s + 1)) >= 70_000)
    expected = rival + 10 * 0.8 + begun * 0.8
    assert rule.regret_bound(rule.Hyper(), truth, problem, np.array([70_000]))[0] == pytest.approx(expected, rel=1e-12)
    early = rule.regret_bound(rule.Hyper(), truth, problem, np.array([0, 1, 10]))
    np.testing.assert_allclose(early[:2], [0, 0.8], rtol=1e-12)
    for hyper in (rule.Hyper(memory=1), rule.Hyper(warmup=False), rule.Hyper(scale=0.5)):
        assert np.isnan(rule.regret_bound(hyper, truth, problem, np.array([10, 100]))).all()


@pytest.mark.parametrize("M", [20, 80, 1280])
@pytest.mark.parametrize("phases", [0, 1])
def test_bound_lies_below_the_printed_form(M, phases):
    bandit, T = ps.bandits.practice_curves(), 10**6
    truth, L, m = truths(bandit)[0], log(2 * 10 * 10**6), 20
    need = [32 * 0.01 * L / gap**2 for gap in truth.gap[1:]]
    if phases == 1:
        last = [2 + log2(max(1, n / M)) for n in need]
        rest = [max(2 * M * gap, 4 * n * gap) for n, gap in zip(need, truth.gap[1:], strict=True)]
        cost = sum((m - 1 + M * gap) * s + r for s, r, gap in zip(last, rest, truth.gap[1:], strict=True))
    else:
        last = [1 + log2(max(2, n)) for n in need]
        cost = sum((m - 1 + 2 * M * gap) * s + 4 * n * gap for s, n, gap in zip(last, need, truth.gap[1:], strict=True))
    printed = cost + (m - 1) * (max(last) + 1) + 2 + log2(T / M)
    ours = rule.regret_bound(rule.Hyper(memory=M, phases=phases), truth, bandit.problem(T), np.array([T]))[0]
    assert 0 < ours <= printed


def test_bound_stands_beside_the_data_under_reo_only():
    data = ps.run("practice_curves", ["warmup_elimination", "ucb1"], horizon=1000)
    assert np.isfinite(data["regret_bound"].values[0]).all() and np.isnan(data["regret_bound"].values[1]).all()
    free = ps.bandits.tallying(curves=[[0.1, 0.2, 0.3]], reo=False)
    assert "regret_bound" not in ps.run(free, ["warmup_elimination"], horizon=100)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": []}, "weights must be a list"),
        ({"weights": [1.0, -0.1]}, "numbers >= 0"),
        ({"weights": [0.0, 0.0]}, "not all 0"),
        ({"weights": [np.nan]}, "finite"),
        ({"curves": [0.1, 0.2]}, "shape"),
        ({"curves": [[0.1]]}, "knots >= 2"),
        ({"curves": [[1.2, 0.5]]}, "mean losses in"),
        ({"deviation": 0.6}, "deviation must lie in"),
        ({"curves": [[0.5, 0.4], [0.1, 0.5]]}, "repeated exposure optimality"),
    ],
)
def test_bad_input_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        ps.bandits.tallying(**change)


def test_losses_that_are_never_charged_do_not_break_optimality():
    """A played arm has the tally ``w_0`` at least, so that what lies below it is nobody's loss."""
    curves = [[0.0, 0.5, 0.4]]
    assert ps.bandits.tallying([1.0, 1.0], curves).truth.best[0, 0] == 0.4
    with pytest.raises(ValueError, match=r"a loss of 0.25 is attained"):
        ps.bandits.tallying([0.5, 0.5, 0.5, 0.5], curves)


@pytest.mark.parametrize("change", [{"arms": 1}, {"memory": 0}, {"gap": 0.2}, {"decay": 0.0}])
def test_practice_curves_refuse(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        ps.bandits.practice_curves(**change)
    with pytest.raises(ValueError, match="memory must be >= 0"):
        ps.run("practice_curves", [("warmup_commit", {"memory": -1})], horizon=10)
    with pytest.raises(ValueError, match="phases 0, 1 or 2"):
        ps.run("practice_curves", [("warmup_elimination", {"phases": 3})], horizon=10)
