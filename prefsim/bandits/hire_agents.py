"""Hiring agents for information: a principal commits to recommendations and payments, and agents answer as suits them.

The model is that of :mod:`prefsim.mechanisms`. In every round the policy commits itself to a mechanism, a row for each
profile of efforts (arm): its probability, the decision for every profile of signals, the payments by agent, signals and
state. The arm it names is the profile drawn from those probabilities. Every agent, who knows the costs and the kernel, does
what is best for it if the others obey and are honest, and obeys when indifferent. Then state and signals are drawn, the
agents report, the decision is taken and the payments are made. The policy is told the state, the reports and the efforts
exerted (it sees who worked, which it may not pay for; this is our assumption). ``regret`` is the profit of the optimal
mechanism less that of the one committed to, both in expectation over recommendations, signals and states, with what the
agents really do. ``deviations`` counts the rounds in which an agent that was told its recommendation works or reports
otherwise.

An agent trusts that the others obey. Under a mechanism that is not incentive compatible several may deviate at once, or one
work for pay that depends on another who shirks; the principal may then even earn more than by the optimal mechanism.

By default an effort of agent ``i`` shows it the true state with probability ``accuracy[i][effort]`` (and one of the other
states otherwise), no effort shows signal 0; with probability ``common`` all agents look at the same source, whoever is more
accurate being right wherever a less accurate one is. A second agent then serves to check the first, and the optimal
mechanism hires it at random: efforts are correlated, and no agent knows who else was hired. (Cacciamani, Castiglioni, Gatti
2024, 2307.06210; instance ours.)
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim import hiring, mechanisms
from prefsim.bandit import Bandit
from prefsim.game import as_floats
from prefsim.mechanisms import Sizes, best_responses, digit, pay_at, profit, reported, sizes
from prefsim.ops import Array, copy_changed, draw, floats, integers

FEEDBACK = "reports"
SETTING = "hiring"
SIDE = "features"
METRICS = ("regret", "deviations")
UNIT = {"regret": "profit", "deviations": "rounds"}
HINTS = "hiring"
"""Constants: agents, efforts, signals, states, decisions, limit; then the utility by decision and state; then, by agent,
effort, own report and state, the payments that make that effort strictly best."""


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    joint: Array
    """``J(s, theta | b)``, shape (arms, outcomes)."""
    cost: Array
    """Costs of effort, shape (agents, efforts)."""
    utility: Array
    """Shape (decisions, states)."""
    best: Array
    """Profit of the optimal mechanism, shape (1,)."""
    sizes: Array
    """Agents, efforts, signals, states and decisions, shape (5,)."""
    features: Array
    """Effort of each agent in each profile, shape (arms, agents)."""


def outcomes(problem):
    """Pairs of signals and a state."""
    return mechanisms.outcomes(sizes(problem.hints))


def width(problem):
    """Numbers in a mechanism's row."""
    return mechanisms.width(sizes(problem.hints))


def efforts(problem):
    """Efforts an agent can be told."""
    return int(problem.hints[1])


def tellings(problem):
    """Pairs of a recommendation and a signal."""
    return int(problem.hints[1] * problem.hints[2])


def told(problem):
    """The state, the reports and the efforts."""
    return 1 + 2 * int(problem.hints[0])


class State(NamedTuple):
    """What is committed to, and what the agents do about it."""

    commitment: Array = floats("arms", "width")
    """The mechanism of the round."""
    known: Array = floats("arms", "width")
    """The one that the agents answered last."""
    effort: Array = integers("dimension", "efforts")
    """Effort by agent and recommendation."""
    answer: Array = integers("dimension", "tellings")
    """Report by agent and pair of recommendation and signal."""
    profit: Array = floats(1)
    """Of the mechanism, in expectation."""
    report: Array = floats("told")
    """State, reports and efforts of the round."""


