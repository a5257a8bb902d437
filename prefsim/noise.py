"""Counter-based random numbers: a number depends on what it is for, never on when or where it was drawn.

The generator is Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011),
a pure function of a counter and a key. The key names the stream (root seed, experiment, stream name); the counter is
``(block, round, run, instance)``. A block gives two uniforms, so draw ``d`` of a round lives in block ``d // 2``.
Every word has 32 bits: fewer than 2**32 rounds, runs and instances.

Rules see a *handle* on the stream of their run and call :func:`uniform`, :func:`normal` and :func:`beta` on it as often
as they need; the engine calls :func:`seek` at the start of each round, so what one round consumes moves no other round.
The functions in ``SCALAR`` are plain Python on NumPy scalars and compile unchanged under Numba, with the same bits:
for that every integer below is a ``uint64`` (Numba makes a float of ``uint64 + int64``), no intermediate exceeds 64
bits, and logarithms and cosines come from ``math`` (the C library's, in both worlds).
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "SCALAR",
    "beta",
    "normal",
    "normals",
    "open_stream",
    "philox4x32",
    "point",
    "seek",
    "stream_key",
    "uniform",
    "uniforms",
]

Handle = NDArray[np.uint64]

MASK = np.uint64(0xFFFFFFFF)
MULTIPLY_0 = np.uint64(0xD2511F53)
MULTIPLY_1 = np.uint64(0xCD9E8D57)
WEYL_0 = np.uint64(0x9E3779B9)
WEYL_1 = np.uint64(0xBB67AE85)
HALF = np.uint64(32)
DROP = np.uint64(11)  # 64 - 53 bits
ZERO = np.uint64(0)
ONE = np.uint64(1)
UNIT = 2.0**-53

# Layout of a handle. BUFFER keeps the block's second uniform, as a 53-bit integer, until the odd draw asks for it.
KEY_0, KEY_1, INSTANCE, RUN, ROUND, DRAW, BUFFER = range(7)
WORDS = 8

LOG_4 = math.log(4.0)
LOG_5_PLUS_1 = 1.0 + math.log(5.0)
LARGEST_EXPONENT = 680.0  # 1e9 * exp(680) is still finite


def stream_key(seed: int, experiment: str, stream: str) -> tuple[int, int]:
    """Return the key of a stream: two 32-bit words of a BLAKE2b digest of its name.

    Parameters
    ----------
    seed
        Root seed, an integer of any size, at least 0.
    experiment, stream
        Names, such as the experiment's and ``"environment"``. They are encoded as a JSON list, so no two triples
        share an encoding.

    Raises
    ------
    TypeError
        If ``seed`` is not an integer, or a name not a string.
    ValueError
        If ``seed`` is negative.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed must be an integer, got {seed!r}; pass a whole number such as seed=0.")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}; pass a whole number such as seed=0.")
    for name, value in (("experiment", experiment), ("stream", stream)):
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a string, got {value!r}; pass its name.")
    encoded = json.dumps([int(seed), str(experiment), str(stream)]).encode("ascii")
    digest = hashlib.blake2b(encoded, digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


def philox4x32(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> tuple[Any, Any, Any, Any]:
    """Encrypt a counter with a key: Philox4x32 with 10 rounds (Salmon et al. 2011, section 3).

    All six words are ``uint64`` below 2**32, scalars or arrays that broadcast; so are the four results.
    """
    for _ in range(10):
        p0 = MULTIPLY_0 * c0
        p1 = MULTIPLY_1 * c2
        c0 = (p1 >> HALF) ^ c1 ^ k0
        c1 = p1 & MASK
        c2 = (p0 >> HALF) ^ c3 ^ k1
        c3 = p0 & MASK
        k0 = (k0 + WEYL_0) & MASK
        k1 = (k1 + WEYL_1) & MASK
    return c0, c1, c2, c3


def open_stream(key0: int, key1: int, instance: int, run: int) -> Handle:
    """Return a handle on the stream of one run, at round 0, draw 0. Words are whole numbers in [0, 2**32)."""
    noise = np.zeros(WORDS, np.uint64)
    point(noise, key0, key1, instance, run)
    return noise


def point(noise: Handle, key0: int, key1: int, instance: int, run: int) -> None:
    """Turn a handle to the stream of one run, at round 0, draw 0. Words are whole numbers in [0, 2**32)."""
    noise[KEY_0] = np.uint64(key0) & MASK
    noise[KEY_1] = np.uint64(key1) & MASK
    noise[INSTANCE] = np.uint64(instance) & MASK
    noise[RUN] = np.uint64(run) & MASK
    seek(noise, 0)


def seek(noise: Handle, round: int) -> None:
    """Move the handle to draw 0 of a round, a whole number in [0, 2**32)."""
    noise[ROUND] = np.uint64(round) & MASK
    noise[DRAW] = ZERO
    noise[BUFFER] = ZERO


def uniform(noise: Handle) -> float:
    """Draw uniformly from the multiples of 2**-53 in [0, 1)."""
    draw = noise[DRAW]
    noise[DRAW] = draw + ONE
    if draw & ONE == ONE:
        return float(noise[BUFFER]) * UNIT
    w0, w1, w2, w3 = philox4x32(
        (draw >> ONE) & MASK, noise[ROUND], noise[RUN], noise[INSTANCE], noise[KEY_0], noise[KEY_1]
    )
    noise[BUFFER] = ((w2 << HALF) | w3) >> DROP
    return float(((w0 << HALF) | w1) >> DROP) * UNIT


def box_muller(u: float, v: float) -> float:
    """Map two uniforms on [0, 1) to a standard normal (Box and Muller 1958); ``1 - u`` keeps the logarithm finite."""
    return math.sqrt(-2.0 * math.log(1.0 - u)) * math.cos(2.0 * math.pi * v)


def normal(noise: Handle) -> float:
    """Draw from the standard normal distribution; takes two uniforms."""
    u = uniform(noise)
    return box_muller(u, uniform(noise))


def beta(noise: Handle, a: float, b: float) -> float:
    """Draw from the Beta(a, b) distribution, exactly (by inversion or rejection).

    Inversion where ``a`` or ``b`` is 1 (one uniform); otherwise Cheng (1978), "Generating beta variates with
    nonintegral shape parameters", CACM 21(4): algorithm BB where both exceed 1, BC elsewhere (two uniforms a trial).

    The result lies in [0, 1]. That ``a`` and ``b`` lie in [1e-9, 1e9] is the caller's duty: compiled code cannot
    complain.
    """
    if a == 1.0:
        u = uniform(noise)
        return u if b == 1.0 else -math.expm1(math.log(1.0 - u) / b)
    if b == 1.0:
        return math.exp(math.log(1.0 - uniform(noise)) / a)
    if a > 1.0 and b > 1.0:
        return cheng_bb(noise, a, b)
    return cheng_bc(noise, a, b)


def cheng_bb(noise: Handle, a: float, b: float) -> float:
    """Beta(a, b) for a, b > 1: Cheng's BB. Most trials end at the squeeze, with one logarithm and one exponential."""
    low = float(min(a, b))
    high = float(max(a, b))
    total = low + high
    # sqrt((total - 2) / (2 a b - total)), without cancellation near a = b = 1
    scale = math.sqrt(((low - 1.0) + (high - 1.0)) / (low * (high - 1.0) + high * (low - 1.0)))
    slope = low + 1.0 / scale
    while True:
        u = uniform(noise)
        z = u * u * uniform(noise)
        if z == 0.0:
            continue
        v = scale * math.log(u / (1.0 - u))  # scale <= 1, so exp cannot overflow
        w = low * math.exp(v)
        r = slope * v - LOG_4
        s = low + r - w
        if s + LOG_5_PLUS_1 < 5.0 * z:
            t = math.log(z)
            if s < t and r + total * math.log(total / (high + w)) < t:
                continue
        return (w if a == low else high) / (high + w)


def cheng_bc(noise: Handle, a: float, b: float) -> float:
    """Beta(a, b) for min(a, b) <= 1: Cheng's BC, with two squeezes before any logarithm."""
    low = float(min(a, b))
    high = float(max(a, b))
    total = low + high
    delta = 1.0 + high - low
    reject_left = delta * (0.0138889 + 0.0416667 * low) / (high / low - 0.777778)
    reject_right = 0.25 + (0.5 + 0.25 / delta) * low
    while True:
        u = uniform(noise)
        second = uniform(noise)
        y = u * second
        z = u * y
        if z == 0.0:
            continue
        sure = False
        if u < 0.5:
            if 0.25 * second + z - y >= reject_left:
                continue
        elif z <= 0.25:
            sure = True
        elif z >= reject_right:
            continue
        v = min(math.log(u / (1.0 - u)) / low, LARGEST_EXPONENT)
        w = high * math.exp(v)
        if sure or total * (math.log(total / (low + w)) + v) - LOG_4 >= math.log(z):
            return (w if a == high else low) / (low + w)


SCALAR = (philox4x32, seek, point, open_stream, uniform, box_muller, normal, cheng_bb, cheng_bc, beta)
"""What an engine compiles, callees first. Compile with ``forceinline=True, error_model="numpy"``: a call that is not
inlined counts references to the handle atomically, which costs more than the numbers do."""


def uniforms(
    key: tuple[int, int], instance: ArrayLike, run: ArrayLike, round: ArrayLike, count: int
) -> NDArray[np.float64]:
    """Return draws ``0 .. count - 1`` of :func:`uniform` at every (instance, run, round), bit for bit.

    Parameters
    ----------
    key
        From :func:`stream_key`.
    instance, run, round
        Whole numbers in [0, 2**32) or arrays of them; they broadcast to the leading shape of the result.
    count
        Number of draws.

    Returns
    -------
    array, shape (..., count)

    Raises
    ------
    TypeError, ValueError
        If a word is not an integer, or out of range.
    """
    count = int(_words(count, "count"))
    block = np.arange((count + 1) // 2, dtype=np.uint64)
    rest = [_words(v, name)[..., None] for v, name in ((round, "round"), (run, "run"), (instance, "instance"))]
    words = philox4x32(block, *rest, *(np.uint64(k) & MASK for k in key))
    pairs = np.stack([(words[0] << HALF) | words[1], (words[2] << HALF) | words[3]], axis=-1)
    flat = pairs.reshape(*pairs.shape[:-2], -1)[..., :count]
    return (flat >> DROP).astype(np.float64) * UNIT


def normals(
    key: tuple[int, int], instance: ArrayLike, run: ArrayLike, round: ArrayLike, count: int
) -> NDArray[np.float64]:
    """Return the first ``count`` draws of :func:`normal` at every (instance, run, round), bit for bit.

    Arguments, shape and errors as for :func:`uniforms`. The map from uniforms runs a number at a time, because
    NumPy's vectorised logarithm and cosine differ from the C library's in the last bit.
    """
    u = uniforms(key, instance, run, round, 2 * int(_words(count, "count")))
    first, second = u[..., 0::2], u[..., 1::2]
    values = map(box_muller, first.ravel().tolist(), second.ravel().tolist())
    return np.fromiter(values, np.float64, first.size).reshape(first.shape)


def _words(value: ArrayLike, name: str) -> NDArray[np.uint64]:
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be an integer or an array of integers, got {value!r}; convert it first.")
    if array.size and (array.min() < 0 or array.max() > int(MASK)):
        raise ValueError(f"{name} must lie in [0, 2**32), got values from {array.min()} to {array.max()}; renumber it.")
    return array.astype(np.uint64)
