"""Direct-alignment losses: stationary where the papers say, one function on NumPy and torch, red when a constant is wrong."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import prefsim as ps
from prefsim import ops
from prefsim.llm import arrays, direct

torch = pytest.importorskip("torch", reason="needs torch: install prefsim[llm].")
pytest.importorskip("array_api_compat", reason="needs array-api-compat: install prefsim[llm].")
from scipy.optimize import brentq  # noqa: E402
from scipy.special import lambertw  # noqa: E402

N = 5
RNG = np.random.default_rng(7)
GAME = ps.games.low_rank_mixture(n=N, rank=4, intransitivity=0.7, seed=3, scale=2.0)
P = GAME.preference.copy()
MU, PREV, NU, AUX = ops.log_normalize(RNG.normal(size=(4, N)))
REWARD = RNG.normal(size=N)
BT = 1 / (1 + np.exp(REWARD[None] - REWARD[:, None]))
UNIFORM = np.full((N, N), 1 / N**2)


def drawn(log_policy):
    """Probability of each ordered pair of two independent draws."""
    return np.exp(log_policy[:, None] + log_policy)


def gain(log_policy):
    return P @ np.exp(log_policy)


def both(values):
    """First and second member of every ordered pair, shape (n, n) each."""
    values = torch.as_tensor(values)
    return values[:, None].expand(N, N), values.expand(N, N)


def slope(loss, answer, weight):
    """Largest derivative of the expected loss in the logits, at a log-policy."""
    theta = torch.tensor(answer, requires_grad=True)
    values = loss(torch.log_softmax(theta, -1))
    assert tuple(values.shape) == weight.shape  # no reduction inside
    (torch.as_tensor(weight) * values).sum().backward()
    return theta.grad.abs().max().item()


# Identities. Each returns an error that vanishes; keywords break an assumption, and then it must not.


def dpo_bradley_terry(wins=BT, beta=0.3):
    answer = ops.log_normalize(MU + REWARD / beta)
    return slope(lambda lp: direct.dpo(*both(lp), *both(MU), beta, torch.as_tensor(wins)), answer, UNIFORM)


def dpo_hard(order=1, beta=0.3):
    """The hard form, labels averaged by hand."""
    answer = ops.log_normalize(MU + REWARD / beta)
    (a, b), wins = both(MU), torch.as_tensor(BT)

    def loss(lp):
        w, l = both(lp)[::order]
        return wins * direct.dpo(w, l, a, b, beta) + (1 - wins) * direct.dpo(l, w, b, a, beta)

    return slope(loss, answer, UNIFORM)


def cdpo_margin(smoothing=0.2, told=0.2, beta=0.5):
    """A pair that goes one way only: the margin stays finite."""
    h = torch.tensor(np.log(1 / smoothing - 1) / beta, requires_grad=True)
    zero = torch.zeros((), dtype=torch.float64)
    direct.cdpo(h, zero, zero, zero, beta, told).backward()
    return abs(h.grad.item())


def rdpo_flips(told=0.2, rate=0.2, beta=0.5):
    """Mean over flipped labels less the clean loss, pair by pair."""
    lp, ref = RNG.normal(size=(2, 2, 50))
    swapped = direct.rdpo(lp[1], lp[0], ref[1], ref[0], beta, told)
    mean = (1 - rate) * direct.rdpo(*lp, *ref, beta, told) + rate * swapped
    return np.abs(mean - direct.dpo(*lp, *ref, beta)).max()


def ipo_minimiser(pairs=NU, beta=0.3):
    answer = ops.log_normalize(MU + gain(NU) / beta)
    return slope(lambda lp: direct.ipo(*both(lp), *both(MU), beta, torch.as_tensor(P)), answer, drawn(pairs))


def ipo_online(loss=direct.ipo, beta=0.3):
    game = ps.PreferenceGame(P, np.exp(MU), beta)
    answer = ps.solve_equilibrium(game).log_policy
    return slope(lambda lp: loss(*both(lp), *both(MU), beta, torch.as_tensor(P)), answer, drawn(answer))


def ipo_policy_gradient(factor=4.0, beta=0.3):
    """On pairs of its own, -(4/beta) times the gradient of <pi, gain> - beta KL(pi, mu)."""
    theta = torch.tensor(PREV, requires_grad=True)
    lp = torch.log_softmax(theta, -1)
    value = (lp.exp() * (torch.as_tensor(gain(PREV)) - beta * (lp - torch.as_tensor(MU)))).sum()
    expected = -factor / beta * torch.autograd.grad(value, theta)[0]
    lp = torch.log_softmax(theta, -1)
    loss = (torch.as_tensor(drawn(PREV)) * direct.ipo(*both(lp), *both(MU), beta, torch.as_tensor(P))).sum()
    return (torch.autograd.grad(loss, theta)[0] - expected).abs().max().item()


def inpo_step(s=1 / 0.8, pairs=PREV, eta=0.8, tau=0.3):
    """IN1, in the paper's symbols."""
    c = tau / eta
    answer = ops.log_normalize(c * MU + (1 - c) * PREV + gain(PREV) / eta)
    wins = torch.as_tensor(P)
    return slope(lambda lp: direct.inpo(*both(lp), *both(MU), *both(PREV), c, s, wins), answer, drawn(pairs))


