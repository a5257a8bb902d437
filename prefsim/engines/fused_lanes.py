"""The kernel of ``engines/fused.py`` with games side by side, a game a vector lane: eight, or sixteen in float32.

The same tables, and the same bits as one at a time.
"""

from __future__ import annotations

import numpy as np

from prefsim.engines.fused import ARRIVED, CURRENT, HALF, MEMORIES, NAMED, PLANES, PLAYED_NOW, PREVIOUS
from prefsim.engines.lanes import exponential, lanes_of, larger, load, spread_like, store, weighted


def mix_lanes(weights, terms, first, named, n, out, place):
    """:func:`mix` of eight games: `weights` (policies, lanes) from row `first`, of which `terms` (a count first) are not 0."""
    for y in range(n):
        total = spread_like(named, 0.0)
        for term in range(1, 1 + terms[first]):
            k = terms[first + term]
            total = total + weighted(load(weights, first + k), load(named, k * n + y))
        store(out, place * n + y, total)


def soften_lanes(values, place, n, weights, target, parts, logs):
    """:func:`soften` of eight games, summed in the order of a single one."""
    tops = spread_like(values, -np.inf)
    for y in range(n):
        tops = larger(load(values, place * n + y), tops)
    width = lanes_of(values)
    for part in range(width):
        store(parts, part, 0.0)
    for y in range(n):
        below = load(values, place * n + y) - tops
        store(values, place * n + y, below)
        mass = exponential(below)
        store(weights, target * n + y, mass)
        store(parts, y % width, load(parts, y % width) + mass)
    half = width // 2
    while half > 0:
        for part in range(half):
            store(parts, part, load(parts, part) + load(parts, part + half))
        half //= 2
    total = load(parts, 0)
    store(logs, 0, total)
    for lane in range(width):
        logs[lane] = np.log(logs[lane])
    shift, scale = load(logs, 0), 1.0 / total
    for y in range(n):
        store(values, place * n + y, load(values, place * n + y) - shift)
        store(weights, target * n + y, load(weights, target * n + y) * scale)


def win_lanes(payoff, n, played, source, gain):
    """:func:`win` of eight games; `payoff` (n x n, lanes) holds the rows of ``A``."""
    for y in range(n):
        total = spread_like(payoff, 0.0)
        for j in range(n):
            total = total + load(payoff, y * n + j) * load(played, source * n + j)
        store(gain, y, total)


