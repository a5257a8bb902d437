"""Index policies for duels against independent plain readings of the papers' pseudo-code, and their printed constants."""

import math

import numpy as np
import pytest
from scipy import optimize, special, stats
from test_policy_rules import NO_WINNER, duels, frequencies_agree, upper_bounds

import prefsim as ps
from prefsim import noise
from prefsim.agent import agent
from prefsim.bandit import Problem
from prefsim.claims import copeland, dueling, rmed
from prefsim.claims._regret import truths
from prefsim.ops import bernoulli_kl, coin_kl
from prefsim.policies import copeland_confidence_bound as ccb
from prefsim.policies import rmed1, rmed2, rmed2fh, scalable_copeland
from prefsim.results import sources

CYCLIC = ps.bandits.cyclic4().truth.preference[0]
ORDER = 0.5 + 0.15 * np.subtract.outer(np.arange(4), np.arange(4)).T
MATRICES = [CYCLIC, ORDER, np.array(NO_WINNER), np.full((3, 3), 0.5)]


def shares(wins):
    """``mu``, 1/2 without data."""
    total = wins + wins.T
    return np.where(total > 0, wins / np.maximum(total, 1), 0.5)


def divergence_from_half(p):
    return special.rel_entr(p, 0.5) + special.rel_entr(1 - p, 0.5)


def test_divergence_from_a_coin():
    for p in (0.0, 1e-9, 0.3, 0.494, 0.496, 0.5 + 1e-7, 0.5, 0.77, 1.0):
        assert coin_kl(p) == pytest.approx(float(bernoulli_kl(p, 0.5)), rel=1e-12, abs=1e-30)
    assert coin_kl(0.5 + 1e-9) == pytest.approx(2e-18, rel=1e-6)


class Rmed:
    """RMED as printed, with lists; says which actions it may take, and is told which one was taken."""

    def __init__(self, arms, version, horizon):
        self.arms, self.version, self.horizon = arms, version, horizon
        self.current, self.left, self.following = list(range(arms)), list(range(arms)), []
        self.rivals = None
        self.exploring = False

    def evidence(self, wins):
        mean, total = shares(wins), wins + wins.T
        return np.where(mean < 0.5, total * divergence_from_half(mean), 0.0).sum(axis=1)

    def cheapest(self, wins, arm, best):
        """Every minimiser b(arm)."""
        mean = shares(wins)
        stronger = [j for j in range(self.arms) if mean[arm, j] < 0.5]
        if not stronger:
            return {best}
        cost = [max(mean[best, arm] + mean[best, j] - 1, 0) / divergence_from_half(mean[arm, j]) for j in stronger]
        return {j for j, c in zip(stronger, cost, strict=True) if c <= min(cost) + 1e-9}

    def simple(self, wins, arm, best):
        mean = shares(wins)
        threats = [j for j in range(self.arms) if j != arm and mean[arm, j] <= 0.5]
        if best in threats or not threats:
            return {best}
        others = [j for j in range(self.arms) if j != arm]
        return {j for j in others if mean[arm, j] <= mean[arm, others].min() + 1e-12}

    def opponents(self, wins, t, arm, best, frozen):
        if self.version == "rmed1":
            return self.simple(wins, arm, best)
        mean, total, found = shares(wins), wins + wins.T, set()
        loglog = max(math.log(max(math.log(t), 1)), 1e-12)
        for rival in {frozen[arm]} if frozen is not None else self.cheapest(wins, arm, best):
            threats = [j for j in range(self.arms) if j != arm and mean[arm, j] <= 0.5]
            if best in threats and total[arm, best] <= total[arm, rival] / loglog:
                found.add(best)
            elif rival in threats:
                found.add(rival)
            else:
                found |= self.simple(wins, arm, best)
        return found

    def actions(self, wins, t, frozen):
        loglog = {"rmed1": 0, "rmed2": math.log(max(math.log(t), 1)), "rmed2fh": math.log(math.log(self.horizon))}
        need = max(1, 3 * loglog[self.version])
        total = wins + wins.T
        short = {(i, j) for i in range(self.arms) for j in range(i + 1, self.arms) if total[i, j] < need}
        self.exploring = bool(short)
        if short:
            return short
        evidence = self.evidence(wins)
        best = [i for i in range(self.arms) if evidence[i] <= evidence.min() + 1e-12]
        arm = self.left[0]
        return {(arm, m) for b in best for m in self.opponents(wins, t, arm, b, frozen)}

    def told(self, wins, t):
        """After the duel."""
        if self.exploring:
            return
        self.left.pop(0)
        evidence = self.evidence(wins)
        for j in range(self.arms):
            qualified = evidence[j] - evidence.min() <= math.log(t) + 0.3 * self.arms**1.01
            if j not in self.left and qualified and j not in self.following:
                self.following.append(j)
        if not self.left:
            assert self.following
            self.current = sorted(self.following)
            self.left, self.following = list(self.current), []


