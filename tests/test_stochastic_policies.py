"""Stochastic bandits: environments against their laws, policies against plain readings, bounds against closed forms."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

import prefsim as ps
from prefsim import noise, registry
from prefsim.agent import agent
from prefsim.bandit import Problem
from prefsim.claim import check
from prefsim.claims._regret import Share, truths
from prefsim.claims.stochastic_bandits import CLAIMS
from prefsim.policies import epsilon_greedy, explore_then_commit, gaussian_thompson, kl_ucb, moss
from prefsim.policies import successive_elimination as elimination
from prefsim.policies import ucb_asymptotic as ucb

HARD = truths(ps.bandits.bernoulli([0.5, *[0.4] * 9]))[0]
"""Ten coins, nine of them .1 below the best."""


# Environments


def sample(bandit, arm=0, count=20_000):
    environment, stream = registry.load("bandits", bandit.environment), noise.open_stream(1, 2, 0, 0)
    truth = truths(bandit)[0]
    values = np.empty(count)
    for t in range(count):
        noise.seek(stream, t)
        values[t] = environment.feedback(truth, (), arm, t, stream)
    return values


LAWS = [
    (ps.bandits.gaussian([0.0, -2.0], deviation=0.7), 1, stats.norm(-2, 0.7)),
    (ps.bandits.beta_bandit([0.3, 0.6], concentration=5.0), 0, stats.beta(1.5, 3.5)),
    (ps.bandits.heavy_tailed([1.0, 3.0], index=1.3, scale=2.0), 1, stats.t(1.3, loc=3, scale=2)),
    (ps.bandits.heavy_tailed([1.0], index=2.5, tail="pareto", scale=0.5), 0, stats.pareto(2.5, loc=1 - 2.5 / 3, scale=0.5)),
]


@pytest.mark.parametrize(("bandit", "arm", "law"), LAWS, ids=["normal", "beta", "student", "pareto"])
def test_rewards_follow_their_law(bandit, arm, law):
    assert stats.kstest(sample(bandit, arm), law.cdf).pvalue > 1e-3
    assert law.mean() == pytest.approx(bandit.truth.means[0, arm])
    np.testing.assert_allclose(bandit.truth.gap, bandit.truth.means.max() - bandit.truth.means)


def test_policies_are_told_the_deviation():
    assert ps.bandits.gaussian(deviation=0.3).problem().deviation == 0.3
    assert ps.bandits.beta_bandit().problem().deviation == 0.5


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: ps.bandits.gaussian([0.0, np.nan]), "finite mean rewards"),
        (lambda: ps.bandits.gaussian([]), "shape"),
        (lambda: ps.bandits.gaussian(deviation=0.0), "deviation must be finite and above 0"),
        (lambda: ps.bandits.beta_bandit([0.5, 1.0]), "strictly between 0 and 1"),
        (lambda: ps.bandits.beta_bandit([0.5, 1.2]), "in \\[0, 1\\]"),
        (lambda: ps.bandits.beta_bandit(concentration=0.0), "concentration"),
        (lambda: ps.bandits.heavy_tailed(index=1.0), "index must be above 1"),
        (lambda: ps.bandits.heavy_tailed(scale=-1.0), "scale above 0"),
        (lambda: ps.bandits.heavy_tailed(tail="cauchy"), 'must be "student" or "pareto"'),
        (lambda: ps.run(ps.bandits.gaussian(), ["kl_ucb"], horizon=5), "rewards in \\[0, 1\\]"),
    ],
)
def test_bad_environments_are_refused(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()


def test_lower_bounds_have_the_printed_values():
    bernoulli, gaussian = (registry.load("bandits", key) for key in ("bernoulli", "gaussian"))
    assert bernoulli.regret_slope_lower(HARD) == pytest.approx(44.70, abs=0.005)
    pair = truths(ps.bandits.bernoulli([0.3, 0.8]))[0]
    entropy = 0.3 * math.log(0.3 / 0.8) + 0.7 * math.log(0.7 / 0.2)
    assert bernoulli.regret_slope_lower(pair) == pytest.approx(0.5 / entropy)
    assert bernoulli.regret_slope_lower(truths(ps.bandits.bernoulli([1.0, 0.5]))[0]) == 0  # one failure tells them apart
    bell = truths(ps.bandits.gaussian([1.0, 0.0, 0.5, 1.0], deviation=3.0))[0]
    assert gaussian.regret_slope_lower(bell) == pytest.approx(2 * 9 * (1 / 1 + 1 / 0.5))
    data = ps.run(ps.bandits.gaussian(), ["ucb_asymptotic", "gaussian_thompson", "uniform"], horizon=20, engine="reference")
    assert data["regret_slope_lower"].values.tolist() == [[6.0]] * 3
    np.testing.assert_array_equal(data["regret_slope_upper"].values, [[6.0], [6.0], [np.nan]])


# Policies against plain readings


def drive(key, rounds, rewards, seed=0, deviation=0.5, **hyper):
    """Play a policy's plain functions; yield round, rewards seen per arm, the live agent and its arm."""
    live = agent(key, len(rewards), seed=seed, horizon=rounds, deviation=deviation, **hyper)
    seen = [[] for _ in rewards]
    for t in range(1, rounds + 1):
        arm = live.act()
        yield t, seen, live, arm
        seen[arm].append(float(rewards[arm]()))
        live.learn(arm, seen[arm][-1])


