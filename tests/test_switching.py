"""Switching costs: environments against their definitions, rules against plain readings and exact laws, bounds against their
printed values, worst cases and claims with their controls."""

import itertools
from math import ceil, log
from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats
from test_adversarial import drawn, softmax, tsallis_weights

import prefsim as ps
from prefsim import noise, registry
from prefsim.bandit import Problem
from prefsim.bandits.multi_scale_random_walk import literal, parent
from prefsim.claim import check, select
from prefsim.engines import reference
from prefsim.policies import _batches, batched_exp3, budgeted_dartboard, shrinking_dartboard
from prefsim.worst_case import epsilon_grid, worst_case, worst_exponent

CLAIMS = select(["switching"])
TABLE = np.random.default_rng(3).random((6, 3))


class Script:
    """Plays given arms and keeps the rewards it is shown."""

    class State(NamedTuple):
        """Nothing."""

    def __init__(self, arms):
        self.arms, self.shown = arms, []

    def init(self, hyper, state, problem):
        pass

    def act(self, hyper, state, problem, t, handle):
        return self.arms[t - 1]

    def learn(self, hyper, state, problem, t, action, feedback):
        self.shown.append(feedback.copy())


def scripted(game, arms, seed=1):
    """True arms, losses shown for them (rounds, arms) and cumulative regrets of a scripted run, with full feedback."""
    environment, rounds = registry.load("bandits", game.environment), len(arms)
    key = [noise.stream_key(seed, "", s) for s in ("environment", "policy", "order")]
    policy, out = Script(arms), np.zeros((1, rounds + 1, 2))
    play = reference.play_bandit(policy, environment, kind="full")
    truth = environment.Truth(*(field[0] for field in game.truth))
    record, halt = np.arange(rounds + 1), np.zeros(1, np.uint8)
    play(None, truth, game.problem(rounds), np.array(key, np.uint64).ravel(), 0, 0, 1, record, out, halt)
    shuffle, order = noise.open_stream(*key[2], 0, 0), np.arange(game.arms)
    for i in range(game.arms - 1, 0, -1):
        j = int(noise.uniform(shuffle) * (i + 1))
        order[i], order[j] = order[j], order[i]
    losses = np.empty((rounds, game.arms))
    losses[:, order] = 1 - np.array(policy.shown)
    return order[np.array(arms)], losses, out[0]


def books(arms, losses, cost):
    """Cumulative regret with and without the price of changes, by its definition."""
    own = np.cumsum(losses[np.arange(len(arms)), arms])
    plain = own - losses.cumsum(axis=0).min(axis=1)
    changes = np.concatenate([[0], np.cumsum(arms[1:] != arms[:-1])])
    return np.stack([plain + cost * changes, plain], axis=-1)


PLAYS = [0, 0, 1, 2, 2, 2, 1, 0, 1, 1, 1, 2, 0]


@pytest.mark.parametrize("coins", [False, True])
def test_regret_of_written_losses(coins):
    arms, losses, regret = scripted(ps.bandits.switching_losses(TABLE, 0.7, "full", coins=coins), PLAYS)
    if coins:
        assert set(np.unique(losses)) == {0.0, 1.0}
    else:
        np.testing.assert_allclose(losses, TABLE[np.arange(len(PLAYS)) % 6], atol=1e-15)
    np.testing.assert_allclose(regret[1:], books(arms, losses, 0.7), atol=1e-12)


