"""Individually fair learning with one-sided feedback: whoever is turned down is never heard of again, and auditors complain.

In every round ``k`` individuals ``x_i``, standard normal, have labels ``y_i = 1`` where ``<parameter, x_i> + deviation N(0,
1) >= 0``. Arms are classifiers ``f(x) = 1[<direction, x> >= threshold]`` (directions times equally spaced thresholds, and
the two constants). The policy commits itself to a mixture ``q`` of them and names one drawn from it, which decides on all
individuals; with ``pi(x) = sum_f q(f) f(x)`` the auditors judge the mixture. A panel is drawn from the pool in every round,
auditor ``j`` objects to the pair (l, r) if ``pi(x_l) - pi(x_r) > tolerance_j ||x_l - x_r|| + alpha``, and the panel reports
one pair to which the majority objects, that with the most objections, if there is one. The policy is told, by individual,
the label (NaN where it was turned down) and the complaint (1 for ``l``, -1 for ``r``, else 0).

``violations`` counts the rounds with a report. ``regret`` is the regret in errors, in expectation over individuals and the
draw from the mixture: ``k (err(q_t) - err(fair))`` a round, where ``fair`` is the best mixture certified never to be
objected to, not even by an auditor with ``alpha - margin``. It can be negative: unfair classifiers make fewer errors. With
``rho`` the correlation of ``<direction, x>`` (a unit vector) and the label's score, and the bivariate normal distribution
function,

    err(f) = 1/2 + Phi(c) - 2 Phi_2(c, 0; rho)        (threshold c; derived).

*Certificate* (derived). Between points at distance ``D`` there are at most ``n`` thresholds of any direction if ``D <= n
h``, so ``pi(x) - pi(x') <= sum_directions (largest mass of n neighbouring thresholds)``, and ``q`` is fair if for all ``n``
that sum is at most ``alpha - margin + (n - 1) h min_j tolerance_j``. The best such ``q`` is a linear program.

Policies are told the predictions of all arms as an array (arms, k + separators): on the individuals, then on fixed points on
which no two arms agree throughout. (Bechavod and Roth 2023, 2206.04475; instance ours.)
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim.bandit import Bandit
from prefsim.game import as_floats
from prefsim.ops import Array, dot, floats, integers, normal, uniform

FEEDBACK = "semi"
SETTING = "one_sided"
SIDE = "features"
METRICS = ("regret", "violations")
UNIT = {"regret": "errors", "violations": "rounds"}
HINTS = "one-sided feedback"
"""Constants: the number k of individuals in a round."""

FAR = 1e9
"""Threshold of the constant classifiers."""
CANDIDATES = 400
"""Random points from which separators are chosen."""


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    directions: Array
    """Unit vectors of the arms, shape (arms, space)."""
    thresholds: Array
    """Shape (arms,)."""
    gap: Array
    """Expected errors of a round less those of the best fair mixture, shape (arms,)."""
    fair: Array
    """That mixture, shape (arms,)."""
    parameter: Array
    """What labels depend on, shape (space,)."""
    auditors: Array
    """Tolerances of the pool, shape (auditors,)."""
    rules: Array
    """Deviation of the labels, alpha, size of a panel, margin; shape (4,)."""
    separators: Array
    """Shape (separators, space)."""


def individuals(problem):
    """Individuals of a round."""
    return int(problem.hints[0])


class State(NamedTuple):
    """What changes from round to round."""

    features: Array = floats("arms", "dimension")
    """Predictions of the arms on the individuals, then on the separators."""
    commitment: Array = floats("arms", 1)
    """The mixture deployed."""
    point: Array = floats("individuals", "parameter")
    label: Array = floats("individuals")
    chance: Array = floats("individuals")
    """Probability of acceptance, ``pi(x_i)``."""
    pool: Array = integers("auditors")
    """The auditors; those of the round come first."""
    report: Array = floats("individuals", 2)
    """Labels and complaint."""


def fair_one_sided(
    directions: ArrayLike = ((1.0, 0.0), (0.6, 0.8), (0.0, 1.0), (0.8, -0.6)),
    thresholds: int = 9,
    spacing: float = 0.3,
    parameter: ArrayLike = (0.8, 0.6),
    deviation: float = 0.3,
    individuals: int = 4,
    auditors: ArrayLike = (0.3, 0.3, 0.4, 0.4, 0.5, 0.6, 0.8),
    panel: int = 5,
    alpha: float = 0.4,
    margin: float = 0.2,
) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    directions : array_like, shape (directions, space)
        Directions of the classifiers, of any length above 0.
    thresholds : int
        Thresholds of each direction, at least 1, around 0.
    spacing : float
        Distance between neighbouring thresholds, above 0.
    parameter : array_like, shape (space,)
        What labels depend on, not 0.
    deviation : float
        Noise of the labels' scores, ``>= 0``.
    individuals : int
        Individuals in a round, at least 2.
    auditors : array_like, shape (auditors,)
        Tolerances of the pool per unit of distance, ``>= 0``.
    panel : int
        Auditors in a panel, odd, at most as many as in the pool.
    alpha : float
        Tolerance that all auditors add, above 0.
    margin : float
        Part of `alpha`, above 0, that the fair comparator does without.

    Raises
    ------
    ValueError
        If shapes do not fit or a number is out of range.
    """
    axis, w, pool = as_floats(directions, "directions"), as_floats(parameter, "parameter"), as_floats(auditors, "auditors")
    if axis.ndim != 2 or w.shape != axis.shape[1:] or not np.isfinite(axis).all() or not np.isfinite(w).all() or not w.any():
        raise ValueError(
            f"directions must have shape (directions, space) and parameter (space,), not 0; got {axis.shape} and {w.shape}."
        )
    length = np.linalg.norm(axis, axis=1, keepdims=True)
    if not (length > 0).all() or thresholds < 1 or not 0 < spacing < np.inf or not 0 <= deviation < np.inf:
        raise ValueError(
            "directions must not be 0, thresholds be at least 1, spacing above 0 and deviation >= 0; got "
            f"{directions!r}, {thresholds}, {spacing} and {deviation}."
        )
    tolerant = pool.ndim == 1 and ((pool >= 0) & (pool < np.inf)).all()
    if individuals < 2 or not tolerant or panel % 2 == 0 or not 1 <= panel <= len(pool):
        raise ValueError(
            "individuals must be at least 2, auditors a list of finite tolerances >= 0, and panel odd and at most as many; got "
            f"{individuals}, {auditors!r} and {panel}."
        )
    if not 0 < margin < alpha <= 1:
        raise ValueError(f"alpha must lie in (0, 1] and margin between 0 and alpha; got {alpha} and {margin}.")
    for name, count in (("thresholds", thresholds), ("individuals", individuals), ("panel", panel)):
        if not isinstance(count, (int, np.integer)):
            raise ValueError(f"{name} must be a whole number; got {count!r}.")
    axis = axis / length
    cuts = spacing * (np.arange(thresholds) - (thresholds - 1) / 2)
    every = np.vstack([np.repeat(axis, thresholds, axis=0), axis[:1], axis[:1]])
    levels = np.concatenate([np.tile(cuts, len(axis)), [-FAR, FAR]])
    errors = error_rates(every, levels, w, deviation)
    mixture = best_fair(errors, len(axis), thresholds, alpha - margin, spacing * float(pool.min()))
    gap = individuals * (errors - mixture @ errors)
    rules = [deviation, alpha, panel, margin]
    points = separating_points(every, levels)
    truth = Truth(*(np.asarray(x)[None] for x in (every, levels, gap, mixture, w, pool, rules, points)))
    return Bandit(
        "fair_one_sided",
        truth,
        len(every),
        normalisation="pseudo",
        dimension=individuals + len(points),
        length=float(np.sqrt(individuals + len(points))),
        hints=[individuals],
    )


