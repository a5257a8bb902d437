"""What to run: a problem, algorithms with their hyperparameters, and the budget. Written to and read from TOML."""

from __future__ import annotations

import itertools
import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefsim import registry
from prefsim.bandit import Bandit
from prefsim.feedback import Feedback
from prefsim.game import PreferenceGame, as_log_policy
from prefsim.problems import build_problem, describe_problem

PRECISIONS = ("float64", "float32")
"""Arithmetic of the iterates of preference games."""

MOST_ROUNDS = 2**32 - 1
"""Rounds and runs are counted in 32-bit words of the random generator."""


@dataclass(frozen=True)
class Grid:
    """Values of a hyperparameter to sweep; several grids of one algorithm are crossed."""

    values: tuple[Any, ...]

    def __init__(self, values: Sequence[Any]) -> None:
        points = values.tolist() if hasattr(values, "tolist") else values
        if isinstance(points, str) or not isinstance(points, Iterable) or not list(points):
            raise ValueError(f"a Grid needs a list of at least one value; got {values!r}.")
        object.__setattr__(self, "values", tuple(points))


@dataclass(frozen=True)
class Spec:
    """One algorithm with its hyperparameters.

    Parameters
    ----------
    key : str
        Name in the registry.
    hyper : mapping
        Hyperparameters that differ from the defaults; a value may be a :class:`Grid`.
    label : str
        Name on the ``algorithm`` axis; the key, with the hyperparameters given, when empty.
    """

    key: str
    hyper: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""

    @classmethod
    def parse(cls, item: Any) -> Spec:
        """Read ``"egpo"``, ``"egpo:step=0.1,..."``, ``("egpo", {"step": 0.1})``, a mapping with ``key``, or a Spec."""
        if isinstance(item, Spec):
            return item
        if isinstance(item, str):
            key, _, settings = item.partition(":")
            hyper = dict(_setting(part, item) for part in settings.split(",") if part)
            return cls(key.strip(), hyper)
        if isinstance(item, Mapping):
            rest = {k: v for k, v in item.items() if k not in ("key", "label")}
            hyper = {k: Grid(v["grid"]) if isinstance(v, Mapping) and "grid" in v else v for k, v in rest.items()}
            if not isinstance(item.get("key"), str):
                raise ValueError(f"an algorithm given as a table needs a key, its name; got {dict(item)}.")
            return cls(item["key"], hyper, item.get("label", ""))
        if isinstance(item, Sequence) and len(item) == 2 and isinstance(item[0], str) and isinstance(item[1], Mapping):
            return cls(item[0], dict(item[1]))
        raise TypeError(f'an algorithm is a name, or a pair like ("egpo", {{"step": 0.1}}); got {item!r}.')

    def expand(self) -> list[Spec]:
        """One Spec per point of the crossed grids."""
        grids = [v.values if isinstance(v, Grid) else (v,) for v in self.hyper.values()]
        axes = [[v.item() if isinstance(v, np.generic) else v for v in grid] for grid in grids]
        points = [dict(zip(self.hyper, point, strict=True)) for point in itertools.product(*axes)]
        label = self.label or self.key
        swept = [name for name, value in self.hyper.items() if isinstance(value, Grid)]
        shown = swept if self.label else list(self.hyper)
        specs = []
        for point in points:
            inside = ", ".join(f"{name}={_short(point[name])}" for name in shown)
            specs.append(Spec(self.key, point, f"{label}({inside})" if inside else label))
        return specs


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def _setting(text: str, item: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    try:
        if not equals:
            raise ValueError
        word = value.strip()
        if word.isidentifier() and word not in ("inf", "nan"):
            return name.strip(), {"true": True, "false": False}.get(word, word)
        return name.strip(), float(word)
    except ValueError:
        raise ValueError(f"cannot read {text!r} in {item!r}; write settings as key:step=0.1,other=2.") from None


@dataclass(frozen=True)
class Experiment:
    """Everything that determines the numbers of a run.

    Parameters
    ----------
    problem : PreferenceGame, Bandit or str
        The problem, or the key of a family that needs no arguments.
    algorithms : sequence
        Each a name, ``(name, {hyperparameter: value or Grid})``, or a :class:`Spec`.
    horizon : int
        Iterations (games) or rounds (bandits), at least 1.
    runs : int
        Independent repetitions.
    seed : int
        Root seed of every random number.
    metrics : sequence of str, optional
        What to measure; defaults depend on the kind of problem. Games: ``"duality_gap"``, ``"exploitability"``,
        ``"kl_to_equilibrium"``, ``"span_to_equilibrium"`` and ``"win_rate:NAME"``, against the reference, the uniform
        policy, the equilibrium, an action or another algorithm of the run, all of them also as ``"average_..."``;
        ``"distance"``, ``"policy"``.
    record : sequence of int, "all" or None
        Times to keep, geometric when omitted; 0 and the horizon always join.
    start : "reference", "random" or array_like
        Games only: first policies; an array (n,), (instances, n) or (instances, runs, n) holds probabilities.
    feedback : str, (str, mapping) or Feedback
        Games only: how win rates are observed, ``"exact"``, ``"sampled:samples=8"``, ``"duels"`` or
        ``"noisy:scale=0.1"`` (:class:`prefsim.Feedback`).
    name : str
        Part of the random streams' key: experiments of different names are independent.
    precision : {"float64", "float32"}
        Games only, with exact feedback: the arithmetic solvers iterate in, ``"float32"`` for rules that are affine in
        log-policies. What is measured is measured in float64, of policies that are normalised in float64.

    Raises
    ------
    ValueError, TypeError
        Naming the argument that cannot be used.
    """

    problem: Any
    algorithms: Sequence[Any]
    horizon: int
    runs: int = 1
    seed: int = 0
    metrics: Sequence[str] | None = None
    record: Any = None
    start: Any = "reference"
    feedback: Any = "exact"
    name: str = ""
    precision: str = "float64"

    def __post_init__(self) -> None:
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        if isinstance(self.problem, str):
            put("problem", build_problem({"family": self.problem}))
        if not isinstance(self.problem, (PreferenceGame, Bandit)):
            raise TypeError(
                f"problem must be a PreferenceGame, a bandit such as ps.bandits.bernoulli([...]), or the name of a "
                f"family; got {type(self.problem).__name__}. Wrap a preference matrix in ps.PreferenceGame(P)."
            )
        put("horizon", whole("horizon", self.horizon, 1, MOST_ROUNDS))
        put("runs", whole("runs", self.runs, 1, MOST_ROUNDS))
        put("seed", whole("seed", self.seed, 0, None))
        items = _listed("algorithms", self.algorithms)
        if not items:
            kind = "solvers" if isinstance(self.problem, PreferenceGame) else "policies"
            raise ValueError(f"algorithms is empty; name at least one of: {', '.join(registry.algorithms(kind))}.")
        put("algorithms", tuple(spec for item in items for spec in Spec.parse(item).expand()))
        labels = [spec.label for spec in self.algorithms]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"algorithms holds {label!r} twice; give one of them a label or other settings.")
        if self.metrics is not None:
            put("metrics", tuple(_listed("metrics", self.metrics)))
        record_times(self.horizon, self.record)
        self._check_start()
        put("feedback", Feedback.parse(self.feedback))
        if self.feedback.kind != "exact":
            if not isinstance(self.problem, PreferenceGame):
                raise ValueError("feedback is how solvers observe a game; a bandit's feedback is part of its environment.")
            if self.feedback.kind == "duels" and self.problem.transform != "probability":
                raise ValueError("feedback='duels' observes wins and losses, whose mean is a probability, not log-odds.")

        self._check_precision()

    def _check_precision(self) -> None:
        if self.precision not in PRECISIONS:
            raise registry.unknown(self.precision, PRECISIONS, "precision")
        if self.precision != "float64":
            if not isinstance(self.problem, PreferenceGame):
                raise ValueError(
                    f"precision={self.precision!r} is for preference games; bandits compute in float64, the default."
                )
            if self.feedback.kind != "exact":
                raise ValueError(
                    f"precision={self.precision!r} needs exact feedback: drawing {self.feedback.kind} estimates costs more "
                    "than the arithmetic it would save; leave one of the two out."
                )

    def _check_start(self) -> None:
        if isinstance(self.start, str):
            if self.start not in ("reference", "random"):
                raise registry.unknown(self.start, ["reference", "random"], "start")
            return
        if not isinstance(self.problem, PreferenceGame):
            raise ValueError("start sets the first policies of a game; bandit policies start without data.")
        as_log_policy(self.start, self.problem.n, "start", positive=True)

    @property
    def kind(self) -> str:
        """``"solvers"`` for games, ``"policies"`` for bandits."""
        return "solvers" if isinstance(self.problem, PreferenceGame) else "policies"

    @property
    def times(self) -> NDArray[np.int64]:
        """Record times, increasing, with 0 and the horizon."""
        return record_times(self.horizon, self.record)

    def chosen_metrics(self, default: Sequence[str], known: Sequence[str]) -> list[str]:
        """The metrics to measure, checked against those the problem has."""
        chosen = list(default if self.metrics is None else self.metrics)
        if not chosen:
            raise ValueError(f"metrics is empty; name at least one of: {', '.join(known)}.")
        for name in chosen:
            if name not in known:
                raise registry.unknown(name, known, "metric")
        return chosen

    def to_dict(self) -> dict[str, Any]:
        """Plain data that :meth:`from_dict` reads back; every default that matters is spelled out."""
        algorithms = [{"key": s.key, "label": s.label, **s.hyper} for s in self.algorithms]
        content: dict[str, Any] = {
            "name": self.name,
            "horizon": self.horizon,
            "runs": self.runs,
            "seed": self.seed,
            "start": self.start if isinstance(self.start, str) else np.asarray(self.start).tolist(),
            "problem": describe_problem(self.problem),
            "algorithms": algorithms,
        }
        if self.feedback.kind != "exact":
            content["feedback"] = self.feedback._asdict()
        if self.precision != "float64":
            content["precision"] = self.precision
        if self.metrics is not None:
            content["metrics"] = list(self.metrics)
        if self.record is not None:
            content["record"] = self.record if isinstance(self.record, str) else [int(t) for t in self.record]
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Experiment:
        """Read what :meth:`to_dict` wrote, or the same by hand."""
        known = set(cls.__dataclass_fields__)
        for name in content:
            if name not in known:
                raise registry.unknown(name, known, "entry of an experiment:")
        for name in ("problem", "algorithms", "horizon"):
            if name not in content:
                raise ValueError(f"the experiment lacks {name}; see docs/tutorial.md for an example.")
        problem = content["problem"]
        return cls(**{**content, "problem": build_problem(problem) if isinstance(problem, Mapping) else problem})

    def to_toml(self, path: str | os.PathLike[str]) -> None:
        """Write the experiment to a TOML file."""
        import tomli_w

        Path(path).write_text(tomli_w.dumps(self.to_dict()))

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Experiment:
        """Read an experiment from a TOML file.

        Raises
        ------
        ValueError
            If the file is missing, is not TOML, or holds something unknown.
        """
        try:
            content = tomllib.loads(Path(path).read_text())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ValueError(f"cannot read the experiment {os.fspath(path)}: {error}.") from None
        return cls.from_dict(content)