def inpo_is_omd(step=0.7, beta=0.3):
    """The same step from the package's own rule file."""
    game = ps.PreferenceGame(P, np.exp(MU), beta)
    run = ps.run(
        game, [("omd", {"step": 0.7})], horizon=1, start=np.exp(PREV), metrics=["policy"], record="all", engine="reference"
    )
    answer = np.log(run["policy"].isel(algorithm=0, instance=0, run=0, t=-1).values)
    wins = torch.as_tensor(P)
    return slope(lambda lp: direct.inpo(*both(lp), *both(MU), *both(PREV), step * beta, step, wins), answer, drawn(PREV))


def onpo_step(told=0.6, pairs=PREV, eta=0.6):
    answer = ops.log_normalize(AUX + eta * gain(PREV))
    return slope(lambda lp: direct.onpo(*both(lp), *both(AUX), told, torch.as_tensor(P)), answer, drawn(pairs))


def dno_target(soft=True, eta=0.4, pairs=NU):
    answer, won = ops.log_normalize(PREV + gain(PREV) / eta), gain(PREV)
    if soft:
        return slope(lambda lp: direct.dno(*both(lp), *both(PREV), *both(won), eta), answer, drawn(pairs))
    return slope(lambda lp: direct.dpo(*both(lp), *both(PREV), eta, torch.as_tensor(P)), answer, drawn(pairs))


def lambert(eta, won):
    """Minimiser of the loss with eta/2 for log Z, by the root of its normalisation; Lambert's function from SciPy."""
    g, prev = eta * (won - 0.5), np.exp(PREV)

    def policy(kappa):
        return prev * lambertw(kappa * np.exp(g)).real / kappa

    return np.log(policy(brentq(lambda kappa: policy(kappa).sum() - 1, 1e-12, 1e3, xtol=1e-15, rtol=1e-14)))


def sppo_minimiser(log_z="exact", claimed="mwu", eta=3.0):
    """SS1 and SS2; the minimum over normalised policies, so derivatives are those in the logits."""
    won = gain(PREV)
    z = {"exact": np.log(np.exp(PREV) @ np.exp(eta * won)), "half": None}[log_z]
    answer = ops.log_normalize(PREV + eta * won) if claimed == "mwu" else lambert(eta, won)
    given = [torch.as_tensor(v) for v in (PREV, won)]
    return slope(lambda lp: direct.sppo(lp, *given, eta, z), answer, np.exp(PREV))


