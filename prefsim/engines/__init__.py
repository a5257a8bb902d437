"""How rules are executed: the plain reading (``reference``), compiled (``numba``), on a GPU (``cupy``, ``cuda``)."""

from importlib import import_module
from typing import Any

GPU = ("cupy", "cuda")
"""Engines that need a device."""


def load_engine(name: str) -> Any:
    """Import an engine's module; what it computes with is loaded only when it is asked for."""
    return import_module(f"prefsim.engines.{name}")