def coins(means, seed=5):
    generator = np.random.default_rng(seed)
    return [lambda m=m: generator.random() < m for m in means]


def fractions(means, seed=5):
    generator = np.random.default_rng(seed)
    return [lambda m=m: generator.beta(2 * m, 2 - 2 * m) for m in means]


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in ((p, q), (1 - p, 1 - q)) if a > 0)


def kl_index(mean, level):
    """Largest q with kl(mean, q) <= level, by bisection."""
    low, high = mean, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if middle < 1 and kl(mean, middle) <= level else (low, middle)
    return low


def index_of(key, rewards, t, arms, horizon, deviation, hyper):
    """The index as the papers print it."""
    pulls, mean = len(rewards), np.mean(rewards)
    if key == "ucb_asymptotic":
        return mean + deviation * math.sqrt(2 * math.log(1 + t * math.log(t) ** 2) / pulls)
    if key == "moss":
        return mean + deviation * math.sqrt(4 / pulls * max(0, math.log(horizon / (arms * pulls))))
    level = math.log(t) + hyper.get("c", 0) * max(0, math.log(max(math.log(t), 1)))
    return kl_index(mean, level / pulls)


@pytest.mark.parametrize(
    ("key", "rewards", "deviation", "hyper"),
    [
        ("ucb_asymptotic", coins([0.2, 0.5, 0.45, 0.6]), 0.5, {}),
        ("ucb_asymptotic", fractions([0.2, 0.5]), 1.3, {}),
        ("moss", coins([0.2, 0.5, 0.45, 0.6]), 0.5, {}),
        ("moss", fractions([0.2, 0.5]), 1.3, {}),
        ("kl_ucb", coins([0.2, 0.5, 0.45, 0.6]), 0.5, {}),
        ("kl_ucb", coins([0.0, 1.0, 0.99, 0.02]), 0.5, {}),
        ("kl_ucb", fractions([0.2, 0.5, 0.6]), 0.5, {"c": 3.0}),
    ],
)
def test_the_largest_index_is_played(key, rewards, deviation, hyper):
    arms, rounds = len(rewards), 700
    for t, seen, live, arm in drive(key, rounds, rewards, deviation=deviation, **hyper):
        if t <= arms:
            assert not seen[arm]
            continue
        index = [index_of(key, r, t, arms, rounds, deviation, hyper) for r in seen]
        assert index[arm] >= max(index) - 1e-9
        if key == "kl_ucb":  # bounds everywhere, exact at the top
            assert live.state.index[arm] == pytest.approx(max(index), abs=1e-9)
            assert (live.state.index >= np.array(index) - 1e-9).all()


