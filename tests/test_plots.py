"""Structure of figures drawn from small synthetic datasets of the shape that ps.run returns."""

import json

import numpy as np
import pytest
import xarray

from prefsim import plots
from prefsim.metrics import METRICS, Metric


def records(horizon):
    return np.unique(np.concatenate([[0], np.geomspace(1, horizon, 50).astype(np.int64), [horizon]]))


def dataset(metric, curves, t, *, instances=1, problem="arxiv_six_rankers", **extra):
    """Build a dataset from ``{label: (instance, run, t) or broadcastable}``."""
    values = np.stack([np.broadcast_to(v, (instances, *np.shape(v)[-2:])) for v in curves.values()])
    data = xarray.Dataset(
        {metric: (("algorithm", "instance", "run", "t"), values.astype(float))},
        coords={"algorithm": list(curves), "instance": range(instances), "t": t},
        attrs={"provenance": json.dumps({"version": "0", "experiment": {"problem": {"family": problem}}})},
    )
    data["t"].attrs["long_name"] = "round" if metric == "regret" else "iteration"
    for name, value in extra.items():
        axes = ("algorithm", "instance", "t")[: np.ndim(value)]
        data[name] = (axes, np.asarray(value, dtype=float))
    return data


def duels(*, uniform=True, horizon=100_000, runs=40, seed=0):
    """Two algorithms of logarithmic regret, one of them bimodal, and uniform play."""
    generator = np.random.default_rng(seed)
    t = records(horizon)
    scale = generator.gamma(20, 1 / 20, size=(runs, 1))
    late = (generator.random((runs, 1)) < 0.15) * 1.5
    curves = {
        "rucb": 38 * scale * np.log1p(t / 8),
        "double_thompson": 12 * scale[::-1] * (np.log1p(t / 5) + late * np.maximum(np.log1p(t / 2000), 0)),
    }
    if uniform:
        curves["uniform"] = 0.13 * t + np.sqrt(0.02 * t) * generator.normal(size=(runs, 1))
    n = len(curves)
    data = dataset("regret", curves, t)
    bound = np.full((n, 1, t.size), np.nan)
    bound[0, 0] = 60 * np.log(np.maximum(t, 1)) + 150
    data["regret_bound"] = (("algorithm", "instance", "t"), bound)
    data["regret_slope_lower"] = (("algorithm", "instance"), np.full((n, 1), 9.5))
    data["regret_slope_upper"] = (("algorithm", "instance"), np.array([[50.0], [np.nan], [np.nan]])[:n])
    data["regret"].attrs.update(long_name="cumulative regret", normalisation="duel_average", largest_gap=0.35)
    return data


def games(*, runs=1, seed=0):
    """A linear rate with its bound, down to rounding, and a slower one."""
    generator = np.random.default_rng(seed)
    t = records(1000)
    start = np.exp(0.4 * generator.normal(size=(runs, 1)))
    wiggle = np.exp(0.25 * np.sin(t / 9.0))
    curves = {
        "egpo": np.where(t > 900, -1e-33, 0.3 * start * np.exp(-0.035 * t)),
        "nash_md(step=0.1)": 0.3 * start * np.exp(-0.011 * t) * wiggle,
    }
    data = dataset("duality_gap", curves, t, problem="rock_paper_scissors")
    data["duality_gap_bound"] = (("algorithm", "instance", "t"), np.stack([[2 * 0.97**t], [np.full(t.size, np.nan)]]))
    return data


def cycling():
    """MWU spirals outwards while its average converges; a step too large leaves the finite numbers."""
    t = records(10_000)
    spiral = 1 - 0.8 * np.exp(-t / 700.0) * (1 + 0.2 * np.cos(t / 40.0))
    return dataset(
        "duality_gap",
        {
            "mwu": spiral[None],
            "mwu average": (0.25 / np.sqrt(1 + t / 3))[None],
            "inpo(step=9)": np.where(t > 600, np.nan, 0.2 * np.exp(t / 200.0))[None],
        },
        t,
        problem="cyclic",
    )