def test_random_walk_and_its_regret():
    """The walk by its recursion on all rounds at once, from the run's own noise."""
    arms, losses, regret = scripted(ps.bandits.multi_scale_random_walk(3, 0.1, 0.05, cost=2.0, feedback="full"), PLAYS * 20)
    rounds, key = len(PLAYS) * 20, noise.stream_key(1, "", "environment")
    handle, walk = noise.open_stream(*key, 0, 0), np.zeros(rounds + 1)
    best = int(noise.uniform(handle) * 3)
    for t in range(1, rounds + 1):
        noise.seek(handle, t)
        walk[t] = walk[t & (t - 1)] + 0.05 * noise.normal(handle)
    expected = np.clip(walk[1:, None] + 0.5 - 0.1 * (np.arange(3) == best), 0, 1)
    np.testing.assert_allclose(losses, expected, atol=1e-14)
    np.testing.assert_allclose(regret[1:], books(arms, losses, 2.0), atol=1e-10)
    assert [parent(t) for t in (1, 6, 8, 12, 255)] == [0, 4, 0, 8, 254]


def test_literal_constants():
    epsilon, sigma = literal(2, 2**18)
    assert epsilon == pytest.approx(1.215e-4, rel=5e-4) and epsilon * 2**18 == pytest.approx(31.9, abs=0.05)
    assert sigma == pytest.approx(1 / 162)
    game = ps.bandits.multi_scale_random_walk(2)
    settings = {"horizon": 2**10, "runs": 40, "metrics": ["regret", "switches"]}
    data = ps.run(game, [("batched_exp3", {"batches": 1})], **settings)["regret"].values[0, 0, :, -1]
    paid = literal(2, 2**10)[0] * 2**10
    assert np.isclose(data, 0, atol=1e-9).any() and np.allclose(data[data > 1e-9], paid)


def test_late_trap_charges_the_arm_of_the_round_before():
    arms, losses, regret = scripted(ps.bandits.late_trap(3, feedback="full"), PLAYS)
    assert not losses[0].any()
    np.testing.assert_array_equal(losses[1:], np.eye(3)[arms[:-1]])
    np.testing.assert_allclose(regret[1:], books(arms, losses, 1.0), atol=1e-12)
    rules = ["exp3", "shrinking_dartboard"]
    data = ps.run(ps.bandits.late_trap(4, feedback="full"), rules, horizon=300, runs=3, engine="reference")
    assert (data["regret"].values[..., -1] >= 300 * 0.75 - 1).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"cost": -1.0}, "cost must be a finite price"),
        ({"cost": np.inf}, "cost must be a finite price"),
        ({"cost": 1e300}, "cost must be a finite price"),
        ({"cost": "1"}, "cost must be a finite price"),
        ({"budget": "1", "feedback": "entries"}, "budget is a number of entries"),
        ({"feedback": "fulll"}, "did you mean 'full'"),
        ({"budget": 10}, "budget is a number of entries"),
        ({"feedback": "entries", "budget": 0.5}, "budget is a number of entries"),
    ],
)
def test_bad_rules_are_refused(change, sentence):
    for build in (ps.bandits.switching_losses, ps.bandits.multi_scale_random_walk, ps.bandits.late_trap):
        with pytest.raises(ValueError, match=sentence):
            build(**change)


def test_bad_walks_are_refused():
    for change, sentence in (
        ({"arms": 0}, "arms"),
        ({"arms": 2.5}, "arms"),
        ({"epsilon": 0.6}, "epsilon"),
        ({"epsilon": [0.1, -0.1]}, "epsilon"),
        ({"epsilon": []}, "epsilon"),
        ({"sigma": -1.0}, "sigma"),
    ):
        with pytest.raises(ValueError, match=f"{sentence} must be"):
            ps.bandits.multi_scale_random_walk(**change)
    with pytest.raises(ValueError, match=r"losses must lie in \[0, 1\]"):
        ps.bandits.switching_losses([[0.0, 2.0]])
    with pytest.raises(ValueError, match="arms must be"):
        ps.bandits.late_trap(0)


def test_feedback_is_rationed_by_the_problem():
    with pytest.raises(ValueError, match=r"shrinking_dartboard learns from full or entries feedback, but .* gives bandit"):
        ps.run(ps.bandits.switching_losses(TABLE), ["shrinking_dartboard"], horizon=5)
    with pytest.raises(ValueError, match=r"exp3 learns from bandit feedback, but .* gives entries"):
        ps.run(ps.bandits.switching_losses(TABLE, feedback="entries", budget=5), ["exp3"], horizon=5)