@pytest.mark.parametrize("mean", [0.0, 1e-9, 1e-4, 0.2, 0.5, 0.93, 1 - 1e-6, 1.0])
def test_kl_index_solves_its_equation(mean):
    for level in (1e-8, 1e-5, 1e-3, 0.1, 1.0, 3.0, 13.8, 40.0):
        expected = kl_index(mean, level)
        for start in (0.0, mean, mean + 1e-12, (mean + expected) / 2, expected, (1 + expected) / 2, 1 - 1e-12, 2.0):
            assert kl_ucb.solve(mean, level, start) == pytest.approx(expected, abs=1e-9)


def test_kl_ucb_computes_few_indices(monkeypatch):
    calls, solve = [], kl_ucb.solve
    monkeypatch.setattr(kl_ucb, "solve", lambda *arguments: calls.append(1) or solve(*arguments))
    for _ in drive("kl_ucb", 2000, coins(HARD.means)):
        pass
    assert 2000 - 10 <= len(calls) < 2 * 2000  # of ten a round


@pytest.mark.parametrize("key", ["ucb_asymptotic", "kl_ucb", "moss", "epsilon_greedy", "explore_then_commit"])
def test_ties_are_broken_at_random(key):
    """Two arms with equal data so far: either is played next in about half of the runs."""
    plays = []
    for seed in range(200):
        hyper = {"epsilon": 1e-9} if key == "epsilon_greedy" else {"gap": 10.0} if key == "explore_then_commit" else {}
        live = agent(key, 2, seed=seed, horizon=100, **hyper)
        for _ in range(2):
            live.learn(live.act(), 0.25)
        plays.append(live.act())
    assert stats.binomtest(sum(plays), len(plays)).pvalue > 1e-4


@pytest.mark.parametrize(("deviation", "scale"), [(0.5, 1.0), (2.0, 1.0), (1.0, 0.5)])
def test_gaussian_thompson_plays_by_the_posterior(deviation, scale):
    plays = 0
    for seed in range(1000):
        live = agent("gaussian_thompson", 2, seed=seed, deviation=deviation, scale=scale)
        first = live.act()
        live.learn(first, 1.0 if first == 0 else 0.4)
        for _ in range(2):  # the other arm without data comes next
            if live.t == 1:
                assert live.act() == 1 - first
                live.learn(1 - first, 0.4 if first == 0 else 1.0)
        plays += live.act() == 0
    chance = stats.norm.cdf(0.6 / (scale * deviation * math.sqrt(2)))
    assert stats.binomtest(plays, 1000, chance).pvalue > 1e-4


def test_gaussian_posterior_narrows_with_the_pulls():
    drawn = []
    for _, seen, live, _ in drive("gaussian_thompson", 600, fractions([0.5, 0.6]), deviation=1.5):
        for i, rewards in enumerate(seen):
            if rewards:
                assert live.state.root[i] == pytest.approx(1 / math.sqrt(len(rewards)))
                drawn.append((live.state.index[i] - np.mean(rewards)) / (1.5 / math.sqrt(len(rewards))))
    assert stats.kstest(drawn, stats.norm.cdf).pvalue > 1e-3


@pytest.mark.parametrize(("hyper", "chance"), [({"c": 2.0, "gap": 0.5}, 8 * 4 / 50), ({"epsilon": 0.3}, 0.3), ({"c": 1e9}, 1)])
def test_epsilon_greedy_explores_as_often_as_it_says(hyper, chance):
    count = np.zeros(4)
    for seed in range(800):
        live = agent("epsilon_greedy", 4, seed=seed, **hyper)
        live.t = 49  # the next round is number 50
        live.state.pulls[:], live.state.mean[:] = 12, (0.1, 0.9, 0.2, 0.3)
        count[live.act()] += 1
    expected = np.full(4, chance / 4)
    expected[1] += 1 - chance
    assert stats.chisquare(count, 800 * expected).pvalue > 1e-4


def test_epsilon_greedy_keeps_means_and_sees_every_arm_first():
    for t, seen, live, arm in drive("epsilon_greedy", 80, fractions([0.3, 0.6, 0.2]), c=1e9):
        if t <= 3:
            assert not seen[arm]
        else:
            np.testing.assert_allclose(live.state.mean, [np.mean(r) for r in seen])


