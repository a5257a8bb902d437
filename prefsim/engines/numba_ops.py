"""What Numba needs beside the rules: one-row twins of the array vocabulary."""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from prefsim import ops

ROWS = {
    ops.logsumexp,
    ops.log_normalize,
    ops.softmax,
    ops.win_rates,
    ops.kl,
    ops.span,
    ops.log,
    ops.exp,
    ops.clip,
    ops.normalize,
    ops.positive_part,
    ops.advantage,
    ops.best_reply,
    ops.project_simplex,
    ops.choose,
    ops.every,
    ops.column,
}
"""Functions of :mod:`prefsim.ops` with a twin here; every other function compiles from its own text."""


@overload(ops.logsumexp)
def _logsumexp(values):  # type: ignore[no-untyped-def]
    def row(values):  # type: ignore[no-untyped-def]
        top = values.max()
        return top + np.log(np.sum(np.exp(values - top)))

    return row


@overload(ops.log_normalize)
def _log_normalize(values):  # type: ignore[no-untyped-def]
    def row(values):  # type: ignore[no-untyped-def]
        below = values - values.max()
        return below - np.log(np.sum(np.exp(below)))

    return row


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


@overload(ops.log)
def _log(values):  # type: ignore[no-untyped-def]
    def row(values):  # type: ignore[no-untyped-def]
        logs = np.full(len(values), -np.inf)
        for y in range(len(values)):
            if values[y] > 0.0:
                logs[y] = np.log(values[y])
        return logs

    return row


@overload(ops.exp)
def _exp(values):  # type: ignore[no-untyped-def]
    return lambda values: np.exp(values)


@overload(ops.clip)
def _clip(values, low, high):  # type: ignore[no-untyped-def]
    return lambda values, low, high: np.minimum(np.maximum(values, low), high)


@overload(ops.normalize)
def _normalize(weights, otherwise):  # type: ignore[no-untyped-def]
    def row(weights, otherwise):  # type: ignore[no-untyped-def]
        total = np.sum(weights)
        return ops.log(weights / total) if total > 0.0 else otherwise.copy()

    return row


@overload(ops.positive_part)
def _positive_part(values):  # type: ignore[no-untyped-def]
    tie = ops.TIE
    return lambda values: np.where(values > tie, values, 0.0)


@overload(ops.advantage)
def _advantage(values, log_policy):  # type: ignore[no-untyped-def]
    return lambda values, log_policy: values - np.sum(np.exp(log_policy) * values)


@overload(ops.best_reply)
def _best_reply(gain):  # type: ignore[no-untyped-def]
    tie = ops.TIE

    def row(gain):  # type: ignore[no-untyped-def]
        reply = np.zeros(len(gain))
        lowest = gain.max() - tie
        for y in range(len(gain)):
            if gain[y] >= lowest:
                reply[y] = 1.0
                break
        return reply

    return row


@overload(ops.project_simplex)
def _project_simplex(values):  # type: ignore[no-untyped-def]
    def row(values):  # type: ignore[no-untyped-def]
        ordered = np.sort(values)
        total, threshold = -1.0, -np.inf
        for k in range(len(values)):
            total += ordered[-1 - k]
            threshold = max(threshold, total / (k + 1))
        return np.where(values > threshold, values - threshold, 0.0)

    return row


@overload(ops.choose)
def _choose(condition, one, other):  # type: ignore[no-untyped-def]
    return lambda condition, one, other: one if condition else other


@overload(ops.every)
def _every(condition):  # type: ignore[no-untyped-def]
    return lambda condition: condition
