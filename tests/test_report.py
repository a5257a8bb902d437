"""Reports: what they say in a terminal, as JSON and as a page, and what their figures draw."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from prefsim import svg, vignette
from prefsim.claim import Claim, Control, Evidence, check
from prefsim.report import Report

T = np.arange(101)


def decay(budget, rate=0.05, label="distance"):
    scale = np.array([[1.0], [0.5], [0.2]])
    bound = np.where(T == 0, np.nan, 0.96**T)
    return Evidence(scale * (1 - rate) ** T, upper=bound, times=T, label=label)


def regret(budget, mean=2.0):
    runs = mean + np.random.default_rng(1).normal(size=(40, 5))
    return Evidence(runs, upper=4.0, lower=1.0, confidence=0.99, label="coefficient of ``ln t``")


def claim(key, measure, change, **more):
    defaults = {"statement": f"``{key}`` < 1 & holds", "source": "Nobody 2001", "assumptions": ["``x > 0``", "y"]}
    return Claim(key, **{**defaults, **more}, measure=measure, controls=[Control("x is broken", change)])


def broken(budget, value=0.0):
    raise ValueError("x must be positive.")


@pytest.fixture(scope="module")
def report() -> Report:
    claims = [
        claim("a.decays", decay, {"rate": 0.0}, algorithms=["egpo"]),
        claim("b.between", regret, {"mean": 9.0}, asymptotic=True),
        claim("c.false", lambda budget, value=3.0: Evidence(value, upper=2.0), {"value": float("inf")}),
        claim("d.toothless", lambda budget, value=1.0: Evidence(value, upper=2.0), {"value": 1.5}),
        claim("e.broken", broken, {"value": 1.0}),
    ]
    return Report(tuple(check(c) for c in claims))


def only(report: Report, *indices: int) -> Report:
    return Report(tuple(report.verdicts[i] for i in indices))


def test_ok_means_supported_and_every_control_failed(report):
    assert only(report, 0, 1).ok
    for bad in (2, 3, 4):
        assert not only(report, 0, bad).ok
    assert not Report(()).ok


def test_the_terminal_says_it_in_words(report):
    lines = repr(report).splitlines()
    words = ["supported", "consistent on this window", "violated", "control passed", "error"]
    for line, verdict, said in zip(lines, report.verdicts, words, strict=False):
        assert verdict.claim.key in line and said in line
    assert "x must be positive." in lines[4]
    assert lines[-1].startswith("5 claims: 1 supported, ") and lines[-1].endswith("3 of 4 controls failed as they must.")


def test_json_round_trip(report, tmp_path):
    path = tmp_path / "v.json"
    report.save(path)

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    content = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert content == report.to_dict()
    assert content["budget"] == "fast" and content["ok"] is False and content["version"]
    for entry, verdict in zip(content["claims"], report.verdicts, strict=True):
        assert (entry["key"], entry["outcome"], entry["ok"]) == (verdict.claim.key, verdict.outcome, verdict.ok)
        assert entry["statement"] == verdict.claim.statement and entry["source"] == "Nobody 2001"
        assert entry["assumptions"] == ["``x > 0``", "y"] and entry["seconds"] >= 0
        for given, control in zip(entry["controls"], verdict.controls, strict=True):
            assert given["breaks"] == "x is broken" and given["failed_as_required"] == control.failed_as_required
            assert given["outcome"] == control.outcome
    assert content["claims"][0]["ratio"] == pytest.approx(0.95 / 0.96, rel=1e-12)
    assert content["claims"][2]["controls"][0]["ratio"] is None  # infinite: strict JSON has no such number


def test_the_same_report_is_the_same_bytes(report, tmp_path):
    for name in ("v.json", "v.html"):
        report.save(tmp_path / name)
        before = (tmp_path / name).read_bytes()
        report.save(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before


class Balance(HTMLParser):
    """Collects identifiers and links, and checks that every element is closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name in ("href", "src", "xlink:href")]

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_holds_everything_and_needs_nothing_else(report, tmp_path):
    report.save(tmp_path / "v.html")
    page = (tmp_path / "v.html").read_text(encoding="utf-8")
    parsed = Balance(page)
    keys = [v.claim.key for v in report.verdicts]
    assert sorted(parsed.ids) == sorted(keys) and parsed.links == [f"#{key}" for key in keys]
    assert not re.search(r"https?:|url\(|@import|<script|<link|<img|<iframe", page)
    for word in ("supported", "violated", "control passed", "consistent on this window", "error", "but must fail"):
        assert word in parsed.text
    assert "fails as it must" in parsed.text and "x must be positive." in parsed.text
    assert "a.decays < 1 & holds" in parsed.text and "<code>a.decays</code> &lt; 1 &amp; holds" in page
    assert "prefers-color-scheme: dark" in page and "@media print" in page
    assert page.count('<svg class="figure"') == 2 + 1 + 1 + 1  # a pair over time, and a strip for each of the others


