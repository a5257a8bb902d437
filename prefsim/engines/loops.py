"""The loops around the rules, written once: the reference engine runs them as they stand, Numba compiles their text.

The names in capitals and the rule functions are free here; an engine binds them to one algorithm on one problem
(``play_bandit`` and ``GamePlayer`` of ``reference`` and ``numba``). The rules' contract is in ``docs/extending.md``.
"""

# ruff: noqa: F821
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from prefsim.feedback import estimate
from prefsim.noise import open_stream, seek, uniform
from prefsim.ops import TIE


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


def play_bandit(hyper, truth, known, keys, instance, first, last, record, out, halt):
    """Play runs ``first .. last - 1`` of one policy on one instance; fill ``out[run, slot, metric]``, cumulative.

    `keys` holds the two key words of the streams for the environment, the policy and the order of the arms. The arms
    are presented in a random order of each run's own, so that no tie-breaking can profit from their numbering. Setting
    ``halt[0]`` from another thread makes it return within some rounds.
    """
    for run in range(first, last):
        nature = open_stream(keys[0], keys[1], instance, run)
        luck = open_stream(keys[2], keys[3], instance, run)
        shuffle = open_stream(keys[4], keys[5], instance, run)
        order = np.arange(known.arms)
        for i in range(known.arms - 1, 0, -1):
            j = int(uniform(shuffle) * (i + 1))
            order[i], order[j] = order[j], order[i]
        problem = describe(known)
        world = allocate_world(truth, known)
        start(truth, world, problem, nature)
        present(truth, order, problem.features)
        state = allocate(problem)
        init(hyper, state, problem)
        total = np.zeros(COSTS)
        wanted, seen = np.zeros(known.arms), np.zeros(known.arms)
        plays = np.zeros(known.arms + LATEST)
        plays[known.arms] = -1.0
        slot = 1 if record[0] == 0 else 0
        for t in range(1, known.horizon + 1):
            if t & 0xFFFF == 0 and halt[0] != 0:
                return
            seek(nature, t)
            seek(luck, t)
            observe(truth, world, t, nature)
            present_round(world, order, problem.features)
            action = act(hyper, state, problem, t, luck)
            played = place(order, action)
            signal = feedback(truth, world, played, t, nature)
            told = reveal(hyper, state, problem, t, luck, world, order, action, signal, wanted, seen)
            learn(hyper, state, problem, t, action, told)
            cost = regrets(truth, world, played, t, signal)
            for m in range(COSTS):
                total[m] += cost[m]
            watch(plays, played)
            if t == record[slot]:
                for m in range(COSTS):
                    out[run, slot, m] = total[m]
                report(hyper, state, problem, t, truth, world, order, plays, out[run, slot])
                slot += 1


LATEST = 3
"""Numbers behind the counts of plays: the arm and the second arm played last, and the switches so far."""


def nothing(*arguments):
    """What an optional function does where a file does not define it."""


def show_arms(source, order, features):
    """Describe the arms, in the order in which they are presented."""
    for i in range(len(order)):
        for k in range(features.shape[1]):
            features[i, k] = source.features[order[i], k]


def pass_on(hyper, state, problem, t, noise, world, order, action, signal, wanted, seen):
    """Tell the policy what its action brought."""
    return signal


def reveal_all(hyper, state, problem, t, noise, world, order, action, signal, wanted, seen):
    """Tell the rewards of all arms."""
    for i in range(len(order)):
        seen[i] = world.rewards[order[i]]
    return seen


def reveal_some(hyper, state, problem, t, noise, world, order, action, signal, wanted, seen):
    """Tell the rewards of the arms the policy asks for while its budget lasts, and the played one's if that is free."""
    for i in range(len(order)):
        wanted[i] = 0.0
    ask(hyper, state, problem, t, action, noise, wanted)
    for i in range(len(order)):
        seen[i] = np.nan
        if i == action and world.free[0] > 0.0:
            seen[i] = world.rewards[order[i]]
        elif wanted[i] > 0.0 and world.budget[0] >= 1.0:
            world.budget[0] -= 1.0
            seen[i] = world.rewards[order[i]]
    return seen


def watch_arm(plays, played):
    """Count a play, and a switch if it is not the last round's."""
    last = len(plays) - LATEST
    plays[played] += 1.0
    if plays[last] >= 0.0 and plays[last] != played:
        plays[last + 2] += 1.0
    plays[last] = played


def watch_pair(plays, played):
    """Count both arms of a duel; a switch is any change of the pair."""
    last = len(plays) - LATEST
    plays[played[0]] += 1.0
    plays[played[1]] += 1.0
    if plays[last] >= 0.0 and (plays[last] != played[0] or plays[last + 1] != played[1]):
        plays[last + 2] += 1.0
    plays[last] = played[0]
    plays[last + 1] = played[1]


