"""Which solvers can train a policy that is known through samples only: three checks of a rule on arrays.

A model sees the responses it sampled, never all of them. So a rule carries over if

1. its target is *local*: on a subset of the actions it is the same up to a constant;
2. its target is *affine*: named log-policies with weights, plus one slope times the gain;
3. its opponent can be *sampled*: a log-linear combination of named log-policies with weights that are not negative and
   sum to 1.

The checks need no torch; ``prefsim.llm`` repeats them with the hyperparameters in force.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from prefsim.engines.game_loops import MEMORY, POLICIES, Iterate
from prefsim.ops import log_normalize
from prefsim.trace import Untraceable, combination, trace


def torch_complaint(solver: ModuleType, hyper: Any = None, beta: float = 0.1, t: int = 3) -> str:
    """Why a rule cannot train a torch policy by regression, in a sentence; empty if it can.

    Parameters
    ----------
    solver : module
        The rule file.
    hyper : NamedTuple, optional
        Hyperparameters; the file's defaults if omitted.
    beta, t : float, int
        Temperature and iteration to look at.
    """
    hyper = solver.Hyper() if hyper is None else hyper
    if not hasattr(solver, "target"):
        return "it gives step instead of opponent and target, so it needs the whole game."
    return _complaint(solver, hyper, beta, t)


def opponent_complaint(solver: ModuleType, hyper: Any = None, beta: float = 0.1, t: int = 3) -> str:
    """Why the opponent of a rule cannot be sampled, in a sentence; empty if it can. All that policy gradients need."""
    if not hasattr(solver, "opponent"):
        return "it gives step instead of opponent and target, so it needs the whole game."
    for phase in range(getattr(solver, "PHASES", 1)):
        try:
            weights = combination(solver.opponent, solver.Hyper() if hyper is None else hyper, beta, t, phase=phase)
        except Untraceable as error:
            return f"its opponent cannot be traced: {error}."
        if min(weights.values(), default=-1.0) < 0 or abs(sum(weights.values()) - 1) > 1e-9:
            expression = " ".join(f"{weight:+g} {name}" for name, weight in weights.items())
            return f"its opponent {expression} is no geometric mixture (weights >= 0 that sum to 1), so nothing can sample it."
    return ""


def torch_sentence(solver: ModuleType) -> str:
    """The torch mark of a solver: how it trains torch policies, or why it does not."""
    complaint = torch_complaint(solver)
    if not complaint:
        how = ", one inner iteration of its step at a time" if hasattr(solver, "step") else ""
        return f"Trains torch policies by regression onto its target{how} (prefsim.llm)."
    if not opponent_complaint(solver):
        return f"Trains torch policies by its policy gradient (prefsim.llm), not by regression: {complaint}"
    return f"Does not train torch policies: {complaint}"


@cache
def _complaint(solver: ModuleType, hyper: Any, beta: float, t: int) -> str:
    if not _local(solver, hyper, beta, t):
        return "its target at a response depends on responses that were not sampled."
    try:
        trace(solver, hyper, np.array([beta]), np.array([t]))
    except Untraceable as error:
        return f"it cannot be traced: {error}."
    return opponent_complaint(solver, hyper, beta, t)


def _local(solver: ModuleType, hyper: Any, beta: float, t: int) -> bool:
    """Compare the rule on 7 actions with the rule on 4 of them, every function that moves a log-policy."""
    waves = np.sin(np.arange(len(POLICIES) * 7) ** 2.0).reshape(-1, 7)
    policies, gain, some = log_normalize(waves), 0.5 + waves[0] / 4, [0, 2, 3, 6]

    def rules(policies: Any, gain: Any) -> list[Any]:
        iterate = Iterate._make([*policies, beta, t])
        moved = [solver.target(hyper, iterate, gain, phase) for phase in range(getattr(solver, "PHASES", 1))]
        return moved + [getattr(solver, name)(hyper, iterate, gain) for name in MEMORY if hasattr(solver, name)]

    for whole, part in zip(rules(policies, gain), rules(policies[:, some], gain[some]), strict=True):
        difference = whole[..., some] - part
        if not np.allclose(difference, difference[..., :1], rtol=0, atol=1e-9):
            return False
    return True
