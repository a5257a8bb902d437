"""Duels of arms with features: environments against their formulas, the regression against an outside optimiser, rules
against a plain reading of their definitions, bounds against numbers computed by hand."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

import prefsim as ps
from prefsim import logistic, noise, registry
from prefsim.bandit import Problem
from prefsim.claim import check, select
from prefsim.policies import _confident_pairs, apohf, max_in_pair, vacdb

CIRCLE = np.column_stack([np.cos(np.arange(5.0)), np.sin(np.arange(5.0))])
CLAIMS = select(["contextual_duels", "apohf"])


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, float)))


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.key)
def test_claim_holds_and_its_controls_fail(claim):
    verdict = check(claim)
    assert verdict.outcome == ("consistent on this window" if claim.asymptotic else "supported"), verdict
    assert [control.outcome for control in verdict.controls] == ["violated"] * len(claim.controls), verdict


# ---- environments


@pytest.mark.parametrize(
    ("utility", "function"),
    [("linear", lambda m: 2 * m), ("square", lambda m: 2 * m**2), ("cosine", lambda m: 2 * np.cos(3 * m))],
)
def test_fixed_arms_follow_the_formulas(utility, function):
    bandit = ps.bandits.contextual_duels([0.6, 0.8], features=CIRCLE, utility=utility, scale=2.0)
    value = function(CIRCLE @ [0.6, 0.8])
    truth, environment = bandit.truth, registry.load("bandits", "score_duels")
    np.testing.assert_allclose(truth.preference[0], sigmoid(value[:, None] - value), rtol=1e-12)
    np.testing.assert_allclose(truth.gap[0], value.max() - value, rtol=1e-12)
    one = environment.Truth(*(field[0] for field in truth))
    gap = value.max() - value
    expected = ((gap[1] + gap[3]) / 2, (sigmoid(gap[1]) + sigmoid(gap[3]) - 1) / 2, max(gap[[1, 3]]), min(gap[[1, 3]]))
    assert environment.regrets(one, (), (1, 3), 1, 0.0) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("utility", "function"),
    [("linear", lambda m: 2 * m), ("square", lambda m: 2 * m**2), ("cosine", lambda m: 2 * np.cos(3 * m))],
)
def test_fresh_arms_follow_the_formulas(utility, function):
    bandit = ps.bandits.contextual_duels([0.6, 0.0, -0.8], arms=6, utility=utility, scale=2.0)
    environment = registry.load("bandits", "contextual_duels")
    truth = environment.Truth(*(field[0] for field in bandit.truth))
    world, handle = environment.State(np.zeros((6, 3)), np.zeros(6)), noise.open_stream(1, 2, 0, 0)
    seen = []
    for t in range(1, 200):
        noise.seek(handle, t)
        environment.observe(truth, world, t, handle)
        value = function(world.features @ [0.6, 0.0, -0.8])
        np.testing.assert_allclose(np.linalg.norm(world.features, axis=1), 1, rtol=1e-12)
        np.testing.assert_allclose(world.gap, value.max() - value, atol=1e-12)
        gap = value.max() - value
        expected = ((gap[0] + gap[4]) / 2, (sigmoid(gap[0]) + sigmoid(gap[4]) - 1) / 2, max(gap[[0, 4]]), min(gap[[0, 4]]))
        assert environment.regrets(truth, world, (0, 4), t, 0.0) == pytest.approx(expected, abs=1e-12)
        seen.append(world.features.copy())
    # Uniform on the sphere in three dimensions: every coordinate is uniform on [-1, 1] (Archimedes).
    assert stats.kstest(np.ravel(seen)[::3], stats.uniform(-1, 2).cdf).pvalue > 1e-4


@pytest.mark.parametrize("flip", [0.0, 0.3])
def test_the_better_arm_wins_as_often_as_the_link_says(flip):
    environment = registry.load("bandits", "contextual_duels")
    bandit = ps.bandits.contextual_duels([1.5], arms=2, flip=flip)
    truth = environment.Truth(*(field[0] for field in bandit.truth))
    world = environment.State(np.array([[1.0], [0.2]]), np.array([0.0, 1.2]))
    handle, wins = noise.open_stream(3, 4, 0, 0), 0.0
    for t in range(4000):
        noise.seek(handle, t)
        wins += environment.feedback(truth, world, (0, 1), t, handle)
    chance = flip + (1 - 2 * flip) * sigmoid(1.2)
    assert stats.binomtest(int(wins), 4000, chance).pvalue > 1e-4
    fixed = ps.bandits.contextual_duels([1.5], features=[[1.0], [0.2]], flip=flip)
    assert fixed.truth.preference[0, 0, 1] == pytest.approx(chance)


def test_regrets_are_ordered_and_preference_is_at_most_a_quarter_of_utility():
    bandit = ps.bandits.contextual_duels()
    names = ["weak_regret", "regret", "strong_regret", "preference_regret"]
    data = ps.run(bandit, ["uniform"], horizon=300, metrics=names, record="all")
    weak, average, strong, preferred = (np.diff(data[name].values.ravel()) for name in names)
    assert (weak <= average + 1e-9).all() and (average <= strong + 1e-9).all() and (strong <= 2 * average + 1e-9).all()
    assert (preferred <= average / 4 + 1e-9).all() and preferred.max() > 0.25


def test_the_default_is_the_standard_instance():
    bandit = ps.bandits.contextual_duels()
    assert (bandit.arms, bandit.known["dimension"], bandit.known["norm"], bandit.known["length"]) == (20, 5, 3.0, 1.0)
    assert bandit.normalisation == "utility"
    # No theorem covers what is not linear, or not logistic.
    for other in ({"utility": "square"}, {"flip": 0.1}):
        data = ps.run(ps.bandits.contextual_duels(**other), ["vacdb"], horizon=5)
        assert "regret_bound" not in data
    assert "regret_bound" in ps.run(bandit, ["vacdb"], horizon=5)


def test_users_are_simulated_from_scores():
    scores, features = np.array([0.9, 0.5, 0.1, 0.4]), np.eye(4)
    for scaling, value in (("standard", 10 * (scores - scores.mean()) / scores.std()), ("minmax", 10 * (scores - 0.1) / 0.8)):
        truth = ps.bandits.score_duels(scores, features, scaling=scaling).truth
        np.testing.assert_allclose(truth.gap[0], value.max() - value, atol=1e-12)
        np.testing.assert_allclose(truth.preference[0], sigmoid(value[:, None] - value), atol=1e-12)
    many = np.random.default_rng(0).normal(size=300)
    gaps = [ps.bandits.score_duels(many, np.ones((300, 1)), seed=seed).truth.gap[0].max() for seed in (0, 0, 1)]
    assert gaps[0] == gaps[1] != gaps[2]  # 50 of them set the scale
    assert gaps[0] == pytest.approx(10 * np.ptp(many) / many.std(), rel=0.5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"parameter": [0.0, 0.0]}, "parameter must be finite, not 0"),
        ({"utility": "cubic"}, "utility must be one of linear, square, cosine"),
        ({"arms": 1}, "arms at least 2"),
        ({"flip": 0.7}, "flip in"),
        ({"norm": 0.1}, "norm must bound the parameter's norm, 3"),
        ({"features": [[1.0, 0.0]]}, r"features must have shape \(arms, 5\)"),
    ],
)
def test_bad_contexts_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        ps.bandits.contextual_duels(**arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"scores": [1.0]}, "at least two arms"),
        ({"scores": [1.0, 1.0], "features": np.eye(2)}, "all equal"),
        ({"features": np.eye(3)}, "features must be finite, of shape"),
        ({"features": np.zeros((5, 2))}, "must not all be 0"),
        ({"magnitude": 0.0}, "magnitude must be above 0"),
        ({"scaling": "log"}, "scaling must be 'standard' or 'minmax'"),
    ],
)
def test_bad_score_tables_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        ps.bandits.score_duels(**arguments)


# ---- the regression


@pytest.mark.parametrize("norm", [100.0, 1.0, 0.2])
@pytest.mark.parametrize("separable", [False, True])
def test_regression_is_the_constrained_optimum(norm, separable):
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(40, 3))
    won = (rows @ [2.0, -1.0, 0.5] > 0) if separable else generator.random(40) < sigmoid(rows @ [2.0, -1.0, 0.5])
    won, ridge = won.astype(float), 0.01
    theta, scratch = np.zeros(3), np.zeros((3, 3))
    length = float(np.linalg.norm(rows, axis=1).max())
    logistic.logistic_fit(rows, won, 40, ridge, norm, length, theta, scratch, scratch.copy(), np.zeros((4, 3)))

    def loss(x):
        return (np.logaddexp(0, rows @ x) - won * (rows @ x)).sum() + ridge / 2 * x @ x

    assert logistic.logistic_loss(rows, won, 40, ridge, theta) == pytest.approx(loss(theta), rel=1e-12)
    inside = {"type": "ineq", "fun": lambda x: norm**2 - x @ x}
    best = optimize.minimize(loss, np.zeros(3), constraints=[inside], method="SLSQP", options={"ftol": 1e-13, "maxiter": 500})
    np.testing.assert_allclose(theta, best.x, atol=1e-4 * max(1.0, np.abs(best.x).max()))
    gradient = rows.T @ (sigmoid(rows @ theta) - won) + ridge * theta
    size = np.linalg.norm(theta)
    if size < norm * (1 - 1e-6):
        assert np.abs(gradient).max() < 1e-8
    else:  # Karush-Kuhn-Tucker: the gradient points straight into the ball
        assert size == pytest.approx(norm, rel=1e-9)
        assert np.linalg.norm(gradient + np.linalg.norm(gradient) / norm * theta) < 1e-7
    assert (size < 0.99 * norm) == (norm == 100.0)


def test_regression_does_not_depend_on_where_it_starts():
    generator = np.random.default_rng(2)
    rows, won = 5 * generator.normal(size=(60, 2)), (generator.random(60) < 0.5).astype(float)
    ends = []
    for start in ([0.0, 0.0], [30.0, -40.0], [-60.0, 5.0]):
        theta = np.array(start)
        work = (np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((4, 2)))
        logistic.logistic_fit(rows, won, 60, 1e-3, 100.0, float(np.linalg.norm(rows, axis=1).max()), theta, *work)
        ends.append(theta)
    np.testing.assert_allclose(ends[1:], [ends[0]] * 2, atol=1e-8)


def test_sigmoid_does_not_overflow():
    assert [logistic.sigmoid(x) for x in (-1e4, -2.0, 0.0, 2.0, 1e4)] == pytest.approx([0, sigmoid(-2), 0.5, sigmoid(2), 1])


# ---- the rules


def duels(policy, features, parameter, rounds, seed=0, **hyper):
    """Drive a policy's plain functions; yield the live agent, its pair, and what a plain reading needs of the past."""
    generator = np.random.default_rng(seed)
    norm = float(np.linalg.norm(parameter))
    live = ps.agent(policy, features=features, horizon=rounds, seed=seed, norm=norm, **hyper)
    past = []
    for t in range(1, rounds + 1):
        pair = live.act()
        yield t, live, pair, np.array(past).reshape(-1, features.shape[1] + 1)
        won = float(generator.random() < sigmoid((features[pair[0]] - features[pair[1]]) @ parameter))
        live.learn(pair, won)
        if pair[0] != pair[1]:
            past.append([*(features[pair[0]] - features[pair[1]]), won])


