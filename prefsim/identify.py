"""Identify a dynamical linear bandit from a log of actions and outputs: autoregression, then Ho and Kalman's realisation.

The log is first explained by its own past, ``y_t = D u_t + sum_{k=1..H} (K_k y_{t-k} + L_k u_{t-k}) + e_t``, by ridge
regression. The system's Markov parameters follow from ``M_0 = D``, ``M_k = L_k + sum_{i=1..k} K_i M_{k-i}`` (Juang, Phan,
Horta, Longman 1993), and their Hankel matrix, ``M_{i+j+1} = C A^{i+j} B``, is cut to rank ``n`` by its singular values,
``O = U S^(1/2)``, ``Q = S^(1/2) V^T``, so that ``C`` is the first row block of ``O``, ``B`` the first column block of
``Q`` and ``A = O^+ Hankel_shifted Q^+`` (Ho and Kalman 1966). Mussi, Metelli and Restelli (2023) identified their
advertising system by the same regression. They realise the predictor, ``A - F C``, instead and read ``B`` off its Hankel
matrix, which holds ``B - F D``; and from noise-free logs the predictor is not unique and its rank larger than ``n``. The
Markov parameters do not depend on the choice, so we realise those (derived).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefsim.game import as_floats

Floats = NDArray[np.float64]


class System(NamedTuple):
    """An identified linear system whose reward is the sum of its outputs.

    Attributes
    ----------
    A, B, C, D : ndarray
        ``x' = A x + B u``, ``y = C x + D u``; shapes (n, n), (n, d), (p, n), (p, d). The state's coordinates are arbitrary.
    deviation : float
        Standard deviation of the reward around its prediction from the past.
    explained : float
        Share of the reward's variance that the prediction explains.
    spectrum : ndarray
        Singular values of the Hankel matrix; those beyond the first `n` were cut.
    """

    A: Floats
    B: Floats
    C: Floats
    D: Floats
    deviation: float
    explained: float
    spectrum: Floats

    @property
    def omega(self) -> Floats:
        """What the state pays, shape (n,)."""
        return np.asarray(self.C.sum(axis=0))

    @property
    def theta(self) -> Floats:
        """What the action pays at once, shape (d,)."""
        return np.asarray(self.D.sum(axis=0))

    @property
    def h(self) -> Floats:
        """Cumulative Markov parameter, shape (d,): what a unit of each coordinate earns a round in the long run."""
        return np.asarray(self.theta + self.B.T @ np.linalg.solve(np.eye(len(self.A)) - self.A.T, self.omega))

    def problem(self, actions: ArrayLike, scale: float | None = None, **settings: Any) -> Any:
        """The dynamical linear bandit in which these actions are playable.

        Parameters
        ----------
        actions : array_like, shape (arms, d)
            In the units of the log.
        scale : float, optional
            What rewards are divided by, because the theory wants ``|J(u)| <= 1``; the largest ``|J(u)|`` if left out.
        **settings
            Further arguments of :func:`prefsim.bandits.dynamical_linear`. The whole deviation is given to the reward, none to
            the state, unless ``sigma`` or ``state_sigma`` say otherwise.

        Returns
        -------
        prefsim.Bandit

        Raises
        ------
        ValueError
            If the identified system is not stable, or the actions do not fit.
        """
        from prefsim import bandits

        played = as_floats(actions, "actions")
        d = self.B.shape[1]
        if played.ndim != 2 or played.shape[1] != d:
            raise ValueError(f"actions must have shape (arms, {d}), as many columns as the log; got {played.shape}.")
        divisor = float(np.abs(played @ self.h).max()) if scale is None else scale
        if not 0 < divisor < np.inf:
            raise ValueError(f"scale must be finite and above 0; got {divisor:g}.")
        told = {"sigma": self.deviation / divisor, "state_sigma": 0.0, **settings}
        system = (self.A.tolist(), self.B.tolist(), (self.omega / divisor).tolist(), (self.theta / divisor).tolist())
        return bandits.dynamical_linear(*system, played.tolist(), **told)


def identify(actions: ArrayLike, outputs: ArrayLike, order: int, lookback: int, ridge: float = 0.0) -> System:
    """Identify a system of given order from a log.

    Parameters
    ----------
    actions : array_like, shape (rounds, d)
        What was played; it must have varied.
    outputs : array_like, shape (rounds,) or (rounds, p)
        What was observed. With several outputs the reward is their sum.
    order : int
        Number ``n`` of state coordinates; look at ``spectrum`` for a gap after it.
    lookback : int
        Rounds ``H`` of the past that explain an output, at least 2 and so many that ``order`` fits into their Hankel matrix.
    ridge : float
        Weight of the squared coefficients in the regression, relative to the mean square of its columns; 0 takes the smallest
        coefficients among those that fit best.

    Returns
    -------
    System
        Its ``problem(actions)`` is a bandit that policies can play.

    Raises
    ------
    ValueError
        If shapes do not fit, the log is too short, or a number is out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> u, x, y = rng.random((60, 1)), 0.0, []
    >>> for spend in u[:, 0]:
    ...     y.append(0.2 * spend + x)
    ...     x = 0.5 * x + 0.3 * spend
    >>> identify(u, y, order=1, lookback=4).h.round(9)
    array([0.8])
    """
    u, y = as_floats(actions, "actions"), as_floats(outputs, "outputs")
    y = y[:, None] if y.ndim == 1 else y
    if u.ndim != 2 or y.ndim != 2 or len(u) != len(y) or not (u.size and y.size):
        raise ValueError(
            f"actions must have shape (rounds, d) and outputs (rounds,) or (rounds, p); got {u.shape} and {y.shape}."
        )
    if not (np.isfinite(u).all() and np.isfinite(y).all()):
        raise ValueError("actions and outputs must be finite; leave out what is missing, or fill it in.")
    p, d, half = y.shape[1], u.shape[1], (lookback + 1) // 2
    if not (order >= 1 and lookback >= 2 and half * min(p, d) >= order):
        least = max(2, 2 * -(-order // min(p, d)) - 1)
        raise ValueError(
            f"order must be at least 1 and lookback so long that the order fits, here {least}; got {order} and {lookback}."
        )
    if not ridge >= 0:
        raise ValueError(f"ridge must be >= 0; got {ridge}.")
    columns = (p + d) * lookback + d
    if len(u) - lookback < columns:
        raise ValueError(
            f"the log has {len(u)} rounds, but {lookback} of lookback need at least {lookback + columns}; shorten lookback."
        )
    past = [z[lookback - k : len(z) - k] for k in range(1, lookback + 1) for z in (y, u)]
    design, target = np.hstack([u[lookback:], *past]), y[lookback:]
    weight = np.sqrt(ridge * np.mean(design**2) * len(design))
    stacked = np.vstack([design, weight * np.eye(columns)]) if weight else design
    aim = np.vstack([target, np.zeros((columns, p))]) if weight else target
    coefficients = np.linalg.lstsq(stacked, aim, rcond=None)[0]
    residual = (target - design @ coefficients).sum(axis=1)
    spread = float(np.var(target.sum(axis=1)))
    direct, lags = coefficients[:d].T, coefficients[d:].T.reshape(p, lookback, p + d).transpose(1, 0, 2)
    markov = [direct]
    for k in range(1, 2 * half + 1):
        own = lags[k - 1][:, p:] if k <= lookback else np.zeros((p, d))
        markov.append(own + sum(lags[i - 1][:, :p] @ markov[k - i] for i in range(1, min(k, lookback) + 1)))
    hankel, shifted = (
        np.block([[markov[i + j + s] for j in range(half)] for i in range(half)]) for s in (1, 2)
    )
    left, spectrum, right = np.linalg.svd(hankel)
    root = np.sqrt(spectrum[:order])
    if not root[-1] > 0:
        raise ValueError(f"order {order} is more than the log shows; the Hankel matrix has rank {(spectrum > 0).sum()}.")
    observe, reach = left[:, :order] * root, root[:, None] * right[:order]
    inner = np.linalg.pinv(observe) @ shifted @ np.linalg.pinv(reach)
    noise = float(np.sqrt(np.sum(residual**2) / max(1, len(residual) - columns)))
    explained = 1 - float(np.mean(residual**2)) / spread if spread > 0 else float("nan")
    return System(inner, reach[:, :d], observe[:p], direct, noise, explained, spectrum)


def read_log(path: str | PathLike[str], actions: Sequence[str], outputs: Sequence[str]) -> tuple[Floats, Floats]:
    """Read actions and outputs, say spends and conversions, from a CSV file with a header and a row per round.

    Parameters
    ----------
    path : str or path-like
        A comma-separated UTF-8 text file.
    actions, outputs : sequence of str
        Names of the columns.

    Returns
    -------
    ndarray, shape (rounds, d)
    ndarray, shape (rounds, p)

    Raises
    ------
    ValueError
        Naming the row and column of what cannot be read.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}; give the path of a CSV file.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as a CSV file: {error}.") from None
    if not rows:
        raise ValueError(f"{path} needs a header and a row per round.")
    from prefsim.registry import unknown

    for name in (*actions, *outputs):
        if name not in rows[0]:
            raise unknown(name, [column for column in rows[0] if column], f"column of {path}:")

    def column(name: str) -> list[float]:
        values = []
        for i, row in enumerate(rows):
            try:
                values.append(float(row[name]))
            except (TypeError, ValueError):
                raise ValueError(f"{path}: row {i + 1}, column {name!r} holds {row[name]!r}, which is not a number.") from None
        return values

    return np.array([column(name) for name in actions]).T, np.array([column(name) for name in outputs]).T
