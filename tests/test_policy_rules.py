"""Bandit rules: their caches against the definitions they stand for, the laws they draw from, and outside opinions."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

import prefsim as ps
from prefsim.agent import agent
from prefsim.noise import open_stream
from prefsim.policies import double_thompson

NO_WINNER = [
    [0.5, 0.7, 0.7, 0.2, 0.9],
    [0.3, 0.5, 0.8, 0.6, 0.8],
    [0.3, 0.2, 0.5, 0.7, 0.6],
    [0.8, 0.4, 0.3, 0.5, 0.6],
    [0.1, 0.2, 0.4, 0.4, 0.5],
]
"""Copeland scores 3, 3, 2, 2, 0 out of 4."""


def final(problem, policy, **settings):
    return ps.run(problem, [policy], **settings).regret.values[0, 0, :, -1]


def frequencies_agree(observed, chances):
    """Chi-square test of counts against probabilities, at a level no honest seed reaches."""
    observed, chances = np.asarray(observed, float), np.asarray(chances, float)
    assert observed[chances == 0].sum() == 0
    kept = chances > 0
    return kept.sum() == 1 or stats.chisquare(observed[kept], observed.sum() * chances[kept]).pvalue > 1e-4


def upper_bounds(wins, t, alpha):
    """``U(i, j)`` as the papers define it."""
    duels = wins + wins.T
    with np.errstate(divide="ignore", invalid="ignore"):
        bounds = np.where(duels > 0, wins / duels + np.sqrt(alpha * math.log(t) / duels), 1.0)
    np.fill_diagonal(bounds, 0.5)
    return bounds


def duels(policy, preference, rounds, seed=0, **hyper):
    """Drive a policy's plain functions; yield round, wins before it, the live agent and its action."""
    preference, generator = np.asarray(preference), np.random.default_rng(seed)
    live = agent(policy, len(preference), seed=seed, **hyper)
    wins = np.zeros(preference.shape)
    for t in range(1, rounds + 1):
        before = live.state.incumbent[0] if policy == "rucb" else None
        action = live.act()
        yield t, wins, live, action, before
        won = generator.random() < preference[action]
        live.learn(action, float(won))
        if action[0] != action[1]:
            wins[action if won else action[::-1]] += 1


@pytest.mark.parametrize("alpha", [0.51, 0.1])
@pytest.mark.parametrize("preference", [ps.bandits.cyclic4().truth.preference[0], NO_WINNER])
def test_rucb_follows_the_definition(preference, alpha):
    sizes = set()
    for t, wins, live, (champion, challenger), before in duels("rucb", preference, 500, alpha=alpha):
        bounds = upper_bounds(wins, t, alpha)
        if np.abs(bounds - 0.5)[wins + wins.T > 0].min(initial=1) < 1e-9:
            continue  # too close to call in floating point
        candidates = np.flatnonzero((bounds >= 0.5).all(axis=1))
        sizes.add(len(candidates))
        if len(candidates):
            assert champion in candidates
        if len(candidates) == 1:
            before = candidates[0]
        elif before not in candidates:
            before = -1
        assert live.state.incumbent[0] == before
        challengers = bounds[:, champion]
        assert challengers[challenger] >= challengers.max() - 1e-12
        others = np.delete(challengers, champion)
        assert challenger != champion or others.max() < 0.5
    assert 1 in sizes and max(sizes) > 1


@pytest.mark.parametrize(
    ("hurdle", "incumbent", "chances"),
    [
        ((0, 0, 0, 9), 1, (1 / 4, 1 / 2, 1 / 4, 0)),
        ((0, 0, 0, 9), -1, (1 / 3, 1 / 3, 1 / 3, 0)),
        ((0, 0, 0, 9), 3, (1 / 3, 1 / 3, 1 / 3, 0)),
        ((9, 9, 9, 9), 2, (1 / 4, 1 / 4, 1 / 4, 1 / 4)),
        ((9, 9, 0, 9), 1, (0, 0, 1, 0)),
    ],
)
def test_rucb_favours_the_incumbent(hurdle, incumbent, chances):
    count = np.zeros(4)
    for seed in range(400):
        live = agent("rucb", 4, seed=seed)
        live.state.hurdle[:], live.state.incumbent[0] = hurdle, incumbent
        count[live.act()[0]] += 1
    assert frequencies_agree(count, chances)


def test_rucb_prefers_a_duel_to_a_self_duel_on_ties():
    for seed in range(20):
        live = agent("rucb", 3, seed=seed)
        live.state.mean[:] = 0.5  # in the first round every bound is then exactly 1/2
        first, second = live.act()
        assert first != second