def test_commitment_lengths_are_the_printed_ones():
    def turns(arms, horizon, deviation=1.0, gap=0.0):
        return explore_then_commit.turns(explore_then_commit.Hyper(gap), Problem(arms, horizon, deviation))

    assert turns(2, 10_000, gap=0.2) == math.ceil(4 / 0.04 * math.log(10_000 * 0.04 / 4))
    assert turns(2, 10_000, deviation=0.5, gap=0.2) == math.ceil(1 / 0.04 * math.log(10_000 * 0.04))
    assert turns(2, 10, gap=0.2) == 1  # too few rounds to tell them apart
    assert turns(10, 100_000) == math.ceil(10_000 ** (2 / 3) * math.log(100_000) ** (1 / 3))
    assert turns(10, 1000, deviation=5.0, gap=0.5) == 100  # ceil(367) would take more rounds than there are
    assert turns(10, 4) == 1


@pytest.mark.parametrize(("rewards", "hyper"), [(coins([0.3, 0.5, 0.2]), {}), (fractions([0.4, 0.6]), {"gap": 0.2})])
def test_exploration_in_turn_then_the_best_mean(rewards, hyper):
    arms, rounds = len(rewards), 900
    count = explore_then_commit.turns(explore_then_commit.Hyper(**hyper), Problem(arms, rounds))
    committed = None
    for t, seen, _, arm in drive("explore_then_commit", rounds, rewards, **hyper):
        if t <= count * arms:
            assert len(seen[arm]) == (t - 1) // arms
        elif committed is None:
            committed = arm
            assert len(seen[arm]) == count and np.mean(seen[arm]) == max(np.mean(r) for r in seen)
        assert committed in (None, arm)
    assert committed is not None


def eliminate(rewards, rounds, deviation, delta, scale):
    """Pseudo-code of successive elimination: yield the arm of every round."""
    active, seen = list(range(len(rewards))), [[] for _ in rewards]
    while True:
        for arm in list(active):
            reward = yield arm
            seen[arm].append(reward)
        means = [np.mean(seen[arm]) for arm in active]
        level = math.log(2 * len(rewards) * rounds / (delta or 1 / rounds))
        radius = scale * deviation * math.sqrt(2 * level / len(seen[active[0]]))
        active = [arm for arm, mean in zip(active, means, strict=True) if max(means) - mean <= 2 * radius]


@pytest.mark.parametrize(("delta", "scale", "deviation"), [(0.0, 1.0, 0.5), (0.3, 0.2, 0.5), (0.05, 0.1, 2.0)])
def test_elimination_follows_the_pseudo_code(delta, scale, deviation):
    rewards, rounds = coins([0.1, 0.9, 0.8, 0.4, 0.7]), 1500
    plain = eliminate(rewards, rounds, deviation, delta, scale)
    expected, last, left = next(plain), [], []
    settings = {"deviation": deviation, "delta": delta, "scale": scale}
    for _, seen, live, arm in drive("successive_elimination", rounds, rewards, **settings):
        if last:
            expected = plain.send(last[-1])
        assert arm == expected
        last = seen[arm]
        left.append(live.state.count[0])
    assert left[0] == 5 and left[-1] < 5


def test_elimination_recommends_an_active_arm():
    problem = Problem(3, 100)
    live = agent("successive_elimination", 3, horizon=100)
    live.state.total[:], live.state.active[:], live.state.count[0] = (9, 5, 7), (1, 2, 0), 2
    assert elimination.recommend(elimination.Hyper(), live.state, problem, 10) == 2


# Bounds


