"""What a user's name for a method stands for: a registered rule, and the switches its paper or its theory asks for.

The rule is the solver file, whatever the name. Only the estimator and its like are chosen here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

from prefsim import registry
from prefsim.experiment import Spec
from prefsim.game import PreferenceGame
from prefsim.llm.records import Switches, check_switches, heuristics
from prefsim.play_games import resolve

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "online_ipo_1": ("online_ipo", {}),
    "online_ipo_2": ("online_ipo", {"estimator": "pair_label"}),
    "nash_mp": ("mirror_prox", {}),
}
"""Names beside those of the registry: the algorithm and its switches."""

PRESETS: dict[str, dict[str, Any]] = {
    "nash_md_pg": {"estimator": "policy_gradient"},
    "nash_ema_pg": {"estimator": "policy_gradient"},
    "spo": {"estimator": "policy_gradient", "opponents": "shared"},
    "sppo": {"opponents": "shared"},
    "gpo": {"opponents": "shared"},
    "inpo": {"estimator": "pair_label"},
    "onpo": {"estimator": "pair_label"},
    "comal": {"estimator": "pair_label"},
    "dno": {"estimator": "soft_logistic"},
    "mpo": {"estimator": "policy_gradient"},
    "nash_prox": {"estimator": "policy_gradient"},
}
"""Switches of registered algorithms that are not the defaults."""


class Setup(NamedTuple):
    """An algorithm with its hyperparameters and switches in force."""

    label: str
    """As it was asked for, with the heuristics in force."""
    key: str
    """Its name in the registry."""
    solver: ModuleType
    hyper: Any
    """In the rule's own parametrisation."""
    given: Any
    """As the user named them."""
    switches: Switches


def setup(algorithm: str | tuple[str, Mapping[str, Any]], beta: float, settings: Mapping[str, Any]) -> Setup:
    """Resolve a method.

    Parameters
    ----------
    algorithm : str or (str, mapping)
        Name, with hyperparameters if any.
    beta : float
        Temperature.
    settings : mapping
        Switches and further hyperparameters by name.

    Raises
    ------
    ValueError, TypeError
        Naming what cannot be used.
    """
    label, hyper = (algorithm, {}) if isinstance(algorithm, str) else algorithm
    key, preset = METHODS.get(label, (label, PRESETS.get(label, {})))
    if key not in registry.algorithms("solvers"):
        raise registry.unknown(label, [*registry.algorithms("solvers"), *METHODS], "algorithm")
    chosen = {name: value for name, value in settings.items() if name in Switches._fields}
    given = {**hyper, **{name: value for name, value in settings.items() if name not in Switches._fields}}
    if isinstance(given.get("step"), str):
        raise ValueError(f"step={given['step']!r} depends on a whole game, which a judge of texts is not; give a number.")
    switches = Switches(**{**preset, **chosen})
    check_switches(switches)
    solver, hypers = resolve(Spec(key, given), PreferenceGame([[0.5]], beta=[beta]), 1)
    label = ", ".join([label, *heuristics(switches)])
    return Setup(label, key, solver, hypers[0], registry.algorithm("solvers", key).hyper(given), switches)