def lines(figure, panel=0):
    """Drawn lines of a panel by their label."""
    return {line.get_label(): line for line in figure.axes[panel].lines}


def legend(figure):
    return [text.get_text() for box in figure.legends for text in box.get_texts()]


def written(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_regret_is_its_mean_on_a_logarithmic_time_axis():
    data = duels(uniform=False)
    figure = plots.plot(data)
    ax = figure.axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    assert ax.get_xlabel() == "round $t$" and ax.get_ylabel() == "cumulative regret"
    assert ax.get_title(loc="left") == "arxiv six rankers"
    assert written(figure) == ["double_thompson", "rucb"] and len(ax.collections) == 2
    mean = data["regret"].sel(algorithm="rucb").mean(("instance", "run"))
    np.testing.assert_allclose(lines(figure)["rucb: line"].get_ydata()[1:], mean[1:])
    assert "mean of 40 runs, 10–90 %" in legend(figure)


def test_the_band_is_the_stated_quantiles():
    data = duels(uniform=False)
    figure = plots.plot(data, band=0.5)
    upper = [row[-1] for row in figure.table if row[1:3] == ("rucb", "upper")]
    np.testing.assert_allclose(upper, data["regret"].sel(algorithm="rucb").quantile(0.75, "run")[0])
    assert "mean of 40 runs, 25–75 %" in legend(figure)
    assert not plots.plot(data, band=None).axes[0].collections


def test_linear_regret_beside_logarithmic_takes_logarithmic_axes():
    ax = plots.plot(duels()).axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_a_bound_is_dashed_in_its_colour_and_grey_where_it_is_vacuous():
    data = duels(uniform=False)
    drawn = lines(plots.plot(data))
    bound, line, grey = (drawn[f"rucb: {part}"] for part in ("bound", "line", "vacuous bound"))
    assert bound.get_color() == line.get_color() != grey.get_color() and bound.is_dashed()
    t = data["t"].to_numpy()
    expected = 60 * np.log(np.maximum(t, 1)) + 150
    vacuous = (expected >= 0.35 * t) & (t > 0)
    np.testing.assert_array_equal(np.isfinite(grey.get_ydata()), vacuous)
    np.testing.assert_allclose(bound.get_ydata()[(t > 0) & ~vacuous], expected[(t > 0) & ~vacuous])
    assert "double_thompson: bound" not in drawn  # its bound is NaN
    assert not any("bound" in label or "slope" in label for label in lines(plots.plot(data, bounds=False)))


def test_asymptotic_coefficients_are_slopes_through_the_curve():
    data = duels()
    figure = plots.plot(data)
    guide, line = (lines(figure)[f"rucb: {part}"] for part in ("slope upper", "line"))
    x, y = guide.get_data()
    assert (x[0], x[-1]) == pytest.approx((1e4, 1e5))
    np.testing.assert_allclose(np.diff(y) / np.diff(np.log(x)), 50)
    at, values = line.get_data()
    assert y[0] == pytest.approx(np.interp(np.log(1e4), np.log(at[1:]), values[1:]))
    assert "slope of the lower bound (asymptotic)" in legend(figure)
    assert "uniform: slope lower" not in lines(figure)  # linear regret has no coefficient to compare


def test_a_linear_rate_takes_linear_time_and_a_power_law_logarithmic_time():
    assert plots.plot(games()).axes[0].get_xscale() == "linear"
    t = records(10_000)
    power = dataset("average_duality_gap", {"mwu": (1 / np.sqrt(1 + t))[None], "omd": (1 / (1 + t))[None]}, t)
    ax = plots.plot(power).axes[0]
    assert (ax.get_xscale(), ax.get_yscale(), ax.get_xlabel()) == ("log", "log", "iteration $t$")


def test_convergence_is_a_median_that_leaves_out_rounding():
    data = games(runs=5)
    drawn = lines(plots.plot(data))["egpo: line"].get_ydata()
    np.testing.assert_allclose(drawn[:-5], data["duality_gap"][0, 0].median("run")[:-5])
    assert np.isnan(drawn[-1]) and np.isfinite(drawn[:-5]).all()
    data["duality_gap"][:] = 0.0
    assert not lines(plots.plot(data, bounds=False))


def test_a_diverging_run_ends_in_a_cross():
    figure = plots.plot(cycling())
    cross = lines(figure)["inpo(step=9): diverged"]
    assert cross.get_xdata()[0] == records(10_000)[records(10_000) <= 600][-1]
    assert "not finite from here on" in legend(figure)
    assert not figure.axes[0].collections  # one run has no band


def test_a_line_that_hides_another_is_broken():
    t = records(1000)
    same = dataset("duality_gap", {"omd": np.exp(-t / 99)[None], "nash_md": 1.001 * np.exp(-t / 99)[None]}, t)
    drawn = lines(plots.plot(same))
    assert drawn["nash_md: line"].is_dashed() and not drawn["omd: line"].is_dashed()


def test_few_instances_get_panels_and_many_are_pooled():
    parts = [games(runs=3, seed=s).assign_coords(instance=[s]) for s in range(6)]
    few, many = (xarray.concat(parts[:n], "instance", combine_attrs="override") for n in (3, 6))
    figure = plots.plot(few)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["instance 0", "instance 1", "instance 2"]
    assert {"egpo", "nash_md(step=0.1)"} <= set(legend(figure)) and figure.get_suptitle() == "rock paper scissors"
    np.testing.assert_allclose(
        lines(figure, 1)["nash_md(step=0.1): line"].get_ydata(), few["duality_gap"][1, 1].median("run")
    )
    figure = plots.plot(many)
    assert len(figure.axes) == 1 and "median of 6 instances × 3 runs, 10–90 %" in legend(figure)
    pooled = many["duality_gap"][1].median(("instance", "run"))
    np.testing.assert_allclose(lines(figure)["nash_md(step=0.1): line"].get_ydata(), pooled)


def test_pooled_bounds_stay_above_what_they_bound():
    t = records(100)
    levels = np.array([1.0, 10, 100, 1000, 10_000])[:, None, None]
    values = levels * np.log1p(t) * np.array([0.8, 1.0])[:, None]
    data = dataset("regret", {"ucb1": values}, t, instances=5)
    data["regret_bound"] = (("algorithm", "instance", "t"), levels[None, :, 0] * np.log1p(t))
    drawn = lines(plots.plot(data))
    np.testing.assert_allclose(drawn["ucb1: line"].get_ydata()[1:], 0.9 * drawn["ucb1: bound"].get_ydata()[1:])


def test_the_horizon_against_a_hyperparameter():
    t, steps = records(100), [0.3, 0.01, 0.1]
    gaps = {
        f"{key}({s})": np.full((1, 1, t.size), s * scale) for key, scale in (("omd", 1), ("egpo", 2)) for s in steps
    }
    data = dataset("duality_gap", gaps, t).assign_coords(
        key=("algorithm", ["omd"] * 3 + ["egpo"] * 3), step=("algorithm", steps * 2)
    )
    figure = plots.plot(data, x="step")
    assert figure.axes[0].get_xlabel() == "step" and "at $t$ = 100" in figure.axes[0].get_ylabel().replace("\n", " ")
    np.testing.assert_allclose(lines(figure)["egpo: line"].get_data(), [[0.01, 0.1, 0.3], [0.02, 0.2, 0.6]])


def counted(**per_iteration):
    """Games with their queries: EGPO asks twice an iteration."""
    data = games()
    each = np.array([per_iteration.get("egpo", 18), 9])
    queries = (("algorithm", "t"), each[:, None] * data["t"].to_numpy(), {"long_name": "queries", "units": "duels"})
    return data.assign_coords(queries=queries)


def test_every_algorithm_has_queries_of_its_own():
    data = counted()
    figure = plots.plot(data, x="queries")
    t, drawn = data["t"].to_numpy(), lines(figure)
    np.testing.assert_array_equal(drawn["egpo: line"].get_xdata(), 18 * t)
    np.testing.assert_array_equal(drawn["nash_md(step=0.1): line"].get_xdata(), 9 * t)
    at, bound = drawn["egpo: bound"].get_data()
    np.testing.assert_allclose(bound, 2 * 0.97 ** (at / 18))
    ax = figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("queries (duels)", "duality gap")
    assert (ax.get_xscale(), ax.get_yscale(), ax.get_xlim()) == ("linear", "log", (0, 18_000))
    assert not written(figure) and legend(figure)[:2] == ["egpo", "nash_md(step=0.1)"]  # their lines end apart
    assert {row[3] for row in figure.table if row[1] == "egpo"} <= set(18.0 * t)
    one = lines(plots.plot(data.sel(algorithm="egpo"), x="queries"))
    np.testing.assert_array_equal(one["egpo: line"].get_xdata(), 18 * t)


def test_lines_at_different_queries_do_not_hide_each_other():
    data = counted()
    data["duality_gap"][1] = data["duality_gap"][0]
    broken = [lines(plots.plot(data, x=x))["nash_md(step=0.1): line"].is_dashed() for x in ("t", "queries")]
    assert broken == [True, False]


def test_an_algorithm_with_unknown_queries_is_left_out_with_a_warning():
    with pytest.warns(UserWarning, match="because queries is no known number for them: egpo"):
        figure = plots.plot(counted(egpo=np.nan), x="queries")
    assert {label.split(":")[0] for label in lines(figure)} == {"nash_md(step=0.1)"}
    with pytest.raises(ValueError, match="no algorithm in data has queries as a number"):
        plots.plot(counted(egpo=np.nan).isel(algorithm=[0]), x="queries")


def test_a_rate_keeps_a_linear_axis(monkeypatch):
    """Where a gap or a cost of the same numbers would get a logarithmic one."""
    t = records(1000)
    shares = {"egpo": (t + 1) / 1001, "omd": np.full(t.size, 0.01)}
    data = dataset("share", {name: np.stack([y, 0.5 * y, 0.1 * y]) for name, y in shares.items()}, t)
    assert plots.plot(data).axes[0].get_yscale() == "log"
    monkeypatch.setitem(METRICS, "share", Metric(None, "share", False, scale="linear"))
    figure = plots.plot(data)
    assert (figure.axes[0].get_xscale(), figure.axes[0].get_yscale()) == ("log", "linear")
    assert figure.axes[0].get_ylim()[0] == 0 and "mean of 3 runs, 10–90 %" in legend(figure)


def test_a_selection_without_its_axes_is_drawn():
    data = duels().sel(algorithm="rucb").isel(instance=0)
    assert written(plots.plot(data)) == ["rucb"]


def test_many_long_names_move_to_the_legend_and_stay_distinct():
    t = records(100)
    names = [f"nash_md(step={k}, mix=0.125)" for k in range(9)]
    figure = plots.plot(dataset("duality_gap", {n: np.exp(-(k + 1) * t / 30)[None] for k, n in enumerate(names)}, t))
    assert legend(figure)[:9] == names and not written(figure)
    looks = {(line.get_color(), line.get_linestyle()) for line in lines(figure).values()}
    assert len(looks) == 9


def test_drawing_into_given_axes_leaves_the_settings_of_the_reader_alone():
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.use("agg")  # reading an undecided backend would decide it
    before = matplotlib.rcParams.copy()
    mine = Figure()
    ax = mine.subplots()
    assert plots.plot(duels(), ax=ax) is mine and lines(mine)
    assert dict(matplotlib.rcParams) == dict(before)


def test_simultaneous_band_surrounds_the_mean():
    figure = plots.plot(duels(), band="simultaneous")
    rows = {p: np.array([r[-1] for r in figure.table if r[1:3] == ("rucb", p)]) for p in ("line", "lower", "upper")}
    np.testing.assert_allclose((rows["lower"] + rows["upper"]) / 2, rows["line"])
    assert "mean of 40 runs, 95 % band at all $t$" in legend(figure)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"metric": "regrets"}, "unknown metric 'regrets'; did you mean 'regret'"),
        ({"metric": "regret_bound"}, "unknown metric"),
        ({"x": "alhpa"}, "unknown x 'alhpa'; did you mean 'alpha'"),
        ({"x": "label"}, r"unknown x 'label'; known: alpha, gamma, t\."),
        ({"x": "gamma"}, "no algorithm in data has gamma as a number"),
        ({"band": 80}, "band must be a coverage"),
        ({"band": "quantile"}, "band must be a coverage"),
        ({"metric": "policy"}, r"has the axis 'action' too.*isel\(action=0\)"),
    ],
)
def test_bad_arguments_are_refused_with_a_sentence(arguments, sentence):
    numbers = {"alpha": [0.5, 0.6, np.nan], "gamma": [np.nan] * 3, "label": ["a", "b", "c"]}
    data = duels().assign_coords({name: ("algorithm", values) for name, values in numbers.items()})
    data["policy"] = data["regret"].expand_dims(action=["a", "b"])
    with pytest.raises(ValueError, match=sentence):
        plots.plot(data, **arguments)


