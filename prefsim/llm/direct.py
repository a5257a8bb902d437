"""Direct-alignment losses: pure functions of sequence log-probabilities, one value a pair, on NumPy arrays and tensors.

``lp`` is a response's log-probability under the policy that is trained, summed over its tokens (never their mean: that has
another minimiser as soon as lengths differ), ``ref`` and ``prev`` under the reference and a previous policy, which take no
gradient. ``_w`` and ``_l`` are winner and loser or, with a soft preference ``q``, the first and the second response, of which
``q`` in [0, 1] is the probability that the first is preferred. With ``h = (lp_w - ref_w) - (lp_l - ref_l)``, two forms make
most of them,

    logistic   -q log sigma(beta h) - (1 - q) log sigma(-beta h)          DPO, cDPO, rDPO, DNO, XPO, VPO
    squared    (change of log-ratio - s (q - 1/2))^2                      IPO, INPO, ONPO, SPPO, GPO

and with ``q = 1`` they are the hard forms, winner first: averaged over labels drawn with probability ``q``, those have the
gradient of the soft form, while the values of the squared ones lie ``s^2 q (1 - q)`` higher (derived).

Losses are returned without reduction, times `weights` where given. All arrays have one shape; `q` and `weights` may also be
numbers. TypeError and ValueError name the argument that does not fit. Sources: each function's paper, equation
numbers recalled; minimisers are derived and tested.
"""

from __future__ import annotations

from typing import Any

from prefsim.llm.arrays import Array, as_array, fitting, log_sigmoid, number, probability, same_shape, sigmoid

__all__ = [
    "cdpo",
    "dno",
    "dpo",
    "extrapolate",
    "gpo",
    "inpo",
    "ipo",
    "onpo",
    "rdpo",
    "regress",
    "simpo",
    "sppo",
    "sppo_pair",
    "vpo",
    "xpo",
]


def dpo(lp_w: Array, lp_l: Array, ref_w: Array, ref_l: Array, beta: float, q: Any = 1.0, weights: Any = 1.0) -> Array:
    """``-q log sigma(beta h) - (1 - q) log sigma(-beta h)``.

    Preferences of Bradley-Terry form with rewards ``r`` have the minimiser ``log pi = log mu + r / beta``. Where they are
    cyclic, its stationary point under pairs of its own is not the Nash policy. Source: Rafailov et al. 2023
    (arXiv 2305.18290), Equation 7.

    Parameters
    ----------
    lp_w, lp_l, ref_w, ref_l : arrays, shape (...)
        Log-probabilities of the two responses, in nats.
    beta : float
        Temperature, ``> 0``.
    q : float or array, shape (...)
        Probability that the first response is preferred; 1 for a winner and a loser.
    weights : float or array, shape (...)

    Returns
    -------
    array, shape (...)
    """
    h = _difference(lp_w=lp_w, lp_l=lp_l, ref_w=ref_w, ref_l=ref_l)
    return _logistic(number(beta, "beta", 0, open_low=True) * h, q) * fitting(weights, h, "weights")


def cdpo(lp_w: Array, lp_l: Array, ref_w: Array, ref_l: Array, beta: float, smoothing: float, weights: Any = 1.0) -> Array:
    """:func:`dpo` with labels that are wrong with probability `smoothing` in [0, 1/2): ``q = 1 - smoothing``.

    A pair that only ever goes one way has a finite minimiser, ``sigma(beta h) = 1 - smoothing``. Source: Mitchell 2023, "A
    note on DPO with noisy preferences" (recalled, not checked against it).
    """
    return dpo(lp_w, lp_l, ref_w, ref_l, beta, 1 - number(smoothing, "smoothing", 0, 0.5), weights)


def rdpo(
    lp_w: Array, lp_l: Array, ref_w: Array, ref_l: Array, beta: float, flips: float, q: Any = 1.0, weights: Any = 1.0
) -> Array:
    """DPO of clean labels, estimated from labels that were flipped with probability `flips` in [0, 1/2).

    ``[ (1 - e) DPO(w, l) - e DPO(l, w) ] / (1 - 2 e)``, whose mean over flips is ``DPO(w, l)`` exactly, and which is unbounded
    below for ``e > 0``. Source: Chowdhury, Kini and Natarajan 2024 (arXiv 2403.00409).
    """
    e = number(flips, "flips", 0, 0.5)
    h = _difference(lp_w=lp_w, lp_l=lp_l, ref_w=ref_w, ref_l=ref_l)
    z, soft = number(beta, "beta", 0, open_low=True) * h, probability(q, h, "q")
    # Labels flipped at rate e turn a preference p into e + (1 - 2 e) p; this turns it back, and leaves [0, 1] for sure ones.
    clean = (soft - e) / (1 - 2 * e)
    return -(clean * log_sigmoid(z) + (1 - clean) * log_sigmoid(-z)) * fitting(weights, h, "weights")