@pytest.mark.parametrize("tie", [False, True])
def test_rucb_singles_out_the_winner_unless_it_ties(tie):
    preference = np.full((4, 4), 0.5)
    preference[0, 1:], preference[1:, 0] = 0.8, 0.2
    if tie:
        preference[0, 1] = preference[1, 0] = 0.5
        preference[1, 2:], preference[2:, 1] = 0.8, 0.2
    for seed in range(2):
        for t, wins, *_ in duels("rucb", preference, 900, seed):
            candidates = np.flatnonzero((upper_bounds(wins, t, 0.51) >= 0.5).all(axis=1))
        assert candidates.tolist() == ([0, 1] if tie else [0])


@pytest.mark.parametrize("preference", [ps.bandits.cyclic4().truth.preference[0], NO_WINNER])
def test_double_thompson_prunes_by_the_definition(preference):
    alpha, sizes = 0.2, set()
    for t, wins, _, (champion, challenger), _ in duels("double_thompson", preference, 300, alpha=alpha):
        bounds = upper_bounds(wins, t, alpha)
        if np.abs(bounds - 0.5)[wins + wins.T > 0].min(initial=1) < 1e-9:
            continue
        hopes = (bounds >= 0.5).sum(axis=1)
        sizes.add((hopes == hopes.max()).sum())
        assert hopes[champion] == hopes.max()
        lower = 1 - bounds[champion, challenger]  # L(d, c) = 1 - U(c, d)
        assert challenger == champion or lower <= 0.5
    assert 1 in sizes and len(sizes) > 1


