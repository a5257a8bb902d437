"""Adversarial bandits and the reductions of duels to bandits: rules against the papers' pseudo-code, environments against
their definitions, bounds against their printed values, claims with their controls."""

from types import ModuleType

import numpy as np
import pytest
from scipy import optimize, stats

import prefsim as ps
from prefsim import noise, registry
from prefsim.agent import agent
from prefsim.bandit import Problem
from prefsim.claim import check, select
from prefsim.engines import reference
from prefsim.policies import exp3_ix, exp4, multi_sbm, sparring, tsallis_inf
from prefsim.reductions import over

CLAIMS = select(["adversarial", "exp3_ix", "exp4", "tsallis_inf", "sparring", "multi_sbm", "versatile_dueling"])
TABLE = np.random.default_rng(0).random((7, 3))


def softmax(x):
    w = np.exp(x - x.max())
    return w / w.sum()


def drawn(chances, seed, t, skip=0):
    """The arm that probabilities give on the policy's own noise, by inversion of their distribution function."""
    handle = noise.open_stream(*noise.stream_key(seed, "", "policy"), 0, 0)
    noise.seek(handle, t)
    for _ in range(skip):
        noise.uniform(handle)
    return int((np.cumsum(chances) <= noise.uniform(handle)).sum())


def tsallis_weights(losses, eta):
    """``w = 4 / (eta (L - x))^2`` with sum 1, by a root finder on the bracket of the theory."""
    shifted = losses - losses.min()
    if len(losses) == 1:
        return np.ones(1)

    def excess(x):
        return (4 / (eta * (shifted - x)) ** 2).sum() - 1

    x = optimize.brentq(excess, -2 * np.sqrt(len(losses)) / eta * (1 + 1e-9), -2 / eta, xtol=1e-300, rtol=1e-15)
    return 4 / (eta * (shifted - x)) ** 2


def tsallis_estimate(weights, arm, loss, eta, reduced):
    base = np.where(weights >= eta**2, 0.5, 0.0) if reduced else np.zeros(len(weights))
    estimate = base.copy()
    estimate[arm] += (loss - base[arm]) / weights[arm]
    return estimate


@pytest.mark.parametrize("step", [0.05, 2.0])
def test_exp3_ix_follows_the_definition(step):
    live, losses, generator = agent("exp3_ix", 4, horizon=400, seed=5, step=step), np.zeros(4), np.random.default_rng(1)
    for t in range(1, 401):
        chances = softmax(-step * losses)
        arm = live.act()
        assert arm == drawn(chances, 5, t)
        reward = float(generator.random() * (0.5 + 0.1 * arm))
        live.learn(arm, reward)
        losses[arm] += (1 - reward) / (chances[arm] + step / 2)
        np.testing.assert_allclose(live.state.loss, losses, rtol=1e-8)


def test_exp3_ix_without_implicit_exploration_is_exp3():
    algorithms = [("exp3", {"step": 0.05}), ("exp3_ix", {"step": 0.05, "implicit": 0.0})]
    data = ps.run("adversarial", algorithms, horizon=500, runs=3, engine="reference")
    np.testing.assert_array_equal(data.regret[0], data.regret[1])


@pytest.mark.parametrize("reduced", [False, True])
def test_tsallis_inf_follows_the_definition(reduced):
    live, losses, generator = agent("tsallis_inf", 5, seed=8, reduced=reduced), np.zeros(5), np.random.default_rng(2)
    used = 0
    for t in range(1, 601):
        eta = (4 if reduced else 2) / np.sqrt(t)
        weights, arm = tsallis_weights(losses, eta), live.act()
        np.testing.assert_allclose(live.state.weight, weights, rtol=1e-8)
        assert arm == drawn(weights, 8, t)
        reward = float(generator.random() < 0.3 + 0.1 * arm)
        live.learn(arm, reward)
        used += (weights >= eta**2).any()
        losses += tsallis_estimate(weights, arm, 1 - reward, eta, reduced)
        np.testing.assert_allclose(live.state.loss, losses, rtol=1e-8)
    assert used > 100


