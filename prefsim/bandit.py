"""Bandit problems: the truth an environment file simulates, and what a learner is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim.game import as_floats


class Problem(NamedTuple):
    """What a policy may know."""

    arms: int
    """Number of arms."""
    horizon: int = 0
    """Number of rounds, 0 if unknown."""
    deviation: float = 0.5
    """Sub-Gaussian parameter of a reward's noise; 1/2 covers rewards in [0, 1]."""
    norm: float = 1.0
    """Bound on the Euclidean norm of a linear environment's parameter."""
    length: float = 1.0
    """Bound on the Euclidean norm of a feature vector."""
    dimension: int = 0
    """Numbers that describe an arm, 0 where nothing does."""
    cost: float = 0.0
    """What a change of arm costs."""
    budget: float = 0.0
    """Entries that may be asked for in all, rewards of the round's arms; 0 where there is nothing to ask for."""
    free: bool = True
    """Whether the played arm's reward is shown unasked."""
    hints: Any = np.zeros(0)
    """What else the environment tells: constants its file documents under ``HINTS``."""
    features: Any = np.zeros((1, 0))
    """What describes the arms, shape (arms, dimension); in changing contexts, those of the round being played."""


def kinds(module: Any) -> tuple[str, ...]:
    """Kinds of feedback a policy learns from, or an environment gives."""
    return (module.FEEDBACK,) if isinstance(module.FEEDBACK, str) else tuple(module.FEEDBACK)


class Bandit:
    """A bandit environment, or a batch of them of equal size.

    Parameters
    ----------
    environment : str
        Key of the file under ``bandits/`` whose ``feedback`` and ``regrets`` simulate it.
    truth : NamedTuple of ndarray
        The environment's parameters; every field has the instances on its first axis.
    arms : int
        Number of arms.
    normalisation : str
        Which regret ``regret`` is: ``"pseudo"``, ``"realised"``, ``"dlb_steady"``, ``"duel_average"``,
        ``"copeland"``, ``"borda"``, ....
    names : sequence of str, optional
        Names of the arms.
    deviation, norm, length : float
        What a policy is told of the noise, the parameter and the features (:class:`Problem`).
    dimension : int
        Length of the vectors that describe the arms, 0 if none do.
    hints : sequence of float
        Constants that policies of one kind of environment are told.
    feedback : sequence of str, optional
        Kinds of feedback it gives, where that is less than its environment can.
    cost, budget, free
        What a policy is told of the price of a change of arm and of the entries it may ask for (:class:`Problem`).

    Raises
    ------
    ValueError
        If `names` does not hold a name for each arm.
    """

    def __init__(
        self,
        environment: str,
        truth: Any,
        arms: int,
        *,
        normalisation: str,
        names: Sequence[str] | None = None,
        deviation: float = 0.5,
        norm: float = 1.0,
        length: float = 1.0,
        dimension: int = 0,
        hints: Sequence[float] = (),
        feedback: Sequence[str] | None = None,
        cost: float = 0.0,
        budget: float = 0.0,
        free: bool = True,
    ) -> None:
        self.environment = environment
        self.truth = type(truth)(*(np.ascontiguousarray(field, dtype=np.float64) for field in truth))
        self.arms = arms
        self.normalisation = normalisation
        if names is not None and (isinstance(names, str) or len(names) != arms):
            raise ValueError(f"names must be a list of {arms} names, one for each arm; got {names!r}.")
        self.names = tuple(names) if names is not None else None
        self.known = {"deviation": deviation, "norm": norm, "length": length, "dimension": dimension}
        self.known |= {"cost": float(cost), "budget": float(budget), "free": bool(free)}
        self.hints = np.array(hints, dtype=np.float64)
        self.feedback = tuple(feedback) if feedback is not None else None
        self.recipe: Mapping[str, Any] | None = None

    def problem(self, horizon: int = 0) -> Problem:
        """What a policy is told before the first round."""
        features = np.zeros((self.arms, int(self.known["dimension"])))
        return Problem(arms=self.arms, horizon=horizon, hints=self.hints, features=features, **self.known)  # type: ignore[arg-type]

    @property
    def instances(self) -> int:
        """Number of environments in the batch."""
        return len(self.truth[0])

    def __repr__(self) -> str:
        kind = str(self.recipe["family"]) if self.recipe else self.environment
        return f"<{kind}: {self.instances} x {self.arms} arms>" if self.instances > 1 else f"<{kind}: {self.arms} arms>"


def as_means(means: ArrayLike, argument: str = "means", unit: bool = True) -> NDArray[np.float64]:
    """Check mean rewards, in [0, 1] if `unit`, and return them as (instances, arms).

    Raises
    ------
    ValueError
        If there is no arm, an entry is not finite, or one leaves [0, 1] though `unit`.
    """
    values = np.atleast_1d(as_floats(means, argument))
    if values.ndim > 2 or values.shape[-1] == 0:
        raise ValueError(f"{argument} must have shape (arms,) or (instances, arms); got {values.shape}.")
    if not np.isfinite(values).all() or (unit and (values.min() < 0 or values.max() > 1)):
        raise ValueError(f"{argument} must hold {'mean rewards in [0, 1]' if unit else 'finite mean rewards'}; got {means!r}.")
    return np.atleast_2d(values)
