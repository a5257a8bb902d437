"""What the losses of this folder share: one body for NumPy arrays and torch tensors, and the checks of their arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from prefsim import ops

Array = Any
"""A NumPy array or a torch tensor."""


def namespace(values: Array) -> Any:
    """Module of array functions that `values` belongs to."""
    return np if isinstance(values, (int, float, np.generic)) else ops._namespace(values)


def log_sigmoid(z: Array) -> Array:
    """``log 1 / (1 + e^-z)`` of each entry, without overflow."""
    xp = namespace(z)
    return -xp.logaddexp(xp.zeros_like(z), -z)


def sigmoid(z: Array) -> Array:
    """``1 / (1 + e^-z)`` of each entry, without overflow."""
    return namespace(z).exp(log_sigmoid(z))


def as_array(value: Any, argument: str, like: Array = None) -> Array:
    """A tensor (of counts or booleans, as floats), anything else as a NumPy array of floats, or a tensor if `like` is one."""
    if hasattr(value, "detach"):
        return value if value.is_floating_point() else value.float()
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{argument} must be a number, an array of numbers or a tensor; got {type(value).__name__}.") from None
    return like.new_tensor(array) if hasattr(like, "new_tensor") else array


def same_shape(**values: Any) -> list[Array]:
    """Arrays of one shape; anything else would be broadcast to pairs that nobody meant."""
    tensor = next((value for value in values.values() if hasattr(value, "detach") and value.is_floating_point()), None)
    arrays = [as_array(value, name, tensor) for name, value in values.items()]
    shapes = {name: tuple(array.shape) for name, array in zip(values, arrays, strict=True)}
    if len(set(shapes.values())) > 1:
        said = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"these must have one shape, an entry for each pair or response; got {said}.")
    return arrays


def fitting(value: Any, like: Array, argument: str) -> Array:
    """A number, or an array of the shape of `like`."""
    if isinstance(value, (int, float)):
        return value
    array = as_array(value, argument, like)
    if tuple(array.shape) not in ((), tuple(like.shape)):
        raise ValueError(f"{argument} must be a number or have shape {tuple(like.shape)}; got {tuple(array.shape)}.")
    return array


def probability(value: Any, like: Array, argument: str) -> Array:
    """A number in [0, 1], or an array of them of the shape of `like`."""
    array = fitting(value, like, argument)
    if isinstance(array, (int, float)):
        inside = 0 <= array <= 1
    else:
        inside = bool(((array >= 0) & (array <= 1)).all())
    if not inside:
        raise ValueError(f"{argument} must hold probabilities in [0, 1]; 1 says that the first response is preferred.")
    return array


def number(value: Any, argument: str, low: float, high: float = np.inf, *, open_low: bool = False) -> float:
    """A finite number in ``[low, high)``, or in ``(low, high)``."""
    real = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not real or not low <= value < high or (open_low and value == low):
        limit = "" if high == np.inf else f" and below {high:g}"
        raise ValueError(
            f"{argument} must be a finite number {'above' if open_low else 'of at least'} {low:g}{limit}; got {value!r}."
        )
    return float(value)


def groups(rewards: Any, mask: Any) -> tuple[Any, Array, Array]:
    """Array functions, rewards with 0 for what is masked, and weights 1 and 0; refuses what is no groups."""
    if isinstance(rewards, (list, tuple)) and len({len(g) if hasattr(g, "__len__") else -1 for g in rewards}) > 1:
        raise ValueError("rewards has groups of different sizes; give pad(rewards), which returns an array and its mask.")
    values = as_array(rewards, "rewards")
    xp = namespace(values)
    if values.ndim == 0 or 0 in values.shape:
        raise ValueError(f"rewards must have shape (..., K), a response's reward each; got shape {tuple(values.shape)}.")
    weight = xp.ones_like(values) if mask is None else there(values, mask)
    values = xp.where(weight > 0, values, xp.zeros_like(values))
    if not bool(xp.isfinite(values).all()):
        raise ValueError("rewards must be finite; mask responses that have none, or drop them.")
    if not bool((weight.sum(-1) > 0).all()):
        raise ValueError("mask leaves a group without responses; drop that prompt.")
    return xp, values, weight


def there(values: Array, mask: Any) -> Array:
    """A mask as numbers 1 and 0 of the type of `values`."""
    given: Any = mask if hasattr(mask, "detach") else np.asarray(mask)
    if tuple(given.shape) != tuple(values.shape) or str(given.dtype).rsplit(".", 1)[-1] != "bool":
        raise ValueError(
            f"mask must hold booleans and have shape {tuple(values.shape)}; got {given.dtype}, {tuple(given.shape)}."
        )
    if hasattr(values, "detach"):
        return given.to(values.dtype) if hasattr(given, "detach") else values.new_tensor(given)
    return np.asarray(given, dtype=np.float64)


def group_mean(values: Array, weight: Array) -> Array:
    """Mean over the group, shape (..., 1)."""
    return ((values * weight).sum(-1) / weight.sum(-1))[..., None]