@pytest.mark.parametrize("name", ["v.pdf", "v", "v.htm"])
def test_other_formats_are_refused(report, name, tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.html or \.json\.$"):
        report.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_report_is_written_whole_or_not_at_all(report, tmp_path, monkeypatch):
    path = tmp_path / "v.json"
    path.write_text("old")
    monkeypatch.setattr("prefsim.results.os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        report.save(path)
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["v.json"]
    with pytest.raises(ValueError, match="does not exist"):
        report.save(tmp_path / "no" / "v.json")


def below_zero(budget):
    return Evidence([-1.0, -2.0, 0.0, 0.5], upper=[0.0, 1.0, 0.0, 1.0])


@pytest.mark.parametrize("measure", [decay, regret, lambda _: Evidence([[1.0, 2.0]], upper=[[3.0], [1.5]]), below_zero])
def test_figures_and_verdicts_speak_of_the_same_ratio(measure):
    evidence = measure("fast")
    drawn = max(float(np.nanmax(ratio)) for ratio, _, _ in vignette.cases(evidence).ratios.values())
    assert drawn == pytest.approx(evidence.judge()[1], rel=1e-12)


def test_rounding_below_the_floor_is_not_drawn_as_a_ratio():
    evidence = Evidence([1e-17, 1e-3], upper=[1e-18, 1e-2], floor=1e-15)
    ratio, _, _ = vignette.cases(evidence).ratios["measured / bound"]
    np.testing.assert_allclose(ratio.ravel(), [np.nan, 0.1])
    assert evidence.judge()[1] == pytest.approx(0.1)


def test_a_dot_lies_where_its_ratio_is():
    (strip,) = vignette.figure(Evidence([0.5, 1.5], upper=2.0)).panels
    tick = {float(t): float(x) for x, t in re.findall(r'x="([\d.]+)" y="[\d.]+" text-anchor="middle">([\d.]+)<', strip)}
    scale = lambda ratio: tick[0.0] + ratio * (tick[1.0] - tick[0.0])  # noqa: E731
    dots = [float(x) for x in re.findall(r'<circle class="dot" cx="([\d.]+)"', strip)]
    assert dots == pytest.approx([scale(0.25), scale(0.75)], abs=0.2)
    bound = float(re.search(r'class="bound" x1="([\d.]+)"', strip)[1])
    assert bound == pytest.approx(scale(1.0), abs=0.2)


def path_points(panel: str, look: str) -> np.ndarray:
    (drawn,) = re.findall(rf'<path class="{look}" d="M([^"]+)"', panel)
    return np.array([[float(c) for c in point.split()] for point in re.split("[ML]", drawn.strip("Z"))])


def test_exponential_decay_is_drawn_as_a_straight_line_below_its_bound():
    values, ratio = vignette.figure(decay("fast")).panels
    line, bound = path_points(values, "measured"), path_points(values, "bound")
    assert len(line) == 101 and len(bound) == 100  # the theorem is silent at t = 0
    fitted = np.polyval(np.polyfit(*line.T, 1), line[:, 0])
    assert np.abs(fitted - line[:, 1]).max() < 0.2
    assert (line[1:, 1] >= bound[:, 1] - 0.2).all()  # pixels grow downwards
    assert 'class="cases"' in values and 'class="cases"' in ratio


def test_values_of_cases_with_other_bounds_are_not_drawn_beside_this_one():
    value = np.array([[0.9], [0.1]]) * 0.9**T
    values, ratio = vignette.figure(Evidence(value, upper=[[1.0], [0.2]] * 0.9**T, times=T)).panels
    assert 'class="cases"' not in values and 'class="cases"' in ratio


def test_power_laws_get_two_logarithmic_axes_and_logarithmic_regret_one():
    t = np.unique(np.geomspace(1, 1e4, 50).round())
    for curve in (3 / t, 5 + 2 * np.log(t)):
        panel = vignette.figure(Evidence(curve / 2, upper=curve, times=t)).panels[0]
        bound = path_points(panel, "bound")
        assert np.abs(np.polyval(np.polyfit(*bound.T, 1), bound[:, 0]) - bound[:, 1]).max() < 0.2


def test_lines_break_where_a_run_diverged_and_end_on_the_edge_at_zero():
    value = np.array([1.0, 0.1, np.nan, 1e-3, 1e-4, 0.0])
    panel = vignette.figure(Evidence(value, upper=10.0 ** -np.arange(6), times=np.arange(6))).panels[0]
    (drawn,) = re.findall(r'<path class="measured" d="([^"]+)"', panel)
    assert [len(piece.split("L")) for piece in drawn.split("M")[1:]] == [2, 3]
    assert float(drawn.split()[-1]) == vignette.HEIGHT - vignette.BOTTOM  # zero lies on the edge


def test_a_bound_at_a_single_time_is_still_drawn():
    value, bound = np.array([[1.0, 0.1, 0.01], [0.5, 0.05, 0.005]]), [np.nan, np.nan, 0.02]
    values, ratio = vignette.figure(Evidence(value, upper=bound, times=[0, 1, 2])).panels
    assert '<path class="bound"' in values and ratio.count("<circle") == 2


def test_thinning_keeps_the_time_of_the_largest_ratio():
    value = np.full(5001, 0.5)
    value[1234] = 0.9
    ratio = vignette.figure(Evidence(value, upper=1.0, times=np.arange(5001))).panels[1]
    assert path_points(ratio, "measured")[:, 1].min() < path_points(ratio, "measured")[0, 1] - 10


def test_no_bound_no_figure():
    assert vignette.figure(Evidence([1.0, 2.0], upper=np.nan)).panels == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-0.0, "0"), (1.0, "1"), (0.25, "0.25"), (1e-5, "10⁻⁵"), (2.4e7, "2.4·10⁷"), (-5e-4, "-5·10⁻⁴")],
)
def test_numbers_are_written_for_people(value, text):
    assert svg.number(value) == text
