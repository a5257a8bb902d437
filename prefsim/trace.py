"""Tracing: call a solver's rule once with symbols and read off its coefficients.

The rules of the mirror family are affine in named log-policies and in the gain, so a call with symbols says whom to play
against and where to move as numbers: weights on the named log-policies and a slope on the gain. Fast engines run the
numbers; the torch adapter uses them to know whom to sample.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prefsim.engines.game_loops import MEMORY, POLICIES, Iterate
from prefsim.ops import log_normalize


class Untraceable(TypeError):
    """The rule does something with a log-policy that is not affine."""


class Linear:
    """A linear combination of named symbols, modulo constants over actions (the normaliser absorbs them)."""

    __array_ufunc__ = None  # an ndarray on the left hands the operation to us

    def __init__(self, terms: dict[str, Any], normalized: bool = False) -> None:
        self.terms = terms
        self.normalized = normalized

    def __add__(self, other: Any) -> Linear:
        terms = dict(self.terms)
        if isinstance(other, Linear):
            for name, weight in other.terms.items():
                terms[name] = terms[name] + weight if name in terms else weight
        return Linear(terms)

    def __mul__(self, factor: Any) -> Linear:
        if isinstance(factor, Linear):
            raise Untraceable("a product of two log-policies is not affine")
        return Linear({name: weight * factor for name, weight in self.terms.items()})

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Linear:
        return self * -1.0

    def __sub__(self, other: Any) -> Linear:
        return self + -other

    def __rsub__(self, other: Any) -> Linear:
        return -self + other

    def __truediv__(self, divisor: Any) -> Linear:
        return self * (1.0 / divisor)

    def log_normalize(self) -> Linear:
        """Normalising changes a log-policy by a constant only."""
        return Linear(self.terms, normalized=True)

    def __array_namespace__(self) -> Any:
        raise Untraceable("only +, -, multiplication by numbers and log_normalize keep a log-policy affine")


class _Watched:
    """An iterate that remembers whether the rule asked for the iteration number."""

    def __init__(self, policies: dict[str, Any], beta: Any, t: Any) -> None:
        self.__dict__.update(policies)
        self.beta = beta
        self._t = t
        self.asked = False

    @property
    def t(self) -> Any:
        self.asked = True
        return self._t


class Coefficients(NamedTuple):
    """A rule as numbers, per iteration, instance and phase; policies in the order of :data:`POLICIES`."""

    opponent: NDArray[np.float64]
    """Weights of the opponent's log-policy, shape (iterations, instances, phases, policies)."""
    anchor: NDArray[np.float64]
    """Weights of the target's log-policies, shape (iterations, instances, phases, policies)."""
    slope: NDArray[np.float64]
    """Weight of the gain, shape (iterations, instances, phases)."""
    memory: NDArray[np.float64]
    """How the log-policies of ``MEMORY`` move, in that order: weights of the named log-policies, then of the gain, then
    1 if the rule moves it at all; shape (iterations, instances, 3, policies + 2)."""


def columns(hypers: list[Any]) -> Any:
    """Hyperparameters of some instances as one tuple: numbers where all agree, else arrays of shape (instances,)."""
    merged = (values[0] if all(v == values[0] for v in values) else np.array(values) for values in zip(*hypers, strict=True))
    return type(hypers[0])(*merged)


def trace(solver: ModuleType, hyper: Any, beta: NDArray[np.float64], times: NDArray[Any]) -> tuple[Coefficients, bool]:
    """Read off the coefficients of some iterations and whether they depend on the iteration.

    Parameters
    ----------
    solver : module
        The rule file.
    hyper : NamedTuple
        Hyperparameters, numbers or arrays of shape (instances,).
    beta : ndarray, shape (instances,)
        Temperatures.
    times : ndarray, shape (iterations,)
        Iteration numbers.

    Raises
    ------
    Untraceable
        If the rule is not affine in log-policies and gain, or its opponent is not a normalised log-policy.
    """
    try:
        found, scheduled = _trace(solver, hyper, beta, times[:, None])
    except ValueError:  # the rule branches on the iteration number: ask for one at a time
        each = [_trace(solver, hyper, beta, t) for t in times]
        found = Coefficients(*(np.concatenate(field) for field in zip(*(c for c, _ in each), strict=True)))
        scheduled = True
    _confirm(solver, hyper, beta, times[0], found)
    return found, scheduled


