"""CCB and SCB on crafted states, most of which no run comes to soon: one round of the rule against the printed steps."""

import itertools
import math

import numpy as np
import pytest
from test_dueling_policies import Scb, divergence_from_half
from test_policy_rules import frequencies_agree

from prefsim import noise
from prefsim.bandit import Problem
from prefsim.policies import copeland_confidence_bound as ccb
from prefsim.policies import scalable_copeland as scb

ALPHA = 0.3
NEEDS = (-2.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.0)
"""``need`` in units of ``sqrt(ln t)``: at 1 the upper bound is exactly 1/2, at -1 the lower one."""


def copied(state):
    return type(state)(*(array.copy() for array in state))


def crafted_ccb(generator, arms, root):
    """Random wins, bounds on either side of 1/2 or exactly there, random hypotheses."""
    state = ccb.State(*(np.zeros([arms] * len(shape), kind) for kind, shape in ccb.State._field_defaults.values()))
    for i in range(arms):
        for j in range(i):
            if generator.random() < 0.8:
                state.wins[i, j], state.wins[j, i] = generator.integers(0, 5), generator.integers(1, 5)
                state.need[i, j] = generator.choice(NEEDS) * (root or 1.0)
                state.need[j, i] = -state.need[i, j]
            state.superior[i, j], state.superior[j, i] = generator.random(2) < 0.4
    if generator.random() < 0.5:  # one arm's duels are all decided, so that it may be found to be the winner
        sure = generator.integers(arms)
        for j in range(arms):
            if j != sure:
                state.wins[sure, j], state.wins[j, sure] = generator.integers(1, 5, size=2)
                state.need[sure, j] = generator.choice((-2.0, -2.0, -1.0, 2.0)) * (root or 1.0)
                state.need[j, sure] = -state.need[sure, j]
                state.superior[sure, j] = state.superior[j, sure] = 0
    state.winner[:] = generator.random(arms) < 0.6
    state.size[:] = state.superior.sum(axis=1)
    for scratch in (state.high, state.low, state.score):
        scratch[:] = 7  # left over from the round before
    return state._replace(losses=generator.integers(0, arms + 1, size=1))


class Round:
    """One round of CCB as printed, with sets; `after` is told where lots thin out a set."""

    def __init__(self, state, root, after):
        arms = range(len(state.winner))
        data = state.wins + state.wins.T > 0
        # U(i, j) >= 1/2, L(i, j) >= 1/2 and L(i, j) > 1/2, where L(i, j) = 1 - U(j, i), and U = 1, L = 0 without data.
        self.hope = np.where(data, state.need <= root, True)
        sure = np.where(data, state.need.T >= root, False)
        proof = np.where(data, state.need.T > root, False)
        winners = {i for i in arms if state.winner[i]}
        superiors = [{j for j in arms if state.superior[i, j]} for i in arms]
        losses, fresh = int(state.losses[0]), (set(arms), [set() for _ in arms], len(arms))
        high = [sum(self.hope[i, j] for j in arms if j != i) for i in arms]
        low = [sum(sure[i, j] for j in arms if j != i) for i in arms]
        if any(proof[i, j] for i in arms for j in superiors[i]):
            winners, superiors, losses = set(fresh[0]), [set() for _ in arms], fresh[2]
        for i in sorted(winners):
            if high[i] < max(low):
                winners.remove(i)
                if len(superiors[i]) != losses + 1:
                    superiors[i] = {j for j in arms if j != i and not self.hope[i, j]}
        if not winners:
            winners, superiors, losses = fresh
        self.champions = [i for i in arms if high[i] == max(high)]
        for i in self.champions:
            if high[i] == low[i]:
                winners.add(i)
                superiors[i], losses = set(), len(arms) - 1 - high[i]
                for j in arms:
                    if j != i and len(superiors[j]) < losses + 1:
                        superiors[j] = set()
                    elif j != i and len(superiors[j]) > losses + 1:
                        chosen = {k for k in arms if after.superior[j, k]}
                        # Another champion may empty the set that lots have thinned out.
                        thinned = chosen if len(chosen) == losses + 1 else set(sorted(superiors[j])[: losses + 1])
                        assert thinned <= superiors[j]
                        superiors[j] = thinned
        self.winners, self.superiors, self.losses = winners, superiors, losses

    def law(self, wins, root):
        """Probability of every action."""
        arms = range(len(wins))
        duels = wins + wins.T
        upper = np.where(duels > 0, wins / np.maximum(duels, 1) + root * np.sqrt(ALPHA / np.maximum(duels, 1)), 1.0)
        np.fill_diagonal(upper, 0.5)
        chances = np.zeros(wins.shape)
        self.pairs = pairs = [(i, j) for i in arms for j in self.superiors[i] if self.hope[i, j] and self.hope[j, i]]
        for pair in pairs:
            chances[pair] += 0.25 / len(pairs)
        both = [i for i in self.champions if i in self.winners]
        for among, weight in [(both, 2 / 3), (self.champions, 1 / 3)] if both else [(self.champions, 1.0)]:
            for c in among:
                rivals = [j for j in arms if j == c or self.hope[c, j]]
                marked = [j for j in rivals if j in self.superiors[c]]
                for some, half in [(marked, 0.5), (rivals, 0.5)] if marked else [(rivals, 1.0)]:
                    best = [j for j in some if upper[j, c] >= upper[some, c].max() - 1e-12]
                    for d in best:
                        chances[c, d] += (0.75 if pairs else 1.0) * weight / len(among) * half / len(best)
        return chances


