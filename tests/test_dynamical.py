"""Dynamical linear bandits: closed forms, identification, and the policies against plain readings of their pseudo-code."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

import prefsim as ps
from prefsim import registry
from prefsim.action_sets import sphere, vertices
from prefsim.claim import check, select
from prefsim.claims._dynamics import follow, steady
from prefsim.claims._regret import truths
from prefsim.engines import reference
from prefsim.policies import dynlin_ucb as rule
from prefsim.policies import exp3_batched

environment = registry.load("bandits", "dynamical_linear")
PUBLISHED = (ps.bandits.dlb_synthetic, ps.bandits.dlb_advertising)
CLAIMS = select(["dynamical_linear", "dynlin_ucb"])


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.key)
def test_claim_holds_and_its_controls_fail(claim):
    verdict = check(claim)
    assert verdict.outcome == ("consistent on this window" if claim.asymptotic else "supported"), verdict
    assert [control.outcome for control in verdict.controls] == ["violated"] * len(claim.controls), verdict


def test_synthetic_system_in_fractions():
    truth = truths(ps.bandits.dlb_synthetic())[0]
    np.testing.assert_allclose(steady(truth), [9 / 16, 1 / 2, 1 / 9], rtol=1e-14)
    by_action = {tuple(u): truth.best[0] - gap for u, gap in zip(truth.features, truth.gap, strict=True)}
    printed = {(1, 0.5, 0): 0.8125, (0.5, 1, 0): 0.78125, (1, 0, 0.5): 0.61806, (0, 1, 0.5): 0.55556, (0.5, 0, 1): 0.39236,
               (0, 0.5, 1): 0.36111}  # fmt: skip
    assert {u: round(value, 5) for u, value in by_action.items()} == pytest.approx(printed, abs=1e-5)
    assert truth.best[0] == pytest.approx(13 / 16, rel=1e-14)


@pytest.mark.parametrize(
    ("bandit", "c1", "c2", "s2"),
    [
        (ps.bandits.dlb_synthetic(published_bound=True), 1.07521, 2.27692, 2.05208),
        (ps.bandits.dlb_synthetic(), 1.07521, 1.41326, 2.05208),
        (ps.bandits.dlb_advertising(published_bound=True), 2.4427, 9.0378, 6.4413),
        (ps.bandits.dlb_advertising(), 2.4427, 9.5103, 6.4413),
    ],
)
def test_radius_has_the_known_constants(bandit, c1, c2, s2):
    problem = bandit.problem(10**6)
    hyper, plain = rule.Hyper(ridge=2.0, delta=0.01), rule.Hyper(ridge=2.0, delta=0.01, beta_scale=0.0)
    for t in (1, 1000):
        noisy = rule.radius(plain, problem, t)
        growth = 1.5 * np.log(1 + t * 1.25 / (3 * 2))
        assert noisy == pytest.approx(np.sqrt(2 * s2 * 1e-4 * (np.log(100) + growth)), rel=1e-5)
        certain = c1 * np.sqrt(2) + c2 / np.sqrt(2) * np.log(np.e * (t + 1))
        assert rule.radius(hyper, problem, t) - noisy == pytest.approx(certain, rel=1e-4)
    # The printed size of its two parts on the synthetic system at the horizon, for lambda = ln T.
    if c2 == 2.27692:
        whole, stochastic = (rule.radius(rule.Hyper(beta_scale=s), problem, 10**6) for s in (1.0, 0.0))
        assert (whole - stochastic, stochastic) == (pytest.approx(13.07, abs=0.01), pytest.approx(0.110, abs=0.001))


def test_the_advertising_system_is_the_printed_one():
    bandit = ps.bandits.dlb_advertising()
    truth = truths(bandit)[0]
    np.testing.assert_allclose(steady(truth), [0.25153, -0.03630, 0.10612], atol=5e-6)
    assert tuple(truth.features[truth.gap.argmin()]) == (1, 0, 0.5) and truth.best[0] == pytest.approx(0.30459, abs=5e-6)
    np.testing.assert_allclose(bandit.hints[:5], [0.66689, 2.7812, 0.43058, 0.62498, 0.38561], rtol=2e-5)
    np.testing.assert_allclose(truth.omega, [-0.61, -0.04, -0.13], atol=1e-12)
    np.testing.assert_allclose(truth.theta, [0.13, 0.41, 0.02], atol=1e-12)


def test_steady_gains_do_not_depend_on_the_memory():
    for rho in (0.0, 0.5, 0.95):
        truth = truths(ps.bandits.dlb_stability(rho))[0]
        np.testing.assert_allclose(steady(truth), [0.5, 0.6], rtol=1e-12)
        assert np.abs(np.linalg.eigvals(truth.A)).max() == rho


def test_the_reward_comes_before_the_state_moves():
    bandit = ps.bandits.dynamical_linear([[0.5]], [[0.2]], [1.0], [0.1], [[1.0], [2.0]], sigma=0.0, start=[0.3])
    path = follow(bandit, [1, 0, 0])
    assert path.reward == pytest.approx([0.3 + 0.2, 0.15 + 0.4 + 0.1, 0.275 + 0.2 + 0.1])
    assert path.states.ravel() == pytest.approx([0.3, 0.55, 0.475, 0.4375])


def test_noise_has_its_deviations():
    for obs_noise, factor in (("scalar", 1), ("summed", 3)):
        bandit = ps.bandits.dynamical_linear([[0.0]], [[0.0]], [2.0], [0.0], [[1.0]], 0.1, obs_noise, state_sigma=0.3)
        reward = follow(bandit, np.zeros(4000, int)).reward
        # y = 2 eps + eta, independent over rounds; its variance has standard error 2.2 %.
        assert reward.var() == pytest.approx(4 * 0.09 + factor * 0.01, rel=0.1)
        np.testing.assert_array_equal(bandit.hints[-1], 0.3)
    quiet = ps.bandits.dynamical_linear([[0.0]], [[0.0]], [2.0], [0.0], [[1.0]], 0.1, "summed", state_sigma=0.0)
    assert follow(quiet, np.zeros(4000, int)).reward.var() == pytest.approx(0.03, rel=0.1)


def test_both_regrets_are_recorded():
    data = ps.run(ps.bandits.dlb_synthetic(0.0), ["expert"], horizon=50, runs=1, metrics=["regret", "realised_regret"])
    steady_gap = 13 / 16 - (0.25 + 1 / 9)
    t = data["t"].values
    np.testing.assert_allclose(data["regret"].values[0, 0, 0], t * steady_gap, rtol=1e-12)
    # (0, 1/2, 1) pays .1 of the third state late: x_3 = (1 - .1^(t-1)) / 9, worth .1 of it.
    missing = np.cumsum([0.0, *(0.1 * 0.1 ** (s - 1) / 9 for s in range(1, 51))])[t]
    np.testing.assert_allclose(data["realised_regret"].values[0, 0, 0], t * steady_gap + missing, rtol=1e-10)
    assert data["regret"].attrs["normalisation"] == "dlb_steady"


def test_batches_are_told_bounds_that_hold_for_all():
    batch = ps.bandits.dynamical_linear([[[0.3]], [[0.8]]], [[[0.1]], [[0.05]]], [0.5], [[0.1], [0.4]], [[1.0], [-1.0]])
    rho, phi, theta, omega, push, length, bound, sigma = batch.hints
    assert (rho, phi, theta, omega, push, length, sigma) == pytest.approx((0.8, 1.0, 0.4, 0.5, 0.1, 1.0, 0.1))
    assert bound == pytest.approx(0.1 / 0.2)
    np.testing.assert_allclose(batch.truth.best.ravel(), [0.1 + 0.05 / 0.7, 0.4 + 0.025 / 0.2])
    for i in range(2):
        assert np.linalg.norm(steady(truths(batch)[i])) <= batch.known["norm"]


SHEAR = [[0.5, 1.0], [0.0, 0.5]]
GOOD = {"A": SHEAR, "B": np.eye(2) / 20, "omega": [0.1, 0.1], "theta": [0.1, 0.1], "actions": np.eye(2), "rho_bar": 0.6}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"A": [[1.0, 0.0], [0.0, 0.5]]}, "spectral radius below 1; it is 1"),
        ({"A": [[0.5]]}, r"B must have shape \(1, 2\)"),
        ({"A": [[np.nan, 0], [0, 0]]}, "A must be finite"),
        ({"omega": [1.0]}, "omega must have shape"),
        ({"theta": [0.1, 0.1, 0.1]}, "theta must have shape"),
        ({"theta": [5.0, 0.0]}, r"\|J\(u\)\| must be at most 1.*divide omega and theta"),
        ({"actions": [0.1, 0.1]}, "actions must be finite, with 2 axes"),
        ({"sigma": -1.0}, "sigma and state_sigma must be"),
        ({"obs_noise": "loud"}, "'scalar' or 'summed'"),
        ({"rho_bar": 0.4}, "rho_bar must bound the spectral radius, 0.5"),
        ({"rho_bar": 1.0}, "below 1"),
        ({"rho_bar": None}, "Jordan block.*give rho_bar above"),
        ({"state_bound": -1.0}, "state_bound must be"),
        ({"start": [1.0]}, "start must be"),
    ],
)
def test_bad_systems_are_refused(change, words):
    assert ps.bandits.dynamical_linear(**GOOD).arms == 2
    with pytest.raises(ValueError, match=words):
        ps.bandits.dynamical_linear(**{**GOOD, **change})


def test_stability_constant():
    assert environment.stability_constant(np.diag([0.2, 0.1]), 0.2) == 1.0
    # Powers of a shear: [[a^k, k a^(k-1)], [0, a^k]]
    powers = [np.linalg.norm(np.linalg.matrix_power(np.array(SHEAR), k), 2) / 0.6**k for k in range(60)]
    assert environment.stability_constant(SHEAR, 0.6) == pytest.approx(max(powers), rel=1e-12)
    small = environment.stability_constant(np.array(SHEAR) * 1e-3, 0.6e-3)
    assert small == pytest.approx(max(powers), rel=1e-9)  # nothing underflows
    assert environment.stability_constant(SHEAR, 0.5) == np.inf
    assert environment.stability_constant([[0.0, 1.0], [0.0, 0.0]], 0.0) == np.inf
    assert environment.stability_constant([[0.0]], 0.0) == 1.0


def test_vertices_of_the_budget_set():
    rows = [*np.eye(3), *-np.eye(3), np.ones(3)]
    found = {tuple(v) for v in vertices(rows, [1, 1, 1, 0, 0, 0, 1.5]).round(12)}
    expected = {v for v in product((0.0, 0.5, 1.0), repeat=3) if sorted(v) in ([0, 0, 0], [0, 0, 1], [0, 0.5, 1])}
    assert found == expected and len(found) == 10
    assert {tuple(u) for u in truths(ps.bandits.dlb_synthetic())[0].features} <= found
    np.testing.assert_allclose(vertices([[1.0], [-1.0]], [2.0, 1.0]), [[-1.0], [2.0]])


@pytest.mark.parametrize(
    ("rows", "limits", "words"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], [1, 1], "unbounded"),
        ([[1.0], [-1.0]], [0, -1], "empty"),
        ([[1.0]], [1, 2], "limits"),
        (np.ones((60, 8)), np.ones(60), "unbounded"),
    ],
)
def test_bad_polytopes_are_refused(rows, limits, words):
    with pytest.raises(ValueError, match=words):
        vertices(rows, limits)


@pytest.mark.parametrize("dimension", [2, 3])
def test_spheres_are_covered(dimension):
    points = sphere(400, dimension, 2.0)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 2.0)
    directions = np.random.default_rng(0).standard_normal((500, dimension))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    assert (directions @ points.T).max(axis=1).min() > 2 * np.cos({2: np.pi / 400, 3: 0.15}[dimension]) - 1e-12


def test_bad_spheres_are_refused():
    for arguments in ((1, 2), (10, 4), (10, 2, 0.0), (3, 1)):
        with pytest.raises(ValueError, match="sphere needs"):
            sphere(*arguments)
    assert sphere(2, 1).tolist() == [[1.0], [-1.0]]


# Epochs


def hold(m, rho, up):
    """``floor`` or ``ceil`` of ``ln m / ln(1 / rho)`` in exact arithmetic."""
    exponent = 0
    while (m * rho**exponent > 1) if up else (m * rho ** (exponent + 1) >= 1):
        exponent += 1
    return exponent


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("rho", [Fraction(1, 5), Fraction(1, 10), Fraction(2, 3), Fraction(9, 10)])
def test_epochs_last_as_long_as_exact_arithmetic_says(rho, up):
    problem = ps.bandits.dlb_synthetic().problem(10**6)
    hyper, state = rule.Hyper(rho=float(rho), ceil=up), reference.allocate(rule)(problem)
    rule.init(hyper, state, problem)
    lengths = []
    for m in range(1, 3001):
        rule.lengthen(hyper, state, problem)
        if m < 200 or m in (625, 1000, 1001, 1024, 2187, 3000):
            assert state.left[0] - 1 == hold(m, rho, up)
        lengths.append(int(state.left[0]))
    ends = np.cumsum(lengths)
    for t in (1, 2, 5, 6, 7, 50, 999, int(ends[1999]), int(ends[1999]) + 1):
        begun = int(np.searchsorted(ends, t)) + 1
        assert rule.epochs(hyper, problem, t) == (begun, lengths[begun - 1] - 1)


def test_no_memory_means_no_epochs():
    problem = ps.bandits.dlb_synthetic().problem(100)
    assert rule.epochs(rule.Hyper(rho=0.0), problem, 77) == (77, 0)


def test_a_fresh_inversion_starts_from_the_matrix():
    bandit = ps.bandits.dlb_synthetic()
    state, u = reference.allocate(rule)(bandit.problem(100)), np.array([1.0, 0.5, 0.0])
    rule.init(rule.Hyper(), state, bandit.problem(100))
    state.inverse[:] = 7.0
    rule.update(state, u, 0.5, False)
    assert np.abs(state.inverse @ state.gram - np.eye(3)).max() > 1
    rule.update(state, u, 0.5, True)
    np.testing.assert_allclose(state.inverse @ state.gram, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(state.gram @ state.estimate, u, rtol=1e-12)


@pytest.mark.parametrize("build", [*PUBLISHED, ps.bandits.dlb_stability, ps.bandits.dynamical_linear])
def test_experiments_are_written_down(build, tmp_path):
    experiment = ps.Experiment(build(sigma=0.2), ["dynlin_ucb"], horizon=10)
    experiment.to_toml(tmp_path / "dlb.toml")
    again = ps.Experiment.from_toml(tmp_path / "dlb.toml")
    np.testing.assert_array_equal(again.problem.hints, experiment.problem.hints)
    np.testing.assert_array_equal(again.problem.truth.gap, experiment.problem.truth.gap)


# Policies against plain readings


def drive(policy, bandit, horizon, hyper, watch, seed=1):
    """Let an agent play the environment; `watch` is told the round, its action and the reward."""
    truth, told = truths(bandit)[0], bandit.known
    live = ps.agent(policy, features=truth.features, horizon=horizon, seed=seed, hints=bandit.hints, **hyper,
                    deviation=told["deviation"], norm=told["norm"], length=told["length"])  # fmt: skip
    random, x = np.random.default_rng(seed), truth.start.copy()
    for t in range(1, horizon + 1):
        arm = live.act()
        u = truth.features[arm]
        y = truth.omega @ x + truth.theta @ u + truth.noise[0] * random.standard_normal()
        x = truth.A @ x + truth.B @ u + truth.noise[1] * random.standard_normal(len(x))
        watch(t, arm, y)
        live.learn(arm, y)
    return live


@pytest.mark.parametrize("hyper", [{}, {"ceil": True, "ridge": 1.0, "delta": 0.1}, {"rho": 0.9, "beta_scale": 0.1}])
@pytest.mark.parametrize("build", PUBLISHED)
def test_dynlin_ucb_is_its_pseudo_code(build, hyper):
    horizon, bandit = 700, build(0.05)
    truth, (rho, phi, theta, omega, push, U, X, sigma) = truths(bandit)[0], bandit.hints
    rho, lam, delta = hyper.get("rho", rho), hyper.get("ridge", np.log(horizon)), hyper.get("delta", 1 / horizon)
    c1 = theta + omega * push * phi / (1 - rho)
    c2 = U * omega * phi * (U * push / (1 - rho) + X)
    s2 = sigma**2 * (1 + omega**2 * phi**2 / (1 - rho**2))
    V, b, epoch = lam * np.eye(3), np.zeros(3), {"m": 0, "left": 0, "arm": -1}
    played = set()

    def watch(t, arm, y):
        nonlocal V, b
        if epoch["left"] == 0:
            det = c1 * np.sqrt(lam) + c2 / np.sqrt(lam) * np.log(np.e * (t + 1))
            beta = hyper.get("beta_scale", 1.0) * det
            beta += np.sqrt(2 * s2 * (np.log(1 / delta) + 1.5 * np.log(1 + t * U**2 / (3 * lam))))
            width = np.sqrt(np.einsum("ad,de,ae->a", truth.features, np.linalg.inv(V), truth.features))
            index = truth.features @ np.linalg.solve(V, b) + beta * width
            assert index[arm] >= index.max() - 1e-9
            epoch["m"] += 1
            exact = np.log(epoch["m"]) / np.log(1 / rho)
            epoch["left"] = 1 + int(np.ceil(exact - 1e-9) if hyper.get("ceil") else np.floor(exact + 1e-9))
            epoch["arm"] = arm
        assert arm == epoch["arm"]
        played.add(arm)
        epoch["left"] -= 1
        if epoch["left"] == 0:
            u = truth.features[arm]
            V, b = V + np.outer(u, u), b + y * u

    live = drive("dynlin_ucb", bandit, horizon, hyper, watch)
    np.testing.assert_allclose(live.state.gram, V, rtol=1e-12)
    np.testing.assert_allclose(live.state.moment, b, rtol=1e-9)
    assert len(played) > 2


@pytest.mark.parametrize("scale", [0.01, 0.1, 1.0])
def test_ar2_is_its_pseudo_code(scale):
    bandit = ps.bandits.dlb_stability(0.9, sigma=0.2, arms=5)  # restarts every ceil(5 / (.9 * .2)^3) = 858 rounds
    K, alpha, sigma = 5, 0.9, 0.2
    D = int(np.ceil(K * alpha**-3 * sigma**-3))
    c1 = scale * 24 * np.sqrt(4 * np.log(1 / (alpha * sigma)) + 4 * np.log(D) + 2 * np.log(4 * K))
    estimate, tau, trigger, order, seen = np.zeros(K), {}, {}, [], {"superior": 0, "triggered": 0}

    def watch(t, arm, y):
        nonlocal estimate
        within = (t - 1) % D
        if within == 0:
            trigger.clear()
        if within < K:
            assert arm == within
        else:
            last = order[-1]
            other = next(a for a in reversed(order) if a != last)
            superior = last if estimate[last] >= estimate[other] else other
            for i in range(K):
                width = c1 * sigma * np.sqrt((alpha**2 - alpha ** (2 * (t - tau[i] + 1))) / (1 - alpha**2))
                if i != superior and i not in trigger and estimate[superior] - estimate[i] <= width:
                    trigger[i] = t
            waiting = {i: s for i, s in trigger.items() if i != superior}
            if t % 2 == 1 and waiting:
                assert waiting[arm] == min(waiting.values())
                seen["triggered"] += 1
            else:
                assert arm == superior
                seen["superior"] += 1
        trigger.pop(arm, None)
        estimate = alpha * estimate
        estimate[arm] = alpha * y
        tau[arm] = t
        order.append(arm)

    drive("ar2", bandit, 900, {"scale": scale}, watch)
    assert min(seen.values()) > 50


@pytest.mark.parametrize("batch", [0, 1, 7])
def test_exp3_batched_is_its_pseudo_code(batch):
    bandit, horizon, K = ps.bandits.dlb_synthetic(0.05), 500, 6
    k = batch or 4  # 500 rounds are 4 + 20 * 2 + 100 * 3 + 39 * 4, so 163 epochs, and ln 163 / ln 5 = 3.16
    rho, _, theta, omega, push, U, _, _ = bandit.hints
    M = (theta + omega * push / (1 - rho)) * U
    gamma = min(1, np.sqrt(K * np.log(K) / ((np.e - 1) * 2 * (horizon / k) / 3)))
    gain, gathered, draws = np.zeros(K), [], []

    def watch(t, arm, y):
        if not gathered:
            weight = np.exp(gamma / K * (gain - gain.max()))
            draws.append((arm, (1 - gamma) * weight / weight.sum() + gamma / K))
        assert arm == draws[-1][0]
        gathered.append((y + 2 * M) / (4 * M))
        if len(gathered) == k:
            gain[arm] += np.mean(gathered) / draws[-1][1][arm]
            gathered.clear()

    live = drive("exp3_batched", bandit, horizon, {"batch": batch}, watch)
    np.testing.assert_allclose(live.state.gain, gain, rtol=1e-9)
    assert live.state.chance[0] == pytest.approx(draws[-1][1][draws[-1][0]], rel=1e-9)
    # The arms drawn follow the probabilities: sum over batches of 1{arm} - p is a martingale.
    excess = np.sum([np.eye(K)[arm] - p for arm, p in draws], axis=0)
    assert np.abs(excess).max() < 4.5 * np.sqrt(len(draws)) / 2


def test_batches_have_the_published_length():
    assert exp3_batched.length(0.2, 10**6) == 8
    assert exp3_batched.length(0.0, 10**6) == 1


@pytest.mark.parametrize(("wanted", "nearest"), [((1.0, 0.4, 0.1), 0), ((0.1, 0.6, 0.7), 5), ((0.0, 1.0, 0.5), 4)])
def test_expert_plays_the_nearest_action(wanted, nearest):
    live = drive("expert", ps.bandits.dlb_synthetic(), 5, dict(zip(("first", "second", "third"), wanted, strict=True)),
                 lambda t, arm, y: None)  # fmt: skip
    assert live.act() == nearest


def test_regret_stays_below_the_bound_where_it_is_proved():
    a, b, omega, theta, actions = (field[0] for field in ps.bandits.dlb_advertising().truth[:5])
    system = {"A": a, "B": b, "omega": omega, "theta": theta, "actions": actions, "sigma": 0.1}
    bandit, certified = ps.bandits.dynamical_linear(**system, state_bound=12.0), ("dynlin_ucb", {"ceil": True})
    data = ps.run(bandit, [certified, "dynlin_ucb", "linucb", "ar2", "exp3_batched"], horizon=20_000, runs=5)
    bound = data["regret_bound"].values
    assert np.isfinite(bound[0, 0, 1:]).all() and np.isnan(bound[1:]).all()
    assert (data["regret"].values[0, 0].max(axis=0) <= bound[0, 0]).all()
    truth, problem = truths(bandit)[0], bandit.problem(20_000)
    noisy, still = ps.bandits.dynamical_linear(**system), ps.bandits.dynamical_linear(**system, state_sigma=0.0)
    for other, proved in ((noisy, False), (still, True)):  # the default bound on the state leaves its noise out
        values = rule.regret_bound(rule.Hyper(ceil=True), truths(other)[0], other.problem(20_000), [100])
        assert np.isfinite(values).all() == proved
    for hyper in ({"beta_scale": 0.5}, {"rho": 0.2}, {"ceil": False}):
        assert np.isnan(rule.regret_bound(rule.Hyper(**{"ceil": True, **hyper}), truth, problem, [100])).all()


def test_policies_for_dynamics_are_refused_elsewhere():
    with pytest.raises(ValueError, match="dynlin_ucb is for dynamics"):
        ps.run(ps.bandits.linear(), ["dynlin_ucb"], horizon=10)
    for hyper in ({"rho": 1.0}, {"ridge": -1.0}, {"delta": 1.0}):
        with pytest.raises(ValueError, match=next(iter(hyper))):
            ps.run(ps.bandits.dlb_synthetic(), [("dynlin_ucb", hyper)], horizon=10)


# Identification


def generated(rounds, sigma=0.0, seed=0):
    """A log of the advertising system's three outputs."""
    import sys

    system = sys.modules["prefsim.bandits.dlb_advertising"]
    A, B, C, D = (np.array(m) for m in (system.A, system.B, system.C, system.D))
    random = np.random.default_rng(seed)
    u, x, outputs = random.random((rounds, 3)), random.standard_normal(3), []
    for action in u:
        outputs.append(C @ x + D @ action + sigma * random.standard_normal(3))
        x = A @ x + B @ action + sigma * random.standard_normal(3)
    return u, np.array(outputs)


