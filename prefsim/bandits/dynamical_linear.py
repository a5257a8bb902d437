"""Dynamical linear bandit: rewards are linear in the action and in a hidden state that past actions have moved.

    y_t     = <omega, x_t> + <theta, u_t> + eta_t                    the reward comes before the state moves
    x_{t+1} = A x_t + B u_t + eps_t

with independent Gaussian noise. If ``rho(A) < 1``, playing ``u`` for ever earns ``J(u) = <h, u>`` a round,
``h = theta + B^T (I - A^T)^-1 omega`` (cumulative Markov parameter), and the best policy of infinite horizon is the
constant ``u* = argmax J``. ``regret`` is the steady one, ``<h, u* - u_t>``; ``realised_regret`` is ``J(u*) - y_t``. They
differ by ``omega^T (I - A)^-1 (x_{T+1} - x_1)`` in the mean, which is bounded in ``T`` (derived: sum the recursion of the
state).

Policies are told the playable actions as features, a bound ``norm >= ||h||``, the sub-Gaussian parameter ``deviation`` of
an action's reward once its predecessors are forgotten, and the bounds under ``HINTS``, which hold for the whole batch:
``(rho_bar, Phi, Theta, Omega, Bn, U, X, sigma)`` with ``rho_bar >= rho(A)``, ``Phi = sup_k ||A^k|| / rho_bar^k``,
``Theta >= ||theta||``, ``Omega >= ||omega||``, ``Bn >= ||B||_2``, ``U >= ||u||``, ``X >= ||x||`` (by default that of a
state without noise) and sub-Gaussian noise of parameter ``sigma``. Source: Mussi, Metelli, Restelli 2023, Dynamical
linear bandits (ICML).
"""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from prefsim.bandit import Bandit
from prefsim.game import as_floats
from prefsim.ops import Array, dot, floats, normal

FEEDBACK = "bandit"
REWARDS = "subgaussian"
SETTING = "dynamical"
SIDE = "features"
HINTS = "dynamics"
METRICS = ("regret", "realised_regret")

OUTPUTS = 3
"""Outputs that the published simulator adds up, each with noise of its own."""

POWERS = 1000
"""Powers of ``A`` of which ``Phi`` is the largest."""


class Truth(NamedTuple):
    """Parameters of the environment, one instance."""

    A: Array
    """How the state moves by itself, shape (states, states)."""
    B: Array
    """How actions move it, shape (states, dimension)."""
    omega: Array
    """What the state pays, shape (states,)."""
    theta: Array
    """What the action pays at once, shape (dimension,)."""
    features: Array
    """The playable actions, shape (arms, dimension)."""
    gap: Array
    """``<h, u* - u>`` of each action, shape (arms,)."""
    best: Array
    """``J(u*)``, shape (1,)."""
    start: Array
    """The first state, shape (states,)."""
    noise: Array
    """Standard deviations of reward and state, shape (2,)."""


class State(NamedTuple):
    """What changes from round to round."""

    x: Array = floats("A")
    """The hidden state."""
    moved: Array = floats("A")
    """Scratch: the next one."""