def hire_agents(
    accuracy: ArrayLike = ((0.5, 0.8), (0.5, 0.7)),
    costs: ArrayLike = ((0.0, 0.06), (0.0, 0.03)),
    common: float = 0.8,
    prior: ArrayLike = (0.5, 0.5),
    utility: ArrayLike | None = None,
    limit: float = 1.0,
    kernel: ArrayLike | None = None,
    names: Sequence[str] | None = None,
) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    accuracy : array_like, shape (agents, efforts)
        Probability that the signal names the state. The first column is not used: no effort shows signal 0.
    costs : array_like, shape (agents, efforts)
        ``>= 0``, and 0 for the first effort.
    common : float
        Probability in [0, 1] that all look at the same source.
    prior : array_like, shape (states,)
        Probabilities of the states.
    utility : array_like, shape (decisions, states), optional
        ``>= 0``; 1 for naming the state and 0 otherwise, if left out.
    limit : float
        Largest payment to an agent, above 0.
    kernel : array_like, shape (profiles, signal profiles, states), optional
        ``psi(s | b, theta)``, to take the place of `common` and `accuracy`, of which only the shape is then used. Agent ``i``
        is digit ``i`` of the number of a profile, to the base of efforts or signals.
    names : sequence of str, optional
        Names of the profiles.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is out of range, or no payments within `limit` make some effort strictly best.
    """
    right, cost, p = as_floats(accuracy, "accuracy"), as_floats(costs, "costs"), as_floats(prior, "prior")
    if right.ndim != 2 or right.shape[1] < 2 or cost.shape != right.shape:
        raise ValueError(
            "accuracy and costs must have one shape (agents, efforts) with two efforts or more; got "
            f"{right.shape} and {cost.shape}."
        )
    if not (cost[:, 0] == 0).all() or not (cost >= 0).all() or not np.isfinite(cost).all():
        raise ValueError(f"costs must be finite, >= 0, and 0 for the first effort; got {costs!r}.")
    if p.ndim != 1 or len(p) < 2 or not (p > 0).all() or abs(p.sum() - 1) > 1e-9:
        raise ValueError(f"prior must hold two probabilities or more, above 0 and with sum 1; got {prior!r}.")
    gains = np.eye(len(p)) if utility is None else as_floats(utility, "utility")
    if gains.ndim != 2 or gains.shape[1] != len(p) or not (gains >= 0).all() or not np.isfinite(gains).all():
        raise ValueError(f"utility must be finite, >= 0, of shape (decisions, {len(p)}); got {utility!r}.")
    if not 0 < limit < np.inf or not 0 <= common <= 1 or right.min() < 0 or right.max() > 1:
        raise ValueError(f"limit must be above 0, common and accuracies in [0, 1]; got {limit}, {common}, {accuracy!r}.")
    agents, levels = right.shape
    psi = _shared_source(right, common, len(p)) if kernel is None else as_floats(kernel, "kernel")
    signals = round(psi.shape[1] ** (1 / agents)) if psi.ndim == 3 else 0
    if psi.shape != (levels**agents, signals**agents, len(p)) or signals < 2:
        raise ValueError(
            f"kernel must have shape ({levels**agents}, signals^{agents}, {len(p)}) with two signals or more; got {psi.shape}."
        )
    if not (psi >= 0).all() or np.abs(psi.sum(axis=1) - 1).max() > 1e-9:
        raise ValueError("kernel must hold probabilities, >= 0 and with sum 1 over the signals (the middle axis).")
    z = Sizes(agents, levels, signals, len(p), len(gains))
    joint = (psi * p).reshape(len(psi), -1)
    rules, margin = hiring.forcing_rules(z, joint, cost, limit)
    if not margin > 1e-6:
        raise ValueError(
            f"every effort needs payments up to limit = {limit:g} by own report and state that make it strictly best; some "
            "effort has none. Raise limit or accuracy, or lower costs."
        )
    optimum = hiring.optimal_mechanism(z, joint, cost, gains, limit)
    profiles = np.array([[digit(b, levels, i) for i in range(agents)] for b in range(levels**agents)])
    truth = Truth(*(np.asarray(x)[None] for x in (joint, cost, gains, [optimum.value], [*z], profiles)))
    return Bandit(
        "hire_agents",
        truth,
        len(profiles),
        normalisation="pseudo",
        names=names,
        dimension=agents,
        length=float(np.linalg.norm(profiles, axis=1).max()),
        hints=[*z, limit, *gains.ravel(), *rules.ravel()],
    )


def _shared_source(accuracy: Array, common: float, states: int) -> Array:
    """The kernel of the default, shape (profiles, signal profiles, states)."""
    agents, levels = accuracy.shape
    psi = np.zeros((levels**agents, states**agents, states))
    for b, s, theta in np.ndindex(*psi.shape):
        worked = [i for i in range(agents) if digit(b, levels, i) > 0]
        if any(digit(s, states, i) for i in set(range(agents)) - set(worked)):
            continue
        q = np.array([accuracy[i, digit(b, levels, i)] for i in worked])
        seen = np.array([digit(s, states, i) for i in worked], dtype=int)
        apart = np.where(seen == theta, q, (1 - q) / (states - 1)).prod()
        # One uniform number says who is right, and all who are wrong see the same wrong state.
        high, low = q[seen == theta].min(initial=1.0), q[seen != theta].max(initial=0.0)
        agreed = len(set(seen[seen != theta])) <= 1
        together = max(high - low, 0.0) * agreed / (states - 1 if (seen != theta).any() else 1)
        psi[b, s, theta] = common * together + (1 - common) * apart
    return psi


def feedback(truth, world, action, t, noise):
    """Let the agents answer, draw signals and state, and write the report; return the profit of the round."""
    z = sizes(truth.sizes)
    differ = 0
    for b in range(len(truth.joint)):
        differ += copy_changed(world.commitment[b], world.known[b])
    if differ > 0:
        best_responses(z, truth.joint, truth.cost, world.known, world.effort, world.answer)
        world.profit[0] = profit(z, truth.joint, truth.utility, world.known, world.effort, world.answer)
    played = 0
    for i in range(z.agents):
        level = world.effort[i, digit(action, z.efforts, i)]
        played += level * z.efforts**i
        world.report[1 + z.agents + i] = level
    outcome = draw(truth.joint[played], 1.0, noise)
    theta = outcome % z.states
    said = reported(z, world.answer, action, outcome // z.states)
    world.report[0] = theta
    earned = truth.utility[int(world.known[action, 1 + said]), theta]
    for i in range(z.agents):
        world.report[1 + i] = digit(said, z.signals, i)
        earned -= world.known[action, pay_at(z, i, said, theta)]
    return earned


def regrets(truth, world, action, t, signal):
    """What the mechanism earns less than the optimal one, and whether some agent does otherwise than told."""
    z = sizes(truth.sizes)
    deviates = 0.0
    for i in range(z.agents):
        level = digit(action, z.efforts, i)
        if world.effort[i, level] != level:
            deviates = 1.0
        for s in range(z.signals):
            if world.answer[i, level * z.signals + s] != s:
                deviates = 1.0
    return truth.best[0] - world.profit[0], deviates
