"""Notions of regret in duels against their definitions, and families of duels against enumeration and files by hand."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

import prefsim as ps
from prefsim import registry
from prefsim.problems import build_problem, describe_problem

DATA = Path(__file__).parent / "data"
ENVIRONMENT = registry.load("bandits", "dueling")
MIXED = np.array([[0.5, 0.6, 0.6, 0.6], [0.4, 0.5, 0.9, 0.6], [0.4, 0.1, 0.5, 1.0], [0.4, 0.4, 0.0, 0.5]])
"""Arm 0 is the Condorcet winner; arm 1 has the largest Borda score, 1.9 / 3 against 1.8 / 3."""
CIRCLE = np.array([[0.5, 0.9, 0.2], [0.1, 0.5, 0.7], [0.8, 0.3, 0.5]])
"""D_01 = .4, D_12 = .2, D_20 = .3: the von Neumann winner is (.2, .3, .4) / .9."""
NOTIONS = ("condorcet_regret", "copeland_regret", "borda_regret", "maximin_regret")


def truth_of(bandit, instance=0):
    return type(bandit.truth)(*(field[instance] for field in bandit.truth))


@pytest.mark.parametrize(
    ("matrix", "normalisation", "gap"),
    [
        (MIXED, "duel_average", [0, 0.1, 0.1, 0.1]),
        (MIXED, "duel_sum", [0, 0.1, 0.1, 0.1]),
        (MIXED, "copeland", [0, 1 / 3, 2 / 3, 1]),
        (MIXED, "borda", [0.1 / 3, 0, 0.4 / 3, 1.1 / 3]),
        (MIXED, "maximin", [0, 0.1, 0.1, 0.1]),
        (CIRCLE, "copeland", [0, 0, 0]),
        (CIRCLE, "borda", [0, 0.15, 0]),
        (CIRCLE, "maximin", [0, 0, 0]),
    ],
)
def test_gaps_by_hand(matrix, normalisation, gap):
    bandit = ps.bandits.dueling(matrix, normalisation=normalisation)
    assert bandit.normalisation == normalisation
    truth = truth_of(bandit)
    np.testing.assert_allclose(truth.gap, gap, atol=1e-12)
    for i, j in itertools.product(range(len(matrix)), repeat=2):
        cost = (gap[i] + gap[j]) * (1.0 if normalisation == "duel_sum" else 0.5)
        expected = cost, max(gap[i], gap[j]), min(gap[i], gap[j])
        np.testing.assert_allclose(ENVIRONMENT.regrets(truth, (), (i, j), 1, 0.0), expected, atol=1e-12)


def test_automatic_notion():
    assert ps.bandits.dueling(MIXED).normalisation == "duel_average"
    assert ps.bandits.dueling(CIRCLE).normalisation == "copeland"
    winners = ps.bandits.dueling([MIXED[:3, :3], CIRCLE], normalisation="borda")
    assert winners.instances == 2
    assert np.isnan(winners.truth.condorcet[1]).all() and not np.isnan(winners.truth.condorcet[0]).any()


def test_refusals():
    with pytest.raises(ValueError, match=r'normalisation="duel_sum".* has none'):
        ps.bandits.dueling(CIRCLE, normalisation="duel_sum")
    with pytest.raises(ValueError, match="has none"):
        ps.bandits.dueling([MIXED[:3, :3], CIRCLE], normalisation="duel_average")
    with pytest.raises(ValueError, match="mixes matrices with and without"):
        ps.bandits.dueling([MIXED[:3, :3], CIRCLE])
    with pytest.raises(ValueError, match=r"must be one of 'auto', .*; got 'bordas'"):
        ps.bandits.dueling(CIRCLE, normalisation="bordas")


@pytest.mark.parametrize("matrix", [MIXED, CIRCLE])
def test_tallies_sum_the_definitions(matrix):
    """Along any sequence of pairs, summed round by round; the best mixture in hindsight by a linear program's vertices."""
    generator = np.random.default_rng(0)
    arms = len(matrix)
    pairs = generator.integers(0, arms, (200, 2)) if arms == 3 else generator.choice(arms, (200, 2), p=[0.1, 0.1, 0.1, 0.7])
    plays = np.append(np.bincount(pairs.ravel(), minlength=arms), [7.0, 7.0, 7.0])  # engines keep more behind the counts
    margin = matrix - 0.5
    wins = (margin > 0).sum(axis=1) / (arms - 1)
    scores = [np.mean([matrix[i, j] for j in range(arms) if j != i]) for i in range(arms)]
    condorcet = sum(margin[0, i] + margin[0, j] for i, j in pairs) / 2 if arms == 4 else np.nan
    copeland = sum(2 * wins.max() - wins[i] - wins[j] for i, j in pairs) / 2
    borda = sum(2 * max(scores) - scores[i] - scores[j] for i, j in pairs) / 2
    maximin = max(sum(q[k] * (margin[k, i] + margin[k, j]) for i, j in pairs for k in range(arms)) / 2 for q in np.eye(arms))
    mixtures = generator.dirichlet(np.ones(arms), 50) @ margin @ plays[:arms] / 2
    assert maximin >= mixtures.max()
    for normalisation in ("auto", "maximin"):
        found = ENVIRONMENT.tallies(truth_of(ps.bandits.dueling(matrix, normalisation=normalisation)), (), plays, 200)
        np.testing.assert_allclose(found, [condorcet, copeland, borda, maximin], rtol=1e-12)