def error_rates(
    directions: NDArray[np.float64], thresholds: NDArray[np.float64], parameter: NDArray[np.float64], deviation: float
) -> NDArray[np.float64]:
    """Probability of a wrong prediction of each classifier, shape (arms,)."""
    from scipy.stats import multivariate_normal, norm

    rho = directions @ parameter / np.hypot(np.linalg.norm(parameter), deviation)
    both = [
        multivariate_normal([0, 0], [[1, r], [r, 1]], allow_singular=True).cdf([c, 0])
        for c, r in zip(np.clip(thresholds, -40, 40), rho, strict=True)
    ]
    return np.asarray(0.5 + norm.cdf(thresholds) - 2 * np.array(both))


def best_fair(errors: NDArray[np.float64], directions: int, thresholds: int, slack: float, step: float) -> NDArray[np.float64]:
    """The mixture of least error with the certificate of the module's head, shape (arms,).

    `step` is the spacing times the least tolerance, `slack` what may be added to it.
    """
    from scipy.optimize import linprog

    arms = len(errors)
    windows, right = [], []
    for n in range(1, thresholds + 1):
        largest = np.zeros(arms + directions * thresholds)
        for d in range(directions):
            bound = arms + d * thresholds + n - 1
            largest[bound] = 1.0
            for first in range(thresholds - n + 1):
                row = np.zeros_like(largest)
                row[d * thresholds + first : d * thresholds + first + n] = 1.0
                row[bound] = -1.0
                windows.append(row)
                right.append(0.0)
        windows.append(largest)
        right.append(slack + (n - 1) * step)
    found = linprog(
        np.append(errors, np.zeros(directions * thresholds)),
        A_ub=np.array(windows),
        b_ub=right,
        A_eq=np.append(np.ones(arms), np.zeros(directions * thresholds))[None],
        b_eq=[1.0],
        method="highs",
    )
    mixture = np.maximum(found.x[:arms], 0.0)
    return mixture / mixture.sum()


