"""Figures of measured curves: bands over runs, bounds drawn beside the data, asymptotic coefficients as slopes.

Regret is drawn as its mean, which is what bounds are about, on a linear axis against logarithmic time, so that
logarithmic regret is a straight line; where final values differ by more than `SPREAD` both axes are logarithmic.
Convergence (gaps and divergences) is drawn as its median on a logarithmic axis, against linear or logarithmic time,
whichever straightens the curves. Rates are drawn as regret, but never on a logarithmic axis. Zeros and negative rounding
have no logarithm and are left out. Up to four instances get a panel each; more are pooled with the runs, and their bounds
averaged the same way, which keeps bounds above what they bound.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prefsim import drawing
from prefsim.curves import Curve, aligned, averages, choose_metric, curves, over_time, scale, with_abscissa

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPREAD = 30.0
"""Ratio of final values beyond which a linear regret axis would flatten the lower curves."""

COLUMNS = {1: 1, 2: 2, 3: 3, 4: 2}
"""Columns of panels by the number of instances; more instances are pooled into one panel."""

METADATA: dict[str, dict[str, str | None] | None] = {
    "pdf": {"Creator": "prefsim", "CreationDate": None},
    "png": {"Software": "prefsim"},
    "svg": {"Creator": "prefsim", "Date": None},
    "pgf": None,
}
"""What a file says of itself, by format: no time stamps, so that the same data give the same bytes."""


def plot(
    data: xarray.Dataset | str | os.PathLike[str],
    metric: str | None = None,
    *,
    x: str = "t",
    band: float | str | None = 0.8,
    bounds: bool = True,
    ax: Axes | None = None,
) -> Figure:
    """Draw a metric of every algorithm, with a band over runs and, where they are known, bounds and slopes.

    Parameters
    ----------
    data : xarray.Dataset or path
        What :func:`prefsim.run` returned, or a file it was stored in.
    metric : str, optional
        Variable to draw; regret or the duality gap when omitted.
    x : str
        ``"t"``; ``"queries"`` or ``"gradients"``, what an algorithm has asked for by then; or a numeric hyperparameter of
        the algorithms: the values at the horizon are drawn against it. Algorithms without the number are left out, with
        a warning.
    band : float, "simultaneous" or None
        Coverage of the band of quantiles over runs (0.8: from 10 to 90 %); ``"simultaneous"`` for a 95 % confidence
        band of the mean at all times at once, around the mean; None for lines alone.
    bounds : bool
        Draw ``<metric>_bound`` dashed, in grey where it exceeds the largest value possible
        (``data[metric].attrs["largest_gap"]`` a round), and ``<metric>_slope_upper`` and ``_lower``, coefficients of
        ln t that hold asymptotically, as thin guides through each curve at a tenth of the horizon: compare slopes,
        never levels.
    ax : matplotlib.axes.Axes, optional
        Axes to draw into instead of a new figure; instances are then pooled.

    Returns
    -------
    matplotlib.figure.Figure
        Its attribute ``table`` holds the numbers drawn; :func:`save` writes them beside the image.

    Raises
    ------
    TypeError, ValueError
        For data without such a metric or coordinate, or an unknown band.
    """
    from matplotlib.figure import Figure

    dataset = _dataset(data)
    name = choose_metric(dataset, metric)
    dataset = with_abscissa(dataset, x)
    if band is not None and band != "simultaneous" and (isinstance(band, str) or not 0 < band < 1):
        raise ValueError(f"band must be a coverage between 0 and 1, 'simultaneous' or None; got {band!r}.")
    count = aligned(dataset, name).shape[1]
    split = ax is None and 1 < count <= max(COLUMNS)
    groups = [[i] for i in range(count)] if split else [list(range(count))]
    panels = [curves(dataset, name, x, band, group) for group in groups]
    if not bounds:
        panels = [[c._replace(bound=np.full(c.x.shape, np.nan), slopes={}) for c in panel] for panel in panels]
    drawn = [c for panel in panels for c in panel]
    together = len({c.x[-1] for c in drawn}) == 1
    direct = together and not split and len(drawn) <= len(drawing.PALETTE) and max(len(c.label) for c in drawn) <= 18
    with drawing.style():
        key = _key(panels[0], drawn, _statistic(dataset, name, band, split), direct)
        columns = COLUMNS[len(panels)]
        across = 2 * columns if max((len(label) for label in key), default=0) <= 24 else columns
        figure: Any  # Figure, with a table
        if ax is None:
            rows = len(panels) // columns
            height = 1.75 * rows + 0.55 + 0.14 * -(-len(key) // across)
            figure = Figure(figsize=(3.5 if columns == 1 else 7.0, height), layout="constrained")
            axes = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
        else:
            figure, axes = ax.figure, [ax]
        running = over_time(dataset, x)
        log_x, log_y = _logarithmic(drawn, scale(name), running)
        drawing.set_limits(axes, drawn, log_x=log_x, log_y=log_y, over_time=running)
        for target, panel in zip(axes, panels, strict=True):
            for k in range(len(panel)):
                drawing.draw(target, panel, k)
        if direct:
            drawing.write_names(axes[0], drawn)
        _write_labels(figure, axes, dataset, name, x, columns, alone=ax is None)
        if key and ax is None:
            figure.legend(key.values(), key.keys(), ncols=across, loc="outside lower center")
        elif key:
            axes[0].legend(key.values(), key.keys(), ncols=across, loc="upper center", bbox_to_anchor=(0.5, -0.22))
    names = [str(i) for i in range(len(axes))] if split else ["all" if ax is None else str(figure.axes.index(ax))]
    numbers = [
        (name, c.label, part, float(at), float(value))
        for name, panel in zip(names, panels, strict=True)
        for c in panel
        for part, values in (("line", c.center), ("lower", c.lower), ("upper", c.upper), ("bound", c.bound))
        for at, value in zip(c.x, values, strict=True)
        if np.isfinite(value)
    ]
    figure.table = [*getattr(figure, "table", []), *numbers]
    return figure


def _dataset(data: Any) -> xarray.Dataset:
    if isinstance(data, str | os.PathLike):
        from prefsim.results import load

        data = load(data)
    if not (hasattr(data, "data_vars") and hasattr(data, "coords")):
        raise TypeError(f"data must be the dataset that ps.run returned or a path to one; got {type(data).__name__}.")
    return data


def _logarithmic(drawn: list[Curve], kind: str, running: bool) -> tuple[bool, bool]:
    """Choose which axes are logarithmic, for a metric of this :func:`prefsim.curves.scale`."""
    at = np.concatenate([c.x for c in drawn])
    wide = bool(at.min() > 0 and at.max() / at.min() >= 20)
    if kind == "log":
        return (_bends(drawn) if running else wide), True
    ends = np.array([y for c in drawn for y in (c.center[-1], c.bound[-1]) if 0 < y < c.largest[-1]])
    return running or wide, bool(kind == "cost" and ends.size and ends.max() / ends.min() > SPREAD)


def _bends(drawn: list[Curve]) -> bool:
    """Whether log values lie closer to a line in log t (a power law) than in t (a linear rate)."""
    residual = np.zeros(2)
    for curve in drawn:
        use = (curve.x > 0) & (curve.center > 0)
        if use.sum() > 2:
            log_y = np.log(curve.center[use])
            for k, at in enumerate((curve.x[use], np.log(curve.x[use]))):
                residual[k] += np.square(log_y - np.polyval(np.polyfit(at, log_y, 1), at)).sum()
    return bool(residual[1] <= residual[0])


def _statistic(data: xarray.Dataset, metric: str, band: float | str | None, split: bool) -> str:
    """Say what line and band are, in the words of a legend; empty for a single run."""
    _, instances, runs, _ = aligned(data, metric).shape
    instances = 1 if split else instances
    if instances * runs == 1:
        return ""
    counts = [f"{n} {what}" for n, what in ((instances, "instances"), (runs, "runs")) if n > 1]
    line = f"{'mean' if averages(metric, band) else 'median'} of {' × '.join(counts)}"
    if band == "simultaneous":
        return f"{line}, 95 % band at all $t$"
    return line if band is None else f"{line}, {50 * (1 - float(band)):.3g}–{50 * (1 + float(band)):.3g} %"


def _key(panel: list[Curve], drawn: list[Curve], statistic: str, direct: bool) -> dict[str, Any]:
    """Legend entries: algorithms unless named at their lines, then what line, band, dashes and dots mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def mark(**marks: Any) -> Line2D:
        return Line2D([], [], **{"color": "0.35", **marks})

    key: dict[str, Any] = {} if direct else {c.label: mark(**drawing.look(k)) for k, c in enumerate(panel)}
    vacuous = np.concatenate([drawing.is_vacuous(c)[np.isfinite(c.bound)] for c in drawn])
    if statistic:
        shade = [Patch(color="0.35", **drawing.BAND)] if any(np.isfinite(c.upper).any() for c in drawn) else []
        key[statistic] = (*shade, mark())
    if vacuous.size:
        key["bound (grey: vacuous)" if vacuous.any() else "bound"] = mark(**drawing.BOUND)
    for side, marks in drawing.GUIDE.items():
        if any(drawing.guide(c, c.slopes.get(side, np.nan))[0].size for c in drawn):
            key[f"slope of the {side} bound (asymptotic)"] = mark(**marks)
    if any(drawing.diverges(c) is not None for c in drawn):
        key["not finite from here on"] = mark(ls="", marker="x", ms=5, mew=1.4)
    return key