@pytest.mark.parametrize(("normalisation", "notion"), [("duel_average", 0), ("copeland", 1), ("borda", 2)])
def test_regret_is_the_notion_it_says(normalisation, notion):
    bandit = ps.bandits.dueling(MIXED, normalisation=normalisation)
    data = ps.run(bandit, ["rucb"], horizon=500, runs=3, metrics=["regret", NOTIONS[notion]], record=[50, 500])
    np.testing.assert_allclose(data["regret"], data[NOTIONS[notion]], rtol=1e-10)
    assert data[NOTIONS[notion]].normalisation == normalisation.replace("duel_average", "condorcet")
    assert float(data["regret"][..., -1].min()) > 0


def test_regrets_of_one_run_are_ordered():
    """The same seed gives the same duels, whatever is charged for them."""
    settings = {"horizon": 400, "runs": 3, "metrics": ["regret", *NOTIONS], "record": "all"}
    bandits = {n: ps.bandits.dueling(MIXED, normalisation=n) for n in ("duel_average", "duel_sum")}
    data = {n: ps.run(bandit, ["uniform"], **settings) for n, bandit in bandits.items()}
    np.testing.assert_allclose(data["duel_sum"]["regret"], 2 * data["duel_average"]["regret"], rtol=1e-12)
    rock = ps.run(ps.bandits.dueling(CIRCLE, normalisation="maximin"), ["uniform"], **settings)
    hindsight, fixed = rock["maximin_regret"].values, rock["regret"].values
    assert np.isnan(rock["condorcet_regret"][..., 1:]).all() and hindsight.max() > 1
    np.testing.assert_allclose(fixed, 0, atol=1e-9)
    assert (hindsight >= 0).all()
    assert (data["duel_sum"]["maximin_regret"] >= data["duel_sum"]["condorcet_regret"] - 1e-9).all()


def test_engines_agree_on_every_notion():
    for matrix, normalisation in ((MIXED, "duel_sum"), (CIRCLE, "maximin")):
        bandit = ps.bandits.dueling(matrix, normalisation=normalisation)
        settings = {"horizon": 150, "runs": 2, "metrics": ["regret", *NOTIONS], "record": "all"}
        plain, fast = (ps.run(bandit, ["uniform"], engine=e, **settings) for e in ("reference", "numba"))
        for name in ("regret", *NOTIONS):
            np.testing.assert_array_equal(plain[name], fast[name])


