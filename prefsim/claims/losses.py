"""Losses whose minimisers are the updates of preference optimisation: IPO, DPO, rDPO, online IPO, DNO and ONPO.

Expectations are sums over all ordered pairs of actions. Gradients in the logits are complex-step derivatives,
``Im L(theta + i h e_k) / h`` with ``h = 1e-30``: no difference is taken, so that only rounding is lost. Policies inside
weights and win rates are constants. ``h_y = log pi(y) / mu(y)``; ``y`` wins over ``y'`` with probability ``P(y > y')``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from prefsim import ops
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on
from prefsim.claims import mwu, omwu

BETAS = (0.05, 0.3, 1.0)
OIPO1, OIPO2 = 4.0, -4.0
"""Constants of the two online IPO gradients: ``4 / n`` times the residual, ``-4 / beta`` times the policy gradient."""


def gradient(loss: Callable[[Any], Any], theta: on.Floats) -> on.Floats:
    """Derivative of ``loss`` (..., n) -> (...) in each of the `n` numbers `theta` ends in."""
    return np.stack([loss(theta + 1e-30j * unit).imag / 1e-30 for unit in np.eye(theta.shape[-1])], axis=-1)


def pairs(values: Any) -> Any:
    """``v_y - v_y'``, shape (..., n, n)."""
    return values[..., :, None] - values[..., None, :]


def product(log_policy: on.Floats) -> on.Floats:
    """Probability of each ordered pair of two independent draws, shape (..., n, n)."""
    return np.exp(log_policy[..., :, None] + log_policy[..., None, :])


def total(values: Any) -> Any:
    """Sum over ordered pairs."""
    return values.sum(axis=(-2, -1))


def squared(weight: Any, wins: Any, difference: Any, goal: float) -> Any:
    """``E (difference(w, l) - goal)^2`` over pairs of probability `weight`, the first of which wins with `wins`."""
    return total(weight * (wins * (difference - goal) ** 2 + (1 - wins) * (difference + goal) ** 2))


def log_sigmoid(z: Any) -> Any:
    """``log 1 / (1 + e^-z)``, also of complex numbers."""
    return -np.log(1 + np.exp(-z))


def robust_dpo(z: Any, rate: float) -> Any:
    """RDPO loss of pairs whose scaled log-ratios differ by `z`, under the belief that labels flip at a given rate."""
    return (-(1 - rate) * log_sigmoid(z) + rate * log_sigmoid(-z)) / (1 - 2 * rate)


def _worst(error: on.Floats, size: Any) -> on.Cell:
    """What should vanish, against rounding of terms of a given size."""
    return on.Cell(np.abs(error).max(axis=-1), on.TOLERANCE * (1 + size))


def online_ipo(batch: on.Instances, beta: float, at: on.Floats, equal: bool = True) -> Callable[[Any], Any]:
    """OIPO-1: mean over ordered pairs of ``((h_y - h_y') - (P(y > at) - P(y' > at)) / beta)^2``."""
    reference, goal = batch.log_reference[:, None], pairs(batch.gain(at)) / beta
    count = batch.n**2 if equal else batch.n * (batch.n - 1)
    return lambda theta: total((pairs(theta - reference) - goal) ** 2) / count


def _residual_gradient(budget: str, *, equal: bool = True) -> Evidence:
    cells = []
    for beta, batch, start in on.grid(budget, BETAS):
        for at in (start, on.random_policies("residual", start.shape[:2], batch.n, 3.0)):
            residual = at - batch.log_reference[:, None] - batch.gain(at) / beta
            residual -= residual.mean(axis=-1, keepdims=True)
            slope = gradient(online_ipo(batch, beta, at, equal), at)
            cells.append(_worst(slope - OIPO1 / batch.n * residual, np.abs(residual).max(axis=-1)))
    return on.evidence("error of the predicted gradient", cells)


def _policy_gradient(budget: str, *, uniform: bool = False) -> Evidence:
    cells = []
    for beta, batch, at in on.grid(budget, BETAS):
        reference, gain, payoff = batch.log_reference[:, None], batch.gain(at), batch.payoff[:, None]

        def value(theta: Any, r: Any = reference, g: Any = gain, b: float = beta) -> Any:
            log_policy = theta - np.log(np.exp(theta).sum(axis=-1, keepdims=True))
            return on.inner(np.exp(log_policy), g - b * (log_policy - r))

        weight = np.full_like(payoff, 1 / batch.n**2) if uniform else product(at)

        def regression(theta: Any, w: Any = weight, r: Any = reference, a: Any = payoff / beta) -> Any:
            return total(w * (pairs(theta - r) - a) ** 2)

        def labelled(theta: Any, w: Any = weight, r: Any = reference, a: Any = payoff, b: float = beta) -> Any:
            return squared(w, 0.5 + a, pairs(theta - r), 1 / (2 * b))

        expected = OIPO2 / beta * gradient(value, at)
        size = 1 / beta + np.abs(at - reference).max(axis=-1)
        cells += [_worst(gradient(loss, at) - expected, size) for loss in (regression, labelled)]
    return on.evidence("error of the predicted gradient", cells)