# The dartboard.


def played(policy, losses, runs, **game):
    """Arms of every round and run, from what the loss regret grew by; losses of a round must differ."""
    rounds = len(losses)
    problem = ps.bandits.switching_losses(losses, **game)
    data = ps.run(problem, [policy], horizon=rounds, runs=runs, record="all", metrics=["loss_regret"])
    own = data["loss_regret"].values[0, 0, :, 1:] + losses.cumsum(axis=0).min(axis=1)
    return np.abs(np.diff(own, axis=1, prepend=0)[..., None] - losses).argmin(axis=-1)


def law_distance(arms, law):
    """p-value of arms (runs,) under a law; an arm of probability 0 must not occur."""
    return stats.chisquare(np.bincount(arms, minlength=len(law)), law * len(arms)).pvalue


def test_marginals_are_the_exponential_weights_under_full_information():
    arms = played(("shrinking_dartboard", {"step": 0.9}), TABLE, 60_000, feedback="full")
    for t in range(6):
        assert law_distance(arms[:, t], softmax(-0.9 * TABLE[:t].sum(axis=0))) > 1e-4
    assert (arms[:, 1:] != arms[:, :-1]).mean() < 0.3  # independent draws would change in two of three rounds


@pytest.mark.parametrize("observe", [1, 2])
def test_marginals_by_enumerating_what_may_be_observed(observe):
    """Batches of two rounds; all rounds and sets of arms that may be picked, all equally likely."""
    step, outcomes = 0.8, list(itertools.product(range(2), itertools.combinations(range(3), observe)))
    rule = ("shrinking_dartboard", {"step": step, "observe": observe})
    arms = played(rule, TABLE, 60_000, feedback="entries", budget=3 * observe)
    np.testing.assert_array_equal(arms[:, ::2], arms[:, 1::2])
    for b in range(3):
        law = np.zeros(3)
        for seen in itertools.product(outcomes, repeat=b):
            estimate = np.zeros(3)
            for batch, (u, picks) in enumerate(seen):
                estimate[list(picks)] += 3 / observe * TABLE[2 * batch + u, list(picks)]
            law += softmax(-step * estimate) / len(outcomes) ** b
        assert law_distance(arms[:, 2 * b], law) > 1e-4


def test_plan_spends_the_budget_and_no_more():
    plans = {
        (1, 100): (1, 100),
        (0, 100): (4, 25),
        (1, 2500): (3, 833),
        (1, np.inf): (4, 1000),
        (0, 3): (3, 1),
        (1, 1): (1, 1),
        (3, 1000): (3, 333),
    }
    for (observe, budget), plan in plans.items():
        assert _batches.dartboard_plan(observe, 0, Problem(4, 1000, budget=budget)) == plan
    assert _batches.dartboard_plan(1, 0, Problem(4, 1000)) == (4, 1000)
    assert _batches.dartboard_plan(1, 7, Problem(4, 1000, budget=100)) == (1, 7)


