"""The plain reading of every rule, which defines it: Python scalars for bandits, arrays for games (NumPy's unless told)."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefsim.bandit import Problem, kinds
from prefsim.engines import bandit_loop as loop
from prefsim.engines import game_loops
from prefsim.feedback import Oracle, estimate
from prefsim.noise import WORDS, open_stream, seek
from prefsim.ops import TIE, _namespace, exp, log_normalize, win_rates
from prefsim.trace import columns

EXACT = Oracle()


def action_rule(policy: ModuleType, feedback: str) -> Callable[..., Any]:
    """The function by which `policy` acts under this kind of feedback (``act_duel`` where it has one for duels)."""
    return getattr(policy, f"act_{feedback}", policy.act)


def learn_rule(policy: ModuleType, feedback: str) -> Callable[..., Any]:
    """The function by which `policy` learns from this kind of feedback (``learn_entries`` where it has one for entries)."""
    return getattr(policy, f"learn_{feedback}", policy.learn)


def allocate(rule: ModuleType) -> Callable[..., Any]:
    """Return the function that allocates the state of a policy or environment, zeros of the declared types and shapes."""

    def state(problem: Problem, truth: Any = None) -> Any:
        fields = rule.State._field_defaults.values()
        sizes = [[_size(rule, axis, problem, truth) for axis in shape] for _, shape in fields]
        return rule.State(*(np.zeros(size, kind) for size, (kind, _) in zip(sizes, fields, strict=True)))

    return state


def _size(rule: Any, axis: str | int, problem: Problem, truth: Any) -> int:
    """Length of a state's axis: a number, a field of the problem, a function of the file, or the rows of one of the truth."""
    if not isinstance(axis, str):
        return axis
    if axis in Problem._fields:
        return int(getattr(problem, axis))
    return int(getattr(rule, axis)(problem)) if axis in axes(rule) else len(getattr(truth, axis))


def axes(rule: Any) -> dict[str, Callable[[Problem], int]]:
    """Functions of a rule file that say how long an axis of its ``State`` is."""
    named = {axis for _, shape in rule.State._field_defaults.values() for axis in shape if isinstance(axis, str)}
    return {axis: getattr(rule, axis) for axis in named - set(Problem._fields) if callable(getattr(rule, axis, None))}


REVEAL = {"bandit": loop.pass_on, "duel": loop.pass_on, "full": loop.reveal_all, "entries": loop.reveal_some}
"""How policies are told what a round brought, by kind of feedback; in any other kind it is the environment's report."""


def bandit_names(policy: ModuleType, environment: ModuleType, counted: bool, kind: str) -> dict[str, Any]:
    """What the names that are free in ``bandit_loop.play_bandit`` stand for, but for what allocates."""
    duel = kind == "duel"
    names = {
        "init": policy.init,
        "act": action_rule(policy, kind),
        "hand_over": loop.hand_commitment if "commitment" in policy.State._fields else loop.nothing,
        "reveal": REVEAL.get(kind, loop.reveal_report),
        "learn": learn_rule(policy, kind),
        "place": loop.place_pair if duel else loop.place_arm,
        "start": getattr(environment, "start", loop.nothing),
        "observe": getattr(environment, "observe", loop.nothing),
        "present": loop.show_arms if "features" in environment.Truth._fields else loop.nothing,
        "present_round": loop.show_arms if hasattr(environment, "observe") else loop.nothing,
        "feedback": environment.feedback,
        "regrets": environment.regrets,
        "WORDS": WORDS,
        "COSTS": len(environment.METRICS),
        "LATEST": loop.LATEST,
        "watch": loop.nothing,
        "report": loop.nothing,
    }
    if kind == "entries":
        names["ask"] = policy.ask
    if counted:
        names |= {
            "watch": loop.watch_pair if duel else loop.watch_arm,
            "report": loop.report,
            "tallies": getattr(environment, "tallies", loop.no_notions),
            "TALLIED": len(getattr(environment, "TALLIES", ())),
            "recommend": getattr(policy, "recommend", loop.no_arm),
            "gap_of": loop.gap_of_arm if "gap" in environment.Truth._fields else loop.no_gap,
            "most_played": loop.most_played,
            "TIE": TIE,
        }
    return names


