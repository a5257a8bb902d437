"""Explore-then-commit for the hiring of agents: learn costs and signals under payments that force efforts, then optimise.

1. *Costs.* For every agent ``i`` and effort ``e > 0``, halve the interval of the share ``h`` of the forcing payments at
   which the agent, alone, begins to choose ``e`` instead of some ``e'``, 30 times. There it is indifferent,

       c_i(e) - c_i(e') = h (E_e - E_e'),   E_e' = sum_s max_r sum_theta J(s, theta | e') g(r, theta),

   E being what those payments are worth after either effort (derived). Costs follow from below, as ``c_i(e') < c_i(e)``.
2. *Signals.* ``N = ceil(explore T^(2/3))`` rounds in all force one profile of efforts after the other; the frequencies of
   signals and states estimate ``J(s, theta | b)`` up to ``O(N^(-1/2)) = O(T^(-1/3))``.
3. *Commit* to the optimal mechanism of the estimated model, in which obedience and honesty must be strict by ``slack
   T^(-1/3)`` (:mod:`prefsim.mechanisms`; solved by the simplex method inside the rule), and draw recommendations from it.

Where the slack covers the error of the estimates the agents obey, and the regret is ``O(T^(2/3))``: that of the
exploration, and ``agents limit slack T^(-1/3) / margin`` a round, because a share ``slack T^(-1/3) / margin`` of the
forcing payments, mixed into those of the optimal mechanism, makes it strict enough (derived; ``margin`` is by how much
forcing is strict). A slack larger by ``sqrt(ln T)`` would cover the error at every horizon, which makes the rate
``O~(T^(2/3))``, that of Cacciamani, Castiglioni, Gatti 2024, whose algorithm this is not line by line; 1 suffices on the
default environment (measured). Without slack every binding constraint of the estimated program is wrong half of the time,
and an agent that gains by it deviates for ever. The principal knows for every effort payments that make it strictly best,
and sees efforts, which it does not pay for (ours).
"""

from math import ceil
from typing import NamedTuple

from prefsim import mechanisms
from prefsim.mechanisms import best_decision, columns, digit, fill_program, mechanism_from, pay_at, rows, sizes
from prefsim.ops import Array, draw, floats, integers
from prefsim.pivoting import maximise

FEEDBACK = "reports"
SIDE = "features"
HINTS = "hiring"
ANYTIME = False

HALVINGS = 30
ROUNDING = 1e-11
"""What counts as 0 in a program whose data are of the order 1."""

LIMIT, UTILITY = 5, 6
"""Where the constants hold the largest payment, and where the utilities begin."""


class Hyper(NamedTuple):
    """Hyperparameters."""

    explore: float = 2.0
    """Rounds of exploration in units of ``T^(2/3)``."""
    slack: float = 1.0
    """By how much obedience and honesty must be strict, in units of ``T^(-1/3)``."""


def outcomes(problem):
    """Pairs of signals and a state."""
    return mechanisms.outcomes(sizes(problem.hints))


def width(problem):
    """Numbers in a mechanism's row."""
    return mechanisms.width(sizes(problem.hints))


def constraints(problem):
    """Rows of the program."""
    return rows(sizes(problem.hints))


def variables(problem):
    """Columns of the program."""
    return columns(sizes(problem.hints))


def lines(problem):
    """Rows of the tableau."""
    return constraints(problem) + 1


def entries(problem):
    """Columns of the tableau."""
    return variables(problem) + 1


def efforts(problem):
    """Efforts of an agent."""
    return int(problem.hints[1])


def decisions(problem):
    """Decisions of the principal."""
    return int(problem.hints[4])


def states(problem):
    """States of the world."""
    return int(problem.hints[3])


class State(NamedTuple):
    """What was seen, and the program."""

    commitment: Array = floats("arms", "width")
    """The mechanism of the round, by presented arm."""
    arm: Array = integers("arms")
    """Presented arm of each profile."""
    joint: Array = floats("arms", "outcomes")
    """How often each pair of signals and state was seen, by profile; frequencies in the end."""
    low: Array = floats("dimension", "efforts")
    """Largest share of the forcing payments known not to be enough."""
    high: Array = floats("dimension", "efforts")
    """Smallest share known to be enough."""
    below: Array = integers("dimension", "efforts")
    """What the agent did at `low`."""
    cost: Array = floats("dimension", "efforts")
    utility: Array = floats("decisions", "states")
    mechanism: Array = floats("arms", "width")
    """The optimal mechanism, by profile."""
    table: Array = floats("lines", "entries")
    basis: Array = integers("constraints")
    cobasis: Array = integers("variables")
    square: Array = floats("entries")
    spare: Array = floats("entries")
    solution: Array = floats("variables")


def validate(hyper):
    """Refuse what makes no sense."""
    if not hyper.explore > 0 or not hyper.slack >= 0:
        return f"explore must be above 0 and slack at least 0; got {hyper.explore:g} and {hyper.slack:g}."
    return ""


def init(hyper, state, problem):
    """Nothing is known of costs."""
    z = sizes(problem.hints)
    for a in range(z.decisions):
        for theta in range(z.states):
            state.utility[a, theta] = problem.hints[UTILITY + a * z.states + theta]
    for i in range(z.agents):
        for e in range(z.efforts):
            state.high[i, e] = 1.0