def plain_fit(past, dimension, penalty, norm):
    """The estimate by an outside optimiser, from the duels alone; the ball is imposed by the penalty that reaches it."""
    if not len(past):
        return np.zeros(dimension)
    rows, won = past[:, :-1], past[:, -1]

    def fit(weight):
        def loss(x):
            return (np.logaddexp(0, rows @ x) - won * (rows @ x)).sum() + weight / 2 * x @ x

        def slope(x):
            return rows.T @ (sigmoid(rows @ x) - won) + weight * x

        return optimize.minimize(loss, np.zeros(dimension), jac=slope, method="BFGS", options={"gtol": 1e-10}).x

    if np.linalg.norm(fit(penalty)) <= norm:
        return fit(penalty)
    weight = optimize.brentq(lambda w: np.linalg.norm(fit(w)) - norm, penalty, 1e3, xtol=1e-10)
    return fit(weight)


KAPPA = sigmoid(2.0) * sigmoid(-2.0)
"""For a parameter and features of norm 1."""


def radius_by_hand(matrix, ridge, horizon, delta):
    growth = np.linalg.slogdet(matrix)[1] - len(matrix) * math.log(ridge)
    return math.sqrt(2 * math.log(1 / (delta or 1 / horizon)) + growth) / (2 * KAPPA) + math.sqrt(ridge)


