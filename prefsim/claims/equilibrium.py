"""The equilibrium solvers agree with planted answers and with each other.

Newton's method by continuation, the fixed-point iteration (Nash mirror prox) and the linear program share no code beyond
the game. Regularised equilibria are unique, so log-probabilities are compared; of matrix games only value and gap are.
"""

from __future__ import annotations

import numpy as np

from prefsim import games, metrics, ops
from prefsim.claim import Claim, Control, Evidence
from prefsim.claims import _instances as on
from prefsim.equilibrium import fixed_point, solve_equilibrium
from prefsim.game import PreferenceGame

Floats = on.Floats


def _planted(budget: str, betas: tuple[float, ...]) -> list[on.Instances]:
    """Random payoffs with random planted equilibria, which no solver was asked for."""
    batches = []
    for n in on.SIZES[budget]:
        payoff = games.random(n, seed=7, count=on.COUNT[budget]).payoff
        policy = on.random_policies("newton", (len(payoff), 1), n)[:, 0]
        batches += [on.plant(payoff, policy, np.full(len(payoff), beta)) for beta in betas]
    return batches


def one_step(batch: on.Instances) -> Floats:
    """Newton's method stopped after its first step from the reference."""
    theta = batch.log_reference
    p = np.exp(theta)
    gain = batch.gain(theta)
    rotation = (batch.payoff - gain[..., None]) * p[:, None, :]
    residual = -gain / batch.beta[:, None]
    residual = residual - residual.mean(axis=-1, keepdims=True)
    jacobian = np.eye(batch.n) - rotation / batch.beta[:, None, None]
    return ops.log_normalize(theta - np.linalg.solve(jacobian, residual[..., None])[..., 0])


def _newton(budget: str, *, stopped: bool = False) -> Evidence:
    cells = []
    for batch in _planted(budget, (0.03, 0.1, 1.0)):
        found = one_step(batch) if stopped else solve_equilibrium(batch.game()).log_policy
        cells.append(on.Cell(np.abs(found - batch.log_equilibrium).max(axis=-1), 1e-11))
    return on.evidence("largest error of log-probabilities", cells)


def _two_solvers(budget: str, *, early: bool = False) -> Evidence:
    cells = []
    for batch in _planted(budget, (0.1, 0.5, 1.0)):
        game, beta = batch.game(), batch.beta[0]
        iterations = int(np.ceil(1 / beta)) if early else None
        # Stopped early it has no certificate, so any gap is accepted.
        other: Floats = fixed_point(game, np.inf if early else 1e-12, iterations=iterations).log_policy
        difference = solve_equilibrium(game).log_policy - other
        cells.append(on.Cell(np.abs(difference).max(axis=-1), on.TOLERANCE / beta))
    return on.evidence("largest difference of log-probabilities", cells)


def value(matrix: Floats) -> float:
    """Largest payoff a mixed row can guarantee, by linear programming."""
    from scipy.optimize import linprog

    n = len(matrix)
    constraints = np.column_stack([-matrix.T, np.ones(n)])
    total = np.append(np.ones(n), 0.0)[None]
    bounds = [(0, None)] * n + [(None, None)]
    objective = np.append(np.zeros(n), -1.0)
    solution = linprog(objective, A_ub=constraints, b_ub=np.zeros(n), A_eq=total, b_eq=[1.0], bounds=bounds, method="highs")
    if solution.status != 0:
        raise RuntimeError(f"the linear program was not solved: {solution.message}")
    return float(solution.x[-1])


def _linear_program(budget: str, *, probabilities: bool = False) -> Evidence:
    cells = []
    for n in on.SIZES[budget]:
        drawn = games.random(n, seed=11, count=on.COUNT[budget])
        for payoff in (*drawn.payoff, on.tournament(n), on.interior(n).payoff[0]):
            game = PreferenceGame(0.5 + payoff)
            # HiGHS keeps constraints to 1e-7; vertices of small games come out to rounding.
            worth = value(game.preference if probabilities else game.payoff)
            cells.append(on.Cell(np.array([abs(worth)]), 1e-9))
            cells.append(on.Cell(np.array([metrics.gap(game, solve_equilibrium(game).log_policy)]), on.TOLERANCE))
    return on.evidence("value, or gap of the equilibrium", cells)


CLAIMS = (
    Claim(
        "equilibrium.newton_planted",
        "Newton's method by continuation finds planted equilibria to 1e-11 in log-probabilities.",
        "derived: log mu = log pi* - A pi* / beta plants pi*",
        ("beta >= 0.03", "planted random policies"),
        _newton,
        (Control("Newton's method stops after one step", {"stopped": True}),),
        (),
    ),
    Claim(
        "equilibrium.newton_fixed_point",
        "Newton's method and the fixed point of Nash mirror prox agree to 1e-12 / beta in log-probabilities.",
        "derived: both solve log pi = log mu + A pi / beta + const, whose solution is unique",
        ("beta >= 0.1", "both run to rounding"),
        _two_solvers,
        (Control("the fixed point stops after 1 / beta iterations", {"early": True}),),
        ("mirror_prox",),
    ),
    Claim(
        "equilibrium.linear_program",
        "A skew matrix game has value 0, and the equilibrium found without regularisation a gap of at most 1e-12.",
        "derived: minimax theorem and A^T = -A",
        ("A is skew", "beta = 0"),
        _linear_program,
        (Control("P in place of A, whose value is 1/2", {"probabilities": True}),),
        (),
    ),
)