@pytest.mark.parametrize("seed", range(2))
def test_ccb_on_crafted_states(seed):
    generator, handle = np.random.default_rng(seed), noise.open_stream(5, seed, 0, 0)
    counted = {kind: 0 for kind in itertools.product((0, 1, 2, 3), ("none", "some", "all"))}
    for case in range(500):
        arms, t = int(generator.integers(2, 6)), int(generator.choice([2, 30, 1000]))
        root = math.sqrt(math.log(t))
        before = crafted_ccb(generator, arms, root)
        if case % 20 == 0:  # the first round, before any data
            before, t, root = before._replace(wins=np.zeros((arms, arms)), need=np.zeros((arms, arms))), 1, 0.0

        def play(draw, before=before, arms=arms, t=t):
            noise.seek(handle, draw)
            state = copied(before)
            return ccb.act(ccb.Hyper(ALPHA), state, Problem(arms), t, handle), state

        action, after = play(case)
        plain = Round(before, root, after)
        assert set(np.flatnonzero(after.winner)) == plain.winners
        assert after.losses[0] == plain.losses
        for j in range(arms):
            assert set(np.flatnonzero(after.superior[j])) == plain.superiors[j]
            assert after.size[j] == len(plain.superiors[j])
        chances = plain.law(before.wins, root)
        assert chances.sum() == pytest.approx(1) and chances[action] > 0
        # Where lots thin out sets the law varies; elsewhere every action must come as often as it says.
        lots = any(Round(before, root, play(draw)[1]).superiors != plain.superiors for draw in range(1000, 1004))
        both = sum(i in plain.winners for i in plain.champions)
        kind = min(len(plain.pairs), 3), "none" if both == 0 else "some" if both < len(plain.champions) else "all"
        if not lots and (chances > 0).sum() > 1 and counted[kind] < 1:
            counted[kind] += 1
            count = np.zeros(chances.shape)
            for draw in range(3000):
                count[play(draw)[0]] += 1
            assert frequencies_agree(count.ravel(), chances.ravel())
    assert sum(counted.values()) >= 8 and all(any(counted[few, kind] for few in range(4)) for kind in ("none", "some", "all"))


def test_ccb_begins_without_hypotheses():
    state = crafted_ccb(np.random.default_rng(0), 4, 1.0)
    ccb.init(ccb.Hyper(), state, Problem(4))
    assert state.winner.tolist() == [1] * 4 and state.losses[0] == 4
    assert not state.superior.any() and not state.size.any()


def test_ccb_thins_out_superiors_evenly():
    """Four superiors where there should be two: any two stay, alike."""
    before = crafted_ccb(np.random.default_rng(0), 5, 1.0)._replace(losses=np.array([1]))
    before.superior[2], before.size[2] = (1, 1, 0, 1, 1), 4
    handle, kept = noise.open_stream(7, 7, 0, 0), np.zeros((5, 5))
    for draw in range(1200):
        noise.seek(handle, draw)
        state = copied(before)
        ccb.trim(state, 5, 2, handle)
        first, second = np.flatnonzero(state.superior[2])
        assert state.size[2] == 2
        kept[first, second] += 1
    pairs = np.zeros((5, 5))
    pairs[np.ix_((0, 1, 3, 4), (0, 1, 3, 4))] = 1 / 6
    assert frequencies_agree(kept[np.triu_indices(5, 1)], pairs[np.triu_indices(5, 1)])


def crafted_scb(generator, arms):
    """SCB as printed in a random state, and the rule's state that says the same."""
    plain = Scb(arms)
    plain.begun, plain.length = (0, 1000) if generator.random() < 0.7 else (1000, 1000**2)
    known = generator.choice((0.5, 0.9, 1.0))
    for i in range(arms):
        for j in range(i):
            if generator.random() < known:
                plain.winner[frozenset((i, j))] = int(generator.choice((i, j)))
    plain.active = sorted(generator.permutation(arms)[: generator.integers(2, arms + 1)].tolist())
    plain.turn, cycles = int(generator.integers(len(plain.active))), int(generator.choice((0, 1, 40, 100)))
    for place, arm in enumerate(plain.active):
        share = generator.choice((0.0, 0.1, 0.5, 1.0))
        plain.rewards[arm] = (generator.random(cycles + (place < plain.turn)) < share).astype(float).tolist()
    if generator.random() < 0.5:
        plain.opponent = int(generator.choice([j for j in range(arms) if j != plain.active[plain.turn]]))
    state = scb.State(*(np.zeros([{"arms": arms}.get(axis, axis) for axis in shape], kind)
                        for kind, shape in scb.State._field_defaults.values()))
    state.begun[0], state.length[0], state.cycles[0], state.best[0] = plain.begun, plain.length, cycles, -1
    state.active[plain.active], state.arm[0] = 1, plain.active[plain.turn]
    state.opponent[0] = -1 if plain.opponent is None else plain.opponent
    for arm, rewards in plain.rewards.items():
        state.earned[arm] = sum(rewards)
    for pair, winner in plain.winner.items():
        state.beats[winner, next(iter(pair - {winner}))] = 1
    return plain, state


