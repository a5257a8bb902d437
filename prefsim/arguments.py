"""What the words of a command line mean: a problem, algorithms and settings as one experiment."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from prefsim import registry
from prefsim.experiment import Experiment
from prefsim.problems import build_problem

HORIZON = {"solvers": 1000, "policies": 10_000}
"""How long algorithms run where nothing is said."""


def plan(names: list[str], problem: dict[str, Any], settings: dict[str, Any]) -> Experiment:
    """Put the experiment together from what was given on the command line.

    Parameters
    ----------
    names : list of str
        A problem and algorithms; algorithms alone if `problem` has a file of preferences; or one file of an experiment.
    problem : dict
        Options that make the problem, those given: ``preference``, ``counts``, ``set`` and ``beta``.
    settings : dict
        Other arguments of :class:`Experiment`, those given; ``metrics`` and ``start`` as text.

    Raises
    ------
    ValueError
        If what was given does not fit together, or cannot be read.
    """
    if names[0].endswith(".toml"):
        extra = [*names[1:], *(f"--{name}" for name in (*problem, *settings))]
        if extra:
            raise ValueError(f"{names[0]} says everything about the run; drop {' '.join(extra)}, or edit the file.")
        return Experiment.from_toml(names[0])
    if "preference" in problem:
        if "set" in problem:
            raise ValueError("--set gives arguments of a problem by name and does not go with --preference.")
        if problem["preference"].suffix == ".npz":
            if "counts" in problem:
                raise ValueError("--counts says how to read a CSV file; an .npz file holds preferences.")
            built = registry.family("games", "from_npz")(problem["preference"], beta=problem.get("beta"))
        else:
            build = registry.family("games", "from_csv")
            built = build(problem["preference"], counts="counts" in problem, beta=problem.get("beta", 0.0))
        algorithms = names
    else:
        if "counts" in problem:
            raise ValueError("--counts says how to read a CSV file; give one with --preference.")
        beta = {"beta": problem["beta"]} if "beta" in problem else {}
        built = build_problem({**dict(_setting(text) for text in problem.get("set", [])), **beta, "family": names[0]})
        algorithms = names[1:]
    kind = "solvers" if hasattr(built, "preference") else "policies"
    if "metrics" in settings:
        # Commas inside brackets belong to a label: win_rate:egpo(step=0.1, other=2).
        settings["metrics"] = [name.strip() for name in re.split(r",(?![^()\[\]]*[)\]])", settings["metrics"])]
    if settings.get("start", "").startswith("["):
        settings["start"] = _value(settings["start"], "--start")
    return Experiment(built, algorithms, **{"horizon": HORIZON[kind], **settings})


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set {text} has no value; write --set NAME=VALUE.")
    return name.strip(), _value(value, f"--set {name}")


def _value(text: str, where: str) -> Any:
    """Read a TOML value; a bare word that is none is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if re.fullmatch(r"[A-Za-z_./][\w./-]*", text):
            return text
        raise ValueError(f"cannot read {text!r} given to {where}; write a number, [0.2, 0.8], true or a word.") from None
