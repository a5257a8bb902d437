"""Preference games on a GPU: the reference engine's players on CuPy's arrays. NumPy goes in, and comes out when asked for."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prefsim.engines import reference
from prefsim.engines.reference import EXACT
from prefsim.feedback import Oracle

if TYPE_CHECKING:
    from prefsim.experiment import Experiment


class Away:
    """A player whose arrays are of another library, seen from NumPy.

    Parameters
    ----------
    player : GamePlayer or StepPlayer
        It computes; its arrays stay where they are between iterations.
    fetch : callable
        What brings one of its arrays back.
    """

    def __init__(self, player: Any, fetch: Callable[[Any], NDArray[np.float64]]) -> None:
        self._player, self._fetch = player, fetch

    def advance(self, stop: int) -> None:
        """Iterate up to iteration `stop`."""
        self._player.advance(stop)

    @property
    def current(self) -> NDArray[np.float64]:
        """Log-policies after the iterations done so far, shape (instances, runs, n)."""
        return self._fetch(self._player.current)

    @property
    def total(self) -> NDArray[np.float64] | None:
        """Sum of the iterates, shape (instances, runs, n), where it is gathered."""
        return None if self._player.total is None else self._fetch(self._player.total)

    @property
    def distance(self) -> NDArray[np.float64] | None:
        """Lengths of the steps, shape (instances, runs), where they are gathered."""
        return None if self._player.distance is None else self._fetch(self._player.distance)


def library() -> ModuleType:
    """CuPy, on a device.

    Raises
    ------
    ValueError
        If CuPy is not installed or finds no device.
    """
    try:
        import array_api_compat  # noqa: F401  CuPy's arrays do not carry their namespace
        import cupy
    except ImportError as error:
        raise ValueError(
            f'engine="cupy" needs CuPy, which cannot be imported ({error}); pip install "prefsim[gpu]", or leave engine out.'
        ) from error
    if not cupy.cuda.is_available():
        raise ValueError('engine="cupy" found no CUDA device that CuPy can use; check the driver, or leave engine out.')
    return cupy


def device() -> str:
    """Name of the device and version of CuPy, for the provenance of results."""
    cupy = library()
    name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    return f"{name}, CuPy {cupy.__version__}"


def check(experiment: Experiment) -> None:
    """Refuse what this engine does not play, before any work.

    Raises
    ------
    ValueError
        For bandits, for feedback that is not exact, and where there is no CuPy or no device.
    """
    if experiment.kind != "solvers":
        raise ValueError('engine="cupy" plays preference games only; bandits run on a GPU with engine="cuda".')
    _check_exact(experiment.feedback.kind == "exact")
    library()


def _check_exact(exact: bool) -> None:
    """Estimates draw numbers one at a time, a row after the other, which no array library does fast."""
    if not exact:
        raise ValueError('engine="cupy" plays with exact feedback only; estimates run with engine="numba", the default.')


def play_games(  # type: ignore[no-untyped-def]
    rules, *arguments: Any, oracle: Oracle = EXACT, **options: Any
) -> list[Away]:
    """Players of several rules, a pair of solver and hyperparameters each; NumPy arrays as in ``reference.GamePlayer``."""
    _check_exact(oracle.kind == 0)
    cupy = library()
    players = reference.play_games(rules, *arguments, array=cupy.asarray, **options)
    return [Away(player, cupy.asnumpy) for player in players]