@pytest.mark.parametrize("losses", [[3.0], [0, 0, 0], [1e6, 1e6 + 5, 2e6], [0, 1e9], np.linspace(0, 300, 200)])
@pytest.mark.parametrize("root", [2.0, 1e3])
def test_tsallis_weights_are_found_from_any_start(losses, root):
    losses = np.array(losses, dtype=float)
    live = agent("tsallis_inf", len(losses))
    live.state.loss[:], live.state.root[0], live.t = losses, root, 999
    live.act()
    np.testing.assert_allclose(live.state.weight, tsallis_weights(losses, 2 / np.sqrt(1000)), rtol=1e-9)
    assert abs(live.state.weight.sum() - 1) < 1e-14


def test_exp4_follows_the_definition():
    generator, step = np.random.default_rng(3), 0.2
    live, losses = agent("exp4", 3, dimension=4, horizon=300, seed=1, step=step), np.zeros(4)
    for _ in range(300):
        advice = generator.dirichlet([0.5] * 3, 4).T
        arm = live.act(advice)
        chances = advice @ softmax(-step * losses)
        assert live.state.chance[0] == pytest.approx(chances[arm], rel=1e-8)
        reward = float(generator.random())
        live.learn(arm, reward)
        losses += advice[arm] * (1 - reward) / chances[arm]
        np.testing.assert_allclose(live.state.loss, losses, rtol=1e-8)


def test_exp4_draws_from_the_mixture_of_the_advice():
    advice = np.array([[1, 0.2, 0], [0, 0.2, 0.3], [0, 0.6, 0.7], [0, 0, 0]])
    weights, count = np.array([0.5, 1, 2.5]), np.zeros(4)
    for seed in range(800):
        live = agent("exp4", features=advice, horizon=10, seed=seed)
        live.state.weight[:], live.state.total[0] = weights, 4.0
        count[live.act()] += 1
    assert count[3] == 0
    assert stats.chisquare(count[:3], 800 * (advice @ weights / 4)[:3]).pvalue > 1e-4


@pytest.mark.parametrize("eta", [0.02, 0.5, 1.2])
def test_cost_of_a_move_of_tsallis_estimates(eta):
    """The step of the derived slope: the mean over the drawn arm of what its losses' move costs, by maximisation."""
    for seed in range(3):
        weights, loss = np.random.default_rng(seed).dirichlet(np.ones(4)), np.random.default_rng(seed + 9).random()
        cost = 0.0
        for drawn_arm, chance in enumerate(weights):
            for i, w in enumerate(weights):
                move = loss / w - loss if i == drawn_arm else -loss

                def gain(root, w=w, move=move):
                    bregman = -4 / eta * (root - np.sqrt(w)) + 2 / (eta * np.sqrt(w)) * (root**2 - w)
                    return -move * (root**2 - w) - bregman

                slope = 2 / (eta * np.sqrt(w)) + move
                best = gain(2 / (eta * slope))  # where the derivative in `root` is 0
                assert best >= gain(np.sqrt(w) * 1.01) and best >= gain(np.sqrt(w) * 0.99)
                k = eta * move * np.sqrt(w) / 2
                assert best == pytest.approx(2 * np.sqrt(w) / eta * k**2 / (1 + k), rel=1e-9, abs=1e-12)
                cost += chance * best
        limit = eta / 2 * (np.sqrt(weights) * (1 - weights) * (1 + eta * weights / (2 - eta))).sum()
        assert 0 < cost <= limit


