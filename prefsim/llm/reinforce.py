"""Group-relative REINFORCE: advantages, weights and corrections for noisy verifiers, on NumPy arrays and torch tensors.

A *group* is the ``K`` responses to a prompt, drawn from a behaviour policy ``b``; rewards have shape (..., K) and every
baseline is the group's own. Groups of different sizes come with a `mask`, true where there is a response (:func:`pad` makes
both); what is masked has advantage 0 and enters no mean. Everything here is a constant of the loss

    - mean over responses of  weight * advantage * log pi(y)

(``policy_loss``, in ``surrogate.py``), so advantages and weights must not carry a gradient. TypeError and ValueError name the
argument that does not fit. Identities RF1 to RF6 of the documentation are derived; sources are named function by function and
were recalled, not checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lgamma
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefsim.llm.arrays import Array, as_array, fitting, group_mean, groups, namespace, number, probability, same_shape

BASELINES = ("mean", "leave_one_out", "log_mean_exp", "none")


def pad(rewards: Sequence[Sequence[float]]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Rewards (prompts, K) of groups of different sizes, zeros behind the shorter ones, and their mask."""
    if not rewards or min(len(group) for group in rewards) == 0:
        raise ValueError("rewards must hold at least one group, and every group a reward; drop prompts without responses.")
    mask = np.arange(max(len(group) for group in rewards)) < np.array([len(group) for group in rewards])[:, None]
    padded = np.zeros(mask.shape)
    padded[mask] = np.concatenate([np.asarray(group, dtype=np.float64) for group in rewards])
    return padded, mask


def group_advantages(
    rewards: Array, mask: Array | None = None, *, baseline: str = "mean", scale: bool = False, tau: float = 1.0
) -> Array:
    """Rewards less a baseline of their group.

    Parameters
    ----------
    rewards : array, shape (..., K)
    mask : bool array, shape (..., K), optional
        Where there is a response.
    baseline : {"mean", "leave_one_out", "log_mean_exp", "none"}
        ``mean r`` (which leaves the expected gradient short by ``(K - 1) / K``), the mean of the *other* responses (exact), or
        ``tau log mean exp(r / tau)``, the second form of OPMD. A response alone in its group has advantage 0, but for "none".
    scale : bool
        Divide by the group's standard deviation (divisor ``K``), as GRPO does; groups of equal rewards get 0.
    tau : float
        Temperature of "log_mean_exp", ``> 0``.

    Returns
    -------
    array, shape (..., K)

    Notes
    -----
    Sources: mean and scale: Shao et al. 2024 (arXiv 2402.03300); leave one out: Ahmadian et al. 2024 (arXiv 2402.14740);
    OPMD: Pan et al. 2025 (arXiv 2505.17826), whose loss is ``policy_loss`` divided by ``1 + tau``.
    """
    xp, values, weight = groups(rewards, mask)
    if baseline not in BASELINES:
        raise ValueError(f"baseline must be one of {', '.join(BASELINES)}; got {baseline!r}.")
    count, mean = weight.sum(-1)[..., None], group_mean(values, weight)
    deviation = (values - mean) * weight
    if baseline == "mean":
        found = deviation
    elif baseline == "leave_one_out":
        found = deviation * count / xp.where(count > 1, count - 1, count)
    elif baseline == "log_mean_exp":
        tau = number(tau, "tau", 0, open_low=True)
        top = _largest(xp, values, weight)
        found = (values - top - tau * xp.log(group_mean(xp.exp((values - top) / tau * weight), weight))) * weight
    else:
        found = values * weight
    if scale:
        spread = group_mean(deviation**2, weight) ** 0.5
        # Not spread > 0: the mean of equal rewards is rounded, and the quotient of two roundings would pass for a signal.
        differ = _largest(xp, values, weight) > -_largest(xp, -values, weight)
        found = xp.where(differ, found / xp.where(differ, spread, 1.0), xp.zeros_like(found))
    return found