def separating_points(directions: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points on which no two classifiers agree throughout, chosen one by one from random ones; shape (separators, space)."""
    spread = 1.0 + float(np.abs(thresholds[:-2]).max())
    candidates = spread * np.random.default_rng(0).normal(size=(CANDIDATES, directions.shape[1]))
    predictions = (candidates @ directions.T >= thresholds).astype(int)
    group = np.zeros(len(thresholds), dtype=int)
    chosen: list[int] = []
    while group.max() < len(thresholds) - 1:
        split = [len(np.unique(2 * group + row)) for row in predictions]
        best = int(np.argmax(split))
        if split[best] == group.max() + 1:
            break  # what is left is told apart by none of the candidates, such as directions given twice
        chosen.append(best)
        group = np.unique(2 * group + predictions[best], return_inverse=True)[1]
    return candidates[chosen]


def start(truth, world, problem, noise):
    """Predictions on the separators, and the pool of auditors."""
    k = len(world.label)
    for s in range(len(truth.separators)):
        for a in range(len(truth.thresholds)):
            score = dot(truth.directions[a], truth.separators[s])
            world.features[a, k + s] = 1.0 if score >= truth.thresholds[a] else 0.0
    for j in range(len(truth.auditors)):
        world.pool[j] = j


def observe(truth, world, t, noise):
    """Individuals, labels and a panel arrive."""
    for i in range(len(world.label)):
        for m in range(len(truth.parameter)):
            world.point[i, m] = normal(noise)
        score = dot(truth.parameter, world.point[i]) + truth.rules[0] * normal(noise)
        world.label[i] = 1.0 if score >= 0.0 else 0.0
        for a in range(len(truth.thresholds)):
            score = dot(truth.directions[a], world.point[i])
            world.features[a, i] = 1.0 if score >= truth.thresholds[a] else 0.0
    for j in range(int(truth.rules[2])):
        other = j + int(uniform(noise) * (len(truth.auditors) - j))
        world.pool[j], world.pool[other] = world.pool[other], world.pool[j]


def objections(truth, world, left, right):
    """How many of the panel object to accepting `left` rather than `right` as the mixture does."""
    square = 0.0
    for m in range(len(truth.parameter)):
        square += (world.point[left, m] - world.point[right, m]) ** 2
    excess = world.chance[left] - world.chance[right] - truth.rules[1]
    count = 0
    for j in range(int(truth.rules[2])):
        if excess > truth.auditors[world.pool[j]] * square**0.5:
            count += 1
    return count


def feedback(truth, world, action, t, noise):
    """Write labels and the panel's complaint into the report; return the errors made."""
    k = len(world.label)
    errors = 0.0
    for i in range(k):
        world.chance[i] = 0.0
        for a in range(len(truth.thresholds)):
            world.chance[i] += world.commitment[a, 0] * world.features[a, i]
        accepted = world.features[action, i]
        world.report[i, 0] = world.label[i] if accepted > 0.0 else np.nan
        world.report[i, 1] = 0.0
        errors += abs(accepted - world.label[i])
    most, left, right = int(truth.rules[2]) // 2, -1, -1
    for i in range(k):
        for j in range(k):
            if i != j:
                count = objections(truth, world, i, j)
                if count > most:
                    most, left, right = count, i, j
    if left >= 0:
        world.report[left, 1] = 1.0
        world.report[right, 1] = -1.0
    return errors


def regrets(truth, world, action, t, signal):
    """Expected errors of the mixture over those of the best fair one, and whether there was a complaint."""
    regret = 0.0
    for a in range(len(truth.gap)):
        regret += world.commitment[a, 0] * truth.gap[a]
    complaint = 0.0
    for i in range(len(world.label)):
        complaint = max(complaint, world.report[i, 1])
    return regret, complaint