def _listed(name: str, value: Any) -> list[Any]:
    """A list from a list or a single string; anything else raises TypeError."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a list; got {value!r}.")
    return list(value)


def whole(name: str, value: Any, least: int, most: int | None) -> int:
    """Check an integer argument and return it."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer)) or not float(value).is_integer():
        raise TypeError(f"{name} must be a whole number; got {value!r}.")
    if value < least or (most is not None and value > most):
        limit = f"at least {least}" if value < least else f"at most {most}"
        raise ValueError(f"{name} must be {limit}; got {value}.")
    return int(value)


def record_times(horizon: int, record: Any = None) -> NDArray[np.int64]:
    """Times to record: 20 a decade counted back from the horizon, and the powers of two; 0 and `horizon` join."""
    if record is None:
        decades = int(np.ceil(np.log10(horizon))) + 1
        chosen = np.concatenate([
            np.round(horizon * 10.0 ** (-np.arange(20 * decades) / 20)).astype(np.int64),
            2 ** np.arange(int(np.log2(horizon)) + 1),
        ])
    elif isinstance(record, str):
        if record != "all":
            raise registry.unknown(record, ["all"], "record")
        chosen = np.arange(horizon + 1)
    else:
        chosen = np.array([whole("record", t, 0, horizon) for t in _listed("record", record)], dtype=np.int64)
    return np.unique(np.concatenate([[0], chosen, [horizon]])).astype(np.int64)