def asymre_advantages(rewards: Array, mask: Array | None = None, *, offset: float = 0.1, value: Any = None) -> Array:
    """``r - V`` off policy, with the baseline ``V = mean r - offset`` of the group, or a given one.

    With ``W = E_b r - V > 0``, gradient flow on logits ends at ``((b (r - V) - kappa) / W)_+``, ``kappa >= 0`` from the
    normalisation (RF1): responses drop out as soon as ``b (r - V)`` is negative anywhere, before ``V`` reaches the mean,
    and for ``W <= 0`` only one is left. Source: Arnal et al. 2025 (arXiv 2506.20520); limit derived.

    Parameters
    ----------
    rewards, mask
        As for :func:`group_advantages`.
    offset : float
        How far the baseline lies below the mean, a finite number (negative: above, where the policy collapses).
    value : float or array, shape (...), optional
        Baseline of each group, instead of `offset`.
    """
    xp, values, weight = groups(rewards, mask)
    if value is None:
        return (values - group_mean(values, weight) + number(offset, "offset", -np.inf, open_low=True)) * weight
    given = value if isinstance(value, (int, float)) else fitting(value, values[..., 0], "value")[..., None]
    return (values - given) * weight


def topr_weights(rewards: Array, lp: Array, lp_behaviour: Array) -> Array:
    """1 for responses of positive reward, ``min(pi / b, 1)`` for the others; constants of the loss.

    With rewards ``±1`` less a baseline ``c``, positives, a share ``p`` of the responses, make up
    ``p (1 - c) / (1 + c (1 - 2 p))`` of the sum of absolute advantages (RF2, derived). The method itself subtracts none.
    Source: Le Roux et al. 2025 (arXiv 2503.14286).

    Parameters
    ----------
    rewards, lp, lp_behaviour : arrays, shape (...)
        Rewards, and log-probabilities under the policy (without gradient) and under the one that drew the responses.
    """
    reward, policy, behaviour = same_shape(rewards=rewards, lp=lp, lp_behaviour=lp_behaviour)
    xp = namespace(policy)
    ratio = xp.exp(xp.clip(policy - behaviour, -np.inf, 0.0))
    return xp.where(reward > 0, xp.ones_like(ratio), ratio)


def bnpo_parameters(rates: Array) -> tuple[float, float]:
    """Parameters of the normaliser of :func:`bnpo_advantages`, from the success rates of many prompts.

    ``(1 + a / 3, 1 + d / 3)`` for the Beta(a, d) law with the mean and the variance (divisor: number of prompts) of the rates.
    If rates follow that law, the density of these parameters minimises the second moment of advantages among all densities
    ``f`` (derived). Source: Xiao et al. 2025 (arXiv 2506.02864).

    Raises
    ------
    ValueError
        If all rates are equal, so that there is no such law.
    """
    rate = as_array(rates, "rates")
    probability(rate, rate, "rates")
    mean = float(rate.mean())
    variance = float(((rate - mean) ** 2).mean())
    if variance <= 0:
        raise ValueError(
            f"rates are all {mean:g}, to which no Beta law can be fitted; give parameters=(1, 1), the mean baseline."
        )
    size = mean * (1 - mean) / variance - 1
    return 1 + mean * size / 3, 1 + (1 - mean) * size / 3