def sppo_by_pairs(pairs=PREV, eta=3.0):
    answer = lambert(eta, gain(PREV))
    return slope(lambda lp: direct.sppo_pair(*both(lp), *both(PREV), eta, torch.as_tensor(P)), answer, drawn(pairs))


def gpo_step(log_z="exact", beta=0.5):
    score = (np.log(P) - np.log(P.T)) @ np.exp(PREV)
    z = {"exact": np.log(np.exp(PREV) @ np.exp(score / beta)), "zero": 0.0}[log_z]
    answer = ops.log_normalize(PREV + score / beta)
    given = [torch.as_tensor(v) for v in (PREV, score)]
    return slope(lambda lp: direct.gpo(lp, *given, beta, z), answer, np.exp(PREV))


def apo_closed_form(alpha=0.6, told=0.6, rounds=6, beta=0.5):
    """AP1: base step DPO's, with a fixed reward."""
    policy, hat = PREV, PREV
    for _ in range(rounds):
        base = ops.log_normalize(policy + REWARD / beta)
        policy, hat = ops.log_normalize(direct.extrapolate(base, hat, told)), base
    factor = (rounds - alpha**2 * (1 - alpha**rounds) / (1 - alpha)) / (beta * (1 - alpha))
    return np.abs(policy - ops.log_normalize(PREV + factor * REWARD)).max()


def apo_base(alpha=0.0):
    """AP3."""
    return np.abs(direct.extrapolate(NU, PREV, alpha) - NU).max()


def regress_minimiser(target=NU):
    return slope(lambda lp: direct.regress(*both(lp), *both(target + 3.0)), NU, drawn(MU))


def xpo_base(alpha=0.0, base="ipo"):
    lp, ref = RNG.normal(size=(2, 2, 20))
    return np.abs(direct.xpo(*lp, *ref, 0.3, alpha, 0.8, base) - direct.ipo(*lp, *ref, 0.3, 0.8)).max()


def vpo_is_xpo(online=True, beta=0.3, alpha=0.7, share=0.3):
    """With the reference's response for calibration the added gradient is beta times that of XPO."""
    lp = torch.tensor(RNG.normal(size=(2, 20)), requires_grad=True)
    ref = torch.tensor(RNG.normal(size=(2, 20)))

    def added(loss):
        return torch.autograd.grad((loss - direct.dpo(*lp, *ref, beta)).sum(), lp)[0]

    variational = added(direct.vpo(*lp, *ref, lp[1][:, None], ref[1][:, None], beta, alpha, online))
    return (variational - share * added(direct.xpo(*lp, *ref, beta, alpha))).abs().max().item()


def simpo_plain(gamma=0.5):
    """Responses of one length L: DPO without reference at beta / L, the odds shifted by gamma."""
    lp, zero, length = RNG.normal(size=(2, 20)), np.zeros(20), np.full(20, 4)
    shifted = direct.dpo(lp[0] - 0.5 * 4 / 2.0, lp[1], zero, zero, 2.0 / 4)
    return np.abs(direct.simpo(*lp, length, length, 2.0, gamma) - shifted).max()


