"""Runs in lock-step: what the loop and the rules of bandits call, for several runs side by side.

A rule that does not branch on what it saw does the same to every run, so its own text plays ``WIDTH`` of them at once when
its numbers are lanes and its arrays :mod:`~prefsim.engines.rows`. The few functions below have branches of their own. Each
draws, run by run, the numbers its namesake draws, so that a run has the same bits wherever it is played.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from numba.extending import overload

from prefsim import noise, ops
from prefsim.engines.compiler import OPTIONS, register
from prefsim.engines.lane_type import WIDTH, numbered, some, spread, where
from prefsim.engines.rows import Records, Rows
from prefsim.noise import BUFFER, DRAW, DROP, HALF, INSTANCE, KEY_0, KEY_1, MASK, ONE, ROUND, RUN, UNIT, ZERO, philox4x32
from prefsim.ops import TIE

FEWEST = 6
"""Runs from which an experiment is played in lock-step. Measured, ``WIDTH`` runs take the time of 2 played one by one (``ucb1``
with 2, 10 and 100 arms) to 5 (``gaussian_thompson``, which computes logarithms and cosines lane by lane)."""


def group(policy: ModuleType, environment: ModuleType, counted: bool, kind: str, runs: int) -> int:
    """Runs to play side by side: one unless both files say ``LOCKSTEP = True`` and nothing but costs is recorded."""
    declared = getattr(policy, "LOCKSTEP", False) and getattr(environment, "LOCKSTEP", False)
    return WIDTH if declared and kind == "bandit" and not counted and runs >= FEWEST else 1


def point_runs(streams, key0, key1, instance, run):  # type: ignore[no-untyped-def]
    """Turn handles to the streams of the runs from `run` on."""
    noise.point(streams, key0, key1, instance, run)
    streams[RUN] = streams[RUN] + numbered()


def place_arms(order, action):  # type: ignore[no-untyped-def]
    """True arms behind the presented ones."""
    if some((action < 0) | (action >= len(order))):
        raise IndexError("a policy played an arm that does not exist")
    return order[action]


def draw_where(asking, streams):  # type: ignore[no-untyped-def]
    """Draw uniformly for the runs that are `asking`; the others' streams stay where they are, and what they get is nothing."""
    draw = streams[DRAW]
    fresh = (draw & ONE) == ZERO
    number = streams[BUFFER]
    if some(fresh):
        w0, w1, w2, w3 = philox4x32(
            (draw >> ONE) & MASK,
            streams[ROUND] & MASK,  # masks tell the compiler that 32 bits are enough
            streams[RUN] & MASK,
            streams[INSTANCE] & MASK,
            streams[KEY_0] & MASK,
            streams[KEY_1] & MASK,
        )
        streams[BUFFER] = ((w2 << HALF) | w3) >> DROP  # of runs that wait for it, what it was
        number = where(fresh, ((w0 << HALF) | w1) >> DROP, number)
    streams[DRAW] = draw + where(asking, ONE, ZERO)
    return float(number) * UNIT


@overload(noise.uniform, jit_options=OPTIONS)  # type: ignore[arg-type]
def _uniform(noise):  # type: ignore[no-untyped-def]
    return (lambda noise: draw_where(spread(True), noise)) if isinstance(noise, Rows) else None


@overload(ops.argmax_random, jit_options=OPTIONS)  # type: ignore[arg-type]
def _argmax_random(values, noise):  # type: ignore[no-untyped-def]
    if not isinstance(values, Rows):
        return None

    def highest(values, noise):  # type: ignore[no-untyped-def]
        best = values[0]
        for i in range(1, len(values)):
            best = max(best, values[i])
        low = best - TIE
        ties, chosen = spread(0), spread(0)
        for i in range(len(values)):
            tied = values[i] >= low
            chosen = where(tied, i, chosen)
            ties = ties + where(tied, 1, 0)
        torn = ties != 1
        if some(torn):
            left = int(draw_where(torn, noise) * ties)
            for i in range(len(values)):
                tied = torn & (values[i] >= low)
                chosen = where(tied & (left == 0), i, chosen)
                left = left - where(tied, 1, 0)
        return chosen

    return highest


register(draw_where)  # type: ignore[arg-type]

NAMES: dict[str, Any] = {"point": point_runs, "place": place_arms, "Records": Records}
"""What names of the loop stand for here."""

HEADER = "from prefsim.engines import rows as np\n"
"""Line by which the text of the loop, where it says NumPy, makes rows."""