def play_bandit(
    policy: ModuleType, environment: ModuleType, counted: bool = False, kind: str = ""
) -> Callable[[Any, Any, Problem, Any, int, int, int, Any, Any, Any], None]:
    """Bind the loop to one policy on one environment, uncompiled.

    `counted` records ``TALLIES`` and ``COUNTED`` too; `kind` is the feedback, the environment's first unless given.
    """
    world = allocate(environment) if hasattr(environment, "State") else loop.nothing
    names = {
        **vars(loop),
        **bandit_names(policy, environment, counted, kind or kinds(environment)[0]),
        "allocate": allocate(policy),
        "allocate_world": lambda truth, known: world(known, truth),
        "describe": lambda known: known._replace(features=known.features.copy()),
    }
    for bound in ("desk", "report", "reveal"):
        names[bound] = FunctionType(names[bound].__code__, names)
    return FunctionType(loop.play_bandit.__code__, names)


class GamePlayer:
    """Iterates one solver on a batch of games, all rows at once.

    Parameters
    ----------
    solver : module
        The rule file.
    hypers : list of NamedTuple
        One per instance.
    beta, preference, reference : ndarray, shapes (instances,), (instances, n, n), (instances, n)
        The games; `reference` in logarithms.
    start : ndarray, shape (instances, runs, n)
        Log-policies to start from.
    average : bool
        Whether to gather the sum of iterates, `total`.
    oracle : Oracle
        How win rates are observed.
    distance : bool
        Whether to gather the lengths of the steps, ``sum_y |pi_{t+1}(y) - pi_t(y)|``, in an array (instances, runs).
    array : callable
        What turns a NumPy array into one of the library that is to compute; all that the player holds is of that library.
    precision : {"float64", "float32"}
        What it computes with. In float32 the gain is ``A q``: a win rate near 1/2 would lose the digits of its margin, and
        for rules that can be traced the constant makes no difference. What is gathered is gathered in float64.
    """

    def __init__(
        self,
        solver: ModuleType,
        hypers: list[Any],
        beta: NDArray[np.float64],
        preference: NDArray[np.float64],
        reference: NDArray[np.float64],
        start: NDArray[np.float64],
        average: bool,
        oracle: Oracle = EXACT,
        *,
        distance: bool = False,
        array: Callable[[NDArray[Any]], Any] = np.asanyarray,
        precision: str = "float64",
    ) -> None:
        def put(values: NDArray[Any]) -> Any:
            return array(values.astype(precision, copy=False) if values.dtype == np.float64 else values)

        self.solver = solver
        self.oracle = oracle
        self.phases = getattr(solver, "PHASES", 1)
        self.hyper = stack(hypers, put)
        matrices = _matrices(preference)
        self.beta, self.preference = put(beta[:, None, None]), put(matrices if precision == "float64" else matrices - 0.5)
        self.policies = dict.fromkeys(game_loops.POLICIES, put(start.copy()))
        self.policies["reference"] = put(np.array(np.broadcast_to(reference[:, None], start.shape)))
        self.memory = [name for name in game_loops.MEMORY if hasattr(solver, name)]
        self.total = array(np.zeros_like(start)) if average else None
        self.distance = array(np.zeros(start.shape[:2])) if distance else None
        self.t = 0

    @property
    def current(self) -> Any:
        """Log-policies after the iterations done so far, shape (instances, runs, n)."""
        return self.policies["current"]

    def advance(self, stop: int) -> None:
        """Iterate up to iteration `stop`."""
        now = self.policies
        for t in range(self.t, stop):
            if self.total is not None:
                self.total += exp(now["current"])
            gain = now["current"]
            for phase in range(self.phases):
                iterate = game_loops.Iterate(**now, beta=self.beta, t=t)
                gain = self._observe(self.solver.opponent(self.hyper, iterate, phase), t * self.phases + phase)
                now["half"] = log_normalize(self.solver.target(self.hyper, iterate, gain, phase))
            iterate = game_loops.Iterate(**now, beta=self.beta, t=t)
            moved = {name: log_normalize(getattr(self.solver, name)(self.hyper, iterate, gain)) for name in self.memory}
            if self.distance is not None:
                self.distance += _step_length(now["current"], now["half"])
            now.update(moved, previous=now["current"], current=now["half"])
        self.t = stop

    def _observe(self, played: Any, round: int) -> Any:
        """Win rates against log-policies (instances, runs, n), exact or (NumPy only) estimated with the noise of `round`."""
        if self.oracle.kind == 0:
            return win_rates(self.preference, played)
        kind, samples, scale, key0, key1 = self.oracle
        gain = np.empty(played.shape)
        preference = np.broadcast_to(self.preference, (*played.shape, played.shape[-1]))
        for i, run in np.ndindex(*played.shape[:2]):
            noise = open_stream(key0, key1, i, run)
            seek(noise, round)
            estimate(kind, samples, scale, preference[i, run] - 0.5, np.exp(played[i, run]), noise, gain[i, run])
        return 0.5 + gain