def test_theory_stands_beside_the_average_alone():
    """Coefficients are about the average regret: beside another notion they would be wrong."""
    for normalisation, there in (("duel_average", True), ("duel_sum", False), ("copeland", False), ("borda", False)):
        data = ps.run(ps.bandits.dueling(MIXED, normalisation=normalisation), ["rucb"], horizon=20)
        assert ("regret_slope_upper" in data, "regret_slope_lower" in data) == (there, there)


def strongly_transitive(matrix):
    """Strong stochastic transitivity and the stochastic triangle inequality along the order of the arms; summaries agree."""
    margin, summary = np.asarray(matrix) - 0.5, ps.summarize(matrix)
    triples = list(itertools.combinations(range(len(margin)), 3))
    slack = 1e-12
    strong = all(margin[i, k] >= max(margin[i, j], margin[j, k]) - slack for i, j, k in triples)
    strong = strong and (margin[np.triu_indices(len(margin), 1)] > 0).all()
    triangle = all(margin[i, k] <= margin[i, j] + margin[j, k] + slack for i, j, k in triples)
    assert (summary.strong, summary.triangle) == (strong, triangle)
    return strong, triangle


def test_structure_of_the_families():
    assert strongly_transitive(ps.bandits.bradley_terry_duels().truth.preference[0]) == (True, True)
    assert strongly_transitive(ps.bandits.plackett_luce_duels().truth.preference[0]) == (True, True)
    assert strongly_transitive(ps.bandits.mallows_duels().truth.preference[0])[0]
    assert strongly_transitive(ps.bandits.hard_condorcet().truth.preference[0])[0]
    triangles = []
    for seed in range(20):
        preference = ps.bandits.transitive_duels(6, seed).truth.preference[0]
        strong, triangle = strongly_transitive(preference)
        assert strong and preference[0, -1] == pytest.approx(0.9) and np.triu(preference - 0.5, 1)[0, 1:].min() >= 0.02
        triangles.append(triangle)
    assert not all(triangles)
    assert not strongly_transitive(ps.bandits.arxiv_six_rankers().truth.preference[0])[0]


def pairwise(arms, probability):
    """``P(i before j)`` by enumeration of all rankings."""
    matrix = np.full((arms, arms), 0.0)
    total = 0.0
    for order in itertools.permutations(range(arms)):
        chance = probability(order)
        total += chance
        for first, second in itertools.combinations(order, 2):
            matrix[first, second] += chance
    return matrix / total + np.eye(arms) / 2


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.9, 0.995])
def test_mallows_by_enumeration(phi):
    def chance(order):
        return phi ** sum(a > b for a, b in itertools.combinations(order, 2))

    np.testing.assert_allclose(ps.bandits.mallows_duels(5, phi).truth.preference[0], pairwise(5, chance), rtol=1e-12)


def test_mallows_close_to_uniform():
    """To first order in ``theta = -ln phi`` margins are ``(2 k + 1) theta / 12``."""
    preference = ps.bandits.mallows_duels(4, 1 - 1e-6).truth.preference[0]
    np.testing.assert_allclose((preference[0, 1:] - 0.5) / 1e-6, np.array([3, 5, 7]) / 12, rtol=1e-5)


def test_plackett_luce_by_enumeration():
    weights = np.array([5.0, 0.7, 2.0, 1.0])

    def chance(order):
        return math.prod(weights[k] / weights[list(order[n:])].sum() for n, k in enumerate(order))

    found = ps.bandits.plackett_luce_duels(weights.tolist()).truth.preference[0]
    np.testing.assert_allclose(found, pairwise(4, chance), rtol=1e-12)