@pytest.mark.parametrize("version", ["rmed1", "rmed2", "rmed2fh"])
@pytest.mark.parametrize("matrix", range(len(MATRICES)))
def test_rmed_is_what_is_printed(version, matrix):
    preference, rounds = MATRICES[matrix], 900
    generator = np.random.default_rng(matrix)
    live, plain = agent(version, len(preference), seed=1, horizon=rounds), Rmed(len(preference), version, rounds)
    wins, sizes = np.zeros(preference.shape), set()
    for t in range(1, rounds + 1):
        action = live.act()
        frozen = live.state.rival if version == "rmed2fh" else None
        assert action in plain.actions(wins, t, frozen), t
        if version == "rmed2fh" and not plain.exploring and plain.rivals is None:
            plain.rivals = live.state.rival.copy()  # just now, from the data of the first phase
            total = (wins + wins.T)[np.triu_indices(len(wins), 1)]
            assert (total == math.ceil(3 * math.log(math.log(rounds)))).all()
            evidence = plain.evidence(wins)
            best = [i for i in range(len(wins)) if evidence[i] <= evidence.min() + 1e-12]
            assert any(all(plain.rivals[i] in plain.cheapest(wins, i, b) for i in range(len(wins))) for b in best)
        won = generator.random() < preference[action]
        live.learn(action, float(won))
        if action[0] != action[1]:
            wins[action if won else action[::-1]] += 1
        plain.told(wins, t)
        np.testing.assert_allclose(-live.state.merit, plain.evidence(wins), rtol=1e-9, atol=1e-12)
        assert np.flatnonzero(live.state.left).tolist() == plain.left
        assert np.flatnonzero(live.state.following).tolist() == sorted(plain.following)
        sizes.add(len(plain.current))
    if version == "rmed2fh":
        np.testing.assert_array_equal(live.state.rival, plain.rivals)
    if matrix < 2:
        assert 1 in sizes and len(sizes) > 1  # the loop shrinks to the winner


def test_rmed_exploits_by_self_duels_and_lets_dropped_arms_return():
    live, generator, ends, returned = agent("rmed1", 4, seed=0), np.random.default_rng(0), [], 0
    for _ in range(3000):
        action = live.act()
        if live.state.left.sum() == 1:
            ends.append(action)
        before = live.state.left.copy()
        live.learn(action, float(generator.random() < CYCLIC[action]))
        returned += ((live.state.left == 1) & (before == 0)).sum() > 1
    assert ends[-20:].count((0, 0)) > 10 and returned > 5


def test_horizon_is_needed_for_rmed2fh_only():
    with pytest.raises(ValueError, match="rmed2fh needs horizon"):
        agent("rmed2fh", 3)
    assert {agent(key, 3).act() for key in ("rmed1", "rmed2")} == {(0, 1)}


def test_regret_coefficients_are_the_printed_ones():
    for build, row in dueling.PRINTED.items():
        truth = truths(build())[0]
        half = [0.5 * 10.0 ** -len(digits.split(".")[1]) for digits in row]
        assert rmed1.regret_slope(rmed1.Hyper(), truth, None) == pytest.approx(float(row[1]), abs=half[1])
        for rule in (rmed2, rmed2fh):
            assert rule.regret_slope(rule.Hyper(), truth, None) == pytest.approx(float(row[2]), abs=half[2])
    assert math.isnan(rmed1.regret_slope(rmed1.Hyper(slack=0.0), truth, None))
    assert math.isnan(rmed2.regret_slope(rmed2.Hyper(alpha=0.0), truth, None))


def test_results_depend_on_the_shared_file():
    experiment = ps.Experiment(problem=ps.bandits.cyclic4(), algorithms=["rmed2fh", "double_thompson_plus"], horizon=10)
    used = {name.rsplit(".", 1)[-1] for name in sources(experiment)}
    assert {"rmed2fh", "rmed2", "_rmed", "double_thompson_plus", "double_thompson"} <= used
    assert not used & {"typing", "math"}


