"""What a file must define to join the registry; checked when it is loaded, with sentences that teach."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import numpy as np

from prefsim.bandit import kinds

_STEP = {"init": ("hyper", "log_policy"), "step": ("hyper", "state", "game")}
"""What a solver defines that is no mirror step towards a target; its ``State`` has arrays (..., n), the policy first."""

_ENVIRONMENT = ("FEEDBACK", "METRICS", "Truth", "feedback", "regrets")
"""What a bandit file defines if it simulates an environment rather than building one of another file."""

_TOLD = {"bandit": (), "duel": (), "full": ("rewards",), "entries": ("rewards", "budget", "free")}
"""Fields of an environment's ``State`` from which its kinds of feedback are told; in any other kind it is ``report``."""

_AXES = ("algorithm", "instance", "run", "t", "key", "action")

_SIGNATURES = {
    "solvers": {"opponent": ("hyper", "iterate", "phase"), "target": ("hyper", "iterate", "gain", "phase")},
    "policies": {
        "init": ("hyper", "state", "problem"),
        "act": ("hyper", "state", "problem", "t", "noise"),
        "learn": ("hyper", "state", "problem", "t", "action", "feedback"),
    },
}

_OPTIONAL = {
    "policies": {
        "regret_bound": ("hyper", "truth", "problem", "t"),
        "regret_slope": ("hyper", "truth", "problem"),
        "recommend": ("hyper", "state", "problem", "t"),
        "ask": ("hyper", "state", "problem", "t", "action", "noise", "wanted"),
        "learn_entries": ("hyper", "state", "problem", "t", "action", "feedback"),
    },
    "bandits": {
        "feedback": ("truth", "world", "action", "t", "noise"),
        "regrets": ("truth", "world", "action", "t", "signal"),
        "start": ("truth", "world", "problem", "noise"),
        "observe": ("truth", "world", "t", "noise"),
        "tallies": ("truth", "world", "plays", "t"),
    },
}
"""Functions that need not be there, but must look like this if they are."""

_COMPANIONS = {
    "policies": {"regret_bound": "BOUND_COVERS", "regret_slope": "SLOPE_COVERS"},
    "bandits": {"tallies": "TALLIES", "observe": "State", "start": "State"},
}
"""What a file that defines the function must define too."""