def stability_constant(A: ArrayLike, rho: float) -> float:
    """``sup_k ||A^k||_2 / rho^k`` over ``k = 0 .. 1000``, infinite if it is still growing there.

    Powers of ``A / rho``, because both sides of the quotient underflow.
    """
    matrix = as_floats(A, "A")
    if rho == 0.0:
        return float("inf") if matrix.any() else 1.0
    power, sizes = np.eye(len(matrix)), []
    for _ in range(POWERS):
        sizes.append(float(np.linalg.norm(power, 2)))
        power = power @ (matrix / rho)
    late = max(sizes[POWERS // 2 :])
    return float("inf") if late > 1.01 * max(sizes[: POWERS // 2]) else max(sizes)


def dynamical_linear(
    A: ArrayLike = ((0.2, 0.0), (0.0, 0.5)),
    B: ArrayLike = ((0.4, 0.0), (0.0, 0.2)),
    omega: ArrayLike = (1.0, 0.5),
    theta: ArrayLike = (0.0, 0.3),
    actions: ArrayLike = ((1.0, 0.0), (0.0, 1.0), (0.6, 0.6)),
    sigma: float = 0.1,
    obs_noise: str = "scalar",
    state_sigma: float | None = None,
    rho_bar: float | None = None,
    state_bound: float | None = None,
    start: ArrayLike | None = None,
    names: Sequence[str] | None = None,
) -> Bandit:
    """Build the environment.

    Parameters
    ----------
    A : array_like, shape (states, states) or (instances, states, states)
        Spectral radius below 1.
    B : array_like, shape (states, dimension) or with instances first
        How an action moves the state.
    omega : array_like, shape (states,) or with instances first
        What the state pays.
    theta : array_like, shape (dimension,) or with instances first
        What an action pays at once.
    actions : array_like, shape (arms, dimension) or with instances first
        The playable actions. ``prefsim.action_sets`` lists them for polytopes and balls.
    sigma : float
        Standard deviation of the noise, ``>= 0``.
    obs_noise : {"scalar", "summed"}
        Whether the reward has one noise of deviation `sigma`, or the sum of three, as in the published simulator, while
        policies are still told `sigma`.
    state_sigma : float, optional
        Standard deviation of each coordinate of the state's noise; `sigma` if left out.
    rho_bar, state_bound : float, optional
        What policies are told as ``rho_bar`` and ``X``; if left out, the spectral radius (the largest of a batch) and
        ``Phi |start| + U Bn Phi / (1 - rho_bar)``, which bounds the state without noise.
    start : array_like, shape (states,), optional
        The first state; 0 if left out.
    names : sequence of str, optional
        Names of the actions.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite or out of range, ``A`` is not stable, or an action earns more than 1 in
        absolute value, ``|J(u)| > 1``, which the theory excludes.
    """
    sizes = {"A": 2, "B": 2, "omega": 1, "theta": 1, "actions": 2}
    given = {name: as_floats(values, name) for name, values in zip(sizes, (A, B, omega, theta, actions), strict=True)}
    for name, values in given.items():
        if values.ndim not in (sizes[name], sizes[name] + 1) or not values.size or not np.isfinite(values).all():
            raise ValueError(
                f"{name} must be finite, with {sizes[name]} axes or instances before them; got shape {values.shape}."
            )
    instances = max(len(x) if x.ndim > sizes[name] else 1 for name, x in given.items())
    n, d, arms = given["A"].shape[-1], given["actions"].shape[-1], given["actions"].shape[-2]
    shapes = {"A": (n, n), "B": (n, d), "omega": (n,), "theta": (d,), "actions": (arms, d)}
    for name, values in given.items():
        own, count = values.shape[values.ndim - sizes[name] :], values.shape[: values.ndim - sizes[name]]
        if own != shapes[name] or count not in ((), (instances,)):
            raise ValueError(
                f"{name} must have shape {shapes[name]}, or {instances} of them, to fit {n} states (from A) and {d} "
                f"dimensions (from actions); got {values.shape}."
            )
    a, b, w, th, u = (np.broadcast_to(given[name], (instances, *shapes[name])) for name in sizes)
    first = np.zeros(n) if start is None else as_floats(start, "start")
    if first.shape != (n,) or not np.isfinite(first).all():
        raise ValueError(f"start must be a finite state of shape ({n},); got {start!r}.")
    if obs_noise not in ("scalar", "summed"):
        raise ValueError(f"obs_noise must be 'scalar' or 'summed'; got {obs_noise!r}.")
    drift = sigma if state_sigma is None else state_sigma
    if not (0 <= sigma < np.inf and 0 <= drift < np.inf):
        raise ValueError(f"sigma and state_sigma must be finite and >= 0; got {sigma} and {state_sigma}.")
    radius = float(np.abs(np.linalg.eigvals(a)).max())
    if not radius < 1:
        raise ValueError(f"A must be stable, its spectral radius below 1; it is {radius:.6g}, so the state never settles.")
    h = th + np.einsum("isd,is->id", b, np.linalg.solve(np.swapaxes(np.eye(n) - a, -1, -2), w[..., None])[..., 0])
    value = np.einsum("iad,id->ia", u, h)
    if np.abs(value).max() > 1 + 1e-9:
        raise ValueError(
            f"every |J(u)| must be at most 1, but one is {np.abs(value).max():.6g}; divide omega and theta (the rewards) by it."
        )
    best = value.max(-1, keepdims=True)
    if rho_bar is not None and not radius * (1 - 1e-12) <= rho_bar < 1:
        raise ValueError(f"rho_bar must bound the spectral radius, {radius:.6g}, and lie below 1; got {rho_bar}.")
    rho = radius if rho_bar is None else rho_bar
    phi = max(stability_constant(matrix, rho) for matrix in a)
    if not np.isfinite(phi):
        raise ValueError(f"||A^k|| / rho^k has no bound at rho = {rho:.6g} (a Jordan block); give rho_bar above it.")
    size = [float(np.linalg.norm(x, axis=-1).max()) for x in (th, w, u)]
    push = float(np.linalg.norm(b, 2, axis=(-2, -1)).max())
    bound = phi * float(np.linalg.norm(first)) + size[2] * push * phi / (1 - rho) if state_bound is None else state_bound
    if not 0 <= bound < np.inf:
        raise ValueError(f"state_bound must be finite and >= 0; got {state_bound}.")
    told = max(sigma, drift)
    reward_noise = sigma * (sqrt(OUTPUTS) if obs_noise == "summed" else 1.0)
    noise = np.full((instances, 2), (reward_noise, drift))
    truth = Truth(a, b, w, th, u, best - value, best, np.broadcast_to(first, (instances, n)), noise)
    return Bandit(
        "dynamical_linear",
        truth,
        arms,
        normalisation="dlb_steady",
        names=names,
        deviation=told * sqrt(1 + (size[1] * phi) ** 2 / (1 - rho**2)),
        norm=size[0] + size[1] * push * phi / (1 - rho),
        length=size[2],
        dimension=d,
        hints=(rho, phi, size[0], size[1], push, size[2], bound, told),
    )


def start(truth, world, problem, noise):
    """Begin at the given state."""
    for i in range(len(world.x)):
        world.x[i] = truth.start[i]


def feedback(truth, world, action, t, noise):
    """The reward; then the state moves."""
    u = truth.features[action]
    reward = dot(truth.omega, world.x) + dot(truth.theta, u) + truth.noise[0] * normal(noise)
    for i in range(len(world.x)):
        world.moved[i] = dot(truth.A[i], world.x) + dot(truth.B[i], u) + truth.noise[1] * normal(noise)
    for i in range(len(world.x)):
        world.x[i] = world.moved[i]
    return reward


def regrets(truth, world, action, t, signal):
    """Steady pseudo-regret, and what the reward fell short of the best steady one."""
    return truth.gap[action], truth.best[0] - signal