@pytest.mark.parametrize("policy", ["max_in_pair", "vacdb"])
@pytest.mark.parametrize("hyper", [{}, {"practical": True, "scale": 0.3, "ridge": 2.0}, {"delta": 0.2, "scale": 0.03}])
def test_pair_rules_follow_the_definition(policy, hyper):
    """Estimate, matrix and radius are computed from the duels by other means; no fit is spared."""
    rounds, parameter = 45, np.array([0.6, 0.8])
    ridge, sizes = hyper.get("ridge", 1.0), set()
    for t, _, (first, second), past in duels(policy, CIRCLE, parameter, rounds, delay=0.0, **hyper):
        theta = plain_fit(past, 2, KAPPA * ridge, 1.0)
        matrix = ridge * np.eye(2) + past[:, :-1].T @ past[:, :-1]
        if hyper.get("practical"):
            beta = math.sqrt(2 * math.log(1 + t / 2) + 1)
        else:
            beta = radius_by_hand(matrix, ridge, rounds, hyper.get("delta", 0.0))
        beta *= hyper.get("scale", 1.0)
        apart = CIRCLE[:, None] - CIRCLE
        spread = np.sqrt(np.einsum("abi,ij,abj->ab", apart, np.linalg.inv(matrix), apart))
        if policy == "max_in_pair":
            hope = (apart @ theta + beta * spread + np.diag(np.full(5, np.inf))).min(axis=1)
            assert hope[first] >= -1e-5 and hope[second] >= -1e-5
            candidates = np.flatnonzero(hope >= 1e-5)  # the others are too close to call
            sizes.add(len(candidates))
            if len(candidates):
                assert spread[first, second] >= spread[np.ix_(candidates, candidates)].max() - 1e-6
        else:
            value = (CIRCLE @ theta)[:, None] + CIRCLE @ theta + beta * spread
            assert value[first, second] >= value.max() - 1e-4 * beta
            sizes.add(first == second)
    if hyper:
        assert len(sizes) > 1  # the radius mattered