def check(kind: str, key: str, module: ModuleType) -> None:
    """Refuse a file that lacks part of its kind's contract; ``docs/extending.md`` has the contracts.

    Raises
    ------
    ValueError
        Naming the file and what it must define.
    """
    where = f"{kind}/{key}.py"
    if not (module.__doc__ or "").strip():
        raise ValueError(f"{where} needs a docstring: what it is, its recursion or answer, and the source.")
    stepping = kind == "solvers" and hasattr(module, "step")
    targeting = not stepping or hasattr(module, "target")
    optional = {f: a for f, a in _OPTIONAL.get(kind, {}).items() if hasattr(module, f)}
    required = {**(_STEP if stepping else {}), **(_SIGNATURES.get(kind, {}) if targeting else {})}
    for function, arguments in {**required, **optional}.items():
        given = getattr(module, function, None)
        signature = f"{function}({', '.join(arguments)})"
        if not callable(given):
            raise ValueError(f"{where} must define {signature}; see docs/extending.md for a worked example.")
        names = tuple(inspect.signature(given).parameters)
        if len(names) != len(arguments):
            raise ValueError(f"{where} defines {function}({', '.join(names)}); the contract is {signature}.")
    for function, companion in _COMPANIONS.get(kind, {}).items():
        if hasattr(module, function) and not hasattr(module, companion) and not hasattr(module, "REDUCTION"):
            raise ValueError(f"{where} defines {function}, so it must define {companion} too; see docs/extending.md.")
    needed = {"solvers": ["Hyper"], "policies": ["Hyper", "State", "FEEDBACK"], "claims": ["CLAIMS"]}.get(kind, [])
    for name in [*needed, *(["State"] if stepping else [])]:
        if not hasattr(module, name):
            raise ValueError(f"{where} must define {name}; see docs/extending.md for a worked example.")
    if isinstance(getattr(module, "NEEDS", ()), str):
        raise ValueError(f"{where}: NEEDS is a tuple of packages; give ({module.NEEDS!r},).")
    if kind in ("games", "bandits") and not callable(getattr(module, key, None)):
        raise ValueError(f"{where} must define a function {key}(...) that builds the problem.")
    if kind == "bandits" and any(hasattr(module, name) for name in _ENVIRONMENT):
        for name in _ENVIRONMENT:
            if not hasattr(module, name):
                raise ValueError(f"{where} must define {name} to simulate an environment; see docs/extending.md.")
        for told in kinds(module):
            held = getattr(getattr(module, "State", None), "_fields", ())
            for field in _TOLD.get(told, ("report",)):
                if field not in held:
                    raise ValueError(f"{where} gives {told!r} feedback, so its State must have the field {field}.")
    if kind in ("solvers", "policies"):
        missing = [f for f in module.Hyper._fields if f not in module.Hyper._field_defaults]
        if missing:
            raise ValueError(f"{where}: Hyper.{missing[0]} needs a default, so that the algorithm runs by its key alone.")
        for name, default in module.Hyper._field_defaults.items():
            if type(default) not in (bool, int, float):
                raise ValueError(f"{where}: Hyper.{name} must default to a bool, int or float; got {default!r}.")
            if name in _AXES:
                raise ValueError(f"{where}: Hyper.{name} takes the name of an axis of the results; call it something else.")
    if kind == "solvers" and hasattr(module, "EVALUATIONS"):
        count = module.EVALUATIONS
        if not stepping or type(count) not in (int, float) or count <= 0:
            raise ValueError(
                f"{where}: EVALUATIONS is how many win-rate vectors a solver's step asks for, a positive number, or NaN "
                f"where that depends on the game; got {count!r}{'' if stepping else ' in a file without step'}."
            )
    if kind == "solvers" and targeting:
        _check_batches(module, where)


def _check_batches(module: ModuleType, where: str) -> None:
    """Call a solver's rule on a batch and row by row: rules act on each row alone, or sweeps would mix policies.

    As many runs as actions, so that a missing axis broadcasts the wrong way instead of raising.
    """
    from prefsim.engines.game_loops import MEMORY, POLICIES, Iterate

    n = 3
    waves = np.sin(np.arange(len(POLICIES) * 2 * n * n) ** 2.0).reshape(len(POLICIES), 2, n, n)
    policies = waves - np.log(np.exp(waves).sum(-1, keepdims=True))
    beta, gain = np.array([0.1, 0.2])[:, None, None], 0.5 + waves[0] / 4
    hyper = module.Hyper()
    phases = range(getattr(module, "PHASES", 1))

    def rules(iterate: Any, gain: Any) -> list[Any]:
        moved = [f for p in phases for f in (module.opponent(hyper, iterate, p), module.target(hyper, iterate, gain, p))]
        return moved + [getattr(module, name)(hyper, iterate, gain) for name in MEMORY if hasattr(module, name)]

    try:
        whole = rules(Iterate._make([*policies, beta, 0]), gain)
        alike = True
        for i, run in np.ndindex(2, n):
            at = (slice(i, i + 1), slice(run, run + 1))
            alone = rules(Iterate._make([*(policy[at] for policy in policies), beta[i : i + 1], 0]), gain[at])
            alike &= all(np.allclose(many[at], one, rtol=1e-12) for many, one in zip(whole, alone, strict=True))
    except (ValueError, IndexError, TypeError) as error:
        raise ValueError(
            f"{where} does not work on a batch of games ({error}); write it with arithmetic on arrays (..., n), without "
            "branching on beta or on log-policies, and give sums over actions their axis back with ops.column."
        ) from error
    if not alike:
        raise ValueError(
            f"{where} mixes the policies of a batch; give sums over actions (kl, logsumexp, span) their axis back with "
            "ops.column before they meet log-policies."
        )
