"""Mechanisms by which a principal hires several agents for information: what they pay, what agents answer, the optimal one.

**Model.** Agent ``i`` exerts a hidden effort ``e_i`` (0 is none) at cost ``c_i(e_i)`` and sees a signal ``s_i``; with the
state ``theta`` the profile ``s`` of signals has the joint probability ``J(s, theta | b) = p(theta) psi(s | b, theta)``
under the profile ``b`` of efforts. A mechanism draws ``b`` with probability ``mu(b)``, tells every agent its own ``b_i``
only, collects reports ``s``, takes a decision ``a(b, s)`` and, once ``theta`` is known, pays agent ``i`` the amount
``g_i(b, s, theta)`` in ``[0, limit]``. The principal earns ``u(a, theta)`` less what it pays.

**Incentives.** An agent told ``e`` may exert ``e'`` instead and report ``f(s_i)`` where it saw ``s_i``. Write
``b' = (e', b_-i)`` and ``x_i(b, s, theta) = mu(b) g_i(b, s, theta)``. If the others obey and are honest, it earns

    W_i(e, e', f) = sum_{b : b_i = e} (sum_{s, theta} J(s, theta | b') x_i(b, (f(s_i), s_-i), theta) - c_i(e') mu(b)),

and a mechanism is obedient and honest if ``W_i(e, e, id) >= W_i(e, e', f)`` for all ``i, e, e', f`` (a correlated
equilibrium). There are ``signals^signals`` maps ``f``, but the best one is found for each ``s_i`` alone, so with ``w(e, e',
s_i, r) = sum_{b : b_i = e} sum_{s_-i, theta} J((s_i, s_-i), theta | b') x_i(b, (r, s_-i), theta)`` it is enough that

    honesty     w(e, e, s, s) >= w(e, e, s, r) + slack sum_{b : b_i = e} mu(b)                          for all s, r != s
    reports     z(e, e', s) >= w(e, e', s, r)                                                        for all r, e' != e
    obedience   sum_s w(e, e, s, s) - c_i(e) M >= sum_s z(e, e', s) - c_i(e') M + slack M,   M = sum_{b : b_i = e} mu(b).

Given honest reports the decision is ``argmax_a sum_theta J(s, theta | b) u(a, theta)``, whatever is paid; with its value
``V(b) = sum_s max_a sum_theta J(s, theta | b) u(a, theta)`` the optimal mechanism is the linear program

    maximise  sum_b mu(b) V(b) - sum_{i, b, s, theta} J(s, theta | b) x_i(b, s, theta)
    over      mu, x, z >= 0,  sum mu <= 1,  x_i(b, s, theta) <= limit mu(b),  and the constraints above.

Nobody is paid for effort 0: it is the cheapest, so without pay the agent obeys, and is indifferent between reports. The
limit must be in the program: without it ``mu(b) -> 0`` and ``g -> infinity`` can help, and no mechanism is optimal. What is
left of ``sum mu`` goes to hiring nobody, worth ``V(0) >= 0`` for utilities ``>= 0``. (Model of Cacciamani, Castiglioni and
Gatti 2024, 2307.06210; the program derived here, not copied from the paper.)

Profiles of efforts and of signals are numbers: agent ``i`` is digit ``i``, to the base of efforts or signals. Functions are
scalar loops that rules may call; :mod:`prefsim.hiring` solves the program on the host.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["best_responses", "columns", "fill_program", "mechanism_from", "outcomes", "profit", "rows", "sizes", "width"]

Array = Any

INLINE = False
"""Functions are called, not put into each other."""

INDIFFERENT = 1e-9
"""Agents forgo gains up to this size, so that programs solved to rounding are obeyed."""


class Sizes(NamedTuple):
    """How many there are of each."""

    agents: int
    efforts: int
    signals: int
    states: int
    decisions: int


def sizes(hints: Array) -> Sizes:
    """Sizes from the first constants that a policy is told."""
    return Sizes(int(hints[0]), int(hints[1]), int(hints[2]), int(hints[3]), int(hints[4]))


def digit(number: int, base: int, place: int) -> int:
    """Digit of a profile: what one agent does or sees."""
    return (number // base**place) % base


def changed(number: int, base: int, place: int, to: int) -> int:
    """The profile with one agent's digit exchanged."""
    return number + (to - digit(number, base, place)) * base**place