@pytest.mark.parametrize("lookback", [3, 6, 9])
@pytest.mark.parametrize("several", [True, False])
def test_identification_without_noise_is_exact(several, lookback):
    if not several and lookback < 5:
        lookback = 5  # one output needs three block rows for three states
    u, y = generated(200)
    system = ps.identify(u, y if several else y.sum(axis=1), order=3, lookback=lookback)
    truth = truths(ps.bandits.dlb_advertising())[0]
    np.testing.assert_allclose(system.h, steady(truth), atol=1e-9)
    np.testing.assert_allclose(np.sort(np.abs(np.linalg.eigvals(system.A))), [0.0378, 0.66689, 0.66689], atol=5e-5)
    for k in range(5):
        identified = system.omega @ np.linalg.matrix_power(system.A, k) @ system.B
        np.testing.assert_allclose(identified, truth.omega @ np.linalg.matrix_power(truth.A, k) @ truth.B, atol=1e-9)
    assert system.deviation < 1e-12 and system.explained == pytest.approx(1) and (system.spectrum[3:] < 1e-10).all()
    again = truths(system.problem(truth.features, scale=1.0, rho_bar=0.7))[0]
    np.testing.assert_allclose(again.gap, truth.gap, atol=1e-9)


def test_identification_with_noise_comes_close():
    u, y = generated(20_000, 0.01)
    system = ps.identify(u, y, order=3, lookback=6, ridge=1e-9)
    np.testing.assert_allclose(system.h, steady(truths(ps.bandits.dlb_advertising())[0]), atol=0.01)
    # Three outputs of deviation .01 each, and what the past does not tell of the state.
    assert np.sqrt(3) * 0.01 < system.deviation < 0.025
    bandit = system.problem(np.eye(3))
    assert np.abs(bandit.truth.best - bandit.truth.gap).max() == pytest.approx(1.0)
    data = ps.run(bandit, ["dynlin_ucb", "uniform"], horizon=2000, runs=3)
    assert data["regret"].values[0].max() < data["regret"].values[1, ..., -1].min()