def ipo(lp_w: Array, lp_l: Array, ref_w: Array, ref_l: Array, beta: float, q: Any = 1.0, weights: Any = 1.0) -> Array:
    """``(h - (q - 1/2) / beta)^2``: ``(h - 1 / (2 beta))^2`` for a winner and a loser.

    Pairs drawn independently from ``nu`` have the minimiser ``log pi = log mu + P(. > nu) / beta``. Pairs drawn from the
    policy itself, without gradient (*online* IPO), have the KL-regularised equilibrium as their stationary point. Source: Azar
    et al. 2023 (arXiv 2310.12036), Equation 17; online: Calandriello et al. 2024 (arXiv 2403.08635).
    """
    h = _difference(lp_w=lp_w, lp_l=lp_l, ref_w=ref_w, ref_l=ref_l)
    return _squared(h, 1 / number(beta, "beta", 0, open_low=True), q, weights)


def inpo(
    lp_w: Array,
    lp_l: Array,
    ref_w: Array,
    ref_l: Array,
    prev_w: Array,
    prev_l: Array,
    c: float,
    s: float,
    q: Any = 1.0,
    weights: Any = 1.0,
) -> Array:
    """``(D[lp - c ref - (1 - c) prev] - s (q - 1/2))^2``, ``D`` first less second response.

    Pairs drawn independently from ``prev`` have the minimiser ``prev^(1 - c) mu^c exp(s P(. > prev))``, the step of ``omd``
    with ``c = step beta`` and ``s = step``. In the paper's symbols ``c = tau / eta`` and ``s = 1 / eta``, so that the hard
    label is ``1 / (2 eta)``. Source: Zhang et al. 2024 (arXiv 2407.00617).

    Parameters
    ----------
    lp_w, lp_l, ref_w, ref_l, prev_w, prev_l : arrays, shape (...)
        Log-probabilities of the two responses under the policy, the reference and the previous policy.
    c : float
        Weight of the reference, in [0, 1].
    s : float
        Weight of the win rate, ``> 0``.
    q, weights
        As for :func:`dpo`.
    """
    if not 0 <= number(c, "c", 0) <= 1:
        raise ValueError(f"c is the weight of the reference and lies in [0, 1]; got {c!r}. A smaller step makes it smaller.")
    given = same_shape(lp_w=lp_w, lp_l=lp_l, ref_w=ref_w, ref_l=ref_l, prev_w=prev_w, prev_l=prev_l)
    policy, reference, previous = (given[i] - given[i + 1] for i in (0, 2, 4))
    return _squared(policy - c * reference - (1 - c) * previous, number(s, "s", 0, open_low=True), q, weights)


def onpo(lp_w: Array, lp_l: Array, aux_w: Array, aux_l: Array, eta: float, q: Any = 1.0, weights: Any = 1.0) -> Array:
    """``(D[lp - aux] - eta (q - 1/2))^2``, fitted twice an iteration: to the auxiliary policy and then to the played one.

    Pairs drawn independently from the played policy ``y`` have the minimiser ``aux exp(eta P(. > y))``. `eta` multiplies; the
    hard label is ``eta / 2``, not the ``1 / (2 eta)`` of :func:`inpo`. Source: Zhang et al. 2025 (arXiv 2502.16852).
    """
    h = _difference(lp_w=lp_w, lp_l=lp_l, aux_w=aux_w, aux_l=aux_l)
    return _squared(h, number(eta, "eta", 0, open_low=True), q, weights)


def dno(
    lp_1: Array, lp_2: Array, prev_1: Array, prev_2: Array, gain_1: Array, gain_2: Array, eta: float, weights: Any = 1.0
) -> Array:
    """:func:`dpo` from the previous policy, of temperature `eta`, with ``q = sigma(gain_1 - gain_2)``.

    ``gain`` are win rates against the previous policy. Whatever full-support distribution pairs come from, the minimiser is
    ``prev exp(gain / eta)``: `eta` divides. Labels that are preferences ``P(y_1 > y_2)`` instead, or the best and worst of a
    batch (DNO-Prct), have another and are heuristics. Gains estimated from few samples bias ``sigma``. Source: Rosset et al.
    2024 (arXiv 2404.03715).
    """
    first, second = same_shape(gain_1=gain_1, gain_2=gain_2)
    return dpo(lp_1, lp_2, prev_1, prev_2, number(eta, "eta", 0, open_low=True), sigmoid(first - second), weights)