def outcomes(z: Sizes) -> int:
    """Number of pairs of a signal profile and a state; pair (s, theta) is ``s * states + theta``."""
    return z.signals**z.agents * z.states


def width(z: Sizes) -> int:
    """Numbers in a mechanism's row for one profile: ``mu(b)``, the decisions for all s, the payments by (i, s, theta)."""
    return 1 + z.signals**z.agents + z.agents * outcomes(z)


def pay_at(z: Sizes, i: int, s: int, theta: int) -> int:
    """Where a mechanism's row holds what agent `i` is paid for reports `s` in state `theta`."""
    return 1 + z.signals**z.agents + i * outcomes(z) + s * z.states + theta


def best_responses(z: Sizes, joint: Array, cost: Array, mechanism: Array, effort: Array, report: Array) -> float:
    """Write down what each agent does under a mechanism if the others obey and are honest; return the largest gain by it.

    Parameters
    ----------
    z : Sizes
    joint : ndarray, shape (profiles, outcomes)
        ``J(s, theta | b)``.
    cost : ndarray, shape (agents, efforts)
    mechanism : ndarray, shape (profiles, width)
    effort : ndarray of int, shape (agents, efforts)
        Filled in: the effort exerted, by agent and recommendation. An agent obeys and is honest unless it gains more than
        ``INDIFFERENT`` by something else, and then does the best, the least effort and report on ties.
    report : ndarray of int, shape (agents, efforts * signals)
        Filled in: what is reported, by agent and ``recommendation * signals + signal``.

    Returns
    -------
    float
        ``max_{i, e, e', f} W_i(e, e', f) - W_i(e, e, id)``, at least 0: minus the least residual of the constraints.
    """
    worst = 0.0
    for i in range(z.agents):
        for told in range(z.efforts):
            obeying = -told_cost(z, cost, mechanism, i, told, told)
            for s in range(z.signals):
                obeying += reporting(z, joint, mechanism, i, told, told, s, s)
            effort[i, told] = told
            for s in range(z.signals):
                report[i, told * z.signals + s] = s
            best = obeying + INDIFFERENT
            for other in range(z.efforts):
                value = -told_cost(z, cost, mechanism, i, told, other)
                for s in range(z.signals):
                    most = reporting(z, joint, mechanism, i, told, other, s, 0)
                    for r in range(1, z.signals):
                        most = max(most, reporting(z, joint, mechanism, i, told, other, s, r))
                    value += most
                worst = max(worst, value - obeying)
                if value > best:
                    best = value
                    effort[i, told] = other
            if best > obeying + INDIFFERENT:
                for s in range(z.signals):
                    most = reporting(z, joint, mechanism, i, told, effort[i, told], s, 0)
                    report[i, told * z.signals + s] = 0
                    for r in range(1, z.signals):
                        value = reporting(z, joint, mechanism, i, told, effort[i, told], s, r)
                        if value > most:
                            most = value
                            report[i, told * z.signals + s] = r
    return worst


def told_cost(z: Sizes, cost: Array, mechanism: Array, i: int, told: int, other: int) -> float:
    """``c_i(other) sum_{b : b_i = told} mu(b)``."""
    mass = 0.0
    for b in range(z.efforts**z.agents):
        if digit(b, z.efforts, i) == told:
            mass += mechanism[b, 0]
    return cost[i, other] * mass


