"""Bandit problems: the truth an environment file simulates, and what a learner is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim.game import as_floats


class Problem(NamedTuple):
    """What a policy may know before it plays."""

    arms: int
    """Number of arms."""
    horizon: int
    """Number of rounds, 0 if unknown."""


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
        Which regret ``regret`` is: ``"pseudo"``, ``"duel_average"``, ``"copeland"``.
    names : sequence of str, optional
        Names of the arms.
    """

    def __init__(
        self,
        environment: str,
        truth: Any,
        arms: int,
        *,
        normalisation: str,
        names: Sequence[str] | None = None,
    ) -> None:
        self.environment = environment
        self.truth = type(truth)(*(np.ascontiguousarray(field, dtype=np.float64) for field in truth))
        self.arms = arms
        self.normalisation = normalisation
        self.names = tuple(names) if names is not None else None
        self.recipe: Mapping[str, Any] | None = None

    @property
    def instances(self) -> int:
        """Number of environments in the batch."""
        return len(self.truth[0])

    def __repr__(self) -> str:
        kind = str(self.recipe["family"]) if self.recipe else self.environment
        return f"<{kind}: {self.instances} x {self.arms} arms>" if self.instances > 1 else f"<{kind}: {self.arms} arms>"


def as_means(means: ArrayLike, argument: str = "means") -> NDArray[np.float64]:
    """Check mean rewards in [0, 1] and return them as (instances, arms).

    Raises
    ------
    ValueError
        If there is no arm, an entry is not finite, or one leaves [0, 1].
    """
    values = np.atleast_1d(as_floats(means, argument))
    if values.ndim > 2 or values.shape[-1] == 0:
        raise ValueError(f"{argument} must have shape (arms,) or (instances, arms); got {values.shape}.")
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        raise ValueError(f"{argument} must hold mean rewards in [0, 1]; got {means!r}.")
    return np.atleast_2d(values)