def bnpo_advantages(rewards: Array, mask: Array | None = None, *, parameters: tuple[float, float] | None = None) -> Array:
    """``(r - p) / f(p)`` of rewards 0 and 1, ``p`` the group's success rate and ``f`` a Beta density.

    Parameters ``(1, 1)`` give the mean baseline; ``(3/2, 3/2)`` give ``f`` in proportion to ``sqrt(p (1 - p))``, the scale of
    GRPO (RF6, derived). Groups of equal rewards get 0. The option of this name in a public trainer is another thing: the
    reduction "token_mean". Source: Xiao et al. 2025 (arXiv 2506.02864).

    Parameters
    ----------
    rewards, mask
        As for :func:`group_advantages`.
    parameters : (float, float), optional
        Of the density, both ``> 0``; :func:`bnpo_parameters` of the groups' rates when omitted.
    """
    xp, values, weight = groups(rewards, mask)
    _check_binary(values, weight)
    rate = group_mean(values, weight)
    first, second = bnpo_parameters(rate[..., 0]) if parameters is None else parameters
    first = number(first, "parameters[0]", 0, open_low=True)
    second = number(second, "parameters[1]", 0, open_low=True)
    mixed = (rate > 0) & (rate < 1)
    inside = xp.where(mixed, rate, 0.5)
    constant = lgamma(first) + lgamma(second) - lgamma(first + second)
    inverse = xp.exp(constant - (first - 1) * xp.log(inside) - (second - 1) * xp.log(1 - inside))
    return xp.where(mixed, (values - rate) * inverse, xp.zeros_like(values)) * weight


def backward_rewards(observed: Array, false_positive: float, false_negative: float) -> Array:
    """``(R - r0) / (1 - r0 - r1)``: unbiased for a true reward 0 or 1 that a noisy verifier reports as ``R``.

    ``r0 = P(R = 1 | wrong)``, ``r1 = P(R = 0 | correct)``, ``r0 + r1 < 1``; conditional means 1 and 0 (RF3, derived).
    Baselines may be subtracted. Source: arXiv 2510.00915.
    """
    seen = as_array(observed, "observed")
    _check_binary(seen, 1.0)
    r0, r1 = _rates(false_positive, false_negative)
    return (seen - r0) / (1 - r0 - r1)


def forward_weights(observed: Array, false_negative: float) -> Array:
    """``r1`` for a response reported correct and ``r1 - 1`` for one reported wrong, in place of rewards: no baseline after.

    Needs the false-negative rate alone. Conditional means are 0 for correct and ``-(1 - r0 - r1)`` for wrong responses (RF4),
    and on policy the gradient is ``1 - r0 - r1`` times that of true rewards (RF5, derived; any two weights one apart have that
    gradient). Source: arXiv 2510.00915.
    """
    seen = as_array(observed, "observed")
    _check_binary(seen, 1.0)
    return seen - 1 + _rates(0.0, false_negative)[1]


def regression_advantages(residual: Array, mask: Array | None = None) -> tuple[Array, Array]:
    """Advantages and weights whose ``policy_loss`` has the gradient of the unbiased regression to a target.

    ``-(z - mean z)`` and ``4 K / (K - 1)`` for residuals ``z = log pi - target``: the gradient of
    ``2 / (K - 1) sum (z - mean z)^2`` in every group, averaged over responses, that is over groups where all are of one size
    (derived). At least two responses a group.
    """
    _, values, weight = groups(residual, mask)
    count = weight.sum(-1)[..., None]
    if not bool((count > 1).all()):
        raise ValueError("residual needs at least 2 responses a group, because only differences to the target are known.")
    return -(values - group_mean(values, weight)) * weight, 4 * count / (count - 1) * weight


def _largest(xp: Any, values: Array, weight: Array) -> Array:
    """Largest value of each group, shape (..., 1)."""
    return xp.max(xp.where(weight > 0, values, -xp.inf), axis=-1, keepdims=True)


def _check_binary(values: Array, weight: Any) -> None:
    if not bool(((values == 0) | (values == 1) | (weight == 0)).all()):
        raise ValueError("rewards must be 0 (wrong) or 1 (correct) here; round or rescale what the verifier reports.")


def _rates(false_positive: float, false_negative: float) -> tuple[float, float]:
    r0 = number(false_positive, "false_positive", 0, 1)
    r1 = number(false_negative, "false_negative", 0, 1)
    if r0 + r1 >= 1:
        raise ValueError(
            f"false_positive + false_negative must be below 1; got {r0:g} + {r1:g}: this verifier is no better than chance."
        )
    return r0, r1