def reporting(z: Sizes, joint: Array, mechanism: Array, i: int, told: int, other: int, seen: int, said: int) -> float:
    """The number ``w(told, other, seen, said)`` of agent `i`."""
    total = 0.0
    for b in range(z.efforts**z.agents):
        if digit(b, z.efforts, i) == told and mechanism[b, 0] > 0.0:
            played = changed(b, z.efforts, i, other)
            for s in range(z.signals**z.agents):
                if digit(s, z.signals, i) == seen:
                    told_s = changed(s, z.signals, i, said)
                    for theta in range(z.states):
                        chance = joint[played, s * z.states + theta]
                        total += mechanism[b, 0] * chance * mechanism[b, pay_at(z, i, told_s, theta)]
    return total


def profit(z: Sizes, joint: Array, utility: Array, mechanism: Array, effort: Array, report: Array) -> float:
    """What a mechanism earns the principal in expectation, the agents doing as ``effort`` and ``report`` say."""
    total = 0.0
    for b in range(z.efforts**z.agents):
        if mechanism[b, 0] > 0.0:
            played = b
            for i in range(z.agents):
                played = changed(played, z.efforts, i, effort[i, digit(b, z.efforts, i)])
            for s in range(z.signals**z.agents):
                said = reported(z, report, b, s)
                for theta in range(z.states):
                    value = utility[int(mechanism[b, 1 + said]), theta]
                    for i in range(z.agents):
                        value -= mechanism[b, pay_at(z, i, said, theta)]
                    total += mechanism[b, 0] * joint[played, s * z.states + theta] * value
    return total


def reported(z: Sizes, report: Array, b: int, s: int) -> int:
    """Profile of reports of agents who were told `b` and saw `s`."""
    said = 0
    for i in range(z.agents):
        own = digit(b, z.efforts, i) * z.signals + digit(s, z.signals, i)
        said += report[i, own] * z.signals**i
    return said


def columns(z: Sizes) -> int:
    """Variables of the program: ``mu(b)``, ``x_i(b, s, theta)`` and ``z_i(e, e', s)`` for ``e > 0``."""
    paid = (z.efforts - 1) * z.efforts ** (z.agents - 1)
    return z.efforts**z.agents + z.agents * (paid * outcomes(z) + (z.efforts - 1) ** 2 * z.signals)


def rows(z: Sizes) -> int:
    """Constraints of the program: the mass, the limits, honesty, reports and obedience for ``e > 0``."""
    paid = (z.efforts - 1) * z.efforts ** (z.agents - 1)
    pairs = (z.efforts - 1) * z.signals * (z.signals - 1 + (z.efforts - 1) * z.signals)
    return 1 + z.agents * (paid * outcomes(z) + pairs + (z.efforts - 1) ** 2)


def x_at(z: Sizes, i: int, b: int, s: int, theta: int) -> int:
    """Column of ``x_i(b, s, theta)`` for ``b_i > 0``."""
    low = z.efforts**i
    rank = (digit(b, z.efforts, i) - 1) * z.efforts ** (z.agents - 1) + b // (low * z.efforts) * low + b % low
    paid = (z.efforts - 1) * z.efforts ** (z.agents - 1)
    return z.efforts**z.agents + ((i * paid + rank) * outcomes(z)) + s * z.states + theta


def z_at(z: Sizes, i: int, e: int, other: int, s: int) -> int:
    """Column of ``z_i(e, other, s)`` for ``e > 0`` and ``other != e``."""
    rank = other if other < e else other - 1
    first = columns(z) - z.agents * (z.efforts - 1) ** 2 * z.signals
    return first + ((i * (z.efforts - 1) + e - 1) * (z.efforts - 1) + rank) * z.signals + s


def best_decision(z: Sizes, joint: Array, utility: Array, b: int, s: int) -> int:
    """``argmax_a sum_theta J(s, theta | b) u(a, theta)``, the first on ties."""
    best, most = 0, -np.inf
    for a in range(z.decisions):
        value = 0.0
        for theta in range(z.states):
            value += joint[b, s * z.states + theta] * utility[a, theta]
        if value > most:
            best, most = a, value
    return best