IDENTITIES = [
    (dpo_bradley_terry, [{"wins": P}]),
    (dpo_hard, [{"order": -1}]),
    (cdpo_margin, [{"told": 0.25}]),
    (rdpo_flips, [{"told": 0.16}]),
    (ipo_minimiser, [{"pairs": MU}, {"pairs": PREV}]),
    (ipo_online, [{"loss": direct.dpo}]),
    (ipo_policy_gradient, [{"factor": -4.0}, {"factor": 2.0}]),
    (inpo_step, [{"s": 0.8}, {"pairs": MU}]),
    (inpo_is_omd, [{"step": 0.6}]),
    (onpo_step, [{"told": 1 / 0.6}, {"pairs": AUX}]),
    (dno_target, [{"soft": False}]),
    (sppo_minimiser, [{"log_z": "half", "eta": 10.0}, {"claimed": "lambert", "eta": 10.0}]),
    (lambda **given: sppo_minimiser(**{"log_z": "half", "claimed": "lambert", "eta": 10.0, **given}), [{"claimed": "mwu"}]),
    (sppo_by_pairs, [{"pairs": NU}]),
    (gpo_step, [{"log_z": "zero"}]),
    (apo_closed_form, [{"told": 0.5}]),
    (apo_base, [{"alpha": 0.1}]),
    (regress_minimiser, [{"target": PREV}]),
    (xpo_base, [{"alpha": 0.1}, {"base": "dpo"}]),
    (vpo_is_xpo, [{"online": False}, {"share": 1.0}]),
    (simpo_plain, [{"gamma": 0.0}]),
]
TOLERANCE, BAR = 1e-12, 1e-3


@pytest.mark.parametrize(("identity", "controls"), IDENTITIES, ids=lambda value: getattr(value, "__name__", ""))
def test_identity_holds_and_its_controls_fail(identity, controls):
    assert identity() <= TOLERANCE * 100
    for control in controls:
        assert identity(**control) > BAR, control


def red():
    """Identities that no longer hold."""
    return {identity.__name__ for identity, _ in IDENTITIES if not identity() <= BAR}


def test_the_code_broken_in_one_place_is_caught(monkeypatch):
    """Wrong signs and constants inside the shared forms."""
    assert red() == set()
    squared, logistic, difference = direct._squared, direct._logistic, direct._difference
    mutations = {
        "_squared": [
            lambda d, s, q, w: squared(d, 2 * s, q, w),  # s instead of s/2 for a winner
            lambda d, s, q, w: squared(d, s, 1 - q, w),  # preference read the other way
            lambda d, s, q, w: squared(d, 1 / s, q, w),  # inverse step
        ],
        "_logistic": [lambda z, q: logistic(-z, q), lambda z, q: logistic(2 * z, q), lambda z, q: logistic(z, (q + 0.5) / 2)],
        "_difference": [
            lambda **v: difference(**dict(zip(v, [*list(v.values())[:2], *list(v.values())[:1:-1]], strict=True))),
            lambda **v: -difference(**v),
        ],
        "log_sigmoid": [lambda z: -arrays.log_sigmoid(-z)],
        "sigmoid": [lambda z: arrays.sigmoid(-z), lambda z: arrays.sigmoid(2 * z)],
        "sppo": [lambda lp, prev, won, eta, *rest: ORIGINAL_SPPO(lp, prev, won - 0.5, eta, *rest)],
        "extrapolate": [lambda new, old, alpha: new + alpha * old],
    }
    for name, wrongs in mutations.items():
        for wrong in wrongs:
            with monkeypatch.context() as patch:
                patch.setattr(direct, name, wrong)
                assert red(), (name, inspect.getsource(wrong))


ORIGINAL_SPPO = direct.sppo


@pytest.mark.parametrize("eta", [0.1, 1.0, 5.0])
def test_half_of_eta_is_close_to_log_z(eta):
    """SS3, and that log-odds with large entries leave its range."""
    z = np.log(np.exp(PREV) @ np.exp(eta * gain(PREV)))
    assert 0 <= z - eta / 2 <= eta**2 / 24
    score = 8 * (np.log(P) - np.log(P.T)) @ np.exp(PREV)
    assert np.log(np.exp(PREV) @ np.exp(eta * score)) > eta**2 / 24


def test_velocity_of_accelerated_steps():
    """AP2: log-ratios move by ``Delta r / (beta (1 - alpha))`` a round in the end, and not yet in the beginning."""
    policy, hat, path = PREV, PREV, []
    for _ in range(60):
        base = policy + REWARD / 0.5
        policy, hat = direct.extrapolate(base, hat, 0.8), base
        path.append(policy - policy[0])
    moves = np.diff(path, axis=0)
    goal = (REWARD - REWARD[0]) / (0.5 * 0.2)
    assert np.abs(moves[-1] - goal).max() < 1e-4 < 0.1 < np.abs(moves[2] - goal).max()


