"""The optimal mechanism of :mod:`prefsim.mechanisms` by HiGHS, and payments that force efforts; not for use inside rules."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefsim.mechanisms import Sizes, best_responses, columns, fill_program, mechanism_from, rows, width

Floats = NDArray[np.float64]


class Optimum(NamedTuple):
    """Answer of :func:`optimal_mechanism`."""

    mechanism: Floats
    """Shape (profiles, width): ``mu(b)``, decisions and payments of every profile."""
    value: float
    """What it earns the principal in expectation if it is obeyed."""
    residual: float
    """Largest gain of any agent by disobedience or a false report, found by trying them; 0 if none gains."""


def optimal_mechanism(
    z: Sizes, joint: Floats, cost: Floats, utility: Floats, limit: float = 1.0, slack: float = 0.0
) -> Optimum:
    """Solve the program of :mod:`prefsim.mechanisms` by HiGHS.

    Parameters
    ----------
    z : Sizes
    joint : ndarray, shape (profiles, outcomes)
        ``J(s, theta | b)``.
    cost : ndarray, shape (agents, efforts)
        ``c_i(e)``, 0 for effort 0 and otherwise ``>= 0``.
    utility : ndarray, shape (decisions, states)
        ``u(a, theta) >= 0``.
    limit : float
        Largest payment to one agent.
    slack : float
        By how much obedience and honesty must be strict.

    Returns
    -------
    Optimum

    Raises
    ------
    ArithmeticError
        If HiGHS finds no solution, which only numbers of very different size can cause: hiring nobody is always feasible.
    """
    from scipy.optimize import linprog

    table = np.zeros((rows(z) + 1, columns(z) + 1))
    fill_program(z, joint, cost, utility, limit, slack, table)
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(-table[-1, :-1], A_ub=table[:-1, :-1], b_ub=table[:-1, -1], method="highs", options=tight)
    if found.status != 0:
        raise ArithmeticError(f"HiGHS did not solve the program of the optimal mechanism: {found.message}")
    mechanism = np.zeros((z.efforts**z.agents, width(z)))
    mechanism_from(z, joint, utility, limit, found.x, mechanism)
    effort, report = np.zeros((2, z.agents, z.efforts * z.signals), dtype=np.int64)
    gain = best_responses(z, joint, cost, mechanism, effort, report)
    return Optimum(mechanism, -float(found.fun), gain)


def forcing_rules(z: Sizes, joint: Floats, cost: Floats, limit: float) -> tuple[Floats, float]:
    """Payments by own report and state that make each effort, done honestly, as strictly best as they can.

    For agent ``i`` and effort ``e > 0`` the payments ``g(s_i, theta)`` in ``[0, limit]`` maximise the margin by which ``(e,
    id)`` beats every other effort and map of reports, whatever the others do; a linear program over all maps.

    Returns
    -------
    rules : ndarray, shape (agents, efforts, signals, states)
        0 for effort 0.
    margin : float
        The least of the margins; at most 0 if some effort cannot be induced so.
    """
    from itertools import product

    from scipy.optimize import linprog

    grid = joint.reshape(*(z.efforts,) * z.agents, *(z.signals,) * z.agents, z.states)
    rules = np.zeros((z.agents, z.efforts, z.signals, z.states))
    margins = []
    for i in range(z.agents):
        # Digit i runs with stride efforts^i, so its axis comes i-th from the end of its group.
        own = np.moveaxis(grid, (z.agents - 1 - i, 2 * z.agents - 1 - i), (0, -2))
        marginal = own.reshape(z.efforts, -1, z.signals ** (z.agents - 1), z.signals, z.states).sum(axis=2)
        for e in range(1, z.efforts):
            constraints, right = [], []
            for others, other, said in product(
                range(marginal.shape[1]), range(z.efforts), product(range(z.signals), repeat=z.signals)
            ):
                identity = said == tuple(range(z.signals))
                if other == e and identity:
                    continue
                weight = -marginal[e, others].copy()
                np.add.at(weight, list(said), marginal[other, others])
                constraints.append(np.append(weight, 1.0))
                right.append(cost[i, other] - cost[i, e])
            size = z.signals * z.states
            found = linprog(
                np.append(np.zeros(size), -1.0),
                A_ub=np.array(constraints),
                b_ub=right,
                bounds=[(0, limit)] * size + [(None, None)],
                method="highs",
            )
            rules[i, e] = found.x[:-1].reshape(z.signals, z.states)
            margins.append(found.x[-1])
    return rules, min(margins)
