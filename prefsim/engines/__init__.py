"""How rules are executed: the plain reading (``reference``) and the compiled one (``numba``)."""

from importlib import import_module
from typing import Any


def load_engine(name: str) -> Any:
    """Import an engine's module; Numba is loaded only when it is asked for."""
    return import_module(f"prefsim.engines.{name}")