def sppo(lp: Array, prev: Array, gain: Array, eta: float, log_z: Any = None, weights: Any = 1.0) -> Array:
    """``(lp - prev - eta gain + log Z)^2`` of single responses drawn from the previous policy; shape (...).

    ``gain`` are win rates against the previous policy; with ``k`` responses compared among themselves, leave the comparison
    with oneself out. `log_z` is ``eta / 2`` when omitted, as published. With ``log E exp(eta gain)`` under the previous policy
    the minimiser is ``prev exp(eta gain)``, a step of ``mwu``. With ``eta / 2``, which is less by at most ``eta^2 / 24``, it is
    ``prev W(kappa exp(eta (gain - 1/2))) / kappa``, ``W`` Lambert's function and ``kappa`` from the normalisation: close to
    that step for `eta` well below 1 only (derived). Source: Wu et al. 2024 (arXiv 2405.00675).
    """
    policy, previous, won = same_shape(lp=lp, prev=prev, gain=gain)
    eta = number(eta, "eta", 0, open_low=True)
    # Half of eta is taken off the win rates, which keeps their digits when eta is large.
    rest = 0.0 if log_z is None else fitting(log_z, policy, "log_z") - eta / 2
    return (policy - previous - eta * (won - 0.5) + rest) ** 2 * fitting(weights, policy, "weights")


def sppo_pair(lp_w: Array, lp_l: Array, prev_w: Array, prev_l: Array, eta: float, q: Any = 1.0, weights: Any = 1.0) -> Array:
    """:func:`sppo` of both responses with ``q`` and ``1 - q`` in place of the win rates.

    ``(lp_w - prev_w - eta / 2)^2 + (lp_l - prev_l + eta / 2)^2`` for a winner and a loser, as in public trainers. Pairs drawn
    independently from the previous policy have the minimiser of :func:`sppo`.
    """
    given = same_shape(lp_w=lp_w, lp_l=lp_l, prev_w=prev_w, prev_l=prev_l)
    soft = probability(q, given[0], "q") + 0 * given[0]
    return sppo(given[0], given[2], soft, eta, None, weights) + sppo(given[1], given[3], 1 - soft, eta, None, weights)


def gpo(lp: Array, prev: Array, score: Array, beta: float, log_z: Any = 0.0, weights: Any = 1.0) -> Array:
    """``(lp - prev - score / beta + log Z)^2`` of single responses, `score` their mean log-odds against the previous policy.

    *General* preference optimisation (not "generalised"): :func:`sppo` on the log-odds payoff. `log_z` is 0 as published;
    with ``log E exp(score / beta)`` the minimiser is ``prev exp(score / beta)``, a step of ``mwu`` on log-odds. Source: Zhang
    et al. 2024 (arXiv 2410.02197).
    """
    policy, previous, odds = same_shape(lp=lp, prev=prev, score=score)
    goal = odds / number(beta, "beta", 0, open_low=True) - fitting(log_z, policy, "log_z")
    return (policy - previous - goal) ** 2 * fitting(weights, policy, "weights")


def regress(lp_1: Array, lp_2: Array, target_1: Array, target_2: Array, weights: Any = 1.0) -> Array:
    """``(D lp - D target)^2``: squared difference to the log-ratio of a target policy, known up to a factor; shape (...).

    For targets made outside a loss, such as those of :func:`extrapolate`; over any full-support distribution of pairs the
    minimiser is the target.
    """
    h = _difference(lp_1=lp_1, lp_2=lp_2, target_1=target_1, target_2=target_2)
    return h**2 * fitting(weights, h, "weights")


def extrapolate(new: Array, old: Array, alpha: float) -> Array:
    """``(1 + alpha) new - alpha old``: the target of accelerated preference optimisation, `alpha` in [0, 1).

    Of log-probabilities under the last two base policies, this is the log-policy that the solver ``apo`` moves to, up to a
    constant; :func:`regress` onto it. Of *parameters* it is a heuristic, exact for log-linear policies only. APO is
    accelerated, not "anchored", preference optimisation. Source: He, Yuan and Gu 2024 (arXiv 2410.06293).
    """
    alpha = number(alpha, "alpha", 0, 1)
    after, before = same_shape(new=new, old=old)
    return (1 + alpha) * after - alpha * before