def test_lazy_fits_rest_between_doublings():
    """With a delay, estimate and ellipsoid are those of the last fit, and the determinant has grown by less since."""
    rested = 0
    for _, live, _, past in duels("vacdb", CIRCLE, np.array([0.6, 0.8]), 80, delay=0.5, practical=True, scale=0.5):
        matrices = [np.eye(2) + past[:s, :-1].T @ past[:s, :-1] for s in range(len(past) + 1)]
        used = live.state.factor @ live.state.factor.T
        fitted = next(s for s, matrix in enumerate(matrices) if np.allclose(matrix, used))
        assert np.linalg.det(matrices[-1]) <= 1.5 * np.linalg.det(used) * (1 + 1e-9)
        assert live.state.growth[0] == pytest.approx(np.linalg.slogdet(used)[1], abs=1e-9)
        if fitted < len(past):
            rested += 1
            np.testing.assert_allclose(live.state.estimate, plain_fit(past[:fitted], 2, KAPPA, 1.0), atol=1e-5)
    assert rested > 10


@pytest.mark.parametrize("full", [False, True])
def test_apohf_follows_the_definition(full):
    features = np.random.default_rng(0).normal(size=(12, 3)) @ [[1.0, 0.9, 0.8], [0.0, 0.4, 0.3], [0.0, 0.0, 0.5]]
    other = 0
    settings = {"delay": 0.0, "nu": 30.0, "ridge": 1.0, "full": full}
    for t, _, (first, second), past in duels("apohf", features, np.ones(3), 40, **settings):
        assert first != second
        if t <= 5:
            continue
        theta = plain_fit(past, 3, 1.0, np.inf)
        matrix = np.eye(3) + past[:, :-1].T @ past[:, :-1]
        apart = features - features[first]
        used, unused = matrix * np.eye(3), matrix
        if full:
            used, unused = unused, used
        bounds = []
        for u in (used, unused):
            bound = features @ theta + np.sqrt(30.0 * np.einsum("ai,ij,aj->a", apart, np.linalg.inv(u), apart))
            bound[first] = -np.inf
            bounds.append(bound)
        assert (features @ theta)[first] >= (features @ theta).max() - 1e-5
        assert bounds[0][second] >= bounds[0].max() - 1e-4
        other += bounds[0].argmax() != bounds[1].argmax()
    assert other > 0  # the two matrices would have chosen differently