def test_versatile_dueling_is_two_tsallis_learners():
    generator, preference = np.random.default_rng(4), ps.bandits.cyclic4().truth.preference[0]
    live, losses = agent("versatile_dueling", 4, seed=2), np.zeros((2, 4))
    for t in range(1, 400):
        eta = 2 / np.sqrt(t)
        weights = [tsallis_weights(row, eta) for row in losses]
        pair = live.act()
        assert pair == tuple(drawn(w, 2, t, skip) for skip, w in enumerate(weights))
        won = float(generator.random() < preference[pair])
        live.learn(pair, won)
        for k, loss in enumerate((1 - won, won)):
            losses[k] += tsallis_estimate(weights[k], pair[k], loss, eta, False)
    np.testing.assert_allclose(live.state.learner_loss, losses, rtol=1e-8)


def test_versatile_dueling_is_sparring_with_another_learner():
    algorithms = ["versatile_dueling", ("sparring", {"learner": "tsallis_inf"})]
    data = ps.run(ps.bandits.mslr5(), algorithms, horizon=300, runs=2, engine="reference")
    np.testing.assert_array_equal(data.regret[0], data.regret[1])
    np.testing.assert_array_equal(data.regret_bound[0], data.regret_bound[1])


def named(rule, **own):
    module = ModuleType(f"mine.{getattr(rule, '__name__', rule)}.named")
    vars(module).update(__doc__="Named.", RULE=rule, LEARNER="exp3", **own)
    return module


@pytest.mark.parametrize("rule", [sparring, multi_sbm])
def test_a_reduction_may_name_the_rule_of_another(rule):
    learner = registry.load("policies", "exp3")
    one, other = over(named(rule), learner), over(rule, learner)
    assert (one.__doc__, one.LEARNER) == ("Named.", "exp3")
    assert one.State._field_defaults == other.State._field_defaults
    for name in ("init", "act", "learn", "validate"):
        assert getattr(one, name).__code__ == getattr(other, name).__code__
    assert one.__file__ == rule.__file__  # whose text the compiled code depends on


@pytest.mark.parametrize("broken", [named("sparring"), named(exp4), named(sparring, COPIES=3), named(sparring, act=len)])
def test_a_rule_that_is_none_is_refused(broken):
    with pytest.raises(ValueError, match="named: RULE must be the module of another reduction"):
        over(broken, registry.load("policies", "exp3"))


def test_multi_sbm_follows_the_definition():
    arms, a, generator = 4, 2.5, np.random.default_rng(6)
    preference = 0.5 + 0.1 * (np.arange(arms) - np.arange(arms)[:, None])
    live, rewards, last = agent("multi_sbm", arms, exploration=a), [[[] for _ in range(arms)] for _ in range(arms)], None
    for _ in range(1500):
        left, right = live.act()
        assert last in (None, left)
        book = rewards[left]
        n = 1 + sum(map(len, book))
        if n <= arms:
            assert not book[right]
        else:
            index = [np.mean(r) + np.sqrt(a * np.log(n) / len(r)) for r in book]
            assert index[right] >= max(index) - 1e-12
        won = generator.random() < preference[left, right]
        live.learn((left, right), float(won))
        book[right].append(1.0 - won)
        last = right
    assert live.state.rounds.sum() == 1500


def test_multi_sbm_starts_on_the_left_at_random():
    assert len({agent("multi_sbm", 3, seed=s).act()[0] for s in range(30)}) == 3


def played(bandit, actions, instance=0, seed=0):
    """Costs of given actions and the rewards seen, round by round, from the environment's own functions."""
    environment = registry.load("bandits", bandit.environment)
    truth, told = type(bandit.truth)(*(field[instance] for field in bandit.truth)), bandit.problem(len(actions))
    world = reference.allocate(environment)(told, truth) if hasattr(environment, "State") else ()
    handle = noise.open_stream(*noise.stream_key(seed, "", "environment"), 0, 0)
    for t, action in enumerate(actions, 1):
        noise.seek(handle, t)
        if hasattr(environment, "observe"):
            environment.observe(truth, world, t, handle)
        signal = environment.feedback(truth, world, action, t, handle)
        yield environment.regrets(truth, world, action, t, signal), signal, world


