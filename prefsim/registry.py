"""Finds the files that hold games, solvers, bandits, policies and claims; adding a file is all it takes to join.

Each kind is a folder of this package, searched first, and a folder of the same name in every directory of the
``PREFSIM_PATH`` environment variable (separated like ``PATH``) or given to :func:`add_path`. A file's name is its key.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import inspect
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, wraps
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from prefsim.contracts import check
from prefsim.reductions import over

KINDS = ("games", "solvers", "bandits", "policies", "claims")
_SINGULAR = {"games": "game", "solvers": "solver", "bandits": "bandit", "policies": "policy", "claims": "claim"}
_added: list[Path] = []

EXTRAS = {"torch": "prefsim[llm]", "transformers": "prefsim[llm]"}
"""What brings a package that files may need; other packages come by their own name."""


def add_path(directory: str | os.PathLike[str]) -> None:
    """Search `directory` (holding folders named like :data:`KINDS`) for further files.

    Raises
    ------
    ValueError
        If the directory holds none of those folders.
    """
    path = _holding(Path(directory))
    if path not in _added:
        _added.append(path)
        _forget()


def _holding(directory: Path) -> Path:
    path = directory.resolve()
    if not any((path / kind).is_dir() for kind in KINDS):
        raise ValueError(f"{path} holds none of the folders {', '.join(KINDS)}; put rule files into one of them.")
    return path


def _forget() -> None:
    importlib.invalidate_caches()
    for cached in (_files, load, algorithms):
        cached.cache_clear()


def _roots() -> list[Path]:
    from_environment = [_holding(Path(p)) for p in os.environ.get("PREFSIM_PATH", "").split(os.pathsep) if p]
    return [*_added, *from_environment]


@cache
def _files(kind: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for root in (Path(__file__).parent, *_roots()):
        for file in sorted((root / kind).glob("*.py")):
            if file.stem.startswith("_"):
                continue
            if file.stem in found:
                raise ValueError(f"two files define the {_SINGULAR[kind]} {file.stem!r}: {found[file.stem]} and {file}.")
            found[file.stem] = file
    return found


def unknown(name: str, known: Iterable[str], what: str) -> ValueError:
    """Build the error for a name that does not exist, with the nearest ones that do."""
    known = sorted(known)
    close = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    listed = f"known: {', '.join(known)}." if known else "there is none."
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else listed
    return ValueError(f"unknown {what} {name!r}; {hint}")


@cache
def load(kind: str, key: str) -> ModuleType:
    """Import and validate the file of `key`.

    Raises
    ------
    ValueError
        If there is no such file (with a "did you mean"), or it lacks part of its kind's contract.
    """
    files = _files(kind)
    if key not in files:
        raise unknown(key, files, _SINGULAR[kind])
    file = files[key]
    root = file.parent.parent
    if root == Path(__file__).parent:
        package = "prefsim"
    else:
        # A package of our own making, so that what the file defines can be imported again by its name.
        package = f"prefsim_path_{hashlib.blake2b(str(root).encode(), digest_size=4).hexdigest()}"
        if package not in sys.modules:
            sys.modules[package] = ModuleType(package)
            sys.modules[package].__path__ = [str(root)]
    try:
        module = importlib.import_module(f"{package}.{kind}.{key}")
    except (SyntaxError, ImportError, NameError) as error:
        raise ValueError(f"{file} cannot be imported: {type(error).__name__}: {error}.") from error
    if kind == "policies" and hasattr(module, "LEARNER"):
        module = over(module, load(kind, module.LEARNER))
    check(kind, key, module)
    return module


def keys(kind: str) -> list[str]:
    """Sorted keys of one kind (files only; see :func:`algorithms` for aliases)."""
    return sorted(_files(kind))


def summary(module: ModuleType) -> str:
    """First sentence of a file's docstring."""
    return " ".join((module.__doc__ or "").strip().split("\n\n")[0].split())


@dataclass(frozen=True)
class Algorithm:
    """A solver or policy by the name a user gives it: its own key, or an alias with its own parameters.

    Attributes
    ----------
    key : str
        The name.
    kind : str
        ``"solvers"`` or ``"policies"``.
    module : module
        The rule file.
    parameters : NamedTuple class
        Hyperparameters in the name's parametrisation.
    translate : callable, optional
        Aliases only: ``translate(parameters, beta) -> module.Hyper``.
    """

    key: str
    kind: str
    module: ModuleType
    parameters: type
    translate: Callable[..., Any] | None = None

    @property
    def summary(self) -> str:
        """One sentence about the algorithm."""
        source = self.parameters if self.translate is not None else self.module
        return summary(source)  # type: ignore[arg-type]

    def hyper(self, given: Mapping[str, Any]) -> Any:
        """Fill the hyperparameters with defaults and check names and types.

        Raises
        ------
        ValueError, TypeError
            Naming the parameter.
        """
        defaults = self.parameters._field_defaults  # type: ignore[attr-defined]
        values = dict(defaults)
        for name, value in given.items():
            if name not in defaults:
                raise unknown(name, defaults, f"hyperparameter of {self.key}:") if defaults else ValueError(
                    f"{self.key} has no hyperparameters; got {name!r}."
                )
            kind = type(defaults[name])
            if self.kind == "solvers" and name == "step" and value in ("theory", "auto"):
                values[name] = value
                continue
            value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
            if isinstance(value, bool) is not (kind is bool) or not isinstance(value, (bool, int, float)):
                raise TypeError(f"{self.key}: {name} must be a {kind.__name__}; got {value!r}.")
            if not math.isfinite(value) or (kind is int and value != int(value)):
                raise ValueError(f"{self.key}: {name} must be a finite {kind.__name__}; got {value!r}.")
            if self.kind == "policies" and not _leaves_room(value, kind):
                room = "at most 2^53" if kind is int else "0, or between 1e-100 and 1e100"
                raise ValueError(f"{self.key}: {name} must be {room} in size, to leave room for arithmetic; got {value!r}.")
            values[name] = kind(value)
        hyper = self.parameters(**values)
        complaint = self.module.validate(hyper) if self.kind == "policies" and hasattr(self.module, "validate") else ""
        if complaint:
            raise ValueError(f"{self.key}: {complaint}")
        return hyper