def test_logs_are_read_from_csv(tmp_path):
    u, y = generated(100)
    path = tmp_path / "log.csv"
    names = ["search", "social", "video", "north", "south", "west"]
    np.savetxt(path, np.hstack([u, y]), delimiter=",", header=",".join(names), comments="", fmt="%.17g")
    spends, conversions = ps.read_log(path, actions=names[:3], outputs=names[3:])
    np.testing.assert_array_equal(spends, u)
    np.testing.assert_array_equal(conversions, y)
    with pytest.raises(ValueError, match="did you mean 'social'"):
        ps.read_log(path, actions=["socal"], outputs=["north"])
    path.write_text("a,b\n1,2\n3,x\n")
    with pytest.raises(ValueError, match="row 2, column 'b' holds 'x'"):
        ps.read_log(path, ["a"], ["b"])
    path.write_text("a,b\n1,2\n3\n")
    with pytest.raises(ValueError, match="row 2, column 'b'"):
        ps.read_log(path, ["a"], ["b"])
    path.write_text("a,b\n")
    with pytest.raises(ValueError, match="header and a row"):
        ps.read_log(path, ["a"], ["b"])
    with pytest.raises(ValueError, match="there is no file"):
        ps.read_log(tmp_path / "none.csv", ["a"], ["b"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"outputs": np.zeros(3)}, "actions must have shape"),
        ({"outputs": np.full(50, np.nan)}, "must be finite"),
        ({"order": 0}, "order must be at least 1"),
        ({"order": 5, "lookback": 4}, "here 9"),
        ({"lookback": 30}, "shorten lookback"),
        ({"ridge": -1.0}, "ridge must be"),
        ({"outputs": np.zeros(50)}, "more than the log shows"),
    ],
)
def test_bad_logs_are_refused(change, words):
    random = np.random.default_rng(0)
    good = {"actions": random.random((50, 2)), "outputs": random.random(50), "order": 1, "lookback": 4}
    with pytest.raises(ValueError, match=words):
        ps.identify(**{**good, **change})
    with pytest.raises(ValueError, match=r"actions must have shape \(arms, 2\)"):
        ps.identify(**good).problem([[1.0]])
    with pytest.raises(ValueError, match="scale must be"):
        ps.identify(**good).problem([[1.0, 0.0]], scale=0.0)