def test_adversarial_regret_is_realised_against_the_best_arm_of_then():
    actions = np.random.default_rng(7).integers(0, 3, 40)
    seen = [(cost, 1 - reward) for cost, reward, _ in played(ps.bandits.adversarial(TABLE), actions)]
    table = np.concatenate([TABLE] * 6)[:40]
    np.testing.assert_allclose([loss for _, loss in seen], table[np.arange(40), actions])
    own = table[np.arange(40), actions].cumsum()
    expected = own - table.cumsum(axis=0).min(axis=1)
    np.testing.assert_allclose(np.cumsum([cost for cost, _ in seen], axis=0), np.stack([expected] * 2, axis=1), atol=1e-12)


def test_adversarial_coins_tell_realised_from_pseudo_regret():
    actions = np.random.default_rng(8).integers(0, 3, 5000)
    costs, losses = [], []
    for cost, reward, world in played(ps.bandits.adversarial(TABLE, coins=True), actions):
        costs.append(cost)
        losses.append(world.loss.copy())
        assert reward == 1 - world.loss[actions[len(losses) - 1]]
    losses, table = np.array(losses), TABLE[np.arange(5000) % 7]
    assert set(losses.ravel()) == {0.0, 1.0}
    rows = np.arange(5000)
    for m, charged in enumerate((losses, table)):
        expected = charged[rows, actions].cumsum() - charged.cumsum(axis=0).min(axis=1)
        np.testing.assert_allclose(np.cumsum(costs, axis=0)[:, m], expected, atol=1e-9)
    for row in range(7):
        tossed = losses[row::7]
        assert (np.abs(tossed.mean(axis=0) - TABLE[row]) < 4.5 * np.sqrt(TABLE[row] * (1 - TABLE[row]) / len(tossed))).all()


@pytest.mark.parametrize("policy", ["exp3", "ucb1", "uniform"])
def test_nobody_escapes_the_trap(policy):
    data = ps.run(ps.bandits.trap(5), [policy], horizon=503, runs=2, engine="reference")
    assert (data.regret.isel(t=-1) >= 503 * (1 - 1 / 5) - 1e-9).all()
    assert data.regret.isel(t=-1).max() < 503


def test_trap_by_hand():
    costs = [cost[0] for cost, reward, _ in played(ps.bandits.trap(3), [0, 0, 1, 2, 2])]
    assert np.cumsum(costs).tolist() == [1, 2, 3, 3, 4]


@pytest.mark.parametrize("policy", ["versatile_dueling", "uniform"])
def test_nobody_escapes_the_trap_of_duels(policy):
    data = ps.run(ps.bandits.duel_trap(5), [policy], horizon=503, runs=2, engine="reference")
    assert (data.regret.isel(t=-1) >= 503 * 3 / 10 - 1e-9).all()


def test_duel_trap_by_hand():
    costs = [cost[0] for cost, won, _ in played(ps.bandits.duel_trap(4), [(0, 1), (2, 2), (3, 1), (3, 0)])]
    # Against arms 0..3: (0, 0, .5, .5), (.5, .5, .5, 1), (1, .5, 1, 1), (1, 1, 1.5, 1)
    assert np.cumsum(costs).tolist() == [0.5, 1.0, 1.0, 1.5]


def test_constrained_losses_drift_and_gaps_stay():
    gaps = (0.0, 0.25, 0.4)
    bandit, actions = ps.bandits.stochastically_constrained(gaps, growth=1.5), np.random.default_rng(9).integers(0, 3, 60_000)
    rewards, phases, costs = [], [], []
    for cost, reward, world in played(bandit, actions):
        costs.append(cost[0])
        rewards.append(reward)
        phases.append(world.phase[0])
    rewards, phases = np.array(rewards), np.array(phases)
    np.testing.assert_array_equal(costs, np.array(gaps)[actions])
    lengths = np.bincount(phases)[1:-1]
    np.testing.assert_allclose(lengths, 1.5 ** np.arange(1, len(lengths) + 1), atol=1)
    for arm, gap in enumerate(gaps):
        for odd, chance in ((1, 1 - gap), (0, 0.4 - gap)):
            tossed = rewards[(actions == arm) & (phases % 2 == odd)]
            assert abs(tossed.mean() - chance) <= 4.5 * np.sqrt(chance * (1 - chance) / len(tossed)) + 1e-12