def forcing(z, hints, i, e, said, theta):
    """What agent `i` is paid where effort `e` is forced."""
    first = UTILITY + z.decisions * z.states
    return hints[first + ((i * z.efforts + e) * z.signals + said) * z.states + theta]


def force(state, problem, b, share):
    """Commit to recommending the profile `b` and to a share of the payments that force it; return its arm."""
    z = sizes(problem.hints)
    arm = state.arm[b]
    for other in range(problem.arms):
        state.commitment[other, 0] = 1.0 if other == arm else 0.0
    for s in range(z.signals**z.agents):
        state.commitment[arm, 1 + s] = best_decision(z, state.joint, state.utility, b, s)
        for i in range(z.agents):
            for theta in range(z.states):
                pay = forcing(z, problem.hints, i, digit(b, z.efforts, i), digit(s, z.signals, i), theta)
                state.commitment[arm, pay_at(z, i, s, theta)] = share * pay
    return arm


def costing(z):
    """Rounds of the first stage."""
    return z.agents * (z.efforts - 1) * HALVINGS


def exploring(hyper, problem):
    """Rounds of the second stage."""
    # Cut at the horizon: a compiled ceil of more than 2^63 would not be the number it stands for.
    return max(problem.arms, ceil(min(hyper.explore * problem.horizon ** (2 / 3), 1.0 * problem.horizon)))


def act(hyper, state, problem, t, noise):
    """Force a single agent, force a profile, or draw from the mechanism."""
    z = sizes(problem.hints)
    if t == 1:
        for a in range(problem.arms):
            b = 0
            for i in range(z.agents):
                b += int(problem.features[a, i]) * z.efforts**i
            state.arm[b] = a
    if t <= costing(z):
        search = (t - 1) // HALVINGS
        i, e = search // (z.efforts - 1), 1 + search % (z.efforts - 1)
        return force(state, problem, e * z.efforts**i, 0.5 * (state.low[i, e] + state.high[i, e]))
    explored = t - 1 - costing(z)
    if explored < exploring(hyper, problem):
        return force(state, problem, explored % problem.arms, 1.0)
    if explored == exploring(hyper, problem):
        plan(hyper, state, problem)
    return draw(state.commitment[:, 0], 1.0, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Halve an interval, or count signals and state."""
    z = sizes(problem.hints)
    if t <= costing(z):
        search = (t - 1) // HALVINGS
        i, e = search // (z.efforts - 1), 1 + search % (z.efforts - 1)
        share = 0.5 * (state.low[i, e] + state.high[i, e])
        done = int(feedback[1 + z.agents + i])
        if done == e:
            state.high[i, e] = share
        else:
            state.low[i, e] = share
            state.below[i, e] = done
    elif t - 1 - costing(z) < exploring(hyper, problem):
        b, s = 0, 0
        for i in range(z.agents):
            b += int(problem.features[action, i]) * z.efforts**i
            s += int(feedback[1 + i]) * z.signals**i
        state.joint[b, s * z.states + int(feedback[0])] += 1.0


def plan(hyper, state, problem):
    """Estimate the model, solve its program and commit to the solution."""
    z = sizes(problem.hints)
    for b in range(problem.arms):
        total = 0.0
        for k in range(state.joint.shape[1]):
            total += state.joint[b, k]
        for k in range(state.joint.shape[1]):
            state.joint[b, k] /= total
    for _ in range(1, z.efforts):
        for i in range(z.agents):
            for e in range(1, z.efforts):
                other = state.below[i, e]
                gain = worth(z, state, problem.hints, i, e, e) - worth(z, state, problem.hints, i, e, other)
                state.cost[i, e] = state.cost[i, other] + max(state.high[i, e] * gain, 0.0)
    limit, slack = problem.hints[LIMIT], hyper.slack * problem.horizon ** (-1 / 3)
    fill_program(z, state.joint, state.cost, state.utility, limit, slack, state.table)
    maximise(state.table, state.basis, state.cobasis, state.square, state.spare, ROUNDING)
    for k in range(len(state.basis)):
        if state.basis[k] < len(state.cobasis):
            state.solution[state.basis[k]] = state.table[k, state.table.shape[1] - 1]
    mechanism_from(z, state.joint, state.utility, limit, state.solution, state.mechanism)
    for b in range(problem.arms):
        for k in range(state.mechanism.shape[1]):
            state.commitment[state.arm[b], k] = state.mechanism[b, k]


def worth(z, state, hints, i, e, other):
    """The number ``E_other`` under the payments that force `e`, agent `i` alone."""
    total = 0.0
    for seen in range(z.signals):
        most = -1.0
        for said in range(z.signals):
            value = 0.0
            for s in range(z.signals**z.agents):
                if digit(s, z.signals, i) == seen:
                    for theta in range(z.states):
                        chance = state.joint[other * z.efforts**i, s * z.states + theta]
                        value += chance * forcing(z, hints, i, e, said, theta)
            most = max(most, value)
        total += most
    return total