def test_apohf_begins_with_random_pairs_and_recommends_what_it_asked():
    count = np.zeros((5, 5))
    for seed in range(300):
        live = ps.agent("apohf", features=CIRCLE, horizon=10, seed=seed)
        for _ in range(5):
            pair = live.act()
            count[pair] += 1
            live.learn(pair, 1.0)
    assert (np.diag(count) == 0).all()
    assert stats.chisquare(count[~np.eye(5, dtype=bool)]).pvalue > 1e-4
    played = live.state.played > 0
    score = np.where(played, CIRCLE @ live.state.estimate, -np.inf)
    best = apohf.recommend(apohf.Hyper(), live.state, live._problem, 5)
    assert score[best] == score.max()


@pytest.mark.parametrize("distinct", [False, True])
def test_apohf_duels_an_arm_with_itself_only_if_told(distinct):
    hyper = {"nu": 0.0, "distinct": distinct, "start": 3}
    pairs = [pair for t, _, pair, _ in duels("apohf", CIRCLE, np.array([0.6, 0.8]), 30, **hyper) if t > 3]
    assert all((first == second) != distinct for first, second in pairs)


def samples(policy, draws, **hyper):
    """Pairs of arms drawn in one state, with data that do not settle the matter."""
    live = ps.agent(policy, features=CIRCLE, horizon=10, **hyper)
    live.state.estimate[:] = [0.3, 0.5]
    matrix = np.array([[3.0, 1.0], [1.0, 2.0]])
    live.state.factor[:] = np.linalg.cholesky(matrix)
    pairs = np.zeros((5, 5))
    for t in range(draws):
        noise.seek(live._noise, t)
        pairs[live._act(live._hyper, live.state, live._problem, 1, live._noise)] += 1
    return pairs, np.linalg.inv(matrix)


def test_thompson_draws_two_gaussians():
    pairs, covariance = samples("linear_dueling_thompson", 4000, spread=1.5)
    generator = np.random.default_rng(4)
    theta = generator.multivariate_normal([0.3, 0.5], 1.5**2 * covariance, size=400_000)
    chance = np.bincount((theta @ CIRCLE.T).argmax(1), minlength=5) / 400_000
    expected = np.outer(chance, chance)
    assert (expected * 4000 >= 5).sum() > 12
    kept = expected * 4000 >= 5
    observed = [*pairs[kept], pairs[~kept].sum()]
    wanted = [*expected[kept], expected[~kept].sum()]
    keep = np.array(wanted) > 0
    assert stats.chisquare(np.array(observed)[keep], 4000 * np.array(wanted)[keep]).pvalue > 1e-4