def test_corrupted_rewards_are_rewritten_and_regret_is_not():
    bandit, actions = ps.bandits.corrupted([0.7, 0.7, 0.2], budget=300), np.random.default_rng(10).integers(0, 3, 5000)
    costs, rewards = zip(*((cost[0], reward) for cost, reward, _ in played(bandit, actions)), strict=True)
    np.testing.assert_allclose(costs, np.array([0, 0, 0.5])[actions], atol=1e-15)
    rewards = np.array(rewards)
    np.testing.assert_array_equal(rewards[:300], actions[:300] == 2)
    for arm, mean in enumerate((0.7, 0.7, 0.2)):
        tossed = rewards[300:][actions[300:] == arm]
        assert abs(tossed.mean() - mean) < 4.5 * np.sqrt(mean * (1 - mean) / len(tossed))


def test_corruption_ends_with_its_budget():
    for action, paid in ((0, [0, 0, 0, 1, 1]), (1, [1, 1, 1, 0, 0])):
        assert [reward for _, reward, _ in played(ps.bandits.corrupted([1.0, 0.0], budget=3), [action] * 5)] == paid


def test_corruption_costs_no_more_than_twice_its_budget():
    horizon, budget = 20_000, 400
    bandit, rule = ps.bandits.corrupted([0.9, 0.4], budget), tsallis_inf
    final = ps.run(bandit, ["tsallis_inf", "ucb1"], horizon=horizon, runs=40).regret.isel(t=-1)[:, 0]
    limit = rule.regret_bound(rule.Hyper(), None, bandit.problem(), horizon) + 2 * budget
    assert final[0].mean() + 4 * final[0].std() / np.sqrt(40) < limit
    assert final[0].mean() > 0.5 * budget * 0.5  # the adversary was felt


def test_expert_advice_regret_by_hand():
    bandit = ps.bandits.expert_advice()
    means, advice = bandit.truth.means[0], bandit.truth.advice[0]
    values = [np.mean([advice[c, :, m] @ means[c] for c in range(3)]) for m in range(4)]
    assert np.argmax(values) == 0 and values[0] == pytest.approx(0.75)
    actions = np.random.default_rng(11).integers(0, 3, 4000)
    total = 0.0
    for (cost,), reward, world in played(bandit, actions):
        context = world.context[0]
        np.testing.assert_array_equal(world.features, advice[context])
        assert cost == pytest.approx(advice[context, :, 0] @ means[context] - means[context, actions[0]])
        assert reward in (0.0, 1.0)
        total, actions = total + cost, actions[1:]
    deviation = means.std() * np.sqrt(4000)
    assert abs(total - 4000 * (0.75 - means.mean())) < 4.5 * deviation


def sequence(rounds=6, arms=4):
    gap = np.triu(np.random.default_rng(12).uniform(-0.5, 0.5, (rounds, arms, arms)), 1)
    return 0.5 + gap - gap.swapaxes(1, 2)


def test_adversarial_duel_regret_by_hand():
    matrices, generator = sequence(), np.random.default_rng(13)
    pairs = list(map(tuple, generator.integers(0, 4, (50, 2))))
    table = np.concatenate([matrices] * 9)[:50]
    against = np.array([(p[:, i] + p[:, j] - 1) / 2 for p, (i, j) in zip(table, pairs, strict=True)]).cumsum(axis=0)
    bandit = ps.bandits.adversarial_duel(matrices, comparator=range(4))
    for k in range(4):
        costs = np.array([cost for cost, _, _ in played(bandit, pairs, instance=k)])
        np.testing.assert_allclose(costs.cumsum(axis=0)[:, 0], against[:, k], atol=1e-12)
        np.testing.assert_allclose(costs.cumsum(axis=0)[:, 1], against.max(axis=1), atol=1e-12)
    chosen = ps.bandits.adversarial_duel(matrices).truth.comparator[0, 0]
    assert chosen == matrices.sum(axis=(0, 2)).argmax()
    won = [signal for _, signal, _ in played(bandit, [(1, 2)] * 6000)]
    for row, matrix in enumerate(matrices):
        assert abs(np.mean(won[row::6]) - matrix[1, 2]) < 4.5 * 0.5 / np.sqrt(1000)