def _descent(budget: str, *, factor: float = 4.0) -> Evidence:
    """Gradient descent on OIPO-1 with rate ``lr`` against OMD with ``step beta = factor lr / n``."""
    times = np.arange({"fast": 8, "paper": 40}[budget] + 1)
    cells = []
    for beta, batch, start in on.grid(budget, BETAS):
        rate = 0.3 * beta * batch.n / 4
        theta, seen = start, [start]
        for _ in times[1:]:
            theta = theta - rate * gradient(online_ipo(batch, beta, ops.log_normalize(theta)), theta)
            seen.append(ops.log_normalize(theta))
        path = on.trajectory("omd", {"step": factor * rate / (batch.n * beta)}, batch, start, times)
        cells.append(_worst(np.stack(seen, axis=2) - path, np.abs(path).max(axis=-1)))
    return on.evidence("largest difference of log-probabilities", cells, times)


def _dno(budget: str, *, soft: bool = True) -> Evidence:
    cells = []
    for _, batch, start in on.grid(budget, (0.3,)):
        won = batch.gain(start)
        for eta in (0.2, 1.0, 5.0):
            goal = ops.log_normalize(start + won / eta)
            label = 1 / (1 + np.exp(-pairs(won))) if soft else 0.5 + batch.payoff[:, None]
            for weight in (product(start), np.full((batch.n, batch.n), 1 / batch.n**2)):

                def loss(theta: Any, w: Any = weight, y: Any = label, e: float = eta, old: Any = start) -> Any:
                    z = e * pairs(theta - old)
                    return -total(w * (y * log_sigmoid(z) + (1 - y) * log_sigmoid(-z)))

                cells.append(_worst(gradient(loss, goal), eta))
    return on.evidence("gradient of the loss at the target", cells)


def _dno_improvement(budget: str, *, both: bool = True) -> Evidence:
    cells = []
    for _, batch, start in on.grid(budget, (0.3,)):
        gain = batch.gain(start)
        for eta in (0.05, 1.0, 5.0):
            goal = ops.log_normalize(start + gain / eta)
            terms = [eta * ops.kl(goal, start), eta * ops.kl(start, goal)]
            cells.append(on.residual(on.inner(np.exp(goal), gain), terms[: 2 if both else 1]))
    return on.evidence("error of the predicted win rate", cells)


def _onpo(budget: str, *, goal: Callable[[float], float] = lambda eta: eta / 2) -> Evidence:
    rounds = {"fast": 4, "paper": 40}[budget]
    cells = []
    for batch in mwu.families(budget):
        for eta in (0.2, 0.5, 2.0):
            played, auxiliary = omwu.paths(batch, eta, mwu.spread_starts(batch), rounds)
            y, x, moved = played[:, :, :-1], auxiliary[:, :, :-1], auxiliary[:, :, 1:]
            wins, drawn = 0.5 + batch.payoff[:, None, None], product(y)
            for base, after in ((x, moved), (moved, played[:, :, 1:])):

                def loss(theta: Any, old: Any = base, w: Any = drawn, p: Any = wins, e: float = eta) -> Any:
                    return squared(w, p, pairs(theta - old), goal(e))

                cells.append(_worst(gradient(loss, after), eta + np.abs(after).max(axis=-1)))
    return on.evidence("gradient of the loss at the update", cells, np.arange(1, rounds + 1))


def _ipo_minimiser(budget: str, *, shifted: bool = False) -> Evidence:
    cells = []
    for tau, batch, opponent in on.grid(budget, BETAS):
        reference = batch.log_reference[:, None]
        answer = ops.log_normalize(reference + batch.gain(opponent) / tau)
        weight = product(on.random_policies("shifted", opponent.shape[:2], batch.n) if shifted else opponent)
        wins = 0.5 + batch.payoff[:, None]

        def loss(theta: Any, w: Any = weight, p: Any = wins, r: Any = reference, t: float = tau) -> Any:
            return squared(w, p, pairs(theta - r), 1 / (2 * t))

        cells.append(_worst(gradient(loss, answer), 1 / tau + np.abs(answer - reference).max(axis=-1)))
    return on.evidence("gradient of the loss at the minimiser", cells)


def _flipped(budget: str, *, believed: float = 1.0) -> Evidence:
    """Expected rDPO loss under label flips against clean DPO; `believed` times the true rate enters the loss."""
    cells = []
    for beta, batch, policy in on.grid(budget, BETAS):
        z = beta * pairs(policy - batch.log_reference[:, None])
        clean = 0.5 + batch.payoff[:, None]
        weight = product(on.random_policies("drawn", policy.shape[:2], batch.n))
        for rate in (0.1, 0.3, 0.45):
            e, observed = believed * rate, (1 - rate) * clean + rate * (1 - clean)
            robust = total(weight * (observed * robust_dpo(z, e) + (1 - observed) * robust_dpo(-z, e)))
            terms = [total(-weight * clean * log_sigmoid(z)), total(-weight * (1 - clean) * log_sigmoid(-z))]
            cells.append(on.residual(robust, terms))
    return on.evidence("error of the expected loss", cells)