def test_data_that_is_no_dataset_is_refused():
    with pytest.raises(TypeError, match=r"dataset that ps\.run returned or a path to one; got ndarray"):
        plots.plot(np.zeros(3))
    with pytest.raises(ValueError, match="no metric over t"):
        plots.plot(xarray.Dataset())


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_files_are_whole_and_reproducible(tmp_path, ending):
    paths = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for path in paths:
        assert plots.save(plots.plot(games()), path, table=False) == path
    first, second = (path.read_bytes() for path in paths)
    assert first == second and len(first) > 1000
    assert sorted(tmp_path.iterdir()) == paths  # no drafts left, and no table


def test_the_numbers_lie_beside_the_picture(tmp_path):
    plots.save(plots.plot(games()), tmp_path / "gap.png")
    header, first, *_ = (tmp_path / "gap.png.csv").read_text().splitlines()
    assert header == "panel,curve,part,x,y"
    assert first == f"all,egpo,line,0.0,{float(games()['duality_gap'][0, 0, 0, 0])!r}"


def test_a_path_that_cannot_be_written_is_refused_and_the_old_file_survives(tmp_path):
    figure = plots.plot(games())
    with pytest.raises(ValueError, match="does not exist"):
        plots.save(figure, tmp_path / "nowhere" / "gap.png")
    with pytest.raises(ValueError, match=r"must end in .pdf, .png, .pgf or .svg"):
        plots.save(figure, tmp_path / "gap.jpeg")
    (tmp_path / "gap.png").write_bytes(b"old")
    figure.savefig = lambda *_, **__: (_ for _ in ()).throw(OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        plots.save(figure, tmp_path / "gap.png")
    assert [p.name for p in tmp_path.iterdir()] == ["gap.png"] and (tmp_path / "gap.png").read_bytes() == b"old"


def test_pgf_without_latex_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(plots.shutil, "which", lambda program: None)
    with pytest.raises(RuntimeError, match="install lualatex, xelatex or pdflatex"):
        plots.save(plots.plot(games()), tmp_path / "gap.pgf")


def test_a_stored_file_is_drawn(tmp_path):
    from prefsim import results

    results.save(duels(), tmp_path / "duel.nc")
    assert lines(plots.plot(tmp_path / "duel.nc")).keys() == lines(plots.plot(duels())).keys()