def test_adversarial_duel_of_one_matrix_is_a_dueling_bandit():
    one = ps.bandits.mslr5()
    constant = ps.bandits.adversarial_duel(one.truth.preference)
    settings = {"horizon": 300, "runs": 2, "engine": "reference"}
    first, second = (ps.run(b, ["rucb", "versatile_dueling"], **settings) for b in (one, constant))
    np.testing.assert_allclose(first.regret, second.regret, atol=1e-10)
    # On the same play, and for the same reason, the two have the same bound.
    np.testing.assert_array_equal(first.regret_bound[1], second.regret_bound[1])


ENVIRONMENTS = (
    ps.bandits.adversarial(TABLE, coins=True),
    ps.bandits.adversarial(TABLE),
    ps.bandits.trap(3),
    ps.bandits.stochastically_constrained(),
    ps.bandits.corrupted(budget=20),
    ps.bandits.expert_advice(),
    ps.bandits.adversarial_duel(sequence(), comparator=[0, 2]),
    ps.bandits.duel_trap(3),
)


@pytest.mark.parametrize("bandit", ENVIRONMENTS, ids=lambda b: b.environment)
def test_environments_agree_on_both_engines(bandit):
    metrics = [*registry.load("bandits", bandit.environment).METRICS, "switches"]
    settings = {"horizon": 150, "runs": 2, "seed": 3, "record": "all", "metrics": metrics}
    plain, fast = (ps.run(bandit, ["uniform"], engine=engine, **settings) for engine in ("reference", "numba"))
    for metric in metrics:
        np.testing.assert_array_equal(plain[metric], fast[metric])
        assert np.isfinite(fast[metric]).all()


def test_bounds_have_the_printed_values():
    ten, million = Problem(10, 10**6), 1e6
    weighted, reduced = (tsallis_inf.regret_bound(tsallis_inf.Hyper(r), None, ten, million) for r in (False, True))
    assert weighted == pytest.approx(12650, abs=0.5) and reduced == pytest.approx(7722, abs=0.5)
    shorter = Problem(10, 10**5)
    tail = [exp3_ix.regret_tail(shorter, 1e5, delta) for delta in (0.1, 1e-5)]
    assert tail == pytest.approx([5436, 9651], abs=0.5)
    printed = np.sqrt(8e6 * np.log(11)) + np.sqrt(1e6 / (2 * np.log(11))) * np.log(10) + np.log(110)
    assert tail[0] == pytest.approx(printed, rel=1e-12)
    step = np.sqrt(2 * np.log(11) / 1e6)
    expected = np.log(10) / step + step * 1e6
    assert exp3_ix.regret_bound(exp3_ix.Hyper(), None, shorter, 1e5) == pytest.approx(expected, rel=1e-12)
    advised = Problem(10, 10**5, dimension=32)
    bound = exp4.regret_bound(exp4.Hyper(), None, advised, 1e5)
    assert bound == pytest.approx(np.sqrt(2 * 1e6 * np.log(32)), rel=1e-12)
    hard = ps.bandits.bernoulli([0.5, *[0.4] * 9])
    truth = type(hard.truth)(*(field[0] for field in hard.truth))
    slopes = [tsallis_inf.regret_slope(tsallis_inf.Hyper(r), truth, None) for r in (False, True)]
    assert slopes == pytest.approx([360, 90 + 280])
    tied = truth._replace(gap=np.array([0, 0, 0.1]))
    assert np.isnan(tsallis_inf.regret_slope(tsallis_inf.Hyper(), tied, None))


