"""Ask and tell: a policy driven by a live system instead of a simulated environment."""

from __future__ import annotations

from typing import Any

import numpy as np

from prefsim import noise, registry
from prefsim.bandit import Problem
from prefsim.engines import reference
from prefsim.experiment import MOST_ROUNDS, whole


class Agent:
    """One policy in the middle of its run; built by :func:`agent`.

    Attributes
    ----------
    state : NamedTuple of ndarray
        The policy's state.
    t : int
        Rounds completed.
    """

    def __init__(self, entry: registry.Algorithm, hyper: Any, problem: Problem, feedback: str, seed: int) -> None:
        self._rule, self._hyper, self._problem, self._feedback = entry.module, hyper, problem, feedback
        self._act = reference.action_rule(entry.module, feedback)
        self._noise = noise.open_stream(*noise.stream_key(seed, "", "policy"), 0, 0)
        self.state = reference.allocate(entry.module)(problem)
        self.t = 0
        self._pending: Any = None
        entry.module.init(hyper, self.state, problem)

    def act(self) -> int | tuple[int, int]:
        """Choose the arm (or, for duels, the pair of arms) to play now; asking twice gives the same answer."""
        if self._pending is None:
            noise.seek(self._noise, self.t + 1)
            action = self._act(self._hyper, self.state, self._problem, self.t + 1, self._noise)
            self._pending = (int(action[0]), int(action[1])) if self._feedback == "duel" else int(action)
        return self._pending

    def learn(self, action: int | tuple[int, int], feedback: float) -> None:
        """Tell what happened.

        Parameters
        ----------
        action : int or pair of int
            The action :meth:`act` returned.
        feedback : float
            Reward in [0, 1]; for duels 1 if the first arm won and 0 if the second did.

        Raises
        ------
        ValueError
            If no action was asked for, another one was played, or the feedback is out of range.
        """
        if self._pending is None:
            raise ValueError("learn without act: ask act() for the next action first.")
        played = tuple(action) if isinstance(action, (tuple, list, np.ndarray)) else action
        if played != self._pending:
            raise ValueError(f"action {action} is not the one act() returned, {self._pending}; play that one.")
        value = float(feedback) if isinstance(feedback, (bool, int, float, np.number, np.bool_)) else float("nan")
        if not 0 <= value <= 1 or (self._feedback == "duel" and value not in (0.0, 1.0)):
            wanted = "0 or 1, whether the first arm won" if self._feedback == "duel" else "a reward in [0, 1]"
            raise ValueError(f"feedback must be {wanted}; got {feedback!r}.")
        self.t += 1
        self._rule.learn(self._hyper, self.state, self._problem, self.t, self._pending, value)
        self._pending = None


def agent(key: str, arms: int, *, seed: int = 0, horizon: int | None = None, duels: bool = False, **hyper: Any) -> Agent:
    """Start a policy for a live system.

    Parameters
    ----------
    key : str
        A bandit policy.
    arms : int
        Number of arms, at least 1 (2 for duels).
    seed : int
        Seed of the policy's own randomness.
    horizon : int, optional
        Number of rounds, for the policies that must know it.
    duels : bool
        For policies that play both kinds (``uniform``): name pairs of arms.
    **hyper
        Hyperparameters that differ from the defaults.

    Returns
    -------
    Agent

    Raises
    ------
    ValueError, TypeError
        For an unknown policy or hyperparameter, a bad count, or a missing horizon.

    Examples
    --------
    >>> live = agent("ucb1", arms=2, seed=0)
    >>> arm = live.act()
    >>> live.learn(arm, 1.0)
    """
    entry = registry.algorithm("policies", key)
    kinds = (entry.module.FEEDBACK,) if isinstance(entry.module.FEEDBACK, str) else entry.module.FEEDBACK
    feedback = "duel" if duels or kinds == ("duel",) else "bandit"
    if feedback not in kinds:
        raise ValueError(f"{key} plays single arms, not duels; leave duels out.")
    whole("arms", arms, 2 if feedback == "duel" else 1, None)
    if horizon is None and not getattr(entry.module, "ANYTIME", True):
        raise ValueError(f"{key} needs horizon, the number of rounds it will play; give horizon=....")
    rounds = whole("horizon", horizon, 1, MOST_ROUNDS) if horizon is not None else 0
    return Agent(entry, entry.hyper(hyper), Problem(int(arms), rounds), feedback, whole("seed", seed, 0, None))


__all__ = ["Agent", "agent"]