def test_bounds_have_the_printed_values():
    problem = Problem(10, 10**6)
    assert moss.regret_bound(moss.Hyper(), HARD, problem, [1, 10**6]) == pytest.approx([61664.4 + 0.9] * 2, abs=0.05)
    assert kl_ucb.regret_slope(kl_ucb.Hyper(c=3.0), HARD, problem) == pytest.approx(44.70, abs=0.005)
    assert math.isnan(kl_ucb.regret_slope(kl_ucb.Hyper(), HARD, problem))
    assert ucb.regret_slope(ucb.Hyper(), HARD, problem) == pytest.approx(9 / (2 * 0.1))
    noisy = problem._replace(deviation=3.0)
    assert gaussian_thompson.regret_slope(gaussian_thompson.Hyper(), HARD, noisy) == pytest.approx(9 * 2 * 9 / 0.1)
    # 8 ln(2 K T^2) / D + D a wrong arm, and D T delta for missing
    expected = 9 * (8 * math.log(2e13) / 0.1 + 0.1) + 0.1
    assert elimination.regret_bound(elimination.Hyper(), HARD, problem, 10**6) == pytest.approx(expected)
    loose = elimination.Hyper(delta=0.2)
    expected = 9 * (8 * math.log(1e8) / 0.1 + 0.1) + 0.2 * 0.1 * 500
    assert elimination.regret_bound(loose, HARD, problem, 500) == pytest.approx(expected)
    greedy = epsilon_greedy.Hyper(c=6.0, gap=0.1)
    assert epsilon_greedy.regret_slope(greedy, HARD, problem) == pytest.approx(600 * 0.9)


@pytest.mark.parametrize("deviation", [0.5, 2.0])
def test_ucb_bound_attains_its_infimum(deviation):
    truth, t = truths(ps.bandits.gaussian([0.0, -0.3, -1.2]))[0], 5000.0
    level = math.log(1 + t * math.log(t) ** 2)
    total = 0.0
    for gap in (0.3, 1.2):

        def cost(e, gap=gap):
            spread = 2 * deviation**2 * (level + math.sqrt(math.pi * level) + 1)
            return gap * (1 + 5 * deviation**2 / e**2 + spread / (gap - e) ** 2)

        total += optimize.minimize_scalar(cost, bounds=(1e-6, gap - 1e-6), method="bounded", options={"xatol": 1e-10}).fun
    assert ucb.regret_bound(ucb.Hyper(), truth, Problem(3, 0, deviation), t) == pytest.approx(total, rel=1e-8)


def test_the_steps_behind_the_ucb_bound():
    """``sum 1 / f(t) <= 5/2``, and ``sum_s P(Z_s + sqrt(2 a / s) >= e) <= 1 + 2 (a + sqrt(pi a) + 1) / e^2``, means ``Z_s``."""
    rounds = np.arange(1.0, 1e6)
    assert (1 / (1 + rounds * np.log(rounds) ** 2)).sum() + 1 / math.log(1e6 - 1) <= 2.5
    counts = np.arange(1, 200_000)
    for a, e in ((2.0, 0.5), (10.0, 0.2), (20.0, 1.0)):
        tail = stats.norm.sf(np.sqrt(counts) * (e - np.sqrt(2 * a / counts))).sum()
        assert tail <= 1 + 2 / e**2 * (a + math.sqrt(math.pi * a) + 1)


def test_commitment_bound_is_within_the_printed_one():
    for gap in (0.01, 0.05, 0.2, 1.0):
        truth = truths(ps.bandits.gaussian([0.0, -gap]))[0]
        for horizon in (2, 50, 1000, 10**5, 10**7):
            for s in (0.5, 1.0, 3.0):
                problem = Problem(2, horizon, s)
                bound = explore_then_commit.regret_bound(explore_then_commit.Hyper(gap), truth, problem, np.array([horizon]))
                unit = gap**2 / (4 * s**2)
                printed = min(horizon * gap, gap + gap / unit * (1 + max(0, math.log(horizon * unit))))
                assert bound[0] <= printed * (1 + 1e-12)
    bound = explore_then_commit.regret_bound(explore_then_commit.Hyper(), HARD, Problem(10, 10**5), np.array([1, 10**5]))
    m = math.ceil(10_000 ** (2 / 3) * math.log(1e5) ** (1 / 3))
    assert bound == pytest.approx([0.1, m * 0.9 + (10**5 - 10 * m) * 0.9 * math.exp(-m * 0.01)])