def test_named_matrices():
    hard = ps.bandits.hard_condorcet(100).truth.preference[0]
    assert hard[0, 1] == pytest.approx(0.51) and hard[0, 99] == 1.0 and hard[97, 98] == pytest.approx(0.995)
    np.testing.assert_allclose(ps.bandits.cyclic_duels(4).truth.preference, ps.bandits.cyclic4().truth.preference)
    circle = ps.bandits.cyclic_duels(5, 0.2, winner=0)
    assert circle.normalisation == "copeland" and not circle.truth.gap.any() and not circle.truth.borda.any()
    margins = ps.bandits.bradley_terry_duels([1.0, 0.0], scale=2.0).truth.preference[0]
    assert margins[0, 1] == pytest.approx(1 / (1 + math.exp(-2)))


def test_random_duels_seldom_have_a_winner():
    bandit = ps.bandits.random_duels(5, seed=1, count=2000)
    share = (~np.isnan(bandit.truth.condorcet[:, 0])).mean()
    chance = 5 / 2**4
    assert abs(share - chance) < 4 * math.sqrt(chance * (1 - chance) / 2000)
    assert bandit.normalisation == "copeland"


@pytest.mark.parametrize(
    ("family", "wrong", "match"),
    [
        ("mallows_duels", {"dispersion": 1.0}, "dispersion must lie"),
        ("mallows_duels", {"arms": 1}, "arms must be"),
        ("transitive_duels", {"smallest": 0.5, "largest": 0.4}, "smallest <= largest"),
        ("transitive_duels", {"arms": 1}, "arms must be"),
        ("cyclic_duels", {"arms": 5}, "even and at least 4"),
        ("cyclic_duels", {"arms": 4, "winner": 0}, "odd and at least 3"),
        ("cyclic_duels", {"margin": 0.0}, "margin must lie"),
        ("hard_condorcet", {"arms": 1}, "arms must be"),
        ("random_duels", {"arms": 1}, "arms must be"),
        ("plackett_luce_duels", {"weights": [1.0, 0.0]}, "above 0"),
    ],
)
def test_families_refuse(family, wrong, match):
    with pytest.raises(ValueError, match=match):
        getattr(ps.bandits, family)(**wrong)


def share(wins):
    """Win ratios of counts, by the definition."""
    wins = np.array(wins, float)
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(wins / (wins + wins.T), nan=0.5)


TEAS = ("Assam", "Bancha", "Ceylon")


@pytest.mark.parametrize(
    ("file", "expected", "names"),
    [
        ("teas.soc", share([[0, 7, 5], [3, 0, 8], [5, 2, 0]]), TEAS),
        ("teas.toi", share([[0, 7, 4, 0], [0] * 4, [0, 3, 0, 0], [0] * 4]), ("Assam", "Bancha", "Ceylon: black", "Darjeeling")),
        ("teas_old.soi", share([[0, 4, 3], [3, 0, 3], [0, 2, 0]]), TEAS),
        ("teas_old.toc", share([[0, 3, 3], [2, 0, 0], [2, 0, 0]]), TEAS),
        ("teas.pwg", share([[0, 5, 4], [3, 0, 0], [1, 1, 0]]), TEAS),
        ("teas.wmg", [[0.5, 0.7, 0.5], [0.3, 0.5, 0.8], [0.5, 0.2, 0.5]], TEAS),
    ],
)
def test_preflib_files_by_hand(file, expected, names):
    bandit = ps.bandits.from_preflib(DATA / file)
    np.testing.assert_allclose(bandit.truth.preference[0], expected, rtol=1e-12)
    assert bandit.names == names


def test_ratings_by_hand():
    bandit = ps.bandits.from_ratings(DATA / "teas.csv")
    assert bandit.names == ("Assam", "Bancha, roasted", "Ceylon", "Dimbula")
    # Comparisons: Assam 3, Bancha 4, Ceylon 3, Dimbula 2 (ann's 3 = 3 is none).
    expected = share([[0, 1, 1, 0], [1, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]])
    np.testing.assert_array_equal(bandit.truth.preference[0], expected)
    few = ps.bandits.from_ratings(DATA / "teas.csv", arms=3)
    assert few.names == ("Assam", "Bancha, roasted", "Ceylon")
    np.testing.assert_array_equal(few.truth.preference[0], expected[:3, :3])
    assert ps.bandits.from_ratings(DATA / "teas.csv", arms=2).names == ("Assam", "Bancha, roasted")
    least = ps.bandits.from_preflib(DATA / "teas.toi", arms=3)  # comparisons 11, 10, 7, 0
    assert least.names == ("Assam", "Bancha", "Ceylon: black")


