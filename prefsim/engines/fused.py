"""One kernel for every solver that can be traced: the loop over its coefficients, a game a row.

`opponent`, `anchor`, `slope` and `memory` are the tables of ``trace.Coefficients`` with all axes but the last merged into
one; `shape` holds those axes' lengths, (iterations, instances, phases, memories), and a single iteration serves all.
`known` is, like `slope`, one number per phase: the named log-policy the opponent is, or -1 if it is a mixture.
Probabilities of the current policy and of the one just arrived at are kept, and need no exponential. Row ``r`` belongs to
instance ``r // runs`` and plays on ``payoff[which[r]]``. Functions take whole tables and the number of a row, because views
would be counted, atomically.

A row of `bank` has the named log-policies, then the probabilities of the current policy and of the one just arrived at,
all padded to whole vectors; `payoff` is padded likewise. The payoff is skew, so the gain is gathered row by row,
``gain_i = sum_j A_ij q_j = - sum_j A_ji q_j`` (the constant 1/2 of a win rate cancels in the normaliser). Sums run in one
order in all loops, so that one game alone and eight side by side agree bit for bit.
"""

from __future__ import annotations

import numpy as np

from prefsim.engines.lanes import across, exponential, first_lanes, highest, lanes_of, larger, load, spread_like, store
from prefsim.feedback import estimate
from prefsim.noise import open_stream, seek

CURRENT, HALF, PREVIOUS, MEMORIES = 0, 2, 3, 4
"""Places of named log-policies in a row of the bank, as in ``game_loops.POLICIES``."""

NAMED, PLAYED_NOW, ARRIVED = 7, 7, 8
"""How many there are; places of the probabilities of the current policy and of the one just arrived at."""

PLANES = 9
"""Vectors of a row of the bank."""


def mix(weights, entry, named, blocks, out, place):
    """Sum of the named log-policies of a row, weighted by a row of a table, into vector `place` of `out`."""
    for b in range(blocks):
        store(out, place * blocks + b, 0.0)
    for k in range(NAMED):
        weight = weights[entry, k]
        if weight != 0.0:
            for b in range(blocks):
                store(out, place * blocks + b, load(out, place * blocks + b) + load(named, k * blocks + b) * weight)


def soften(values, place, blocks, n, weights, target):
    """Normalise vector `place` of `values` in place, a log-policy; its probabilities go to vector `target` of `weights`."""
    last = place * blocks + blocks - 1
    store(values, last, first_lanes(load(values, last), n - (blocks - 1) * lanes_of(values)))
    tops = spread_like(values, -np.inf)
    for b in range(blocks):
        tops = larger(load(values, place * blocks + b), tops)
    top = highest(tops)
    masses = spread_like(values, 0.0)
    for b in range(blocks):
        below = load(values, place * blocks + b) - top
        store(values, place * blocks + b, below)
        mass = exponential(below)
        store(weights, target * blocks + b, mass)
        masses = masses + mass
    total = across(masses)
    shift, scale = np.log(total), 1.0 / total
    for b in range(blocks):
        store(values, place * blocks + b, load(values, place * blocks + b) - shift)
        store(weights, target * blocks + b, load(weights, target * blocks + b) * scale)


def choose(opponent, known, entry, named, blocks, n, scratch, played, row):
    """Write the opponent's probabilities into a row of `played`."""
    who = known[entry]
    if who == CURRENT or who == HALF:
        source = PLAYED_NOW if who == CURRENT else ARRIVED
        for b in range(blocks):
            store(played, row * blocks + b, load(named, source * blocks + b))
    else:
        mix(opponent, entry, named, blocks, scratch, 0)
        soften(scratch, 0, blocks, n, played, row)


def win(payoff, blocks, n, played, gain):
    """Gain ``A q`` of one game, into row 0 of `gain`: four rows of the matrix at a time, read along memory."""
    for b in range(blocks):
        store(gain, b, 0.0)
    j = 0
    while j + 4 <= n:
        q0, q1, q2, q3 = played[0, j], played[0, j + 1], played[0, j + 2], played[0, j + 3]
        for b in range(blocks):
            total = load(gain, b) - load(payoff, j * blocks + b) * q0
            total = total - load(payoff, (j + 1) * blocks + b) * q1
            total = total - load(payoff, (j + 2) * blocks + b) * q2
            store(gain, b, total - load(payoff, (j + 3) * blocks + b) * q3)
        j += 4
    while j < n:
        for b in range(blocks):
            store(gain, b, load(gain, b) - load(payoff, j * blocks + b) * played[0, j])
        j += 1