def _write_labels(
    figure: Figure, axes: list[Axes], data: xarray.Dataset, metric: str, x: str, columns: int, *, alone: bool
) -> None:
    """Name the axes with their units, the panels by instance, and the figure by its problem."""
    what, across = _label(data[metric], metric), _label(data[x], x)
    if x == "t":
        across = f"{data[x].attrs.get('long_name', '')} $t$".lstrip()
    elif not over_time(data, x):
        what += f" at $t$ = {int(data['t'].max())}"
    for i, ax in enumerate(axes):
        if i % columns == 0:
            ax.set_ylabel(textwrap.fill(what, 30))
        if i >= len(axes) - columns:
            ax.set_xlabel(across)
        if len(axes) > 1:
            ax.set_title(f"instance {i}", color="0.45")
    title = _problem_name(data)
    if title and len(axes) > 1:
        figure.suptitle(title, x=0.01, ha="left", fontsize=8)
    elif title and alone:
        axes[0].set_title(title)


def _label(variable: xarray.DataArray, name: str) -> str:
    """What a variable is, with its unit."""
    what, unit = variable.attrs.get("long_name") or name.replace("_", " "), variable.attrs.get("units", "")
    return f"{what} ({unit})" if unit not in ("", "1", "dimensionless") else str(what)