@pytest.mark.parametrize("preference", [CYCLIC, np.array(NO_WINNER)])
def test_double_thompson_plus_breaks_ties_by_regret(preference):
    decided = 0
    for t, wins, live, (champion, challenger), _ in duels("double_thompson_plus", preference, 400, alpha=0.2):
        bounds = upper_bounds(wins, t, 0.2)
        if np.abs(bounds - 0.5)[wins + wins.T > 0].min(initial=1) < 1e-9:
            continue
        hopes = (bounds >= 0.5).sum(axis=1)
        candidates = np.flatnonzero(hopes == hopes.max())
        assert champion in candidates
        assert challenger == champion or 1 - bounds[champion, challenger] <= 0.5
        if len(candidates) == 1:
            continue
        theta = live.state.theta
        count = (theta > 0.5).sum(axis=1)
        tied = [i for i in candidates if count[i] == count[candidates].max()]
        regret = {}
        for i in tied:
            others = [j for j in range(len(wins)) if j != i]
            regret[i] = sum((2 * count.max() - count[i] - count[j]) / divergence_from_half(theta[i, j]) for j in others)
        assert regret[champion] <= min(regret.values()) * (1 + 1e-9)
        decided += len(tied) > 1
    assert decided > 5


def test_double_thompson_plus_samples_the_posterior():
    wins, theta = np.array([[0.0, 4, 1], [3, 0, 6], [2, 3, 0]]), []
    for seed in range(300):
        live = agent("double_thompson_plus", 3, seed=seed)
        live.state.wins[:] = wins
        live.act()
        theta.append(live.state.theta.copy())
    for i, j in ((0, 1), (0, 2), (1, 2)):
        sample = np.array(theta)[:, i, j]
        assert stats.kstest(sample, stats.beta(wins[i, j] + 1, wins[j, i] + 1).cdf).pvalue > 1e-4
        np.testing.assert_array_equal(np.array(theta)[:, j, i], 1 - sample)


class Ccb:
    """CCB as printed, with sets. Where it draws lots to thin out a set, it is told the outcome."""

    def __init__(self, arms, alpha):
        self.arms, self.alpha, self.disproved, self.kinds = arms, alpha, 0, set()
        self.reset()

    def reset(self):
        self.winners = set(range(self.arms))
        self.superiors = {i: set() for i in range(self.arms)}
        self.losses = self.arms

    def bounds(self, wins, t):
        upper = upper_bounds(wins, t, self.alpha)
        lower = 1 - upper.T  # 0 without data
        return upper, lower

    def revise(self, wins, t, outcome):
        """Steps 1 to 3; `outcome` holds the sets the policy has arrived at."""
        upper, lower = self.bounds(wins, t)
        everyone = range(self.arms)
        high = [sum(upper[i, j] >= 0.5 for j in everyone if j != i) for i in everyone]
        low = [sum(lower[i, j] >= 0.5 for j in everyone if j != i) for i in everyone]
        if any(lower[i, j] > 0.5 for i in everyone for j in self.superiors[i]):
            self.disproved += 1
            self.reset()
        for i in sorted(self.winners):
            if high[i] < max(low):
                self.winners.remove(i)
                if len(self.superiors[i]) != self.losses + 1:
                    self.superiors[i] = {j for j in everyone if upper[i, j] < 0.5}
        if not self.winners:
            self.reset()
        champions = [i for i in everyone if high[i] == max(high)]
        for i in champions:
            if high[i] == low[i]:
                self.winners.add(i)
                self.superiors[i] = set()
                self.losses = self.arms - 1 - high[i]
                for j in everyone:
                    if j != i and len(self.superiors[j]) < self.losses + 1:
                        self.superiors[j] = set()
                    elif j != i and len(self.superiors[j]) > self.losses + 1:
                        assert outcome[j] <= self.superiors[j] and len(outcome[j]) == self.losses + 1
                        self.superiors[j] = set(outcome[j])
        return champions

    def law(self, wins, t, champions):
        """Probability of every action, by enumeration."""
        upper, lower = self.bounds(wins, t)
        chances = np.zeros(wins.shape)
        pairs = [(i, j) for i in range(self.arms) for j in self.superiors[i] if lower[i, j] <= 0.5 <= upper[i, j]]
        for pair in pairs:
            chances[pair] += 0.25 / len(pairs)
        rest = 0.75 if pairs else 1.0
        narrowed = [i for i in champions if i in self.winners]
        self.kinds = {"pairs"} if pairs else set()
        self.kinds |= {"narrowed"} if 0 < len(narrowed) < len(champions) else set()
        for chosen, weight in ((narrowed, 2 / 3), (champions, 1 / 3)) if narrowed else ((champions, 1.0),):
            for c in chosen:
                feasible = [j for j in range(self.arms) if lower[j, c] <= 0.5]
                marked = [j for j in feasible if j in self.superiors[c]]
                self.kinds |= {"marked"} if marked and upper[marked, c].max() < upper[feasible, c].max() else set()
                for among, half in ((marked, 0.5), (feasible, 0.5)) if marked else ((feasible, 1.0),):
                    best = [j for j in among if upper[j, c] >= upper[among, c].max() - 1e-12]
                    for d in best:
                        chances[c, d] += rest * weight / len(chosen) * half / len(best)
        return chances