def move(anchor, slope, entry, named, blocks, n, gain, row, scratch):
    """The policy a phase arrives at, and its probabilities."""
    mix(anchor, entry, named, blocks, scratch, 0)
    for b in range(blocks):
        store(named, HALF * blocks + b, load(scratch, b) + load(gain, row * blocks + b) * slope[entry])
    soften(named, HALF, blocks, n, named, ARRIVED)


def finish(memory, entry, moved, named, blocks, n, gain, row, scratch, spare, distance, place):
    """End of an iteration: the memories move, all at once, and the new policy takes its place."""
    for m in range(moved):
        if memory[entry + m, NAMED + 1] > 0.0:
            mix(memory, entry + m, named, blocks, scratch, m)
            for b in range(blocks):
                pull = load(gain, row * blocks + b) * memory[entry + m, NAMED]
                store(scratch, m * blocks + b, load(scratch, m * blocks + b) + pull)
            soften(scratch, m, blocks, n, spare, 0)
    for m in range(moved):
        if memory[entry + m, NAMED + 1] > 0.0:
            for b in range(blocks):
                store(named, (MEMORIES + m) * blocks + b, load(scratch, m * blocks + b))
    if len(distance) > 0:
        length = 0.0
        for y in range(n):
            length += abs(named[ARRIVED, y] - named[PLAYED_NOW, y])
        distance[place] += length
    for b in range(blocks):
        store(named, PREVIOUS * blocks + b, load(named, CURRENT * blocks + b))
        store(named, CURRENT * blocks + b, load(named, HALF * blocks + b))
        store(named, PLAYED_NOW * blocks + b, load(named, ARRIVED * blocks + b))


def add_current(total, named, n, row):
    """Gather the current policy where that is asked for."""
    if len(total) > 0:
        for y in range(n):
            total[row, y] += named[PLAYED_NOW, y]


def fuse_rows(
    shape, opponent, anchor, slope, memory, known, payoff, which, bank, total, distance, oracle, start, stop, first, last
):
    """Advance rows ``first .. last - 1`` from iteration `start` to `stop`, a row at a time."""
    iterations, instances, phases, moved = shape
    n, width = payoff.shape[1:]
    blocks = width // lanes_of(bank)
    runs = len(bank) // instances
    kind, samples, scale, key0, key1 = oracle
    scratch, spare = np.empty((moved, width), bank.dtype), np.empty((1, width), bank.dtype)
    played, gain = np.empty((1, width), bank.dtype), np.zeros((1, width), bank.dtype)
    for row in range(first, last):
        i = row // runs
        named, matrix = bank[row], payoff[which[row]]
        noise = open_stream(key0, key1, i, row - i * runs)
        for t in range(start, stop):
            entry = (t - start) * instances + i if iterations > 1 else i
            add_current(total, named, n, row)
            for phase in range(phases):
                choose(opponent, known, entry * phases + phase, named, blocks, n, scratch, played, 0)
                if kind == 0:
                    win(matrix, blocks, n, played, gain)
                else:
                    seek(noise, t * phases + phase)
                    estimate(kind, samples, scale, matrix[:, :n], played[0, :n], noise, gain[0, :n])
                move(anchor, slope, entry * phases + phase, named, blocks, n, gain, 0, scratch)
            finish(memory, entry * moved, moved, named, blocks, n, gain, 0, scratch, spare, distance, row)


def fuse_stage(stage, phase, shape, opponent, anchor, slope, memory, known, step, n, bank, total, distance, played, gain):
    """One stage of one iteration of all rows, for games whose gains are computed together as one matrix product.

    Stage 0 names the opponents of `phase`, shape (rows, width); stage 1 moves by the gains; stage 2 ends the iteration.
    """
    iterations, instances, phases, moved = shape
    width = bank.shape[2]
    blocks = width // lanes_of(bank)
    runs = len(bank) // instances
    scratch, spare = np.empty((moved, width), bank.dtype), np.empty((1, width), bank.dtype)
    for row in range(len(bank)):
        i = row // runs
        entry = step * instances + i if iterations > 1 else i
        named = bank[row]
        if stage == 0:
            if phase == 0:
                add_current(total, named, n, row)
            choose(opponent, known, entry * phases + phase, named, blocks, n, scratch, played, row)
        elif stage == 1:
            move(anchor, slope, entry * phases + phase, named, blocks, n, gain, row, scratch)
        else:
            finish(memory, entry * moved, moved, named, blocks, n, gain, row, scratch, spare, distance, row)