def _problem_name(data: xarray.Dataset) -> str:
    """Name of the experiment or its problem in the provenance; empty where there is none."""
    provenance = data.attrs.get("provenance", "{}")
    experiment = (json.loads(provenance) if isinstance(provenance, str) else provenance).get("experiment") or {}
    problem = experiment.get("problem") or {}
    named = problem if isinstance(problem, str) else problem.get("family", "")
    return str(experiment.get("name") or named).strip("<>").replace("_", " ")


def save(figure: Figure, path: str | os.PathLike[str], *, table: bool = True) -> Path:
    """Write a figure as PDF, PNG, PGF or SVG, chosen by the ending, and the numbers it shows beside it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        From :func:`plot`, or any other.
    path : path
        File to write; replaced as a whole if it exists. The same figure gives the same bytes.
    table : bool
        Also write ``<name>.csv``, such as ``duel.pdf.csv``, with columns panel, curve, part (line, lower, upper, bound), x, y.

    Returns
    -------
    pathlib.Path
        The image's path.

    Raises
    ------
    ValueError
        For an ending that is none of the four, or a path that cannot be written.
    RuntimeError
        For PGF on a machine without LaTeX, which measures its text.
    """
    import matplotlib

    from prefsim.results import check_writable, write_whole

    target = Path(path)
    kind = target.suffix.lower().removeprefix(".")
    if kind not in METADATA:
        raise ValueError(f"path {os.fspath(path)!r} must end in .pdf, .png, .pgf or .svg to say what to write.")
    check_writable(target)
    # the style resets the user's choice of TeX program, so it is read first, and kept if it is installed
    programs = [p for p in (matplotlib.rcParams["pgf.texsystem"], "lualatex", "xelatex", "pdflatex") if shutil.which(p)]
    if kind == "pgf" and not programs:
        raise RuntimeError("PGF needs LaTeX to measure text; install lualatex, xelatex or pdflatex, or save as .pdf.")
    image = io.BytesIO()
    with drawing.style(), matplotlib.rc_context({"pgf.texsystem": programs[0]} if programs else {}):
        figure.savefig(image, format=kind, metadata=METADATA[kind])
    write_whole(target, lambda draft: Path(draft).write_bytes(image.getvalue()))
    rows = getattr(figure, "table", None)
    if table and rows:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("panel", "curve", "part", "x", "y"), *rows])
        write_whole(Path(f"{target}.csv"), lambda draft: Path(draft).write_bytes(text.getvalue().encode()))
    return target