@pytest.mark.parametrize("alpha", [0.51, 0.1])  # at .1 hypotheses are often wrong, and disproved
@pytest.mark.parametrize("preference", [CYCLIC, np.array(NO_WINNER), ORDER])
def test_ccb_is_what_is_printed(preference, alpha):
    arms, checked, disproved = len(preference), dict.fromkeys(("none", "pairs", "narrowed", "marked"), 0), 0
    for seed in range(3):
        plain = Ccb(arms, alpha)
        for t, wins, live, action, _ in duels("copeland_confidence_bound", preference, 700, seed, alpha=alpha):
            state = live.state
            champions = plain.revise(wins, t, {j: set(np.flatnonzero(state.superior[j])) for j in range(arms)})
            assert set(np.flatnonzero(state.winner)) == plain.winners
            for j in range(arms):
                assert set(np.flatnonzero(state.superior[j])) == plain.superiors[j]
            assert state.losses[0] == plain.losses
            chances = plain.law(wins, t, champions)
            assert chances.sum() == pytest.approx(1) and chances[action] > 0
            new = [kind for kind in plain.kinds or {"none"} if checked[kind] < 2]
            if new:
                handle, count = noise.open_stream(5, t, seed, 0), np.zeros((arms, arms))
                for draw in range(1500):
                    noise.seek(handle, draw)
                    copy = ccb.State(*(array.copy() for array in state))
                    count[ccb.act(ccb.Hyper(alpha), copy, Problem(arms), t, handle)] += 1
                assert frequencies_agree(count.ravel(), chances.ravel())
                for kind in new:
                    checked[kind] += 1
        disproved += plain.disproved
    assert checked["none"]
    if alpha < 0.5:
        assert all(checked.values()) and disproved


def kl_limits(mean, level):
    """All q with ``kl(mean, q) <= level``, by root finding."""
    excess = lambda q: float(special.rel_entr(mean, q) + special.rel_entr(1 - mean, 1 - q)) - level  # noqa: E731
    low = 0.0 if mean == 0 or excess(1e-300) <= 0 else optimize.brentq(excess, 1e-300, mean)
    high = 1.0 if mean == 1 or excess(1 - 1e-16) <= 0 else optimize.brentq(excess, mean, 1 - 1e-16)
    return low, high


class Scb:
    """SCB as printed, on the policy's own random numbers."""

    def __init__(self, arms):
        self.arms, self.begun, self.length = arms, 0, 1000
        self.restart()

    def restart(self):
        self.wins, self.winner = np.zeros((self.arms, self.arms)), {}
        self.active, self.rewards = list(range(self.arms)), {i: [] for i in range(self.arms)}
        self.turn, self.opponent, self.best, self.dropped = 0, None, None, 0

    def threshold(self, scale, t):
        return 0.51 * (math.log(4 * scale * self.arms) + 2 * max(1, math.log(max(1, math.log(t)))))

    def act(self, t, handle):
        """The action, or a set of arms among which it settles at random."""
        if t > self.begun + self.length:
            self.begun, self.length = self.begun + self.length, self.length**2
            self.restart()
        while self.best is None:
            arm = self.active[self.turn]
            if self.opponent is None:
                self.opponent = [j for j in range(self.arms) if j != arm][int(noise.uniform(handle) * (self.arms - 1))]
            pair = frozenset((arm, self.opponent))
            if pair not in self.winner:
                return arm, self.opponent
            self.rewards[arm].append(float(self.winner[pair] == arm))
            self.opponent, self.turn = None, self.turn + 1
            if self.turn == len(self.active):
                self.turn = 0
                self.sort_out(t - self.begun)
            pairs = {frozenset((i, j)) for i in self.active for j in range(self.arms) if i != j}
            if len(self.active) == 1 or pairs <= set(self.winner):
                score = {i: sum(w == i for w in self.winner.values()) for i in self.active}
                self.best = {i for i in self.active if score[i] == max(score.values())}
        return self.best

    def sort_out(self, age):
        limits = {}
        for i in self.active:
            rewards = self.rewards[i]
            limits[i] = kl_limits(np.mean(rewards), self.threshold(self.length, age) / len(rewards))
        best = max(low for low, _ in limits.values())
        kept = [i for i in self.active if limits[i][1] >= best]
        self.dropped += len(self.active) - len(kept)
        self.active = kept

    def learn(self, t, i, j, won):
        self.wins[(i, j) if won else (j, i)] += 1
        duels, age = self.wins[i, j] + self.wins[j, i], t - self.begun
        leader = i if self.wins[i, j] >= self.wins[j, i] else j
        share = max(self.wins[i, j], self.wins[j, i]) / duels
        if duels * divergence_from_half(share) > self.threshold(age, age):
            self.winner[frozenset((i, j))] = leader