@pytest.mark.parametrize("cut", [0.5, 4.0])
def test_colstim_perturbs_by_clipped_gumbel_noise(cut):
    pairs, inverse = samples("colstim", 4000, cut=cut, confidence=0.8)
    width = np.sqrt(np.einsum("ai,ij,aj->a", CIRCLE, inverse, CIRCLE))
    score = CIRCLE @ [0.3, 0.5]
    gumbel = np.random.default_rng(5).gumbel(size=(400_000, 5)).clip(-cut, cut)
    chance = np.bincount((score + gumbel * width).argmax(1), minlength=5) / 400_000
    firsts = pairs.sum(1)
    kept = chance > 0.001
    assert firsts[~kept].sum() < 20
    assert stats.chisquare(firsts[kept], firsts[kept].sum() * chance[kept] / chance[kept].sum()).pvalue > 1e-4
    for first in np.flatnonzero(firsts):
        apart = CIRCLE - CIRCLE[first]
        bound = score + 0.8 * np.sqrt(np.einsum("ai,ij,aj->a", apart, inverse, apart))
        assert set(np.flatnonzero(pairs[first])) == {bound.argmax()}


def test_ties_over_pairs_are_uniform():
    """Before any data all pairs of a symmetric triangle tie; both orders are equally likely."""
    triangle = np.column_stack([np.cos(2 * np.pi * np.arange(3) / 3), np.sin(2 * np.pi * np.arange(3) / 3)])
    for policy in ("max_in_pair", "vacdb"):
        count = np.zeros((3, 3))
        for seed in range(900):
            count[ps.agent(policy, features=triangle, horizon=10, seed=seed).act()] += 1
        assert (np.diag(count) == 0).all()
        assert stats.chisquare(count[~np.eye(3, dtype=bool)]).pvalue > 1e-4


def test_bounds_by_hand():
    problem = Problem(5, 1000, norm=1.0, length=1.0, dimension=2)
    growth = 2 * math.log(1 + 1000 * 4 / 2)
    beta = math.sqrt(2 * math.log(1000) + growth) / (2 * KAPPA) + 1.0
    expected = beta * math.sqrt(2 * 1000 * 4 * growth * 1.5) + 2.0
    assert vacdb.regret_bound(vacdb.Hyper(), None, problem, 1000) == pytest.approx(expected)
    double = max_in_pair.regret_bound(max_in_pair.Hyper(), None, problem, np.array([1000]))
    assert double == pytest.approx(2 * (expected - 2.0) + 2.0)
    assert np.isnan(vacdb.regret_bound(vacdb.Hyper(scale=0.5), None, problem, [10, 100])).all()
    assert np.isnan(vacdb.regret_bound(vacdb.Hyper(practical=True), None, problem, [10, 100])).all()


def test_steep_problems_stay_finite():
    """Where the link's least slope underflows, the radius is huge and the regression still sound."""
    steep = Problem(3, 50, norm=400.0, length=1.0, dimension=2)
    assert np.isfinite(_confident_pairs.derived_radius(1.0, 0.0, steep, 5.0))
    bandit = ps.bandits.score_duels(magnitude=5000.0)
    data = ps.run(
        bandit, ["max_in_pair", "vacdb", "colstim", "linear_dueling_thompson", "apohf"], horizon=60, engine="reference"
    )
    assert np.isfinite(data["regret"]).all()


@pytest.mark.parametrize(
    ("policy", "hyper", "sentence"),
    [
        ("max_in_pair", {"ridge": 0.0}, "ridge must be > 0"),
        ("vacdb", {"delta": 1.0}, "delta must lie in"),
        ("vacdb", {"delay": -0.5}, "delay must be >= 0"),
        ("max_in_pair", {"scale": -1.0}, "scale must be >= 0"),
        ("colstim", {"cut": -1.0}, "cut must be >= 0"),
        ("linear_dueling_thompson", {"spread": -1.0}, "spread must be >= 0"),
        ("apohf", {"nu": -1.0}, "nu must be >= 0"),
        ("apohf", {"ridge": 0.0}, "ridge must be > 0"),
    ],
)
def test_bad_hyperparameters_are_refused(policy, hyper, sentence):
    with pytest.raises(ValueError, match=sentence):
        ps.run(ps.bandits.contextual_duels(), [(policy, hyper)], horizon=10)


def test_duels_without_features_are_refused():
    with pytest.raises(ValueError, match="vacdb needs features"):
        ps.run(ps.bandits.cyclic4(), ["vacdb"], horizon=10)