def fill_program(z: Sizes, joint: Array, cost: Array, utility: Array, limit: float, slack: float, table: Array) -> None:
    """Write the program into `table`, shape (rows + 1, columns + 1), laid out as ``pivoting.maximise`` wants it."""
    last, end = table.shape[0] - 1, table.shape[1] - 1
    for k in range(last + 1):
        for j in range(end + 1):
            table[k, j] = 0.0
    row = 0
    for b in range(z.efforts**z.agents):
        table[row, b] = 1.0
        for s in range(z.signals**z.agents):
            decision = best_decision(z, joint, utility, b, s)
            for theta in range(z.states):
                table[last, b] += joint[b, s * z.states + theta] * utility[decision, theta]
    table[row, end] = 1.0
    row += 1
    for i in range(z.agents):
        for b in range(z.efforts**z.agents):
            if digit(b, z.efforts, i) > 0:
                for s in range(z.signals**z.agents):
                    for theta in range(z.states):
                        x = x_at(z, i, b, s, theta)
                        table[last, x] = -joint[b, s * z.states + theta]
                        table[row, x] = 1.0
                        table[row, b] = -limit
                        row += 1
        for e in range(1, z.efforts):
            for seen in range(z.signals):
                for said in range(z.signals):
                    if said != seen:
                        add_reporting(z, joint, i, e, e, seen, said, 1.0, table[row])
                        add_reporting(z, joint, i, e, e, seen, seen, -1.0, table[row])
                        add_mass(z, i, e, slack, table[row])
                        row += 1
            for other in range(z.efforts):
                if other != e:
                    for seen in range(z.signals):
                        for said in range(z.signals):
                            add_reporting(z, joint, i, e, other, seen, said, 1.0, table[row])
                            table[row, z_at(z, i, e, other, seen)] = -1.0
                            row += 1
                    for seen in range(z.signals):
                        table[row, z_at(z, i, e, other, seen)] = 1.0
                        add_reporting(z, joint, i, e, e, seen, seen, -1.0, table[row])
                    add_mass(z, i, e, cost[i, e] - cost[i, other] + slack, table[row])
                    row += 1


def add_reporting(z: Sizes, joint: Array, i: int, e: int, other: int, seen: int, said: int, weight: float, row: Array) -> None:
    """Add ``weight w(e, other, seen, said)`` to a constraint."""
    for b in range(z.efforts**z.agents):
        if digit(b, z.efforts, i) == e:
            played = changed(b, z.efforts, i, other)
            for s in range(z.signals**z.agents):
                if digit(s, z.signals, i) == seen:
                    for theta in range(z.states):
                        x = x_at(z, i, b, changed(s, z.signals, i, said), theta)
                        row[x] += weight * joint[played, s * z.states + theta]


def add_mass(z: Sizes, i: int, e: int, weight: float, row: Array) -> None:
    """Add ``weight sum_{b : b_i = e} mu(b)`` to a constraint."""
    for b in range(z.efforts**z.agents):
        if digit(b, z.efforts, i) == e:
            row[b] += weight


def mechanism_from(z: Sizes, joint: Array, utility: Array, limit: float, solution: Array, mechanism: Array) -> None:
    """Turn a solution of the program, shape (columns,), into a mechanism, shape (profiles, width), in place."""
    left = 1.0
    for b in range(z.efforts**z.agents):
        left -= max(solution[b], 0.0)
    for b in range(z.efforts**z.agents):
        mass = max(solution[b], 0.0)
        mechanism[b, 0] = mass + max(left, 0.0) if b == 0 else mass
        for s in range(z.signals**z.agents):
            mechanism[b, 1 + s] = best_decision(z, joint, utility, b, s)
            for i in range(z.agents):
                for theta in range(z.states):
                    pay = 0.0
                    if mass > 0.0 and digit(b, z.efforts, i) > 0:
                        pay = min(max(solution[x_at(z, i, b, s, theta)], 0.0) / mass, limit)
                    mechanism[b, pay_at(z, i, s, theta)] = pay
