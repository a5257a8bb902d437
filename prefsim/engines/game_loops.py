"""The loops around the rules of preference games, and what those rules may look at; Numba compiles their text.

The names in capitals and the rule functions are free here; an engine binds them to one solver. The rules' contract is in
``docs/extending.md``.
"""

# ruff: noqa: F821
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from prefsim.feedback import estimate
from prefsim.noise import open_stream, seek


class Iterate(NamedTuple):
    """What a solver's rule may look at: named log-policies of shape (..., n) and two numbers."""

    current: Any
    """The policy about to move."""
    reference: Any
    """The reference policy ``mu``."""
    half: Any
    """What the previous phase of this iteration arrived at."""
    previous: Any
    """The policy one iteration earlier (the start, at ``t = 0``)."""
    auxiliary: Any
    """A second log-policy, for the rules that define how it moves."""
    magnet: Any
    """What a rule is pulled towards instead of the reference, for the rules that define how it moves."""
    slow: Any
    """An average of policies, for the rules that define how it moves."""
    beta: Any
    """The game's temperature."""
    t: Any
    """Iteration number, from 0."""


POLICIES = Iterate._fields[:-2]
"""The named log-policies, in the order engines store them."""

MEMORY = ("auxiliary", "magnet", "slow")
"""Those that move only if the rule file defines a function of that name, ``auxiliary(hyper, iterate, gain)``. It is asked
at the end of an iteration, when ``half`` is the new policy and ``gain`` the last one; the result is normalised."""


def play_game(hypers, beta, preference, bank, total, distance, oracle, start, stop, first, last):
    """Advance rows ``first .. last - 1`` (instance-major) from iteration `start` to `stop`, row by row, in place.

    `bank` holds the named log-policies, shape (rows, policies, n) in the order of `POLICIES`. `total` gathers the
    policies of iterations ``start .. stop - 1`` where it has rows, and `distance` the lengths of their steps,
    ``sum_y |pi_{t+1}(y) - pi_t(y)|``. `oracle` holds the fields of ``feedback.Oracle``.
    """
    runs = len(bank) // len(beta)
    kind, samples, scale, key0, key1 = oracle
    for row in range(first, last):
        i = row // runs
        noise = open_stream(key0, key1, i, row - i * runs)
        hyper = make_hyper(hypers[i])
        current, reference, half, previous, auxiliary, magnet, slow = bank[row]
        for t in range(start, stop):
            if len(total) > 0:
                total[row] += np.exp(current)
            iterate = Iterate(current, reference, half, previous, auxiliary, magnet, slow, beta[i], t)
            gain = current
            for phase in range(PHASES):
                played = opponent(hyper, iterate, phase)
                if kind == 0:
                    gain = win_rates(preference[i], played)
                else:
                    seek(noise, t * PHASES + phase)
                    gain = np.empty(len(played))
                    estimate(kind, samples, scale, preference[i] - 0.5, np.exp(played), noise, gain)
                    gain += 0.5
                half[:] = log_normalize(target(hyper, iterate, gain, phase))
            remember(hyper, iterate, gain)
            if len(distance) > 0:
                distance[row] += np.abs(np.exp(half) - np.exp(current)).sum()
            previous[:] = current
            current[:] = half


class Game(NamedTuple):
    """What a solver's ``step`` may look at."""

    preference: Any
    """``P``, shape (..., n, n)."""
    reference: Any
    """Log of the reference policy, shape (..., n)."""
    beta: Any
    """The game's temperature."""
    t: Any
    """Iteration number, from 0."""


def step_game(hypers, beta, preference, reference, bank, total, distance, start, stop, first, last):
    """Counterpart of :func:`play_game` for solvers that give ``step``; `bank` holds their state's fields, the policy first.

    Shape of `bank`: (rows, fields, n).
    """
    runs = len(bank) // len(beta)
    before = np.empty(bank.shape[2])
    for row in range(first, last):
        i = row // runs
        hyper = make_hyper(hypers[i])
        for t in range(start, stop):
            if len(total) > 0:
                total[row] += np.exp(bank[row, 0])
            if len(distance) > 0:
                before[:] = bank[row, 0]
            game = Game(preference[i], reference[i], beta[i], t)
            pack(step(hyper, unpack(bank[row]), game), bank[row])
            if len(distance) > 0:
                distance[row] += np.abs(np.exp(bank[row, 0]) - np.exp(before)).sum()