def gather(table, entry, stride, rows, runs, out, terms):
    """Rows of a table side by side, `stride` per instance: `out` (stride x numbers, lanes), and which weights are not 0."""
    numbers = table.shape[1]
    for e in range(stride):
        count = 0
        for k in range(numbers):
            some = False
            for lane in range(len(rows)):
                out[e * numbers + k, lane] = table[entry + rows[lane] // runs * stride + e, k]
                some = some or out[e * numbers + k, lane] != 0.0
            if some and k < NAMED:
                count += 1
                terms[e * numbers + count] = k
        terms[e * numbers] = count


def alike(known, shape, one, other):
    """Whether two instances have the same named opponents throughout."""
    iterations, instances, phases, _ = shape
    for step in range(iterations):
        for phase in range(phases):
            if known[(step * instances + one) * phases + phase] != known[(step * instances + other) * phases + phase]:
                return False
    return True


def fuse_lanes(
    shape, opponent, anchor, slope, memory, known, payoff, which, bank, total, distance, start, stop, first, last
):
    """Advance rows ``first .. last - 1`` from iteration `start` to `stop`, eight games side by side.

    Rows that share a group have the same opponents in `known`. A group that is not full repeats its last row.
    """
    iterations, instances, phases, moved = shape
    n = payoff.shape[1]
    runs = len(bank) // instances
    dtype, width = bank.dtype, lanes_of(bank)
    matrix, named = np.empty((n * n, width), dtype), np.empty((PLANES * n, width), dtype)
    scratch, played = np.empty((moved * n, width), dtype), np.empty((n, width), dtype)
    opponents, anchors = np.empty((phases * NAMED, width), dtype), np.empty((phases * NAMED, width), dtype)
    slopes, memories = np.empty((phases, width), dtype), np.empty((moved * (NAMED + 2), width), dtype)
    gain, parts, logs = np.zeros((n, width), dtype), np.empty((width, width), dtype), np.empty(width, dtype)
    mixed, moves = np.empty(phases * NAMED + 1, np.int64), np.empty(phases * NAMED + 1, np.int64)
    keeps, rows = np.empty(moved * (NAMED + 2) + 1, np.int64), np.empty(width, np.int64)
    row = first
    while row < last:
        count = 1
        while row + count < last and count < width and alike(known, shape, (row + count) // runs, row // runs):
            count += 1
        for lane in range(width):
            rows[lane] = row + min(lane, count - 1)
            for plane in range(PLANES):
                for y in range(n):
                    named[plane * n + y, lane] = bank[rows[lane], plane, y]
            for j in range(n):
                for y in range(n):
                    matrix[j * n + y, lane] = payoff[which[rows[lane]], j, y]
        for t in range(start, stop):
            entry = (t - start) * instances if iterations > 1 else 0
            if t == start or iterations > 1:
                gather(opponent, entry * phases, phases, rows, runs, opponents, mixed)
                gather(anchor, entry * phases, phases, rows, runs, anchors, moves)
                gather(memory, entry * moved, moved, rows, runs, memories, keeps)
                for phase in range(phases):
                    for lane in range(width):
                        slopes[phase, lane] = slope[(entry + rows[lane] // runs) * phases + phase]
            if len(total) > 0:
                for lane in range(count):
                    for y in range(n):
                        total[rows[lane], y] += named[PLAYED_NOW * n + y, lane]
            for phase in range(phases):
                who = known[(entry + rows[0] // runs) * phases + phase]
                if who == CURRENT or who == HALF:
                    win_lanes(matrix, n, named, PLAYED_NOW if who == CURRENT else ARRIVED, gain)
                else:
                    mix_lanes(opponents, mixed, phase * NAMED, named, n, scratch, 0)
                    soften_lanes(scratch, 0, n, played, 0, parts, logs)
                    win_lanes(matrix, n, played, 0, gain)
                mix_lanes(anchors, moves, phase * NAMED, named, n, scratch, 0)
                rate = load(slopes, phase)
                for y in range(n):
                    store(named, HALF * n + y, load(scratch, y) + load(gain, y) * rate)
                soften_lanes(named, HALF, n, named, ARRIVED, parts, logs)
            for m in range(moved):
                if memories[m * (NAMED + 2) + NAMED + 1, 0] > 0.0:
                    mix_lanes(memories, keeps, m * (NAMED + 2), named, n, scratch, m)
                    rate = load(memories, m * (NAMED + 2) + NAMED)
                    for y in range(n):
                        store(scratch, m * n + y, load(scratch, m * n + y) + load(gain, y) * rate)
                    soften_lanes(scratch, m, n, played, 0, parts, logs)
            for m in range(moved):
                if memories[m * (NAMED + 2) + NAMED + 1, 0] > 0.0:
                    for y in range(n):
                        store(named, (MEMORIES + m) * n + y, load(scratch, m * n + y))
            if len(distance) > 0:
                for lane in range(count):
                    length = 0.0
                    for y in range(n):
                        length += abs(named[ARRIVED * n + y, lane] - named[PLAYED_NOW * n + y, lane])
                    distance[rows[lane]] += length
            for y in range(n):
                store(named, PREVIOUS * n + y, load(named, CURRENT * n + y))
                store(named, CURRENT * n + y, load(named, HALF * n + y))
                store(named, PLAYED_NOW * n + y, load(named, ARRIVED * n + y))
        for lane in range(count):
            for plane in range(PLANES):
                for y in range(n):
                    bank[rows[lane], plane, y] = named[plane * n + y, lane]
        row += count