def test_hard_labels_have_the_gradient_of_soft_ones_and_a_larger_value():
    """R6: labels drawn with probability q; squared losses lie s^2 q (1 - q) higher."""
    lp = torch.tensor(RNG.normal(size=(2, 30)), requires_grad=True)
    ref, prev = torch.tensor(RNG.normal(size=(2, 2, 30)))
    q = torch.tensor(RNG.uniform(size=30))
    losses = {
        "dpo": (lambda i, j, q: direct.dpo(lp[i], lp[j], ref[i], ref[j], 0.4, q), 0.0),
        "rdpo": (lambda i, j, q: direct.rdpo(lp[i], lp[j], ref[i], ref[j], 0.4, 0.2, q), 0.0),
        "ipo": (lambda i, j, q: direct.ipo(lp[i], lp[j], ref[i], ref[j], 0.4, q), 1 / 0.4),
        "inpo": (lambda i, j, q: direct.inpo(lp[i], lp[j], ref[i], ref[j], prev[i], prev[j], 0.2, 0.7, q), 0.7),
        "onpo": (lambda i, j, q: direct.onpo(lp[i], lp[j], prev[i], prev[j], 0.7, q), 0.7),
        "sppo_pair": (lambda i, j, q: direct.sppo_pair(lp[i], lp[j], prev[i], prev[j], 0.7, q), 0.7 * 2**0.5),
    }
    for name, (loss, s) in losses.items():
        soft, hard = loss(0, 1, q), q * loss(0, 1, 1.0) + (1 - q) * loss(1, 0, 1.0)
        gradients = [torch.autograd.grad(value.sum(), lp, retain_graph=True)[0] for value in (soft, hard)]
        torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12, msg=name)
        torch.testing.assert_close(hard - soft, s**2 * q * (1 - q), rtol=1e-11, atol=1e-11, msg=name)


def test_corrected_flips_are_unbounded_below():
    far = np.array([10.0, 1e3, 1e5])
    assert (np.diff(direct.rdpo(far, 0 * far, 0 * far, 0 * far, 1.0, 0.2)) < -1).all()
    assert (direct.cdpo(far, 0 * far, 0 * far, 0 * far, 1.0, 0.2) > 1).all()


def test_optimism_lowers_what_the_reference_says():
    lp = torch.tensor([-1.0, -2.0], requires_grad=True)
    ref = torch.tensor([-1.5, -1.5])
    parts = [torch.autograd.grad(direct.xpo(lp[0], lp[1], ref[0], ref[1], 0.3, alpha), lp)[0] for alpha in (0.0, 0.5)]
    torch.testing.assert_close(parts[1] - parts[0], torch.tensor([0.0, 0.5]))


def arguments(name, shape=(4, 3)):
    """Valid arguments of a loss, by the names of its parameters."""
    rng = np.random.default_rng(1)
    given = {"beta": 0.3, "eta": 0.7, "alpha": 0.5, "c": 0.25, "s": 1.4, "smoothing": 0.1, "flips": 0.1, "gamma": 0.2}
    for key, parameter in inspect.signature(getattr(direct, name)).parameters.items():
        if key in given or parameter.default is not parameter.empty:
            continue
        given[key] = rng.normal(size=(*shape, 2) if key.endswith("_cal") else shape)
        if key.startswith("length"):
            given[key] = rng.integers(1, 9, shape).astype(float)
    names = inspect.signature(getattr(direct, name)).parameters
    given = {key: value for key, value in given.items() if key in names}
    if "weights" in names:
        given["weights"] = rng.uniform(0.5, 2, shape)
    if "q" in names:
        given["q"] = rng.uniform(size=shape)
    return given