@pytest.mark.parametrize(("family", "file"), [("from_preflib", "teas.toi"), ("from_ratings", "teas.csv")])
def test_what_was_read_is_written_out(family, file, tmp_path):
    bandit = getattr(ps.bandits, family)(DATA / file)
    recipe = describe_problem(bandit)
    assert recipe["family"] == "dueling" and "path" not in recipe
    path = tmp_path / "experiment.toml"
    ps.Experiment(bandit, ["rucb"], horizon=50, seed=3).to_toml(path)
    again = ps.Experiment.from_toml(path).problem
    np.testing.assert_array_equal(again.truth.preference, bandit.truth.preference)
    assert again.names == bandit.names and again.normalisation == bandit.normalisation


@pytest.mark.parametrize("family", [k for k in registry.keys("bandits") if k.endswith("_duels") or k == "hard_condorcet"])
def test_families_are_found_by_key_and_written_down(family):
    bandit = getattr(ps.bandits, family)()
    assert family not in registry.keys("games")
    again = build_problem(describe_problem(bandit))
    for one, other in zip(bandit.truth, again.truth, strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.environment == bandit.environment and again.normalisation == bandit.normalisation


HEADER = "# NUMBER ALTERNATIVES: 3\n# NUMBER VOTERS: 4\n"


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("x.txt", HEADER, "must end in one of"),
        ("x.soc", HEADER + "2: 1,2,4\n", "line 3: .*numbered from 1 to 3"),
        ("x.soc", HEADER + "2: 1,2,2\n", "line 3"),
        ("x.soc", HEADER + "2: 1,,2\n", "line 3"),
        ("x.soc", HEADER + "two: 1,2,3\n", "line 3"),
        ("x.pwg", HEADER + "2: 1,2,3\n", "two alternatives, the preferred one first"),
        ("x.pwg", HEADER + "2: {1,2}\n", "two alternatives"),
        ("x.wmg", HEADER + "5: 1,2\n", "at most the number of voters"),
        ("x.soc", "# NUMBER VOTERS: 4\n1: 1,2\n", "NUMBER ALTERNATIVES must hold a whole number"),
        ("x.soc", "three\n", "the first line must hold a whole number"),
        ("x.soc", "3\n1,a\n2,b\n", "ends before the votes"),
        ("x.soc", "", "the first line"),
    ],
)
def test_broken_preflib_files_are_refused(name, text, match, tmp_path):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=match):
        ps.bandits.from_preflib(path)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("u,a,1\nu,b,high\n", "line 2: .*finite number as the rating"),
        ("u,a,1\nu,b\n", "line 2"),
        ("u,a,1\nu,b,nan\n", "line 2"),
        ("u,a,1\nu,a,2\n", "a second time"),
        ("u,a,1\n", "at least two"),
    ],
)
def test_broken_ratings_are_refused(text, match, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=match):
        ps.bandits.from_ratings(path)


def test_number_of_arms_must_fit(tmp_path):
    for arms in (1, 5, -1):
        with pytest.raises(ValueError, match="arms must be 0 for all, or from 2 to the 4 items"):
            ps.bandits.from_ratings(DATA / "teas.csv", arms=arms)
    with pytest.raises(ValueError, match="there is no file"):
        ps.bandits.from_preflib(tmp_path / "none.soc")
    broken = tmp_path / "latin.soc"
    broken.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ValueError, match="cannot be read as text"):
        ps.bandits.from_preflib(broken)
