"""Ask and tell: a policy driven by a live system instead of a simulated environment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim import noise, registry
from prefsim.agent_feedback import check_feedback
from prefsim.bandit import Problem, kinds
from prefsim.engines import reference
from prefsim.experiment import MOST_ROUNDS, whole
from prefsim.game import as_floats


class Agent:
    """One policy in the middle of its run; built by :func:`agent` or :meth:`load`.

    Attributes
    ----------
    state : NamedTuple of ndarray
        The policy's state.
    told : str
        What it is told in a round: ``"bandit"``, ``"duel"``, ``"full"`` or ``"entries"``.
    t : int
        Rounds completed.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        entry, self._hyper = registry.resolve("policies", settings["key"], settings["hyper"])
        self._rule, self.told = entry.module, settings["feedback"]
        problem = settings["problem"]
        features = np.zeros((problem["arms"], problem["dimension"]))
        self._problem = Problem(features=features, **{**problem, "hints": np.array(problem["hints"], dtype=np.float64)})
        self._act = reference.action_rule(entry.module, self.told)
        self._learn = reference.learn_rule(entry.module, self.told)
        self._noise = noise.open_stream(*noise.stream_key(settings["seed"], "", "policy"), 0, 0)
        self.state = reference.allocate(entry.module)(self._problem)
        self.t = 0
        self._pending: Any = None
        self._wanted = np.zeros(problem["arms"])
        self._described = problem["dimension"] == 0

    def act(self, features: ArrayLike | None = None) -> int | tuple[int, int]:
        """Choose the arm (or, for duels, the pair of arms) to play now; asking twice gives the same answer.

        Parameters
        ----------
        features : array_like, shape (arms, dimension), optional
            What describes the arms from this round on, for the policies that look at it.

        Raises
        ------
        ValueError
            If the policy needs features and never saw any, or their shape is wrong.
        """
        if self._pending is None:
            if features is not None:
                self._describe(features)
            if not self._described:
                raise ValueError(f"{self._settings['key']} needs features of the arms; give them to act or to agent.")
            noise.seek(self._noise, self.t + 1)
            action = self._act(self._hyper, self.state, self._problem, self.t + 1, self._noise)
            self._pending = (int(action[0]), int(action[1])) if self.told == "duel" else int(action)
            self._wanted[:] = 0.0
            if self.told == "entries":
                self._rule.ask(self._hyper, self.state, self._problem, self.t + 1, self._pending, self._noise, self._wanted)
        return self._pending

    def ask(self) -> NDArray[np.bool_]:
        """Which arms' rewards of this round the policy asks to see, shape (arms,); for agents told ``"entries"``.

        Raises
        ------
        ValueError
            If no action was asked for yet: what is wanted may depend on it.
        """
        if self._pending is None:
            raise ValueError("ask without act: ask act() for the next action first.")
        return self._wanted > 0

    def _describe(self, features: ArrayLike) -> None:
        values = as_floats(features, "features")
        if values.shape != self._problem.features.shape or not np.isfinite(values).all():
            raise ValueError(
                f"features must be finite, of shape (arms, dimension) = {self._problem.features.shape}; got {values.shape}."
            )
        stays = getattr(self._rule, "FIXED", False) and self.t > 0 and self._described
        if stays and not np.array_equal(values, self._problem.features):
            raise ValueError(f"{self._settings['key']} plans ahead with the features it was given; they may not change.")
        self._problem.features[:] = values
        self._described = True

    def learn(self, action: int | tuple[int, int], feedback: ArrayLike) -> None:
        """Tell what happened.

        Parameters
        ----------
        action : int or pair of int
            The action :meth:`act` returned.
        feedback : float or array_like
            Reward, in [0, 1] for the policies that need it; for duels 1 if the first arm won and 0 if the second did. For
            ``"full"`` and ``"entries"`` the rewards of the round, NaN where an entry was not seen; for policies that learn
            from clicks 1 or 0 for each item of the slate, and anything for the others; for policies that commit themselves (to
            ``agent.state.commitment``) the report of the round, as their environment's file describes it.

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
        told = check_feedback(self.told, self._rule, self._problem, self._pending, self._wanted, feedback)
        self.t += 1
        self._learn(self._hyper, self.state, self._problem, self.t, self._pending, told)
        self._pending = None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the agent to a file (NumPy's ``.npz``, no pickle), whole or not at all; :meth:`load` goes on from there."""
        arrays = {f"state_{name}": array for name, array in self.state._asdict().items()}
        progress = {"t": self.t, "pending": self._pending, "described": self._described, "wanted": self._wanted.tolist()}
        words = json.dumps({**self._settings, **progress})
        target = Path(path)
        partial = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        try:
            with open(partial, "wb") as stream:
                np.savez(stream, settings=np.array(words), features=self._problem.features, **arrays)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Agent:
        """Read an agent written by :meth:`save`; it acts and learns as the one saved would have.

        Raises
        ------
        ValueError
            If the file holds no agent, or one whose rule has changed its state since.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                content = {name: file[name] for name in file.files}
            settings = json.loads(str(content["settings"]))
        except (ValueError, KeyError) as error:
            raise ValueError(f"{path} holds no agent; files of agents are written by Agent.save.") from error
        progress = {name: settings.pop(name) for name in ("t", "pending", "described", "wanted")}
        loaded = cls(settings)
        for name, array in loaded.state._asdict().items():
            saved = content.get(f"state_{name}")
            if saved is None or saved.shape != array.shape or saved.dtype != array.dtype:
                raise ValueError(f"{path} was written by another version of {settings['key']}, whose state differs in {name}.")
            array[...] = saved
        loaded._problem.features[:] = content["features"]
        loaded.t, loaded._described = progress["t"], progress["described"]
        pending = progress["pending"]
        loaded._pending = tuple(pending) if isinstance(pending, list) else pending
        loaded._wanted[:] = progress["wanted"]
        return loaded


def agent(
    key: str,
    arms: int | None = None,
    *,
    features: ArrayLike | None = None,
    dimension: int = 0,
    seed: int = 0,
    horizon: int | None = None,
    duels: bool = False,
    feedback: str | None = None,
    deviation: float = 0.5,
    norm: float = 1.0,
    length: float = 1.0,
    hints: ArrayLike = (),
    cost: float = 0.0,
    budget: float = 0.0,
    free: bool = True,
    **hyper: Any,
) -> Agent:
    """Start a policy for a live system.

    Parameters
    ----------
    key : str
        A bandit policy.
    arms : int, optional
        Number of arms, at least 1 (2 for duels); follows from `features` if they are given.
    features : array_like, shape (arms, dimension), optional
        What describes the arms, for the policies that look at it; :meth:`Agent.act` takes those of a round.
    dimension : int
        Numbers that describe an arm, if `features` come with the rounds only.
    seed : int
        Seed of the policy's own randomness.
    horizon : int, optional
        Number of rounds, for the policies that must know it.
    duels : bool
        For policies that play both kinds (``uniform``): name pairs of arms.
    feedback : {"bandit", "full", "entries"}, optional
        What a policy that plays single arms is told: the reward of its arm, all rewards, or those it asks for
        (:meth:`Agent.ask`). By default the first that it learns from.
    deviation, norm, length : float
        Sub-Gaussian parameter of the rewards' noise (1/2 covers rewards in [0, 1]), bounds on the norms of a linear
        parameter and of features.
    hints : array_like, shape (constants,)
        Constants that policies for one kind of environment need, in the order its file documents under ``HINTS``.
    cost, budget, free
        Price of a change of arm, entries that may be asked for in all, and whether the played arm's reward is shown unasked.
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
    entry, _ = registry.resolve("policies", key, hyper)
    accepted = kinds(entry.module)
    kind = "duel" if duels or accepted == ("duel",) else feedback or next(k for k in accepted if k != "duel")
    if kind == "duel" and "duel" not in accepted:
        raise ValueError(f"{key} plays single arms, not duels; leave duels out.")
    if kind not in accepted or (feedback is not None and feedback != kind):
        raise ValueError(f"{key} learns from {' or '.join(accepted)} feedback, not from {feedback!r}.")
    if features is not None:
        shape = np.shape(features)
        if len(shape) != 2 or (arms is not None and arms != shape[0]) or (dimension and dimension != shape[1]):
            raise ValueError(f"features must have shape (arms, dimension); got {shape}.")
        arms, dimension = shape
    if arms is None:
        raise ValueError("agent needs arms, the number of arms (or features, one row for each).")
    whole("arms", arms, 2 if kind == "duel" else 1, None)
    if getattr(entry.module, "SIDE", "") and not whole("dimension", dimension, 0, None):
        raise ValueError(f"{key} looks at {entry.module.SIDE} of the arms; give agent features=..., or their dimension=....")
    if horizon is None and not getattr(entry.module, "ANYTIME", True):
        raise ValueError(f"{key} needs horizon, the number of rounds it will play; give horizon=....")
    rounds = whole("horizon", horizon, 1, MOST_ROUNDS) if horizon is not None else 0
    for name, value in (("deviation", deviation), ("norm", norm), ("length", length)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a finite number above 0; got {value!r}.")
    if not 0 <= cost < np.inf:
        raise ValueError(f"cost must be a finite number >= 0; got {cost!r}.")
    if not budget >= 0:
        raise ValueError(f"budget must be a number >= 0; got {budget!r}.")
    constants = np.atleast_1d(as_floats(hints, "hints"))
    if getattr(entry.module, "HINTS", "") and not constants.size:
        raise ValueError(f"{key} is for {entry.module.HINTS}, whose constants it must be told; give hints=....")
    if constants.ndim != 1 or not np.isfinite(constants).all():
        raise ValueError(f"hints must be a flat list of finite numbers; got {hints!r}.")
    told: dict[str, Any] = {"deviation": float(deviation), "norm": float(norm), "length": float(length)}
    told |= {"dimension": int(dimension), "cost": float(cost), "budget": float(budget), "free": bool(free)}
    settings = {
        "key": key,
        "hyper": hyper,
        "feedback": kind,
        "seed": whole("seed", seed, 0, None),
        "problem": {"arms": int(arms), "horizon": rounds, **told, "hints": constants.tolist()},
    }
    try:
        live = Agent(settings)
        if features is not None:
            live._describe(features)
        live._rule.init(live._hyper, live.state, live._problem)
    except IndexError as error:
        if not getattr(entry.module, "HINTS", ""):
            raise
        short = f"hints has {constants.size} constants, fewer than {key} reads ({error}); its file lists them."
        raise ValueError(short) from error
    return live


__all__ = ["Agent", "agent"]