@pytest.mark.parametrize("name", direct.__all__)
def test_numpy_and_torch_are_the_same_function(name):
    given = arguments(name)
    loss = getattr(direct, name)
    plain = loss(**given)
    tensors = loss(**{k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in given.items()})
    assert isinstance(plain, np.ndarray) and plain.shape == (4, 3)
    np.testing.assert_allclose(plain, tensors.numpy(), rtol=1e-13, atol=1e-13)
    # What is at hand in NumPy (preferences, precomputed log-probabilities) may stay there.
    for key in (k for k in given if k.startswith(("lp", "new"))):
        mixed = loss(**{**given, key: torch.tensor(given[key], requires_grad=True)})
        np.testing.assert_allclose(plain, mixed.detach().numpy(), rtol=1e-13, atol=1e-13)
    single = loss(**{k: v[1, 2] if isinstance(v, np.ndarray) else v for k, v in given.items()})
    assert float(single) == pytest.approx(plain[1, 2], rel=1e-13)
    if "weights" in given:
        bare = loss(**{k: v for k, v in given.items() if k != "weights"})
        np.testing.assert_allclose(bare * given["weights"], plain, rtol=1e-13)


def test_far_margins_do_not_overflow():
    far = torch.tensor([-1e6, 1e6], dtype=torch.float32, requires_grad=True)
    zero = torch.zeros(2)
    values = direct.dpo(far, zero, zero, zero, 1.0)
    values.sum().backward()
    assert values.tolist() == [1e6, 0.0] and far.grad.tolist() == [-1.0, 0.0]


PAIR = (np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: direct.dpo(*PAIR, 0.0), "beta must be a finite number above 0"),
        (lambda: direct.dpo(*PAIR, np.nan), "beta must be a finite number above 0"),
        (lambda: direct.dpo(*PAIR[:3], np.zeros(2), 0.1), "these must have one shape"),
        (lambda: direct.dpo(np.zeros((3, 1)), *PAIR[1:], 0.1), "these must have one shape"),
        (lambda: direct.dpo(*PAIR, 0.1, 1.5), r"q must hold probabilities in \[0, 1\]"),
        (lambda: direct.ipo(*PAIR, 0.1, [0.1, np.nan, 0.2]), r"q must hold probabilities in \[0, 1\]"),
        (lambda: direct.ipo(*PAIR, 0.1, [0.1, 0.2]), r"q must be a number or have shape \(3,\); got \(2,\)"),
        (lambda: direct.ipo(*PAIR, 0.1, weights=np.ones(2)), "weights must be a number or have shape"),
        (lambda: direct.rdpo(*PAIR, 0.1, 0.5), "flips must be a finite number of at least 0 and below 0.5; got 0.5"),
        (lambda: direct.cdpo(*PAIR, 0.1, -0.1), "smoothing must be a finite number of at least 0"),
        (lambda: direct.inpo(*PAIR, *PAIR[:2], 1.5, 1.0), "c is the weight of the reference"),
        (lambda: direct.inpo(*PAIR, *PAIR[:2], 0.5, 0.0), "s must be a finite number above 0"),
        (lambda: direct.extrapolate(PAIR[0], PAIR[1], 1.0), "alpha must be a finite number of at least 0 and below 1"),
        (lambda: direct.simpo(*PAIR, 1.0), "must count tokens"),
        (lambda: direct.xpo(*PAIR, 0.1, 0.1, base="kto"), "base must be 'dpo' or 'ipo'; got 'kto'"),
        (lambda: direct.vpo(*PAIR, np.zeros(3), np.zeros(3), 0.1, 0.1), r"lp_cal must have shape \(3, 'm'\)"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_words_are_no_log_probabilities():
    with pytest.raises(TypeError, match="lp_w must be a number, an array of numbers or a tensor; got list"):
        direct.dpo(["a"], [0.0], [0.0], [0.0], 0.1)
