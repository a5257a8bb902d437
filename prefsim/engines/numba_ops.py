"""What Numba needs beside the rules: one-row twins of the array vocabulary, and the fused mirror kernel."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit
from numba.extending import overload

from prefsim import ops

ROWS = {ops.logsumexp, ops.log_normalize, ops.softmax, ops.win_rates, ops.kl, ops.span, ops.column}
"""Functions of :mod:`prefsim.ops` with a twin here; every other function compiles from its own text."""


@overload(ops.logsumexp)
def _logsumexp(values):  # type: ignore[no-untyped-def]
    def row(values):  # type: ignore[no-untyped-def]
        top = values.max()
        return top + np.log(np.sum(np.exp(values - top)))

    return row


@overload(ops.log_normalize)
def _log_normalize(values):  # type: ignore[no-untyped-def]
    return lambda values: values - ops.logsumexp(values)


@overload(ops.softmax)
def _softmax(values):  # type: ignore[no-untyped-def]
    return lambda values: np.exp(ops.log_normalize(values))


@overload(ops.span)
def _span(values):  # type: ignore[no-untyped-def]
    return lambda values: values.max() - values.min()


@overload(ops.column)
def _column(numbers):  # type: ignore[no-untyped-def]
    return lambda numbers: numbers  # a row has one number, which broadcasts as it is


@overload(ops.win_rates)
def _win_rates(preference, log_policy):  # type: ignore[no-untyped-def]
    def row(preference, log_policy):  # type: ignore[no-untyped-def]
        policy = np.exp(log_policy)
        rates = np.zeros(len(policy))
        # Column j of P is 1 - row j: adding rows runs along memory, in one fixed order for every batch and thread.
        for j in range(len(policy)):
            for i in range(len(policy)):
                rates[i] += (1.0 - preference[j, i]) * policy[j]
        return rates

    return row


@overload(ops.kl)
def _kl(log_p, log_q):  # type: ignore[no-untyped-def]
    def row(log_p, log_q):  # type: ignore[no-untyped-def]
        total = 0.0
        for i in range(len(log_p)):
            p, q = np.exp(log_p[i]), np.exp(log_q[i])
            if p == 0.0:
                total += q
                continue
            d = log_q[i] - log_p[i]
            if abs(d) < 1e-3:
                total += p * d * d * (0.5 + d * (1 / 6 + d / 24))
            elif abs(d) <= 1.0:
                total += p * (np.expm1(d) - d)
            else:
                total += q - p - p * d
        return total

    return row


def _fused(opponent, anchor, slope, memory, payoff, bank, total, start, stop, first, last):  # type: ignore[no-untyped-def]
    """Advance rows by traced coefficients (``trace.Coefficients``); arrays as in ``loops.play_game``.

    One table row serves all iterations if there is only one. The payoff is skew, so the gain is gathered row by row:
    ``gain_i = sum_j A_ij q_j = - sum_j A_ji q_j`` (the constant 1/2 of a win rate cancels in the normaliser).
    """
    n = bank.shape[2]
    runs = len(bank) // len(payoff)
    phases = opponent.shape[2]
    policy, gain, moved = np.empty(n), np.zeros(n), np.empty(n)
    memories = np.empty((memory.shape[2], n))
    for row in range(first, last):
        i = row // runs
        named = bank[row]
        for t in range(start, stop):
            step = t - start if len(opponent) > 1 else 0
            if len(total) > 0:
                for y in range(n):
                    total[row, y] += np.exp(named[0, y])
            for phase in range(phases):
                _mix(opponent[step, i, phase], named, moved)
                shift = _log_total(moved)
                for y in range(n):
                    policy[y] = np.exp(moved[y] - shift)
                    gain[y] = 0.0
                for j in range(n):
                    for y in range(n):
                        gain[y] -= payoff[i, j, y] * policy[j]
                _mix(anchor[step, i, phase], named, moved)
                for y in range(n):
                    moved[y] += slope[step, i, phase] * gain[y]
                shift = _log_total(moved)
                for y in range(n):
                    named[2, y] = moved[y] - shift
            for m in range(len(memories)):
                if memory[step, i, m, -1] > 0.0:
                    _mix(memory[step, i, m, :-2], named, memories[m])
                    for y in range(n):
                        memories[m, y] += memory[step, i, m, -2] * gain[y]
                    shift = _log_total(memories[m])
                    for y in range(n):
                        memories[m, y] -= shift
            for m in range(len(memories)):
                if memory[step, i, m, -1] > 0.0:
                    named[4 + m] = memories[m]
            for y in range(n):
                named[3, y] = named[0, y]
                named[0, y] = named[2, y]


@njit(forceinline=True, error_model="numpy")
def _mix(weights, named, out):  # type: ignore[no-untyped-def]
    """Weighted sum of the named log-policies."""
    for y in range(len(out)):
        out[y] = 0.0
    for k in range(len(weights)):
        if weights[k] != 0.0:
            for y in range(len(out)):
                out[y] += weights[k] * named[k, y]


@njit(forceinline=True, error_model="numpy")
def _log_total(values):  # type: ignore[no-untyped-def]
    """``log sum exp`` of one row."""
    top = values[0]
    for y in range(1, len(values)):
        top = max(top, values[y])
    mass = 0.0
    for y in range(len(values)):
        mass += np.exp(values[y] - top)
    return top + np.log(mass)


@cache
def fused_kernel() -> Any:
    """The fused kernel, compiled on first use and cached on disk (it stands alone, so Numba's cache suffices)."""
    return njit(nogil=True, cache=True, error_model="numpy")(_fused)
