"""Where the kernels stand under this machine's roofline: draws ``roofline.svg`` and prints the table of the report.

    python benchmarks/roofline.py [--figure benchmarks/roofline.svg] [--largest 4096]

Everything is measured in one process on one thread: the rate of large matrix products, the bandwidth of a triad
``a = b + s c`` on arrays of several sizes (McCalpin's STREAM, 24 bytes an entry, the write not counted twice), and the
kernels. What the kernels compute and move is counted from the algorithm, not by the processor:

* An iteration of mirror prox has two phases. A phase of one policy on `n` actions takes ``2 n^2`` operations for the gains
  and `SOFTMAX` a probability for the move and its softmax, and moves the matrix once, ``8 n^2`` bytes, and `VECTORS` vectors
  of `n`: read are the policy, its reference, the opponent's and the gains, written are the new policy and its probabilities.
  Policies that meet one matrix share it.
* The interior point factorises a matrix a step, ``2/3 m^3`` operations for each one of size `m`, which is read and written
  once, ``16 m^2`` bytes.
"""

import argparse
import os
from pathlib import Path
from typing import NamedTuple
from unittest import mock

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["PREFSIM_THREADS"] = "1"

import numpy as np
from numba import njit

import prefsim as ps
from prefsim import drawing, interior_point, plots
from prefsim.bench import games
from prefsim.bench.timing import again, compare

EXPONENTIAL = 32
"""Operations of the polynomial exponential: 7 to reduce the range, 24 for 12 terms, 1 to scale."""
SOFTMAX = EXPONENTIAL + 10
"""Also 5 for the move itself, 1 each for the maximum, its subtraction, the sum, the scale and the normaliser."""
VECTORS = 6

SIZES = {"24 kB": 1_000, "600 kB": 25_000, "12 MB": 500_000, "300 MB": 12_500_000}
"""Entries of each of the triad's three arrays, by what the three take together: three levels of caches, and memory."""

PLACES = {
    "one game, n = 100": (0, 9, "center"),
    "one game, n = 1000": (0, -9, "center"),
    "256 policies on one matrix, n = 256": (-6, 0, "right"),
    "256 policies on one matrix, n = 1024": (-8, -9, "center"),
    "256 policies on one matrix, n = 4096": (7, -4, "left"),
}
"""Where names stand beside their points, in typographic points; to the right elsewhere."""


class Kernel(NamedTuple):
    """A point of the figure."""

    group: str
    name: str
    flops: float
    bytes: float
    held: float
    """Bytes that it reads again and again: they say which cache it works from."""
    seconds: float


@njit(error_model="numpy", fastmath=True)
def triad(a, b, c, s, times):
    """``a = b + s c``, so often."""
    for _ in range(times):
        for i in range(len(a)):
            a[i] = b[i] + s * c[i]


