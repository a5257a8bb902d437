"""Preference games: the problem every solver, metric and equilibrium of this package speaks about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

TOLERANCE = 1e-6
"""Largest |P + P^T - 1| that is taken for rounding and symmetrised away; anything beyond is refused."""

SIMPLEX_TOLERANCE = 1e-9
"""Largest deviation of a policy's sum from 1 that is taken for rounding and normalised away."""


def as_floats(values: ArrayLike, argument: str) -> NDArray[np.float64]:
    """Copy numbers into an array; what is not a regular array of numbers raises TypeError, naming the argument."""
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{argument} must be a number or a regular array of numbers: {error}.") from None


def as_preference(preference: ArrayLike, argument: str = "preference") -> NDArray[np.float64]:
    """Check a batch of preference matrices and return it exactly symmetrised, ``P + P^T = 1``.

    Parameters
    ----------
    preference : array_like, shape (..., n, n)
        ``P[..., i, j]`` is the probability that ``i`` is preferred to ``j``.
    argument : str
        Name used in error messages.

    Raises
    ------
    TypeError, ValueError
        If the entries are not numbers, the matrix is not square, holds NaN or leaves [0, 1], or ``P + P^T != 1``.
    """
    matrix = as_floats(preference, argument)
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2] or matrix.shape[-1] == 0:
        raise ValueError(f"{argument} must be square, of shape (..., n, n) with n >= 1; got shape {matrix.shape}.")
    if not np.isfinite(matrix).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(matrix))[0])
        raise ValueError(f"{argument}{list(where)} is {matrix[where]}; every entry must be a finite probability.")
    if matrix.min() < 0 or matrix.max() > 1:
        where = tuple(int(i) for i in np.argwhere((matrix < 0) | (matrix > 1))[0])
        raise ValueError(
            f"{argument}{list(where)} is {matrix[where]:g}; probabilities lie in [0, 1]. "
            "Divide win counts W by W + W^T first (ps.games.from_csv has counts=True for that)."
        )
    excess = np.abs(matrix + np.swapaxes(matrix, -1, -2) - 1)
    if excess.max() > TOLERANCE:
        where = tuple(int(i) for i in np.unravel_index(excess.argmax(), excess.shape))
        mirror = (*where[:-2], where[-1], where[-2])
        raise ValueError(
            f"{argument} must satisfy P + P^T = 1, but {argument}{list(where)} + {argument}{list(mirror)} = "
            f"{matrix[where] + matrix[mirror]:.6g}. Set P[j, i] = 1 - P[i, j] and 1/2 on the diagonal."
        )
    return 0.5 + (matrix - np.swapaxes(matrix, -1, -2)) / 2


def as_log_policy(policy: ArrayLike, n: int, argument: str, *, positive: bool) -> NDArray[np.float64]:
    """Check probabilities over ``n`` actions and return their logarithms, shape (..., n)."""
    weights = as_floats(policy, argument)
    if weights.ndim == 0 or weights.shape[-1] != n:
        raise ValueError(f"{argument} must have {n} entries on its last axis, one per action; got {weights.shape}.")
    if not np.isfinite(weights).all() or weights.min() < 0:
        raise ValueError(f"{argument} must hold finite probabilities >= 0; its smallest entry is {weights.min():g}.")
    if positive and weights.min() == 0:
        where = [int(i) for i in np.argwhere(weights == 0)[0]]
        raise ValueError(
            f"{argument}{where} is 0; every action needs positive probability, because logarithms and KL divergences are "
            "infinite otherwise. Drop the action from the game, or give it a small weight."
        )
    total = weights.sum(axis=-1, keepdims=True)
    if np.abs(total - 1).max() > SIMPLEX_TOLERANCE:
        raise ValueError(f"{argument} must sum to 1 over actions; a row sums to {total.flat[np.abs(total - 1).argmax()]:.9g}.")
    with np.errstate(divide="ignore"):
        return np.log(weights / total)


