"""A hand-fused loop of mirror prox on one game: everything in one function, its softmax with a vectorisable exponential."""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic


@intrinsic
def bits(context, number):
    return types.int64(types.float64), lambda c, builder, s, values: builder.bitcast(values[0], ir.IntType(64))


@intrinsic
def number(context, bits):
    return types.float64(types.int64), lambda c, builder, s, values: builder.bitcast(values[0], ir.DoubleType())


@njit(forceinline=True, error_model="numpy")
def exponential(x):
    """``e^x`` for ``-708 <= x <= 0``: ``2^k`` times a Taylor polynomial of degree 12."""
    shifted = x * 1.4426950408889634 + 6755399441055744.0
    k = shifted - 6755399441055744.0
    r = x - k * 0.6931471803691238 - k * 1.9082149292705877e-10
    p = 1 / 479001600
    for factorial in (39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2, 1, 1):
        p = p * r + 1 / factorial
    return p * number((bits(shifted) + 1023) << 52)


@njit(error_model="numpy")
def mirror_prox(payoff, reference, pull, step, policy, iterations):
    """Log-policy after some iterations: ``pi^(1-pull) mu^pull exp(step A q)``, `q` the policy, then the half-step."""
    n = len(reference)
    log_policy = policy.copy()
    played, values, gain = np.exp(policy), np.empty(n), np.empty(n)
    for _ in range(iterations):
        mass = top = 0.0
        for _ in range(2):
            gain[:] = 0.0
            for j in range(n):
                q = played[j]
                for y in range(n):
                    gain[y] -= payoff[j, y] * q
            top = -np.inf
            for y in range(n):
                values[y] = (1 - pull) * log_policy[y] + pull * reference[y] + step * gain[y]
                top = max(top, values[y])
            for y in range(n):
                played[y] = exponential(values[y] - top)
            mass = 0.0
            for y in range(n):
                mass += played[y]
            scale = 1 / mass
            for y in range(n):
                played[y] *= scale
        shift = np.log(mass) + top
        for y in range(n):
            log_policy[y] = values[y] - shift
    return log_policy