def ceilings():
    """Operations a second of matrix products, and bytes a second of the triad by size."""
    n = 2048
    a, out = np.random.default_rng(0).uniform(size=(n, n)), np.empty((n, n))
    b = a.copy()
    bandwidths = {}
    (product,) = compare(again(lambda: np.matmul(a, b, out=out)))
    for name, entries in SIZES.items():
        block = np.ones(3 * entries + 8)
        block = block[-block.ctypes.data // 8 % 8 :]  # from the start of a cache line
        x, y, z = (block[k * entries : (k + 1) * entries] for k in range(3))
        (seconds,) = compare(lambda times, x=x, y=y, z=z: triad(x, y, z, 0.5, times))
        bandwidths[name] = 24 * entries / seconds
    return 2 * n**3 / product, bandwidths


def mirror_prox(group, count, n, policies=1):
    """A game and iteration of the engine, for games side by side or policies on one matrix."""
    work = games.advance(*games.games(count, n, policies))
    (seconds,) = compare(work, per=count)
    flops = 2 * policies * (2 * n * n + SOFTMAX * n)
    once = 8 * (n * n + VECTORS * policies * n)
    return Kernel(group, f"n = {n}", flops, 2 * once, once * min(count, 8), seconds)


def interior(n):
    """An equilibrium by the interior point, certificate included."""
    game = ps.games.random(n, seed=n)
    lapack = interior_point.lapack
    with mock.patch.object(lapack, "dgetrf", wraps=lapack.dgetrf) as factorise:
        ps.solve_equilibrium(game)
    sizes = np.array([len(call.args[0]) for call in factorise.call_args_list], dtype=float)
    (seconds,) = compare(again(lambda: ps.solve_equilibrium(game)), repeats=3)
    return Kernel("interior point", f"n = {n}", 2 / 3 * (sizes**3).sum(), 16 * (sizes**2).sum(), 8 * n * n, seconds)


def measure(largest):
    """All points of the figure."""
    kernels = [mirror_prox("one game", 1, n) for n in (10, 100, 1000)]
    kernels.append(mirror_prox("1000 games, eight side by side", 1000, 10))
    many = [n for n in (256, 1024, 4096) if n <= largest]
    kernels += [mirror_prox(f"{games.POLICIES} policies on one matrix", 1, n, games.POLICIES) for n in many]
    return [*kernels, interior(1000)]


def roof(kernel, peak, bandwidths):
    """Operations a second that the triad on as many bytes and the matrix product allow."""
    level = next((name for name, entries in SIZES.items() if 24 * entries >= kernel.held), list(SIZES)[-1])
    return min(peak, bandwidths[level] * kernel.flops / kernel.bytes)


def draw(peak, bandwidths, kernels):
    """Operations a second against operations a byte, under the roofs."""
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke

    halo = withStroke(linewidth=2, foreground="white")
    low, high = 0.02, 300
    markers = dict(zip(dict.fromkeys(k.group for k in kernels), "os^D", strict=True))
    with drawing.style():
        figure = Figure(figsize=(5.5, 3.6), layout="constrained")
        ax = figure.subplots()
        ax.set(xscale="log", yscale="log", xlim=(low, high), ylim=(1, 2 * peak / 1e9))
        ax.set(xlabel="operations a byte, counted from the algorithm", ylabel="GFLOP/s in double precision, one core")
        for k, (group, marker) in enumerate(markers.items()):
            color = drawing.look(k)["color"]
            mine = [(o.name, o.flops / o.bytes, o.flops / o.seconds / 1e9) for o in kernels if o.group == group]
            ax.plot(*zip(*(at for _, *at in mine), strict=True), ls="", marker=marker, ms=5.5, color=color, mec="white",
                    mew=0.6, label=group, zorder=4)  # fmt: skip
            for name, *at in mine:
                x, y, side = PLACES.get(f"{group}, {name}", (6, 0, "left"))
                marks = {"color": color, "fontsize": 7, "va": "center", "ha": side, "path_effects": [halo], "zorder": 5}
                ax.annotate(name, at, (x, y), textcoords="offset points", **marks)
        figure.legend(loc="outside lower center", ncols=2)
        figure.draw_without_rendering()
        (left, bottom), (right, top) = ax.transData.transform([(1, 1), (10, 10)])
        angle = np.degrees(np.arctan2(top - bottom, right - left))
        for (name, bandwidth), color in zip(bandwidths.items(), [drawing.GREY] * 3 + [drawing.INK], strict=True):
            ax.plot([low, peak / bandwidth], [low * bandwidth / 1e9, peak / 1e9], color=color, lw=1.0, zorder=2)
            start = max(low, 1e9 / bandwidth)
            ax.annotate(f"triad, {name}: {bandwidth / 1e9:.0f} GB/s", (start, start * bandwidth / 1e9), (6, 9),
                        textcoords="offset points", rotation=angle, rotation_mode="anchor", fontsize=6.5)  # fmt: skip
        ax.plot([peak / max(bandwidths.values()), high], [peak / 1e9] * 2, color=drawing.INK, lw=1.0, zorder=2)
        ax.text(high, 1.08 * peak / 1e9, f"matrix product: {peak / 1e9:.0f} GFLOP/s", fontsize=6.5, ha="right")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:g}")
    return figure


def table(peak, bandwidths, kernels):
    """The report's table."""
    lines = ["| kernel | operations | bytes | operations a byte | us | GFLOP/s | of its roof |", "|---" * 7 + "|"]
    for k in kernels:
        rate, time = k.flops / k.seconds, 1e6 * k.seconds
        cells = [f"{k.group}, {k.name}", f"{k.flops:,.0f}", f"{k.bytes:,.0f}", f"{k.flops / k.bytes:.2f}"]
        cells += [f"{time:,.0f}" if time >= 100 else f"{time:.3g}", f"{rate / 1e9:.1f}"]
        cells.append(f"{100 * rate / roof(k, peak, bandwidths):.0f} %")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    """Measure, draw and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", default=str(Path(__file__).with_suffix(".svg")), help="where to draw")
    parser.add_argument("--largest", type=int, default=4096, help="actions of the largest matrix that policies share")
    chosen = parser.parse_args()
    peak, bandwidths = ceilings()
    kernels = measure(chosen.largest)
    plots.save(draw(peak, bandwidths, kernels), chosen.figure)
    print(table(peak, bandwidths, kernels))


if __name__ == "__main__":
    main()