def test_bounds_stand_where_the_theorems_hold():
    def bounded(bandit, policy):
        data = ps.run(bandit, [policy], horizon=50, engine="reference")
        return "regret_bound" in data and bool(np.isfinite(data.regret_bound).all())

    covered = (ps.bandits.adversarial(), ps.bandits.stochastically_constrained(), ps.bandits.bernoulli([0.5, 0.6]))
    assert all(bounded(bandit, policy) for bandit in covered for policy in ("exp3", "tsallis_inf"))
    elsewhere = (ps.bandits.trap(), ps.bandits.corrupted(), ps.bandits.expert_advice())
    assert not any(bounded(bandit, "exp3") for bandit in elsewhere)
    assert not any(bounded(bandit, "ucb1") for bandit in (*covered[:2], ps.bandits.corrupted()))
    assert bounded(ps.bandits.expert_advice(), "exp4")
    duels = (ps.bandits.adversarial_duel(), ps.bandits.cyclic4())
    assert all(bounded(bandit, "versatile_dueling") for bandit in duels)
    assert not any(bounded(bandit, "sparring") for bandit in (*duels, ps.bandits.duel_trap()))
    assert not bounded(ps.bandits.duel_trap(), "versatile_dueling")
    data = ps.run(duels[0], [("sparring", {"learner": "exp3"})], horizon=50, engine="reference")
    single = registry.load("policies", "exp3")
    expected = single.regret_bound(single.Hyper(), None, Problem(3, 50), data.t.values)
    np.testing.assert_array_equal(data.regret_bound[0, 0], expected)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda b: b.adversarial([0.5, 0.5]), r"losses must have shape \(rounds, arms\)"),
        (lambda b: b.adversarial([[0.5, 1.5]]), r"losses must lie in \[0, 1\]"),
        (lambda b: b.trap(0), "arms must be at least 1"),
        (lambda b: b.duel_trap(2), "arms must be at least 3"),
        (lambda b: b.stochastically_constrained([0.1, 0.2]), "gaps must be measured from the best arm"),
        (lambda b: b.stochastically_constrained([0, 2.0]), r"gaps must hold mean rewards in \[0, 1\]"),
        (lambda b: b.stochastically_constrained(growth=0.5), "growth must be a finite number >= 1"),
        (lambda b: b.corrupted(budget=-1), "budget must be at least 0"),
        (lambda b: b.expert_advice([[0.5, 0.5]], [[[0.5], [0.6]]]), "advice must be probabilities"),
        (lambda b: b.expert_advice([[0.5, 0.5]], [[0.5, 0.5]]), r"advice \(contexts, arms, experts\)"),
        (lambda b: b.expert_advice([[0.5, 2.0]], [[[0.5], [0.5]]]), r"mean rewards in \[0, 1\]"),
        (lambda b: b.adversarial_duel([[0.5]]), r"shape \(rounds, arms, arms\)"),
        (lambda b: b.adversarial_duel(comparator=3), "comparator must name arms 0 .. 2"),
        (lambda b: ps.agent("exp3_ix", 2, horizon=5, implicit=-1.0), "implicit must be >= 0"),
        (lambda b: ps.agent("exp3_ix", 2, horizon=5, step=-1.0), "step must be >= 0"),
        (lambda b: ps.agent("exp4", 2, dimension=2, horizon=5, step=-1.0), "step must be >= 0"),
        (lambda b: ps.run(b.bernoulli([0.5, 0.6]), ["exp4"], horizon=5), "needs advice"),
    ],
)
def test_bad_input_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build(ps.bandits)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.key)
def test_claim_holds_and_its_controls_fail(claim):
    verdict = check(claim)
    assert verdict.outcome == ("consistent on this window" if claim.asymptotic else "supported"), verdict
    assert [control.outcome for control in verdict.controls] == ["violated"] * len(claim.controls), verdict