def _leaves_room(value: float, kind: type) -> bool:
    """Whether the squares of a float and their multiples are numbers too, and a whole number is one in every engine."""
    return abs(value) <= 2**53 if kind is int else value == 0 or 1e-100 <= abs(value) <= 1e100


@cache
def algorithms(kind: str) -> dict[str, Algorithm]:
    """All solvers or all policies by name, aliases included."""
    found: dict[str, Algorithm] = {}
    for key in keys(kind):
        module = load(kind, key)
        found[key] = Algorithm(key, kind, module, module.Hyper)
        for alias, (parameters, translate) in getattr(module, "ALIASES", {}).items():
            if alias in found or alias in keys(kind):
                raise ValueError(f"{kind}/{key}.py calls itself {alias!r} too, which another file is called; rename the alias.")
            found[alias] = Algorithm(alias, kind, module, parameters, translate)
    return found


def algorithm(kind: str, key: str) -> Algorithm:
    """Look up one solver or policy; an unknown name raises ``ValueError`` with a "did you mean"."""
    known = algorithms(kind)
    if key not in known:
        other = "policies" if kind == "solvers" else "solvers"
        if key in algorithms(other):
            problem = {"solvers": "preference games", "policies": "bandits"}[other]
            raise ValueError(f"{key!r} is one of the {other} and runs on {problem}; here one of: {', '.join(sorted(known))}.")
        raise unknown(key, known, "algorithm")
    return known[key]


def family(kind: str, key: str) -> Callable[..., Any]:
    """Return the function that builds problem `key`; what it builds remembers its recipe for TOML and provenance."""
    build = getattr(load(kind, key), key)

    @wraps(build)
    def remembered(*args: Any, **kwargs: Any) -> Any:
        problem = build(*args, **kwargs)
        bound = inspect.signature(build).bind(*args, **kwargs)
        bound.apply_defaults()
        # What a file on disk holds may change under us: such problems are written out in full instead.
        if not key.startswith("from_"):
            problem.recipe = {"family": key, **_plain(bound.arguments)}
        return problem

    return remembered


def _plain(value: Any) -> Any:
    """Lists, numbers and text for TOML and JSON."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items() if v is not None}
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


class Families(ModuleType):
    """A package whose attributes are the problem families found by the registry, e.g. ``ps.games.cyclic(5)``."""

    def __setattr__(self, name: str, value: Any) -> None:
        # Importing a submodule binds it to the package, which would hide the function of the same name.
        if not isinstance(value, ModuleType):
            super().__setattr__(name, value)

    def __getattr__(self, key: str) -> Callable[..., Any]:
        if key.startswith("_"):
            raise AttributeError(key)
        try:
            return family(self.__name__.rsplit(".", 1)[-1], key)
        except ValueError as error:
            raise AttributeError(str(error)) from None

    def __dir__(self) -> list[str]:
        return keys(self.__name__.rsplit(".", 1)[-1])


def resolve(kind: str, key: str, given: Mapping[str, Any]) -> tuple[Algorithm, Any]:
    """Look up an algorithm and fill its hyperparameters; a policy over policies takes the inner one's name as ``learner``.

    Raises
    ------
    ValueError, TypeError
        Naming what cannot be used.
    """
    entry, given = algorithm(kind, key), dict(given)
    if "learner" in given and hasattr(entry.module, "LEARNER"):
        learner = algorithm("policies", given.pop("learner")).module
        entry = replace(entry, module=over(sys.modules[entry.module.REDUCTION], learner), parameters=learner.Hyper)
    return entry, entry.hyper(given)


def list_algorithms() -> dict[str, str]:
    """Every solver and policy with one sentence about it."""
    return {key: entry.summary for kind in ("solvers", "policies") for key, entry in algorithms(kind).items()}


def list_problems() -> dict[str, str]:
    """Every family of games and bandits with one sentence about it."""
    return {key: summary(load(kind, key)) for kind in ("games", "bandits") for key in keys(kind)}


def lack(module: ModuleType) -> str:
    """What a file needs that is not installed, and how to get it, after a name; empty if nothing is missing."""
    missing = next((package for package in getattr(module, "NEEDS", ()) if find_spec(package) is None), None)
    return "" if missing is None else f"needs {missing}: pip install '{EXTRAS.get(missing, missing)}'"


def list_claims() -> dict[str, str]:
    """Every registered theorem that can be checked here by key, with its statement."""
    modules = [load("claims", key) for key in keys("claims")]
    return {claim.key: claim.statement for module in modules if not lack(module) for claim in module.CLAIMS}


def lacking_claims() -> dict[str, str]:
    """Every registered theorem that cannot be checked here by key, with what it needs."""
    modules = [load("claims", key) for key in keys("claims")]
    return {claim.key: lack(module) for module in modules if lack(module) for claim in module.CLAIMS}