def test_scb_on_crafted_states():
    generator, handle = np.random.default_rng(1), noise.open_stream(3, 1, 0, 0)
    seen = {"duel": 0, "settled": 0, "restarted": 0, "dropped": 0}
    for case in range(600):
        arms = int(generator.integers(2, 7))
        plain, state = crafted_scb(generator, arms)
        end = plain.begun + plain.length
        t = int(generator.choice([plain.begun + 3, plain.begun + 900, end, end + 1]))
        noise.seek(handle, case)
        expected, active = plain.act(t, handle), len(plain.active)
        noise.seek(handle, case)
        action = scb.act(scb.Hyper(), state, Problem(arms), t, handle)
        seen["restarted"] += plain.begun == end
        seen["dropped"] += plain.dropped > 0 and active > 1
        if isinstance(expected, set):
            seen["settled"] += 1
            assert action[0] == action[1] == state.best[0] and action[0] in expected
            assert scb.recommend(scb.Hyper(), state, Problem(arms), t) == action[0]
        else:
            seen["duel"] += 1
            assert action == expected and state.opponent[0] == plain.opponent
        assert (state.begun[0], state.length[0]) == (plain.begun, plain.length)
        if plain.best is None:  # an arm that is settled on needs no further book-keeping
            assert state.active.tolist() == [int(i in plain.active) for i in range(arms)]
            assert state.earned[plain.active].tolist() == [sum(plain.rewards[i]) for i in plain.active]
            assert state.cycles[0] == min(len(plain.rewards[i]) for i in plain.active)
            victories = [sum(w == i for w in plain.winner.values()) for i in range(arms)]
            assert victories[scb.recommend(scb.Hyper(), state, Problem(arms), t)] == max(victories)
    assert min(seen.values()) > 20


def test_scb_begins_with_an_epoch_of_a_thousand_rounds():
    state = crafted_scb(np.random.default_rng(0), 4)[1]
    scb.init(scb.Hyper(), state, Problem(4))
    assert (state.begun[0], state.length[0], state.best[0], state.opponent[0]) == (0, 1000, -1, -1)
    assert state.active.tolist() == [1] * 4 and not (state.beats.any() or state.wins.any() or state.earned.any())


def test_scb_settles_evenly_among_the_best():
    state = crafted_scb(np.random.default_rng(0), 4)[1]
    state.active[:], state.beats[:] = (1, 0, 1, 1), [[0, 1, 1, 0], [0, 0, 0, 0], [0, 1, 0, 1], [1, 1, 0, 0]]
    count, handle = np.zeros(4), noise.open_stream(4, 1, 0, 0)
    for draw in range(900):
        noise.seek(handle, draw)
        scb.settle(state, 4, handle)
        count[state.best[0]] += 1
    assert frequencies_agree(count, [1 / 3, 0, 1 / 3, 1 / 3])


@pytest.mark.parametrize("seed", range(3))
def test_scb_certifies_by_the_printed_threshold(seed):
    generator, certified = np.random.default_rng(seed), 0
    for _ in range(400):
        plain, state = crafted_scb(generator, 4)
        i, j = generator.permutation(4)[:2]
        state.beats[:], before = 0, generator.integers(0, 25, size=(4, 4))
        state.wins[:] = before
        won, t = int(generator.integers(2)), plain.begun + int(generator.choice([30, 990]))
        scb.learn(scb.Hyper(), state, Problem(4), t, (i, j), float(won))
        before[(i, j) if won else (j, i)] += 1
        np.testing.assert_array_equal(state.wins, before)
        age, duels = t - plain.begun, before[i, j] + before[j, i]
        level = 0.51 * (math.log(4 * age * 4) + 2 * max(1.0, math.log(max(1.0, math.log(age)))))
        expected = np.zeros((4, 4))
        if duels * divergence_from_half(before[i, j] / duels) > level:
            certified += 1
            expected[(i, j) if before[i, j] > before[j, i] else (j, i)] = 1
        np.testing.assert_array_equal(state.beats, expected)
        kept = copied(state)
        scb.learn(scb.Hyper(), state, Problem(4), t, (i, i), 1.0)
        assert all((a == b).all() for a, b in zip(kept, state, strict=True))
    assert certified > 20