def test_commitment_bound_covers_the_exact_regret():
    """Two Gaussians: the chance of committing to the worse one is known in closed form."""
    for gap, told, s, horizon in ((1.0, 1.0, 2.0, 500), (1.0, 4.0, 2.0, 500), (0.1, 0.6, 0.5, 2000)):
        problem, hyper = Problem(2, horizon, s), explore_then_commit.Hyper(told)
        m = explore_then_commit.turns(hyper, problem)
        wrong, rest = stats.norm.cdf(-gap * math.sqrt(m / 2) / s), (horizon - 2 * m) * gap
        truth = truths(ps.bandits.gaussian([0.0, -gap]))[0]
        assert m * gap + rest * wrong <= explore_then_commit.regret_bound(hyper, truth, problem, np.array([horizon]))[0]
        data = ps.run(ps.bandits.gaussian([0.0, -gap], s), [("explore_then_commit", {"gap": told})], horizon=horizon, runs=1500)
        share = (data.regret.values[0, 0, :, -1] - m * gap) / rest
        np.testing.assert_allclose(share, share.round(), atol=1e-9)
        assert stats.binomtest(int(share.round().sum()), 1500, wrong).pvalue > 1e-4


@pytest.mark.parametrize(
    ("rule", "hyper"),
    [
        (ucb, ucb.Hyper(0.5)),
        (moss, moss.Hyper(0.5)),
        (elimination, elimination.Hyper(scale=0.5)),
    ],
)
def test_no_bound_outside_the_assumptions(rule, hyper):
    assert np.isnan(rule.regret_bound(hyper, HARD, Problem(10, 100), np.array([10, 100]))).all()


def test_no_slope_outside_the_assumptions():
    for hyper in (epsilon_greedy.Hyper(), epsilon_greedy.Hyper(6.0, 0.2), epsilon_greedy.Hyper(6.0, 0.1, 0.1)):
        assert math.isnan(epsilon_greedy.regret_slope(hyper, HARD, Problem(10)))
    for rule in (ucb, gaussian_thompson):
        assert math.isnan(rule.regret_slope(rule.Hyper(0.5), HARD, Problem(10)))


@pytest.mark.parametrize(
    ("key", "hyper", "sentence"),
    [
        ("epsilon_greedy", {"epsilon": 1.5}, "epsilon must lie in"),
        ("epsilon_greedy", {"gap": 0.0}, "gap must lie in"),
        ("epsilon_greedy", {"c": -1.0}, "c must be >= 0"),
        ("explore_then_commit", {"gap": -0.1}, "gap must be >= 0"),
        ("ucb_asymptotic", {"scale": -1.0}, "scale must be >= 0"),
        ("moss", {"scale": -1.0}, "scale must be >= 0"),
        ("gaussian_thompson", {"scale": -1.0}, "scale must be >= 0"),
        ("kl_ucb", {"c": -1.0}, "c must be >= 0"),
        ("successive_elimination", {"delta": 1.0}, "delta must lie in"),
        ("successive_elimination", {"scale": -1.0}, "scale must be >= 0"),
    ],
)
def test_bad_hyperparameters_are_refused(key, hyper, sentence):
    with pytest.raises(ValueError, match=sentence):
        agent(key, 2, horizon=10, **hyper)


# Claims


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.key)
def test_claim_holds_and_its_controls_fail(claim):
    verdict = check(claim)
    assert verdict.outcome == ("consistent on this window" if claim.asymptotic else "supported"), verdict
    assert [control.outcome for control in verdict.controls] == ["violated"] * len(claim.controls), verdict


def test_shares_have_exact_limits():
    hits = np.zeros((50, 1))
    hits[:3] = 1
    value, low, high = Share(hits, 0.1, confidence=0.95).limits()
    assert value[0] == 0.06
    assert stats.binom.sf(2, 50, low[0]) == pytest.approx(0.05) and stats.binom.cdf(3, 50, high[0]) == pytest.approx(0.05)
    none = Share(np.zeros((50, 1)), 0.1, confidence=0.95)
    assert none.limits()[2][0] == pytest.approx(1 - 0.05 ** (1 / 50)) and none.judge()[0] == "supported"
    assert Share(np.zeros((20, 1)), 0.1, confidence=0.95).judge()[0] == "inconclusive"
    assert Share(np.ones((20, 1)), 0.1, confidence=0.95).judge()[0] == "violated"