def report(hyper, state, problem, t, truth, world, order, plays, row):
    """Fill in what follows from the counts of plays: the environment's notions of regret, then ``COUNTED``."""
    notions = tallies(truth, world, plays, t)
    for m in range(TALLIED):
        row[COSTS + m] = notions[m]
    row[COSTS + TALLIED] = plays[len(plays) - 1]
    arm = recommend(hyper, state, problem, t)
    gap = gap_of(truth, order[arm] if arm >= 0 else most_played(plays, order))
    row[COSTS + TALLIED + 1] = gap
    row[COSTS + TALLIED + 2] = 1.0 if gap > TIE else 0.0


COUNTED = ("switches", "simple_regret", "identification_error")
"""Metrics every environment has: changes of action; the gap of the arm the policy recommends (of the arm it played
most, if it names none); whether that gap is above 0."""


def no_notions(truth, world, plays, t):
    """Environments without notions of regret of their own."""
    return (0.0,)


def no_arm(hyper, state, problem, t):
    """Policies that recommend no arm."""
    return -1


def gap_of_arm(truth, arm):
    """Gap of an arm."""
    return truth.gap[arm]


def no_gap(truth, arm):
    """Gap of an arm where arms have none of their own."""
    return np.nan


def most_played(plays, order):
    """The arm played most; ties go to the one presented first, which is a random one."""
    best = order[0]
    for i in range(1, len(order)):
        if plays[order[i]] > plays[best]:
            best = order[i]
    return best


def place_arm(order, action):
    """True arm behind the presented one."""
    if action < 0 or action >= len(order):
        raise IndexError("a policy played an arm that does not exist")
    return order[action]


def place_pair(order, action):
    """True pair of arms behind the presented one."""
    return place_arm(order, action[0]), place_arm(order, action[1])


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


def fuse_game(opponent, anchor, slope, memory, payoff, bank, total, distance, oracle, start, stop, first, last):
    """Advance rows by traced coefficients (``trace.Coefficients``); arrays as in ``loops.play_game``.

    One table row serves all iterations if there is only one. The payoff is skew, so the gain is gathered row by row:
    ``gain_i = sum_j A_ij q_j = - sum_j A_ji q_j`` (the constant 1/2 of a win rate cancels in the normaliser).
    """
    n = bank.shape[2]
    runs = len(bank) // len(payoff)
    phases = opponent.shape[2]
    kind, samples, scale, key0, key1 = oracle
    policy, gain, moved = np.empty(n), np.zeros(n), np.empty(n)
    memories = np.empty((memory.shape[2], n))
    for row in range(first, last):
        i = row // runs
        named = bank[row]
        noise = open_stream(key0, key1, i, row - i * runs)
        for t in range(start, stop):
            step = t - start if len(opponent) > 1 else 0
            if len(total) > 0:
                for y in range(n):
                    total[row, y] += np.exp(named[0, y])
            for phase in range(phases):
                mix(opponent[step, i, phase], named, moved)
                log_normalize_row(moved)
                for y in range(n):
                    policy[y] = np.exp(moved[y])
                    gain[y] = 0.0
                if kind == 0:
                    for j in range(n):
                        for y in range(n):
                            gain[y] -= payoff[i, j, y] * policy[j]
                else:
                    seek(noise, t * phases + phase)
                    estimate(kind, samples, scale, payoff[i], policy, noise, gain)
                mix(anchor[step, i, phase], named, moved)
                for y in range(n):
                    moved[y] += slope[step, i, phase] * gain[y]
                log_normalize_row(moved)
                for y in range(n):
                    named[2, y] = moved[y]
            for m in range(len(memories)):
                if memory[step, i, m, -1] > 0.0:
                    mix(memory[step, i, m, :-2], named, memories[m])
                    for y in range(n):
                        memories[m, y] += memory[step, i, m, -2] * gain[y]
                    log_normalize_row(memories[m])
            for m in range(len(memories)):
                if memory[step, i, m, -1] > 0.0:
                    named[4 + m] = memories[m]
            if len(distance) > 0:
                for y in range(n):
                    distance[row] += abs(np.exp(named[2, y]) - np.exp(named[0, y]))
            for y in range(n):
                named[3, y] = named[0, y]
                named[0, y] = named[2, y]


def mix(weights, named, out):
    """Weighted sum of the named log-policies."""
    for y in range(len(out)):
        out[y] = 0.0
    for k in range(len(weights)):
        if weights[k] != 0.0:
            for y in range(len(out)):
                out[y] += weights[k] * named[k, y]


def log_normalize_row(values):
    """``ops.log_normalize`` of one row, in place; the largest comes off first, or it would cost large values' digits."""
    top = values[0]
    for y in range(1, len(values)):
        top = max(top, values[y])
    mass = 0.0
    for y in range(len(values)):
        values[y] -= top
        mass += np.exp(values[y])
    shift = np.log(mass)
    for y in range(len(values)):
        values[y] -= shift


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