def _online_stationary(budget: str, *, logistic: bool = False) -> Evidence:
    cells = []
    for tau, batch, _ in on.grid(budget, BETAS):
        answer, wins = batch.log_equilibrium, 0.5 + batch.payoff
        weight, reference = product(answer), batch.log_reference

        def loss(theta: Any, w: Any = weight, p: Any = wins, r: Any = reference, t: float = tau) -> Any:
            h = pairs(theta - r)
            if logistic:
                return -total(w * (p * log_sigmoid(t * h) + (1 - p) * log_sigmoid(-t * h)))
            return squared(w, p, h, 1 / (2 * t))

        cells.append(_worst(gradient(loss, answer), 1 / tau + np.abs(answer - reference).max(axis=-1)))
    return on.evidence("gradient of the loss at the equilibrium", cells)


_EGPO = "Zhou, Fazel and Du (arXiv 2503.08942) and their code for the loss; constant derived"
_DNO = "Rosset et al. (arXiv 2404.03715) for the loss; derived"
_IPO = "Azar et al. (arXiv 2310.12036) for the loss; derived"

CLAIMS = (
    Claim(
        "losses.oipo1_gradient",
        "The gradient of OIPO-1 in the logits is (4/n) (theta - theta_ref - A pi / beta), centred.",
        _EGPO,
        ("mean over all n^2 ordered pairs", "no gradient through the win rates"),
        _residual_gradient,
        (Control("the mean leaves out pairs of equal actions", {"equal": False}),),
        ("online_ipo", "omd", "egpo"),
    ),
    Claim(
        "losses.oipo2_gradient",
        "The gradient of OIPO-2, as regression or with winners and losers, is -(4/beta) times that of "
        "<pi, A sg(pi)> - beta KL(pi, mu).",
        "Zhou, Fazel and Du (arXiv 2503.08942), Calandriello et al. (arXiv 2403.08635) for the loss; constant derived",
        ("pairs i.i.d. from the policy, without gradient",),
        _policy_gradient,
        (Control("uniform pairs", {"uniform": True}),),
        ("online_ipo", "omd"),
    ),
    Claim(
        "losses.oipo1_descent",
        "Gradient descent on OIPO-1 with rate lr visits the policies of OMD with step beta = 4 lr / n.",
        _EGPO,
        ("exact expectations",),
        _descent,
        (Control("step beta = 2 lr / n", {"factor": 2.0}),),
        ("online_ipo", "omd"),
    ),
    Claim(
        "losses.dno_target",
        "The DNO loss with labels sigma(P(y > pi_t) - P(y' > pi_t)) is stationary at pi_t exp(P(. > pi_t) / eta).",
        _DNO,
        ("soft labels", "any full-support distribution of pairs"),
        _dno,
        (Control("the labels are preferences P(y > y')", {"soft": False}),),
        ("mwu",),
    ),
    Claim(
        "losses.dno_improvement",
        "P(target > pi_t) - 1/2 = eta [KL(target, pi_t) + KL(pi_t, target)], target = pi_t exp(P(. > pi_t) / eta).",
        "Rosset et al. (arXiv 2404.03715) for the first term as lower bound; equality derived",
        ("exact target",),
        _dno_improvement,
        (Control("the second divergence is dropped", {"both": False}),),
        ("mwu",),
    ),
    Claim(
        "losses.onpo",
        "Both updates of ONPO are stationary points of E (g(w, l) - eta/2)^2, g the change of log-ratios from x_t.",
        "Zhang et al. (arXiv 2502.16852) for the loss; its gradient derived",
        ("pairs i.i.d. from the played policy", "target eta/2"),
        _onpo,
        (Control("the target of INPO, 1/(2 eta), instead", {"goal": lambda eta: 1 / (2 * eta)}),),
        ("onpo", "omwu"),
    ),
    Claim(
        "losses.ipo_minimiser",
        "The minimiser of the IPO loss over pairs drawn from nu is mu exp(P(. > nu) / tau), normalised.",
        _IPO,
        ("pairs i.i.d. from nu", "nu of full support"),
        _ipo_minimiser,
        (Control("pairs from another policy", {"shifted": True}),),
        ("online_ipo",),
    ),
    Claim(
        "losses.rdpo_flips",
        "The rDPO loss, averaged over labels flipped at a known rate below 1/2, is the DPO loss of clean labels.",
        "Chowdhury et al. (arXiv 2403.00409) for the loss; derived",
        ("the flip rate is known",),
        _flipped,
        (Control("the loss is told 0.8 times the rate", {"believed": 0.8}),),
        (),
    ),
    Claim(
        "losses.ipo_online",
        "The online IPO loss, pairs drawn from the policy without gradient, is stationary at the regularised equilibrium.",
        _IPO,
        ("pairs i.i.d. from the policy",),
        _online_stationary,
        (Control("the DPO loss on the same pairs", {"logistic": True}),),
        ("online_ipo", "omd"),
    ),
)
