"""Problems as plain tables, for TOML and provenance, and back."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from prefsim import registry
from prefsim.bandit import Bandit
from prefsim.game import PreferenceGame


def build_problem(recipe: Mapping[str, Any]) -> PreferenceGame | Bandit:
    """Build a problem from a table: ``family`` with its arguments, or a ``preference`` matrix in full."""
    arguments = dict(recipe)
    key = arguments.pop("family", None)
    if key is None:
        if "preference" not in arguments:
            raise ValueError("problem needs a family, or a preference matrix.")
        known = ["preference", "reference", "log_reference", "beta", "names", "transform"]
        for name in arguments:
            if name not in known:
                raise registry.unknown(name, known, "entry of problem:")
        return PreferenceGame(**arguments)
    kind = next((k for k in ("games", "bandits") if key in registry.keys(k)), None)
    if kind is None:
        raise registry.unknown(key, [*registry.keys("games"), *registry.keys("bandits")], "problem")
    build = registry.family(kind, key)
    parameters = inspect.signature(build).parameters
    beta = arguments.pop("beta", None) if kind == "games" and "beta" not in parameters else None
    for name in arguments:
        if name not in parameters:
            raise registry.unknown(name, parameters, f"argument of {key}:")
    missing = [n for n, p in parameters.items() if p.default is p.empty and n not in arguments]
    if missing:
        raise ValueError(f"{key} needs {', '.join(missing)}; for example ps.{kind}.{key}({missing[0]}=...).")
    problem = build(**arguments)
    return problem.replace(beta=beta) if beta is not None else problem


def describe_problem(problem: PreferenceGame | Bandit) -> dict[str, Any]:
    """The table :func:`build_problem` reads."""
    if problem.recipe is not None:
        return dict(problem.recipe)
    if isinstance(problem, Bandit):
        raise ValueError("this bandit was built by hand and cannot be written down; add its family under bandits/.")
    content = {
        "preference": problem.preference.tolist(),
        "log_reference": problem.log_reference.tolist(),
        "beta": problem.beta.tolist(),
        "transform": problem.transform,
    }
    return {**content, "names": list(problem.names)} if problem.names else content