@pytest.mark.parametrize("seed", range(3))
def test_scb_is_what_is_printed(seed):
    generator = np.random.default_rng(seed)
    arms = 12  # many arms and clear duels, so that some are dropped before all pairs are known
    order = np.subtract.outer(np.arange(arms), np.arange(arms))
    preference = np.where(order < 0, 0.93, np.where(order > 0, 0.07, 0.5))
    live, plain = agent("scalable_copeland", arms, seed=seed), Scb(arms)
    handle = noise.open_stream(*noise.stream_key(seed, "", "policy"), 0, 0)
    settled = dropped = 0
    for t in range(1, 3001):
        noise.seek(handle, t)
        action, expected = live.act(), plain.act(t, handle)
        assert np.flatnonzero(live.state.active).tolist() == plain.active
        if isinstance(expected, set):
            assert action[0] == action[1] in expected
            settled += 1
        else:
            assert action == expected
        won = generator.random() < preference[action]
        live.learn(action, float(won))
        if action[0] != action[1]:
            plain.learn(t, *action, won)
        dropped = max(dropped, plain.dropped)
        certified = {frozenset((i, j)): i for i, j in np.argwhere(live.state.beats)}
        assert certified == plain.winner
    assert plain.begun == 1000 and settled > 500 and dropped > 0
    assert scalable_copeland.recommend((), live.state, Problem(arms), 3000) in plain.best


def test_bound_on_false_certificates_by_hand():
    """The first duel counts from which the threshold can be met, and the terms of the sum, spelled out."""
    margin, total = 0.4, 0.0
    assert scalable_copeland.confidence(scalable_copeland.Hyper(), 2, 7.0, 7.0) == pytest.approx(0.51 * (math.log(56) + 2))
    assert scalable_copeland.confidence(scalable_copeland.Hyper(), 3, 1000.0, 100.0) == pytest.approx(
        0.51 * (math.log(12_000) + 2 * math.log(math.log(100)))
    )
    for n in range(5, 1001):  # 4 ln 2 < b(4, 4) = 2.79, 5 ln 2 > b(5, 5) = 2.90
        level = 0.51 * (math.log(8 * n) + 2 * max(1, math.log(max(1, math.log(n)))))
        total += math.exp(-level) * math.sqrt(4 * 0.9 * 0.1) ** n  # exp(-kl(1/2, q)) = 2 sqrt(q (1 - q))
    assert copeland.certificate_bound(margin) == pytest.approx(total, rel=1e-9)


def test_ties_make_the_wrong_arm_look_better():
    bandit = copeland.two_ties()
    preference = bandit.truth.preference[0]
    assert bandit.normalisation == "copeland" and bandit.truth.gap[0].tolist() == [0.0, 0.5, 0.5, 0.5, 0.25]
    assert (preference[4] >= 0.5).sum() > (preference[0] >= 0.5).sum()


def test_loops_are_driven_on_the_printed_matrix():
    bandit = ps.bandits.mslr5()
    for t, live, action, won in rmed.duels(bandit, 30, 0):
        assert live.t == t - 1 and won in (0.0, 1.0)
        live.learn(action, won)


@pytest.mark.parametrize(
    ("policy", "hyper", "word"),
    [
        ("rmed1", {"slack": -0.1}, "slack"),
        ("rmed2", {"alpha": -1.0}, "alpha"),
        ("rmed2fh", {"slack": -1.0}, "slack"),
        ("double_thompson_plus", {"alpha": 0.0}, "alpha"),
        ("copeland_confidence_bound", {"alpha": 0.0}, "alpha"),
        ("scalable_copeland", {"alpha": 0.0}, "alpha"),
    ],
)
def test_bad_hyperparameters_are_refused(policy, hyper, word):
    with pytest.raises(ValueError, match=word):
        agent(policy, 3, horizon=10, **hyper)