def simpo(
    lp_w: Array, lp_l: Array, length_w: Array, length_l: Array, beta: float, gamma: float = 0.0, weights: Any = 1.0
) -> Array:
    """``-log sigma(beta lp_w / length_w - beta lp_l / length_l - gamma)``: without reference, normalised by length.

    A heuristic: per-token means are no log-policy, so that no game has its minimiser for an equilibrium. Lengths are numbers of
    tokens, at least 1. Source: Meng, Xia and Chen 2024 (arXiv 2405.14734; recalled, not checked against the paper).
    """
    first, second, long, short = same_shape(lp_w=lp_w, lp_l=lp_l, length_w=length_w, length_l=length_l)
    if not bool(((long >= 1) & (short >= 1)).all()):
        raise ValueError("length_w and length_l must count tokens, at least 1 each; the end-of-sequence token is one.")
    z = number(beta, "beta", 0, open_low=True) * (first / long - second / short) - number(gamma, "gamma", 0)
    return -log_sigmoid(z) * fitting(weights, z, "weights")


def xpo(
    lp_1: Array,
    lp_2: Array,
    ref_1: Array,
    ref_2: Array,
    beta: float,
    alpha: float,
    q: Any = 1.0,
    base: str = "dpo",
    weights: Any = 1.0,
) -> Array:
    """`base` loss of a response of the policy and one of the reference, ``+ alpha lp_2``; the second is the reference's.

    ``alpha > 0`` lowers the likelihood of what the reference says (optimism), ``alpha = 0`` is `base`, ``"dpo"`` or ``"ipo"``.
    `q` is the probability that the policy's response is preferred. Source: Xie et al. 2024 (arXiv 2405.21046; recalled, not
    checked against the paper).
    """
    losses = {"dpo": dpo, "ipo": ipo}
    if base not in losses:
        raise ValueError(f"base must be 'dpo' or 'ipo'; got {base!r}.")
    loss = losses[base](lp_1, lp_2, ref_1, ref_2, beta, q)
    return (loss + number(alpha, "alpha", 0) * as_array(lp_2, "lp_2", loss)) * fitting(weights, loss, "weights")


def vpo(
    lp_w: Array,
    lp_l: Array,
    ref_w: Array,
    ref_l: Array,
    lp_cal: Array,
    ref_cal: Array,
    beta: float,
    alpha: float,
    online: bool = True,
    q: Any = 1.0,
    weights: Any = 1.0,
) -> Array:
    """DPO ``± alpha beta E[lp_cal - ref_cal]`` over calibration responses, the last axis of (..., m).

    Plus (`online`) is optimism, minus pessimism; ``alpha = 0`` is :func:`dpo`. With one calibration response, drawn from the
    reference, the added gradient is `beta` times that of :func:`xpo`. Source: Cen et al. 2024 (arXiv 2405.19320; sign derived,
    scale recalled, not checked against the paper).
    """
    policy, reference = same_shape(lp_cal=lp_cal, ref_cal=ref_cal)
    base = as_array(dpo(lp_w, lp_l, ref_w, ref_l, beta, q), "lp_w", policy)
    if tuple(policy.shape[:-1]) != tuple(base.shape) or policy.shape[-1] == 0:
        raise ValueError(f"lp_cal must have shape {(*base.shape, 'm')}, m responses for each pair; got {tuple(policy.shape)}.")
    drift = as_array((policy - reference).mean(-1), "lp_cal", base)
    signed = number(alpha, "alpha", 0) * beta * (1 if online else -1)
    return (base + signed * drift) * fitting(weights, base, "weights")


def _difference(**values: Any) -> Array:
    """Change of the first response's log-probability from its base, less that of the second."""
    first, second, base_first, base_second = same_shape(**values)
    return (first - base_first) - (second - base_second)


def _logistic(z: Array, q: Any) -> Array:
    """Cross-entropy of a preference `q` under odds ``e^z``."""
    soft = probability(q, z, "q")
    return -soft * log_sigmoid(z) - (1 - soft) * log_sigmoid(-z)


def _squared(difference: Array, s: float, q: Any, weights: Any) -> Array:
    """Squared distance of a log-ratio from ``s (q - 1/2)``."""
    goal = s * (probability(q, difference, "q") - 0.5)
    return (difference - goal) ** 2 * fitting(weights, difference, "weights")