def test_entries_are_asked_for_once_a_batch():
    rationed = {"feedback": "entries", "budget": 16, "free": False}
    live = ps.agent("shrinking_dartboard", arms=3, horizon=50, observe=2, seed=3, **rationed)
    asked = []
    for _ in range(50):
        arm = live.act()
        asked.append(live.ask())
        live.learn(arm, np.where(asked[-1], 0.5, np.nan))
    asked = np.array(asked)
    edges = [b * 50 // 8 for b in range(9)]
    for first, end in itertools.pairwise(edges):
        assert asked[first:end].sum() == 2 and asked[first:end].any(axis=1).sum() == 1
    assert set(np.flatnonzero(asked.any(axis=1)) - np.array(edges[:-1])) > {0, 1}  # not always the same round of a batch


def test_batches_of_unequal_length_charge_their_share():
    for seed in range(5):
        rationed = {"feedback": "entries", "budget": 4, "free": False}
        live = ps.agent("shrinking_dartboard", arms=2, horizon=5, observe=0, seed=seed, **rationed)
        losses, lengths = [], (2, 3)
        for _ in range(5):
            arm = live.act()
            live.learn(arm, np.where(live.ask(), [0.4, 0.9], np.nan))
            losses.append(live.state.loss.copy())
        np.testing.assert_allclose(losses[1], np.array([0.6, 0.1]) * lengths[0] / 3)
        np.testing.assert_allclose(losses[4] - losses[1], [0.6, 0.1])


# The other rules, against plain readings on their own noise.


@pytest.mark.parametrize("batches", [7, 60])
def test_batched_exp3_follows_the_definition(batches):
    rounds, step = 60, 0.4
    live = ps.agent("batched_exp3", 3, horizon=rounds, seed=5, batches=batches, step=step)
    generator, estimate = np.random.default_rng(1), np.zeros(3)
    for first, end in itertools.pairwise(b * rounds // batches for b in range(batches + 1)):
        chances, losses = softmax(-step * estimate), generator.random((end - first, 3))
        arm = drawn(chances, 5, first + 1)
        for loss in losses:
            assert live.act() == arm
            live.learn(arm, 1 - loss[arm])
        estimate[arm] += losses[:, arm].sum() / ceil(rounds / batches) / chances[arm]
        np.testing.assert_allclose(live.state.loss, estimate, rtol=1e-12)


def test_batched_exp3_looks_once_where_looking_costs():
    live = ps.agent("batched_exp3", 3, horizon=40, seed=2, batches=10, feedback="entries", budget=10, free=False)
    looks = []
    for t in range(40):
        arm, before, chance = live.act(), live.state.loss.copy(), live.state.chance[0]
        asked = live.ask()
        looks.append(asked.any())
        assert asked.sum() == asked[arm]
        live.learn(arm, np.where(asked, 0.3, np.nan))
        expected = np.where(np.arange(3) == arm, 0.7 / chance, 0.0) if looks[-1] else np.zeros(3)
        np.testing.assert_allclose(live.state.loss - before, expected, rtol=1e-12, atol=1e-12)
        assert (t + 1) % 4 or sum(looks) == (t + 1) // 4


def test_free_changes_make_it_exp3():
    game = ps.bandits.switching_losses(TABLE, cost=0.0)
    data = ps.run(game, ["batched_exp3", "exp3"], horizon=400, runs=5)["regret"]
    np.testing.assert_array_equal(*data.values)


def test_optimal_batches_minimise_the_bound():
    """Printed values: four arms, 2^16 rounds."""
    printed = {1.0: (2284, 6851), 4.0: (906, 10875), 16.0: (360, 17263)}
    for cost, (count, value) in printed.items():
        problem = Problem(4, 2**16, cost=cost)
        assert _batches.optimal_batches(problem) == count
        curve = 2**16 * np.sqrt(8 * log(4) / np.arange(1, 2**13)) + cost * np.arange(1, 2**13)
        assert abs(curve.argmin() + 1 - count) <= 1 and curve.min() == pytest.approx(value, abs=1)
    assert _batches.optimal_batches(Problem(4, 1000)) == 1000
    assert _batches.optimal_batches(Problem(4, 100, cost=1e9)) == 1


def test_bounds_have_the_printed_form():
    problem = Problem(4, 2**14, cost=3.0, budget=2**8, free=False)
    observed = 2**14 * np.sqrt(8 * log(4) / 2**8)
    for observe in (0, 1):
        value = shrinking_dartboard.regret_bound(shrinking_dartboard.Hyper(observe), None, problem, np.array([2**14]))
        assert value[0] == pytest.approx(observed + 3 * np.sqrt(2**9 * log(4) / 4))
    value = batched_exp3.regret_bound(batched_exp3.Hyper(2**8), None, problem, np.array([2**14]))
    assert value[0] == pytest.approx(observed + 3 * (2**8 - 1))
    t = np.arange(51)
    edges = np.array([b * 50 // 8 for b in range(9)])
    bound, done = _batches.loss_bound(3, 50, 8, 1.5, 0.2, t)
    np.testing.assert_array_equal(done, (edges <= t[:, None]).sum(axis=1) - 1)
    np.testing.assert_allclose(bound, 7 * (log(3) / 0.2 + 0.15 * done) + t - edges[done])


def test_lazy_leader_follows_the_definition():
    live, rate, generator = ps.agent("follow_lazy_leader", 4, horizon=200, seed=1, rate=0.3), 0.3, np.random.default_rng(0)
    handle, total = noise.open_stream(*noise.stream_key(1, "", "policy"), 0, 0), np.zeros(4)
    noise.seek(handle, 1)
    p = np.array([noise.uniform(handle) for _ in range(4)]) / rate
    for _ in range(200):
        arm = live.act()
        points = p[:, None] + np.arange(-2, 200) / rate
        inside = (points >= total[:, None]) & (points < total[:, None] + 1 / rate)
        assert (inside.sum(axis=1) == 1).all() and arm == points[inside].argmin()
        losses = generator.random(4)
        live.learn(arm, 1 - losses)
        total += losses


def test_random_walk_perturbation_follows_the_definition():
    live, generator = ps.agent("random_walk_perturbation", 4, seed=1), np.random.default_rng(0)
    handle, total, last = noise.open_stream(*noise.stream_key(1, "", "policy"), 0, 0), np.zeros(4), None
    for t in range(1, 301):
        noise.seek(handle, t)
        total += [-0.5 if noise.uniform(handle) < 0.5 else 0.5 for _ in range(4)]
        arm = live.act()
        assert total[arm] == total.min() and (last is None or arm == last or total[last] > total.min())
        losses = generator.integers(0, 2, 4)
        live.learn(arm, 1.0 - losses)
        total, last = total + losses, arm


@pytest.mark.parametrize("cost", [0.0, 1.0, 5.0])
def test_tsallis_switch_follows_the_definition(cost):
    live, generator = ps.agent("tsallis_switch", 3, seed=6, cost=cost), np.random.default_rng(1)
    estimate, t, n = np.zeros(3), 0, 0
    while t < 300:
        n += 1
        length = 1.5 * cost * np.sqrt(n / 3)
        weights = tsallis_weights(estimate, 2 / (length + 1) * np.sqrt(2 / n))
        arm, total = drawn(weights / weights.sum(), 6, t + 1), 0.0
        for _ in range(max(1, ceil(length))):
            loss, t = generator.random(), t + 1
            assert live.act() == arm
            live.learn(arm, 1 - loss)
            total += loss
        estimate[arm] += total / weights[arm]
        np.testing.assert_allclose(live.state.loss, estimate, rtol=1e-9)


def test_resampled_hedge_follows_the_definition():
    live, generator, total = ps.agent("resampled_hedge", 3, horizon=200, seed=4), np.random.default_rng(1), np.zeros(3)
    for t in range(1, 201):
        arm = live.act()
        assert arm == drawn(softmax(-np.sqrt(8 * log(3) / 200) * total), 4, t)
        losses = generator.random(3)
        live.learn(arm, 1 - losses)
        total += losses


def test_the_budget_decides_what_is_played():
    """K^(1/3) T^(2/3) = 464 on three arms and 6000 rounds, 185 at a price of 4."""
    for game, same in (
        ({"feedback": "extra", "budget": 450}, "batched_exp3"),
        ({"feedback": "extra", "budget": 480}, "shrinking_dartboard"),
        ({"feedback": "extra", "budget": 190, "cost": 4.0}, "shrinking_dartboard"),
        ({"feedback": "entries", "budget": 20}, "shrinking_dartboard"),
        ({"feedback": "full"}, "shrinking_dartboard"),
        ({"feedback": "bandit"}, "batched_exp3"),
    ):
        data = ps.run(ps.bandits.switching_losses(TABLE, **game), ["budgeted_dartboard", same], horizon=5774, runs=3)
        np.testing.assert_array_equal(*data["regret"].values)
        np.testing.assert_array_equal(*data["regret_bound"].values)
    free = Problem(3, 1000, budget=900.0)
    assert not budgeted_dartboard.takes_dartboard(budgeted_dartboard.Hyper(), free)
    assert budgeted_dartboard.takes_dartboard(budgeted_dartboard.Hyper(), free._replace(budget=1000.0))


# Worst cases.


def test_worst_case_takes_the_maximum_over_epsilon():
    data = worst_case(["exp3", ("batched_exp3", {"batches": 5})], [32, 64], runs=3, seed=2)
    assert list(data["algorithm"].values) == ["exp3", "batched_exp3(batches=5)"] and data.attrs["by"] == "horizon"
    grid = epsilon_grid(2, 64)
    assert grid[0] == 0 and grid[-1] == 0.5 and (np.diff(grid) >= 0).all() and np.isclose(grid, np.sqrt(2 / 64)).any()
    game = ps.bandits.multi_scale_random_walk(2, grid)
    alone = ps.run(game, ["exp3"], horizon=64, runs=3, seed=2, metrics=["regret", "switches"])["regret"].values[0, ..., -1]
    np.testing.assert_array_equal(data["regret"].values[0, 1], alone)
    assert data["worst"].values[0, 1] == alone.mean(axis=-1).max()
    assert data["worst_epsilon"].values[0, 1] == grid[alone.mean(axis=-1).argmax()]


def test_worst_case_over_budgets():
    rules = [("batched_exp3", {"batches": "budget"}), "shrinking_dartboard"]
    data = worst_case(rules, 64, budget=[4, 16], arms=3, feedback="entries", runs=4)
    assert data.attrs["by"] == "budget" and data["size"].values.tolist() == [4, 16]
    assert (data["switches"].values[0, 0] <= 3).all() and data["switches"].values[0, 1].max() > 3
    with pytest.raises(ValueError, match="only one of horizon and budget"):
        worst_case(["exp3"], [8, 16], budget=[4, 8], feedback="extra")
    with pytest.raises(ValueError, match="budget must hold at least one"):
        worst_case(["exp3"], 8, budget=[], feedback="extra")
    with pytest.raises(ValueError, match="at least 1; got 0"):
        worst_case(["exp3"], 0)
    with pytest.raises(ValueError, match="none was given"):
        worst_case([("batched_exp3", {"batches": "budget"})], 8)


def test_worst_exponent_of_a_power_law():
    sizes, generator = np.array([10, 100, 1000]), np.random.default_rng(0)
    curve = np.stack([sizes**0.2, 3 * sizes**0.7], axis=1)[..., None]  # the maximum is the second from the start
    slope, low, high = worst_exponent(sizes, curve * (1 + 0.05 * generator.standard_normal((3, 2, 50))))
    assert low < 0.7 < high and slope == pytest.approx(0.7, abs=0.02) and high - low < 0.05
    np.testing.assert_allclose(worst_exponent(sizes, curve * np.ones(4)), 0.7)
    with pytest.raises(ValueError, match="must have shape"):
        worst_exponent(sizes, curve[:2])
    with pytest.raises(ValueError, match="must be positive"):
        worst_exponent(sizes, 0 * curve)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.key)
def test_claim_holds_and_its_controls_fail(claim):
    verdict = check(claim)
    assert verdict.outcome == ("consistent on this window" if claim.asymptotic else "supported"), verdict
    assert [control.outcome for control in verdict.controls] == ["violated"] * len(claim.controls), verdict
