"""Linear and logistic bandits: rules against the papers' plain formulas, what cannot be beaten, and the claims."""

import math

import numpy as np
import pytest
from scipy import stats

import prefsim as ps
from prefsim import ops, registry
from prefsim.agent import agent
from prefsim.bandit import Problem
from prefsim.claim import check, select
from prefsim.claims.linucb import sphere
from prefsim.designs import graves_lai
from prefsim.noise import open_stream, seek
from prefsim.policies import discounted_linucb, linucb, phased_elimination

RIDGE, DEVIATION, HORIZON = 0.5, 0.3, 400


def grown(rows, ridge=RIDGE):
    return ridge * np.eye(rows.shape[1]) + rows.T @ rows


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_updates_equal_what_they_update(dimension):
    generator = np.random.default_rng(dimension)
    rows, values = generator.normal(size=(30, dimension)), generator.normal(size=30)
    inverse, scratch = np.eye(dimension) / RIDGE, np.zeros(dimension)
    factor, target, growth = np.eye(dimension) * math.sqrt(RIDGE), np.zeros(dimension), 0.0
    for x, value in zip(rows, values, strict=True):
        growth += math.log(1 + ops.rank_one(inverse, x, scratch))
        ops.factor_add(factor, x, scratch, target, value)
    gram, fresh, lower = grown(rows), np.zeros((dimension, dimension)), np.zeros((dimension, dimension))
    np.testing.assert_allclose(inverse @ gram, np.eye(dimension), atol=1e-12)
    assert growth == pytest.approx(np.linalg.slogdet(gram)[1] - dimension * math.log(RIDGE))
    ops.invert(gram, fresh)
    ops.cholesky(gram, lower)
    np.testing.assert_allclose(fresh, np.linalg.inv(gram), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(lower, np.linalg.cholesky(gram), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(factor, lower, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(target, np.linalg.solve(lower, rows.T @ values), rtol=1e-9)
    back, forth = np.zeros(dimension), np.zeros(dimension)
    ops.solve(lower, rows[0], False, forth)
    ops.solve(lower, forth, True, back)
    np.testing.assert_allclose(gram @ back, rows[0], rtol=1e-9)
    assert ops.quadratic(gram, rows[0]) == pytest.approx(rows[0] @ gram @ rows[0])


def contexts(generator, changes):
    """Features of 5 arms: those of the first round, or fresh ones where ``changes(t)``."""
    current, t = None, 0
    while True:
        t += 1
        if current is None or changes(t):
            current = generator.normal(size=(5, 3))
        yield current


def play(policy, changes=lambda t: False, rounds=200, seed=0, **hyper):
    """Drive a policy; yield the round, features, the rows and rewards before it, the agent and its arm."""
    generator = np.random.default_rng(seed)
    shown, theta = contexts(generator, changes), np.array([0.5, -0.3, 0.2])
    live = agent(policy, 5, dimension=3, horizon=HORIZON, seed=seed, deviation=DEVIATION, norm=0.7, length=4.0, **hyper)
    rows, rewards = np.zeros((0, 3)), np.zeros(0)
    for t in range(1, rounds + 1):
        features = next(shown)
        arm = live.act(features)
        yield t, features, rows, rewards, live, arm
        if t == rounds:
            return
        reward = features[arm] @ theta + DEVIATION * generator.normal()
        live.learn(arm, reward)
        rows, rewards = np.vstack([rows, features[arm]]), np.append(rewards, reward)


@pytest.mark.parametrize("changes", [lambda t: False, lambda t: True, lambda t: t % 50 == 0])
@pytest.mark.parametrize("refresh", [10_000, 7])
def test_linucb_is_optimism_over_the_ellipsoid(changes, refresh, monkeypatch):
    monkeypatch.setattr(linucb, "REFRESH", refresh)
    for _, features, rows, rewards, live, arm in play("linucb", changes, ridge=RIDGE, delta=0.05, scale=0.5):
        gram = grown(rows)
        inverse = np.linalg.inv(gram)
        theta = inverse @ rows.T @ rewards
        growth = np.log(np.linalg.det(gram) / RIDGE**3)
        radius = math.sqrt(RIDGE) * 0.7 + DEVIATION * math.sqrt(2 * math.log(1 / 0.05) + growth)
        index = features @ theta + 0.5 * radius * np.sqrt(np.einsum("ak,kl,al->a", features, inverse, features))
        np.testing.assert_allclose(live.state.index, index, rtol=1e-9, atol=1e-12)
        assert index[arm] >= index.max() - 1e-9
        assert live.state.growth[0] == pytest.approx(growth, abs=1e-9)


def test_linucb_survives_a_tiny_ridge():
    """After a million-fold cancellation in the first rounds widths must still be right: that is what early refreshes do."""
    *_, (_, features, rows, _, live, _) = play("linucb", rounds=130, ridge=1e-9)
    inverse = np.linalg.inv(grown(rows, 1e-9))
    square = np.einsum("ak,kl,al->a", features, inverse, features)
    np.testing.assert_allclose(live.state.square, square, rtol=1e-6)


@pytest.mark.parametrize("theory", [False, True])
def test_linear_thompson_samples_the_posterior(theory):
    hyper = {"ridge": RIDGE, "scale": 0.8, "theory": theory, "delta": 0.1}
    for _, features, _, _, live, arm in play("lin_thompson", rounds=40, **hyper):
        assert features[arm] @ live.state.sample == pytest.approx((features @ live.state.sample).max(), abs=1e-9)
    *_, (t, features, rows, rewards, live, arm) = play("lin_thompson", rounds=40, **hyper)
    gram = grown(rows)
    theta = np.linalg.solve(gram, rows.T @ rewards)
    factor = np.linalg.cholesky(gram)
    v = 0.8 * DEVIATION * (math.sqrt(9 * 3 * math.log(t / 0.1)) if theory else 1)
    white = []
    for seed in range(300):
        other = agent("lin_thompson", features=features, seed=seed, deviation=DEVIATION, **hyper)
        other.state.factor[:], other.state.target[:], other.t = live.state.factor, live.state.target, t - 1
        other.act()
        white.append(factor.T @ (other.state.sample - theta) / v)
    white = np.array(white)
    assert stats.kstest(white.ravel(), "norm").pvalue > 1e-3
    assert stats.kstest((white**2).sum(1), stats.chi2(3).cdf).pvalue > 1e-3


@pytest.mark.parametrize("discount", [1.0, 0.97])
def test_discounted_linucb_weighs_by_age(discount):
    hyper = {"discount": discount, "ridge": RIDGE, "delta": 0.05}
    for _, features, rows, rewards, live, arm in play("discounted_linucb", lambda t: t % 20 == 0, 120, **hyper):
        weight = discount ** np.arange(len(rows))[::-1]
        gram, squared = (RIDGE * np.eye(3) + (rows.T * w) @ rows for w in (weight, weight**2))
        inverse = np.linalg.inv(gram)
        theta = inverse @ (rows.T * weight) @ rewards
        total = (weight**2).sum()  # (1 - g^{2n}) / (1 - g^2)
        growth = 3 * math.log(1 + 16 * total / (RIDGE * 3))
        radius = math.sqrt(RIDGE) * 0.7 + DEVIATION * math.sqrt(2 * math.log(1 / 0.05) + growth)
        middle = inverse @ squared @ inverse
        index = features @ theta + radius * np.sqrt(np.einsum("ak,kl,al->a", features, middle, features))
        np.testing.assert_allclose(live.state.index, index, rtol=1e-9, atol=1e-12)
        assert index[arm] >= index.max() - 1e-9


def test_forgetting_helps_where_the_parameter_turns():
    bandit = ps.bandits.drifting_linear(period=4000.0)
    data = ps.run(bandit, ["linucb", ("discounted_linucb", {"discount": 0.99})], horizon=8000, runs=10)
    remembering, forgetting = data["regret"].values[:, 0, :, -1]
    assert forgetting.max() < 0.5 * remembering.min()
    assert "regret_bound" not in data and "regret_slope_lower" not in data


FLAT = np.array([[1.0, 0, 2], [0, 1, 1], [1, 1, 3], [2, -1, 3], [0.5, 0.1, 1.1], [0.3, 0.3, 0.9]])
"""Six arms of rank 2 in three dimensions."""


@pytest.mark.parametrize(("features", "seed"), [(FLAT, 1), (sphere(8, 3)[0], 2), (np.eye(3), 3)])
def test_phased_elimination_follows_the_printed_phases(features, seed):
    generator = np.random.default_rng(seed)
    arms, horizon, delta, slack = len(features), 30_000, 0.1, 0.2
    live = agent("phased_elimination", features=features, horizon=horizon, deviation=0.5, delta=delta, slack=slack)
    means = features @ np.array([0.4, 0.3, 0.1])
    alive, t = np.ones(arms, bool), 0
    for phase in range(1, 6):
        plan, played, rewards = None, np.zeros(arms), np.zeros(arms)
        while plan is None or played.sum() < plan.sum():
            arm = live.act()
            if plan is None:
                share, rank = live.state.share.copy(), np.linalg.matrix_rank(features[alive])
                assert share.sum() == pytest.approx(1) and (share[~alive] == 0).all() and live.state.phase[0] == phase
                gram = np.linalg.pinv((features.T * share) @ features, rcond=1e-9)
                g = np.einsum("ak,kl,al->a", features, gram, features)[alive].max()
                assert rank * (1 - 1e-9) <= g <= rank * (1 + slack) * (1 + 1e-9)
                exact = 2 * 0.25 * g * share * 4**phase * math.log(arms * phase * (phase + 1) / delta)
                plan = np.ceil(exact - 1e-6)
                assert (np.abs(live.state.plan - plan) <= (np.abs(exact - np.round(exact)) < 1e-6)).all()
            reward = means[arm] + 0.5 * generator.normal()
            live.learn(arm, reward)
            played[arm] += 1
            rewards[arm] += reward
            t += 1
        np.testing.assert_array_equal(played, plan)
        gram = (features.T * played) @ features
        estimate = features @ np.linalg.pinv(gram, rcond=1e-9) @ features.T @ rewards
        alive &= estimate[alive].max() - estimate <= 2 * 0.5**phase
        np.testing.assert_array_equal(live.state.alive.astype(bool), alive)
    assert alive[means.argmax()] and not alive.all() and t < horizon


def test_phased_elimination_on_arms_without_information():
    for features in (np.zeros((3, 2)), [[1.0, 2.0]], [[0.0, 0.0], [0.0, 1.0]]):
        live = agent("phased_elimination", features=features, horizon=3000, deviation=0.1)
        played = [live.act()]
        for _ in range(2999):
            live.learn(played[-1], 0.0)
            played.append(live.act())
        assert 0 <= min(played) and max(played) < len(features)


def test_designs_that_need_fixed_arms_are_refused_changing_ones():
    with pytest.raises(ValueError, match="phased_elimination needs features that stay"):
        ps.run(ps.bandits.contextual_linear(), ["phased_elimination"], horizon=10)


def program(features, gap, deviation):
    """The lower bound's program as a semidefinite one, in spending, on what is orthogonal to the best arm."""
    cp = pytest.importorskip("cvxpy")
    best = features[gap.argmin()]
    across = (features @ np.linalg.svd(best[None, :])[2][1:].T)[gap > 0]
    gaps = gap[gap > 0]
    spending = cp.Variable(len(gaps), nonneg=True)
    gram = sum(spending[a] * np.outer(x, x) / gaps[a] for a, x in enumerate(across))
    room = [
        cp.bmat([[gram, x[:, None] / g], [x[None, :] / g, np.array([[1 / (2 * deviation**2)]])]]) >> 0
        for x, g in zip(across, gaps, strict=True)
    ]
    return cp.Problem(cp.Minimize(cp.sum(spending)), room).solve(solver="CLARABEL")


@pytest.mark.parametrize(("arms", "dimension", "seed"), [(5, 2, 0), (7, 3, 1), (9, 4, 2)])
def test_lower_bound_against_a_semidefinite_program(arms, dimension, seed):
    features, parameter = sphere(arms, dimension, seed)
    means = features @ parameter
    gap = means.max() - means
    answer = graves_lai(features, gap, 0.4)
    assert answer.cost == pytest.approx(program(features, gap, 0.4), rel=1e-4)
    assert answer.cost * (1 - 1e-5) <= answer.certificate <= answer.cost * (1 + 1e-12)
    assert answer.cost == pytest.approx(answer.plays @ gap)
    gram = np.linalg.inv((features.T * np.where(gap > 0, answer.plays, 1e6 * answer.plays.max())) @ features)
    widths = np.einsum("ak,kl,al->a", features, gram, features)[gap > 0]
    assert (widths <= gap[gap > 0] ** 2 / (2 * 0.4**2) * (1 + 1e-4)).all()


def test_lower_bound_in_closed_form():
    gap = np.array([0.0, 0.1, 0.3, 0.5])
    sum_of_arms = (2 * 0.7**2 / gap[1:]).sum()  # orthonormal arms teach nothing of one another
    assert graves_lai(np.eye(4), gap, 0.7).cost == pytest.approx(sum_of_arms, rel=1e-5)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0][:, :4]
    assert graves_lai(np.eye(4) @ turn.T, gap, 0.7).cost == pytest.approx(sum_of_arms, rel=1e-5)
    # In the plane one number is to be learned, M = sum_a w_a b_a^2 >= max_a 2 (s b_a / D_a)^2, at the least D_a / b_a^2 each.
    truth = ps.bandits.linear(deviation=0.3).truth
    assert registry.load("bandits", "linear").regret_slope_lower(type(truth)(*(f[0] for f in truth))) == pytest.approx(
        2 * (0.3 * 0.4 / 0.12) ** 2 * (0.12 / 0.4**2), rel=1e-5
    )
    assert graves_lai([[1.0], [0.5]], [0.0, 0.35], 1.0).cost == 0  # playing the best arm teaches everything


def test_no_lower_bound_where_two_arms_are_best():
    with pytest.raises(ValueError, match="unique best arm"):
        graves_lai(np.eye(3), [0.0, 0.0, 0.5], 1.0)
    tied = ps.bandits.linear(np.eye(3), [[1.0, 1.0, 0.5], [1.0, 0.2, 0.5]])
    slope = ps.run(tied, ["uniform"], horizon=5, engine="reference")["regret_slope_lower"].values[0]
    assert np.isnan(slope[0]) and slope[1] > 0
    twins = graves_lai([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [0.0, 1e-14, 0.5], 1.0)
    assert twins.cost == pytest.approx(2 / 0.5, rel=1e-5)


def test_no_policy_learns_more_cheaply_than_the_lower_bound():
    bandit = ps.bandits.linear(np.eye(3), [1.0, 0.8, 0.5], deviation=0.5)
    data = ps.run(bandit, ["linucb", "lin_thompson", "phased_elimination"], horizon=20_000, runs=20, record=[2000, 20_000])
    early, late = data["regret"].sel(t=[2000, 20_000]).isel(instance=0).mean("run").values.T
    assert ((late - early) / math.log(10) > 0.5 * data["regret_slope_lower"].values[:, 0]).all()


def test_bounds_by_hand():
    problem = Problem(4, 1000, 0.2, 0.7, 1.5, 2)
    t = np.array([10, 1000])
    growth = 2 * np.log(1 + t * 2.25 / (2 * 0.5))
    width = np.maximum(0.7 * 1.5, math.sqrt(0.5) * 0.7 + 0.2 * np.sqrt(2 * math.log(1000) + growth))
    expected = np.sqrt(8 * t * width**2 * growth) + t / 1000 * 2 * 0.7 * 1.5
    np.testing.assert_allclose(linucb.regret_bound(linucb.Hyper(0.5), None, problem, t), expected)
    assert np.isnan(linucb.regret_bound(linucb.Hyper(scale=0.5), None, problem, t)).all()
    total, played = 0.0, 0
    for phase in range(1, 30):
        rounds = 4 + 2 * 0.04 * 2 * 1.1 * 4**phase * math.log(4 * phase * (phase + 1) * 1000)
        now = min(rounds, 1000 - played)
        total, played = total + now * (min(2.1, 8 / 2**phase) if phase > 1 else 2.1), played + now
    bound = phased_elimination.regret_bound(phased_elimination.Hyper(), None, problem, t)
    np.testing.assert_allclose(bound, [2.1 * 10 * 1.001, total + 2.1])
    assert discounted_linucb.radius(discounted_linucb.Hyper(discount=1.0), problem, 50) == pytest.approx(
        0.7 + 0.2 * math.sqrt(2 * math.log(1000) + 2 * math.log(1 + 50 * 2.25 / 2))
    )


def test_bounds_stand_beside_the_settings_they_cover():
    def drawn(bandit, policy):
        data = ps.run(bandit, [policy], horizon=5, engine="reference")
        return "regret_bound" in data and bool(np.isfinite(data["regret_bound"]).all())

    assert drawn(ps.bandits.linear(), "linucb") and drawn(ps.bandits.linear(), "phased_elimination")
    assert drawn(ps.bandits.contextual_linear(), "linucb") and drawn(ps.bandits.logistic(), "ucb1")
    for bandit in (ps.bandits.logistic(), ps.bandits.contextual_logistic(), ps.bandits.drifting_linear()):
        assert not drawn(bandit, "linucb")


def test_logistic_coins():
    features, parameter = np.array([[2.0, 0.0], [0.0, 1.0], [-1.0, 1.0]]), np.array([0.8, -0.5])
    bandit = ps.bandits.logistic(features, parameter)
    expected = 1 / (1 + np.exp([-1.6, 0.5, 1.3]))
    np.testing.assert_allclose(bandit.truth.means[0], expected)
    np.testing.assert_allclose(bandit.truth.gap[0], expected[0] - expected)
    assert bandit.known["deviation"] == 0.5 and bandit.known["norm"] == pytest.approx(math.hypot(0.8, 0.5))
    data = ps.run(bandit, ["uniform", "linucb"], horizon=2000, runs=20)["regret"].values[:, 0, :, -1]
    assert data[0].mean() == pytest.approx(2000 * (expected[0] - expected).mean(), rel=0.02)
    assert data[1].mean() < 0.3 * data[0].mean()


@pytest.mark.parametrize("family", ["contextual_logistic", "drifting_linear"])
def test_environments_by_their_formulas(family):
    environment = registry.load("bandits", family)
    if family == "contextual_logistic":
        world = environment.State(np.zeros((3, 2)), np.array([0.3, -1.0, 0.9]))
        truth, theirs = environment.Truth(np.array([1.0, 2.0])), 1 / (1 + np.exp([-0.3, 1.0, -0.9]))
    else:
        truth = environment.Truth(np.eye(3), np.array([0.6, 0.8, 0.9]), np.array([0.5]), np.array([8.0]))
        world, turned = (), complex(0.6, 0.8) * np.exp(2j * np.pi * 3 / 8)
        theirs = np.array([turned.real, turned.imag, 0.9])
    costs = [environment.regrets(truth, world, a, 3, 0.0)[0] for a in range(3)]
    np.testing.assert_allclose(costs, theirs.max() - theirs, atol=1e-12)
    samples, noise = [], open_stream(1, 2, 0, 0)
    for t in range(3000):
        seek(noise, t)
        samples.append(environment.feedback(truth, world, 0, 3, noise))
    deviation = 0.5 if family == "drifting_linear" else math.sqrt(theirs[0] * (1 - theirs[0]))
    assert abs(np.mean(samples) - theirs[0]) < 4 * deviation / math.sqrt(3000)
    assert np.std(samples) == pytest.approx(deviation, rel=0.1)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ps.bandits.logistic([[1.0, 2.0]], [1.0]), "features must have shape"),
        (lambda: ps.bandits.logistic(norm=0.1), "norm must bound"),
        (lambda: ps.bandits.contextual_logistic(arms=0), "arms at least 1"),
        (lambda: ps.bandits.drifting_linear([[1.0]], [1.0]), "dimension >= 2"),
        (lambda: ps.bandits.drifting_linear(period=0), "period be above 0"),
        (lambda: agent("phased_elimination", 2, dimension=2, horizon=9, slack=0.0), "slack must be > 0"),
        (lambda: agent("discounted_linucb", 2, dimension=2, horizon=9, discount=0.0), "discount must lie"),
        (lambda: agent("lin_thompson", 2, dimension=2, delta=1.0), "delta must lie"),
    ],
)
def test_nonsense_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("claim", select(["linucb", "phased_elimination"]), ids=lambda claim: claim.key)
def test_claim_holds_and_its_controls_fail(claim):
    verdict = check(claim)
    assert verdict.outcome == "supported" and verdict.ok, verdict