def _trace(solver: ModuleType, hyper: Any, beta: NDArray[np.float64], t: Any) -> tuple[Coefficients, bool]:
    phases = getattr(solver, "PHASES", 1)
    count = len(POLICIES)
    opponent = np.zeros((np.size(t), len(beta), phases, count))
    target = np.zeros((*opponent.shape[:3], count + 1))
    memory = np.zeros((*opponent.shape[:2], len(MEMORY), count + 2))
    iterate = _Watched({name: Linear({name: 1.0}, normalized=True) for name in POLICIES}, beta, t)
    gain = Linear({"gain": 1.0})
    try:
        for phase in range(phases):
            played = solver.opponent(hyper, iterate, phase)
            if not isinstance(played, Linear) or not played.normalized:
                raise Untraceable("the opponent must be a named log-policy or end in log_normalize")
            _write(opponent[:, :, phase], played)
            _write(target[:, :, phase], solver.target(hyper, iterate, gain, phase))
        for m, name in enumerate(MEMORY):
            if hasattr(solver, name):
                _write(memory[:, :, m], getattr(solver, name)(hyper, iterate, gain))
                memory[:, :, m, -1] = 1.0
    except (TypeError, AttributeError) as error:
        raise Untraceable(f"the rule is not affine in log-policies and gain: {error}") from error
    found = Coefficients(opponent, np.ascontiguousarray(target[..., :-1]), np.ascontiguousarray(target[..., -1]), memory)
    return found, iterate.asked


def combination(
    rule: Any, hyper: Any, beta: float, t: int, *, gain: bool = False, phase: int | None = None
) -> dict[str, float]:
    """Call one function of a rule file with symbols and return the weights of all it combines, zeros too.

    Parameters
    ----------
    rule : callable
        ``opponent``, ``target`` or one of the functions of ``MEMORY``.
    hyper : NamedTuple
        Hyperparameters, numbers.
    beta, t : float, int
        The temperature and the iteration.
    gain, phase : bool, int, optional
        Whether the function takes the gain (then a symbol ``"gain"``), and the phase if it takes one.

    Raises
    ------
    Untraceable
        If the function is not affine in log-policies and gain.
    """
    iterate = _Watched({name: Linear({name: 1.0}, normalized=True) for name in POLICIES}, beta, t)
    arguments = [Linear({"gain": 1.0})] if gain else []
    try:
        found = rule(hyper, iterate, *arguments, *([] if phase is None else [phase]))
    except (TypeError, AttributeError) as error:
        raise Untraceable(f"{rule.__name__} is not affine in log-policies and gain: {error}") from error
    if not isinstance(found, Linear):
        raise Untraceable(f"{rule.__name__} does not combine log-policies")
    return {name: float(weight) for name, weight in found.terms.items()}


def _write(row: NDArray[np.float64], combination: Any) -> None:
    """Put the weights of a combination into a row of a table, shape (iterations, instances, entries)."""
    if not isinstance(combination, Linear):
        raise Untraceable("a policy must move with some log-policy or the gain")
    for name, weight in combination.terms.items():
        row[:, :, len(POLICIES) if name == "gain" else POLICIES.index(name)] = weight


def _confirm(solver: ModuleType, hyper: Any, beta: NDArray[np.float64], t: Any, found: Coefficients) -> None:
    """Compare with the rule itself on arrays: a rule that branches on values would slip through the symbols."""
    count = len(POLICIES)
    policies = log_normalize(np.cos(np.arange(count * len(beta) * 3.0)).reshape(count, len(beta), 3))
    gain = np.sin(np.arange(len(beta) * 3.0)).reshape(len(beta), 3)
    iterate = Iterate(**dict(zip(POLICIES, policies, strict=True)), beta=beta[:, None], t=t)
    column = type(hyper)(*(value[:, None] if isinstance(value, np.ndarray) else value for value in hyper))

    def compare(weights: NDArray[np.float64], slope: NDArray[np.float64], rule: Any) -> None:
        ours = np.einsum("ip,pin->in", weights, policies) + slope[:, None] * gain
        scale = 1e-9 * (1 + np.abs(ours).max())
        if not np.allclose(log_normalize(ours), log_normalize(rule), rtol=1e-9, atol=scale):
            raise Untraceable("the rule depends on the values of log-policies in a way that is not affine")

    for phase in range(found.slope.shape[2]):
        compare(found.opponent[0, :, phase], 0 * beta, solver.opponent(column, iterate, phase))
        compare(found.anchor[0, :, phase], found.slope[0, :, phase], solver.target(column, iterate, gain, phase))
    for m, name in enumerate(MEMORY):
        if hasattr(solver, name):
            rule = getattr(solver, name)(column, iterate, gain)
            compare(found.memory[0, :, m, :count], found.memory[0, :, m, count], rule)
