"""The loop around the rules of bandits, written once: the reference engine runs it as it stands, Numba compiles its text.

The names in capitals, the rule functions and what allocates are free here; an engine binds them to one policy on one
environment (``bandit_names`` of ``reference``). The rules' contract is in ``docs/extending.md``.
"""

# ruff: noqa: F821
from __future__ import annotations

import numpy as np

from prefsim.noise import point, seek, uniform
from prefsim.ops import TIE


def play_bandit(hyper, truth, known, keys, instance, first, last, record, out, halt):
    """Play runs ``first .. last - 1`` of one policy on one instance; fill ``out[run - first, slot, metric]``, cumulative.

    `keys` holds the two key words of the streams for the environment, the policy and the order of the arms. The arms
    are presented in a random order of each run's own, so that no tie-breaking can profit from their numbering. Setting
    ``halt[0]`` from another thread makes it return within some rounds.
    """
    for run in range(first, last):
        nature, luck, shuffle, order, total, plays, wanted, seen = desk(known)
        point(nature, keys[0], keys[1], instance, run)
        point(luck, keys[2], keys[3], instance, run)
        point(shuffle, keys[4], keys[5], instance, run)
        for i in range(known.arms):
            order[i] = i
        for i in range(known.arms - 1, 0, -1):
            j = int(uniform(shuffle) * (i + 1))
            order[i], order[j] = order[j], order[i]
        problem = describe(known)
        world = allocate_world(truth, known)
        start(truth, world, problem, nature)
        present(truth, order, problem.features)
        state = allocate(known)
        init(hyper, state, problem)
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
            hand_over(state, world, order)
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
                    out[run - first, slot, m] = total[m]
                report(hyper, state, problem, t, truth, world, order, plays, out[run - first, slot])
                slot += 1


LATEST = 3
"""Numbers behind the counts of plays: the arm and the second arm played last, and the switches so far."""


def desk(known):
    """Make what the loop itself writes on during a run: three streams, the order of the arms, costs, plays, two rows."""
    nature, luck, shuffle = np.zeros(WORDS, np.uint64), np.zeros(WORDS, np.uint64), np.zeros(WORDS, np.uint64)
    order, total, plays = np.zeros(known.arms, np.int64), np.zeros(COSTS), np.zeros(known.arms + LATEST)
    return nature, luck, shuffle, order, total, plays, np.zeros(known.arms), np.zeros(known.arms)


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


def reveal_report(hyper, state, problem, t, noise, world, order, action, signal, wanted, seen):
    """Tell what the environment wrote down."""
    return world.report


def hand_commitment(state, world, order):
    """Tell the environment what the policy committed itself to, a row for each arm, under the arms' true numbers."""
    for i in range(len(order)):
        for m in range(state.commitment.shape[1]):
            world.commitment[order[i], m] = state.commitment[i, m]


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
