"""Ranges of runs shared out over threads; compiled runners release the GIL, so threads suffice."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

PIECES = 16
"""Ranges of runs per thread."""


def threads() -> int:
    """Threads to use: ``PREFSIM_THREADS``, or one per core this process may run on."""
    given = os.environ.get("PREFSIM_THREADS", "")
    if given:
        if not given.isdigit() or int(given) == 0:
            raise ValueError(f"PREFSIM_THREADS must be a whole number >= 1; got {given!r}.")
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parallel(
    work: Callable[[int, int, NDArray[np.uint8]], None],
    count: int,
    progress: Callable[[int], None] | None = None,
    group: int = 1,
    pieces: int = PIECES,
) -> None:
    """Call ``work(first, last, halt)`` over ranges that cover ``0 .. count - 1``, on all threads, `pieces` ranges each.

    No range but the last ends within a `group` of runs.

    The main thread only waits, so that an interrupt reaches it; it then sets ``halt[0]`` for the loops to see.
    """
    groups = -(-count // group)
    workers = min(threads(), groups)
    # Many ranges level out uneven runs and move the progress bar.
    pieces = min(groups, pieces * workers)
    edges = [min(count, groups * i // pieces * group) for i in range(pieces + 1)]
    halt = np.zeros(1, np.uint8)

    def piece(i: int) -> None:
        work(edges[i], edges[i + 1], halt)
        if progress:
            progress(edges[i + 1] - edges[i])

    pool = ThreadPoolExecutor(workers)
    try:
        list(pool.map(piece, range(pieces)))
    except BaseException:
        halt[0] = 1
        raise
    finally:
        pool.shutdown(cancel_futures=True)