class StepPlayer:
    """Iterates a solver that gives ``step`` instead of ``opponent`` and ``target``; arguments as in :class:`GamePlayer`."""

    def __init__(
        self,
        solver: ModuleType,
        hypers: list[Any],
        beta: NDArray[np.float64],
        preference: NDArray[np.float64],
        reference: NDArray[np.float64],
        start: NDArray[np.float64],
        average: bool,
        *,
        distance: bool = False,
        array: Callable[[NDArray[Any]], Any] = np.asanyarray,
    ) -> None:
        self.solver = solver
        self.hyper = stack(hypers, array)
        self.beta, self.preference = array(beta[:, None, None]), array(_matrices(preference))
        self.reference = array(reference[:, None])
        self.state = solver.init(self.hyper, array(start.copy()))
        self.total = array(np.zeros_like(start)) if average else None
        self.distance = array(np.zeros(start.shape[:2])) if distance else None
        self.t = 0

    @property
    def current(self) -> Any:
        """Log-policies after the iterations done so far, shape (instances, runs, n)."""
        return self.state.policy

    def advance(self, stop: int) -> None:
        """Iterate up to iteration `stop`."""
        for t in range(self.t, stop):
            if self.total is not None:
                self.total += exp(self.current)
            before = self.current
            game = game_loops.Game(self.preference, self.reference, self.beta, t)
            self.state = self.solver.step(self.hyper, self.state, game)
            if self.distance is not None:
                self.distance += _step_length(before, self.current)
        self.t = stop


def _step_length(before: Any, after: Any) -> Any:
    """``sum_y |q(y) - p(y)|`` of two log-policies (..., n)."""
    return _namespace(before).sum(abs(exp(after) - exp(before)), axis=-1)


def _matrices(preference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrices (instances, 1, n, n), which all runs of a game meet, or the one (n, n) that all instances share."""
    return preference[0] if len(preference) == 1 or preference.strides[0] == 0 else preference[:, None]


def play_game(solver: ModuleType, *arguments: Any, **options: Any) -> GamePlayer | StepPlayer:
    """The player for a solver's kind of rule; arguments as in :class:`GamePlayer`."""
    return (StepPlayer if hasattr(solver, "step") else GamePlayer)(solver, *arguments, **options)


def play_games(
    rules: list[tuple[ModuleType, list[Any]]], *arguments: Any, oracle: Oracle = EXACT, **options: Any
) -> list[GamePlayer | StepPlayer]:
    """Players of several rules, a pair of solver and hyperparameters each; other arguments as in :class:`GamePlayer`."""
    return [
        play_game(solver, hypers, *arguments, *(() if hasattr(solver, "step") else (oracle,)), **options)
        for solver, hypers in rules
    ]


def stack(hypers: list[Any], array: Callable[[NDArray[Any]], Any] = np.asanyarray) -> Any:
    """Merge per-instance hyperparameters: numbers where all agree, else arrays of shape (instances, 1, 1)."""
    merged = columns(hypers)
    return type(merged)(*(array(v[:, None, None]) if isinstance(v, np.ndarray) else v for v in merged))
