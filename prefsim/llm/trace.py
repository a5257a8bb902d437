"""From a rule to a plan of training: whom to sample as opponents, what to regress onto, which copies to keep.

Everything is read off the rule file by calling its functions with symbols (:mod:`prefsim.trace`); nothing is stated twice.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

from prefsim.engines.game_loops import MEMORY
from prefsim.llm.records import SamplingSpec
from prefsim.qualify import opponent_complaint, torch_complaint
from prefsim.trace import combination


class Plan(NamedTuple):
    """One iteration of a rule, by phase."""

    opponents: tuple[SamplingSpec, ...]
    """Whom to play against."""
    anchors: tuple[dict[str, float], ...]
    """Weights of the target's log-policies; empty where the rule is followed by its policy gradient."""
    slopes: tuple[float, ...]
    """Weight of the gain in the target."""
    moves: dict[str, dict[str, float]]
    """How auxiliary, magnet and slow move at the end of the iteration, ``"gain"`` among the weights."""

    penalty: dict[str, float]
    """The policies and the weights of the KL penalties whose policy gradient the rule follows."""

    @property
    def scored(self) -> set[str]:
        """Log-policies whose values at the responses the target or a move needs."""
        fits = [move for name, move in self.moves.items() if not copies(name, move)]
        return {name for weights in (*self.anchors, *fits) for name in weights} - {"gain"}

    @property
    def kept(self) -> set[str]:
        """Copies of the policy that must exist besides the policy and its reference."""
        sampled = {name for spec in self.opponents for name, _ in spec.weights}
        return (self.scored | sampled | set(self.penalty) | set(self.moves)) - {"current", "reference", "half"}


def plan(solver: ModuleType, hyper: Any, beta: float, t: int, estimator: str) -> Plan:
    """Trace iteration `t` of a rule.

    Raises
    ------
    ValueError
        If the rule cannot train a policy with this estimator, with the check it failed.
    """
    gradient, name = estimator == "policy_gradient", solver.__name__.rsplit(".", 1)[-1]
    unplayable = opponent_complaint(solver, hyper, beta, t)
    complaint = unplayable or torch_complaint(solver, hyper, beta, 1)
    if unplayable or (complaint and not gradient):
        hint = "" if unplayable else " Give estimator='policy_gradient'."
        raise ValueError(f"{name} cannot train a policy through {estimator}: {complaint}{hint}")
    followed = not complaint
    opponents, anchors, slopes = [], [], []
    for phase in range(getattr(solver, "PHASES", 1)):
        weights = combination(solver.opponent, hyper, beta, t, phase=phase)
        opponents.append(SamplingSpec(tuple((n, w) for n, w in _placed(weights, phase).items() if w > 0)))
        if followed:
            target = _placed(combination(solver.target, hyper, beta, t, gain=True, phase=phase), phase)
            slopes.append(target.pop("gain", 0.0))
            anchors.append(target)
    moves = {m: combination(getattr(solver, m), hyper, beta, t, gain=True) for m in MEMORY if hasattr(solver, m)}
    penalty = _penalty(name, anchors[0], slopes[0]) if gradient and followed else {"reference": beta}
    if gradient:
        fitted = [m for m, move in moves.items() if not copies(m, move)]
        if fitted:
            raise ValueError(f"{name} fits {fitted[0]} as a policy of its own, which needs a regression; not policy_gradient.")
        anchors, slopes = [], []
    return Plan(tuple(opponents), tuple(anchors), tuple(slopes), moves, penalty)


def _penalty(name: str, anchor: dict[str, float], slope: float) -> dict[str, float]:
    """Where the step ``(1 - sum c) current + sum c_i R_i + s gain`` rests, ``E[gain] - sum (c_i / s) KL(., R_i)`` does too."""
    others = {policy: weight for policy, weight in anchor.items() if policy != "current" and weight != 0}
    if abs(sum(anchor.values()) - 1) > 1e-9 or not slope > 0 or min(others.values(), default=1.0) < 0:
        raise ValueError(f"{name} is no step towards other policies, so it has no policy gradient; choose another estimator.")
    return {policy: weight / slope for policy, weight in others.items()}


def copies(name: str, move: dict[str, float]) -> bool:
    """Whether a log-policy moves by copying or averaging parameters; else it is fitted like the policy itself."""
    return set(move) <= {name, "half"} and min(move.values()) >= 0 and abs(sum(move.values()) - 1) < 1e-9


def _placed(weights: dict[str, float], phase: int) -> dict[str, float]:
    """Before the first phase has arrived anywhere, ``half`` is the policy itself."""
    if phase == 0 and "half" in weights:
        weights = dict(weights)
        weights["current"] = weights.get("current", 0.0) + weights.pop("half")
    return weights