def sample_pairs(wins, t, alpha, runs, generator):
    """Double Thompson sampling as printed, all samples drawn, vectorised over runs; `wins` is (runs, K, K)."""
    arms = wins.shape[-1]
    duels, diagonal = wins + np.swapaxes(wins, 1, 2), np.eye(arms, dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        bounds = np.where(duels > 0, wins / duels + np.sqrt(alpha * np.log(t) / duels), 1.0)
    bounds[:, diagonal] = 0.5
    hopes = ((bounds >= 0.5) & ~diagonal).sum(-1)
    theta = np.triu(generator.beta(wins + 1, np.swapaxes(wins, 1, 2) + 1), 1)
    theta = theta + np.tril(1 - np.swapaxes(theta, 1, 2), -1)
    score = np.where(hopes == hopes.max(-1, keepdims=True), ((theta > 0.5) & ~diagonal).sum(-1), -1)
    first = (score + generator.random(score.shape) / 2).argmax(-1)
    rows = np.arange(runs)
    challenge = generator.beta(wins[rows, :, first] + 1, wins[rows, first] + 1)
    challenge[rows, first] = 0.5
    return first, np.where(bounds[rows, first] >= 0.5, challenge, -1).argmax(-1)


@pytest.mark.parametrize("t", [2, 60])
def test_double_thompson_draws_from_the_printed_law(t):
    wins = np.array([[0.0, 4, 1], [3, 0, 6], [2, 3, 0]])
    count = np.zeros((2, 9))
    for seed in range(2000):
        live = agent("double_thompson", 3, seed=seed)
        for i, j in ((0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)):
            for _ in range(int(wins[i, j])):
                double_thompson.learn(double_thompson.Hyper(), live.state, None, 1, (i, j), 1.0)
        live.t = t - 1
        first, second = live.act()
        count[0, 3 * first + second] += 1
    first, second = sample_pairs(np.tile(wins, (60_000, 1, 1)), t, 0.51, 60_000, np.random.default_rng(1))
    count[1] = np.bincount(3 * first + second, minlength=9)
    assert frequencies_agree(count[0], count[1] / count[1].sum())


def test_double_thompson_knows_the_chance_of_every_pair():
    state = agent("double_thompson", 2).state
    generator = np.random.default_rng(6)
    for won in [*(generator.random(600) < 0.6), *[True] * 2000, *[False] * 2600, *(generator.random(300) < 0.2)]:
        double_thompson.learn(double_thompson.Hyper(), state, None, 1, (0, 1), float(won))
        a, b = state.wins[0, 1] + 1, state.wins[1, 0] + 1
        assert state.chance[0, 1] == pytest.approx(stats.beta.sf(0.5, a, b), abs=1e-10)
        assert state.chance[1, 0] == pytest.approx(stats.beta.cdf(0.5, a, b), abs=1e-10)


@pytest.mark.parametrize(("a", "b"), [(3, 2), (1, 1), (4, 9), (2, 9), (1, 30), (40, 70)])
def test_double_thompson_draws_from_above_half(a, b):
    handle, law = open_stream(1, 2, 3, 4), stats.beta(a, b)
    sample = [double_thompson.upper_half(handle, a, b) for _ in range(2000)]
    truncated = lambda x: 1 - law.sf(x) / law.sf(0.5)  # noqa: E731
    assert min(sample) > 0.5 and stats.kstest(sample, truncated).pvalue > 1e-4


def test_ucb1_plays_the_largest_index():
    means, generator = np.array([0.2, 0.5, 0.45, 0.6]), np.random.default_rng(2)
    live, rewards = agent("ucb1", 4), [[] for _ in means]
    for t in range(1, 800):
        arm = live.act()
        if t <= 4:
            assert not rewards[arm]
        else:
            index = [np.mean(r) + math.sqrt(2 * math.log(t) / len(r)) for r in rewards]
            assert index[arm] >= max(index) - 1e-12
        rewards[arm].append(float(generator.random() < means[arm]))
        live.learn(arm, rewards[arm][-1])


@pytest.mark.parametrize(("step", "rounds"), [(0.02, 300), (3.0, 600)])
def test_exp3_weights_are_the_softmax_of_the_losses(step, rounds):
    live, generator = agent("exp3", 3, horizon=rounds, step=step), np.random.default_rng(3)
    for _ in range(rounds):
        losses, arm, reward = live.state.loss.copy(), live.act(), generator.choice([0.0, 1.0, 0.5])
        chances = np.exp(-step * (losses - losses.min()))
        chances /= chances.sum()
        np.testing.assert_allclose(live.state.weight / live.state.total[0], chances, rtol=1e-9, atol=1e-200)
        live.learn(arm, reward)
        losses[arm] += (1 - reward) / chances[arm]
        np.testing.assert_allclose(live.state.loss, losses, rtol=1e-9)
    assert (live.state.floor[0] > 0) == (step > 1)  # the weights were saved from underflow


def test_exp3_draws_by_its_weights():
    weights, count = np.array([0.5, 2.0, 0.0, 1.5]), np.zeros(4)
    for seed in range(800):
        live = agent("exp3", 4, seed=seed, horizon=10)
        live.state.weight[:], live.state.total[0] = weights, weights.sum()
        arm = live.act()
        count[arm] += 1
        assert live.state.chance[0] == weights[arm] / 4
    assert frequencies_agree(count, weights / 4)


def test_thompson_plays_by_the_posterior():
    plays = 0
    for seed in range(800):
        live = agent("thompson", 2, seed=seed)
        live.state.successes[:], live.state.failures[:] = (3, 1), (2, 0)
        plays += live.act() == 0
    first, second = stats.beta(4, 3), stats.beta(2, 1)
    chance = integrate.quad(lambda x: first.pdf(x) * second.cdf(x), 0, 1)[0]
    assert frequencies_agree([plays, 800 - plays], [chance, 1 - chance])


def test_thompson_turns_fractions_into_coins():
    live, rounds = agent("thompson", 1), 400
    for _ in range(rounds):
        live.learn(live.act(), 0.3)
    successes, failures = live.state.successes[0], live.state.failures[0]
    assert successes + failures == rounds - 1 and successes == int(successes)
    assert stats.binomtest(int(successes), rounds - 1, 0.3).pvalue > 1e-4
    live = agent("thompson", 1)
    for reward in (1.0, 0.0, 1.0):
        live.learn(live.act(), reward)
    assert (live.state.successes[0], live.state.failures[0]) == (2, 1)
    for reward in (0.5, 1.0, 1.0, 1.0):
        live.learn(live.act(), reward)
    assert live.state.successes[0] + live.state.failures[0] == 7  # one coin for one fraction


def agree_in_mean(ours, theirs):
    error = np.sqrt(ours.var(ddof=1) / len(ours) + theirs.var(ddof=1) / len(theirs))
    return abs(ours.mean() - theirs.mean()) < 4 * error


def test_outside_opinion_on_ucb1():
    means, runs, horizon = np.array([0.7, 0.5, 0.5, 0.2]), 200, 2000
    generator = np.random.default_rng(4)
    pulls, total, rows = np.zeros((runs, 4)), np.zeros((runs, 4)), np.arange(runs)
    for t in range(1, horizon + 1):
        with np.errstate(divide="ignore", invalid="ignore"):
            index = np.where(pulls > 0, total / pulls + np.sqrt(2 * np.log(t) / pulls), np.inf)
        arm = index.argmax(axis=1)
        total[rows, arm] += generator.random(runs) < means[arm]
        pulls[rows, arm] += 1
    assert agree_in_mean(final(ps.bandits.bernoulli(means), "ucb1", horizon=horizon, runs=runs), pulls @ (0.7 - means))


def test_outside_opinion_on_double_thompson():
    problem, runs, horizon = ps.bandits.mslr5(), 200, 2000
    preference, gap = problem.truth.preference[0], problem.truth.gap[0]
    generator, rows, theirs = np.random.default_rng(5), np.arange(runs), np.zeros(runs)
    wins = np.zeros((runs, 5, 5))
    for t in range(1, horizon + 1):
        first, second = sample_pairs(wins, t, 0.51, runs, generator)
        won = generator.random(runs) < preference[first, second]
        played = first != second
        wins[rows, np.where(won, first, second), np.where(won, second, first)] += played
        theirs += (gap[first] + gap[second]) / 2
    assert agree_in_mean(final(problem, "double_thompson", horizon=horizon, runs=runs), theirs)