def _payoff(matrix: NDArray[np.float64], transform: str) -> NDArray[np.float64]:
    """The payoff of a preference matrix; differences with the transpose are exactly skew, ``P - 1/2`` is not."""
    if transform == "probability":
        return (matrix - np.swapaxes(matrix, -1, -2)) / 2
    if transform != "log_odds":
        raise ValueError(f"transform must be 'probability' or 'log_odds'; got {transform!r}.")
    if matrix.min() == 0 or matrix.max() == 1:
        raise ValueError("transform='log_odds' needs preferences strictly between 0 and 1; shrink them towards 1/2.")
    logs = np.log(matrix)
    return logs - np.swapaxes(logs, -1, -2)


class PreferenceGame:
    """A symmetric two-player game of preferences, or a batch of them, with an optional KL regulariser.

    The value of policy ``p`` against ``q`` is ``p^T P q - beta KL(p, mu) + beta KL(q, mu)``; its symmetric
    equilibrium is the Nash policy when ``beta = 0`` and the KL-regularised one otherwise
    (Munos et al., arXiv 2312.00886, Section 4).

    Parameters
    ----------
    preference : array_like, shape (..., n, n)
        ``P[..., i, j]``, the probability that ``i`` is preferred to ``j``; ``P + P^T = 1``.
    reference : array_like, shape (..., n), optional
        The reference policy ``mu`` (probabilities, all positive). Uniform when omitted.
    beta : float or array_like, shape (...)
        Regularisation temperature, ``>= 0``.
    log_reference : array_like, shape (..., n), optional
        Logarithms of ``mu`` up to a constant, instead of `reference`, where probabilities would underflow.
    names : sequence of str, optional
        Names of the ``n`` actions, for tables and figures.
    transform : {"probability", "log_odds"}
        What is played for: ``A = P - 1/2``, or ``A = log(P / (1 - P))`` as in general preference optimisation
        (Zhang et al. 2024, arXiv 2410.02197). The two have different equilibria.
    recipe : mapping, optional
        How a family built this game (``{"family": key, **arguments}``), so that experiments can be written to TOML.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, if any of the above does not hold.
    """

    def __init__(
        self,
        preference: ArrayLike,
        reference: ArrayLike | None = None,
        beta: ArrayLike = 0.0,
        *,
        log_reference: ArrayLike | None = None,
        names: Sequence[str] | None = None,
        transform: str = "probability",
        recipe: Mapping[str, Any] | None = None,
    ) -> None:
        matrix = as_preference(preference)
        n = matrix.shape[-1]
        temperature = as_floats(beta, "beta")
        if not np.isfinite(temperature).all() or (temperature < 0).any():
            raise ValueError(f"beta must be a finite temperature >= 0; got {beta!r}.")
        if reference is not None and log_reference is not None:
            raise ValueError("give reference or log_reference, not both.")
        if log_reference is not None:
            log_mu = as_floats(log_reference, "log_reference")
            if log_mu.ndim == 0 or log_mu.shape[-1] != n or not np.isfinite(log_mu).all():
                raise ValueError(f"log_reference must hold {n} finite numbers on its last axis; got {log_mu.shape}.")
            log_mu = log_mu - log_mu.max(axis=-1, keepdims=True)
            log_mu = log_mu - np.log(np.exp(log_mu).sum(axis=-1, keepdims=True))
        elif reference is not None:
            log_mu = as_log_policy(reference, n, "reference", positive=True)
        else:
            log_mu = np.full(n, -np.log(n))
        try:
            batch = np.broadcast_shapes(matrix.shape[:-2], log_mu.shape[:-1], temperature.shape)
        except ValueError:
            raise ValueError(
                f"the leading axes of preference {matrix.shape[:-2]}, reference {log_mu.shape[:-1]} and beta "
                f"{temperature.shape} must broadcast; give each one game's value or one value per game."
            ) from None
        if names is not None:
            if isinstance(names, str) or not isinstance(names, Sequence):
                raise TypeError(f"names must be a list of {n} names; got {names!r}.")
            if len(names) != n or len(set(names)) != n:
                raise ValueError(f"names must name all {n} actions, each differently; got {list(names)}.")
        self.preference = np.broadcast_to(matrix, (*batch, n, n))
        self.payoff = np.broadcast_to(_payoff(matrix, transform), (*batch, n, n))
        """The exactly skew-symmetric payoff ``A``, shape (..., n, n)."""
        self.transform = transform
        self.log_reference = np.broadcast_to(log_mu, (*batch, n))
        self.beta = np.broadcast_to(temperature, batch)
        self.names = tuple(str(name) for name in names) if names is not None else None
        self.recipe = dict(recipe) if recipe is not None else None
        for array in (self.preference, self.payoff, self.log_reference, self.beta):
            array.flags.writeable = False

    @property
    def n(self) -> int:
        """Number of actions."""
        return self.preference.shape[-1]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Leading axes; a single game has ``()``."""
        return self.beta.shape

    @property
    def reference(self) -> NDArray[np.float64]:
        """The reference policy ``mu`` as probabilities, shape (..., n)."""
        return np.exp(self.log_reference)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the actions, or their indices as text."""
        return self.names or tuple(str(i) for i in range(self.n))

    def replace(
        self,
        *,
        beta: ArrayLike | None = None,
        reference: ArrayLike | None = None,
        log_reference: ArrayLike | None = None,
    ) -> PreferenceGame:
        """Return the same preferences with another temperature or reference."""
        keeps_reference = reference is None and log_reference is None
        recipe = self.recipe if keeps_reference else None
        if recipe is not None and beta is not None:
            # A family with a temperature of its own may have built more from it than the game's (planted does).
            recipe = None if "beta" in recipe else {**recipe, "beta": np.asarray(beta, dtype=float).tolist()}
        return PreferenceGame(
            self.preference,
            reference,
            self.beta if beta is None else beta,
            log_reference=self.log_reference if keeps_reference else log_reference,
            names=self.names,
            transform=self.transform,
            recipe=recipe,
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write the game, or the batch of games, to an .npz file, whole or not at all; ``ps.games.from_npz`` reads it.

        Raises
        ------
        ValueError
            If the name does not end in .npz, or no file can be written there.
        """
        from prefsim.results import write_whole

        if not str(path).endswith(".npz"):
            raise ValueError(f"path must end in .npz, the format of saved games; got {str(path)!r}.")
        content: dict[str, Any] = {
            "preference": self.preference,
            "log_reference": self.log_reference,
            "beta": self.beta,
            "transform": np.array(self.transform),
        }
        if self.names is not None:
            content["names"] = np.array(self.names)
        write_whole(path, lambda temporary: np.savez_compressed(temporary, **content))

    def flatten(self) -> PreferenceGame:
        """Return the same games with their leading axes merged into one (length 1 for a single game)."""
        return self._mapped(lambda array, core: array.reshape(-1, *array.shape[array.ndim - core :]))

    def __getitem__(self, key: Any) -> PreferenceGame:
        """Index the leading axes of a batch: ``games[2]``, ``games[mask]``, ``games[:, None]``."""
        if not self.batch_shape:
            raise TypeError("this is a single game, not a batch; there is nothing to index.")
        return self._mapped(lambda array, core: array[key])

    def _mapped(self, change: Callable[[NDArray[np.float64], int], NDArray[np.float64]]) -> PreferenceGame:
        """Copy with every array changed; `core` is the number of axes behind the batch."""
        changed = object.__new__(type(self))
        changed.__dict__.update(self.__dict__)
        for name, core in (("preference", 2), ("payoff", 2), ("log_reference", 1), ("beta", 0)):
            setattr(changed, name, change(getattr(self, name), core))
        changed.recipe = None
        return changed

    def __repr__(self) -> str:
        kind = str(self.recipe["family"]) if self.recipe else "preference game"
        many = f"{self.batch_shape} games of " if self.batch_shape else ""
        betas = np.unique(self.beta)
        beta = f"{betas[0]:g}" if len(betas) == 1 else "varying"
        return f"<{kind}: {many}{self.n} actions, beta={beta}>"


def check_game(game: object) -> None:
    """Refuse what is not a game; raises TypeError with the remedy."""
    if not isinstance(game, PreferenceGame):
        raise TypeError(f"game must be a PreferenceGame; got {type(game).__name__}. Wrap a matrix in ps.PreferenceGame(P).")
