"""Elimination in duels, and winner stays, against a plain reading of the printed pseudo-code on the same feedback.

The readings below keep the whole history of duels and compute everything anew from it in every round; they accept any of the
actions that ties and random choices allow. How those are drawn is tested apart.
"""

import math
from collections import Counter

import numpy as np
import pytest
from scipy import stats

import prefsim as ps
from prefsim.agent import agent
from prefsim.claim import check, select

HORIZON = 4000
CASES = {
    "order": ps.bandits.bradley_terry_duels([1.5, 1.0, 0.3, -0.5, -1.0]).truth.preference[0],
    "circle": ps.bandits.cyclic_duels(5, 0.3, winner=0).truth.preference[0],
    "tie": np.array([[0.5, 0.5, 0.9], [0.5, 0.5, 0.9], [0.1, 0.1, 0.5]]),
}


def play(policy, preference, rounds=HORIZON, seed=0, **hyper):
    """Drive a live agent; yield the duels before the round, and its action."""
    generator, history = np.random.default_rng(seed), []
    live = agent(policy, len(preference), seed=seed, horizon=HORIZON, **hyper)
    for _ in range(rounds):
        action = live.act()
        yield history, action, live
        won = bool(generator.random() < preference[action])
        live.learn(action, float(won))
        history.append((*action, won))


def record(history, i, j):
    """Wins of `i` over `j`, and their duels, whoever was named first."""
    won = [(w if a == i else not w) for a, b, w in history if {a, b} == {i, j} and a != b]
    return sum(won), len(won)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("radius", "seed"), [(0.3, 0), (0.15, 1), (0.15, 2)])
def test_interleaved_filter_follows_the_definition(case, radius, seed):
    preference = CASES[case]
    arms = len(preference)
    alive, best, waiting, changes = set(range(arms)), None, None, 0
    wins, duels = np.zeros((arms, arms)), np.zeros((arms, arms))
    for history, action, live in play("interleaved_filter", preference, seed=seed, radius=radius):
        if history:
            i, j, won = history[-1]
            if i != j:
                duels[i, j] += 1
                duels[j, i] += 1
                wins[i, j] += won
                wins[j, i] += not won
        if best is None:
            best, waiting = action[0], alive - {action[0]}
        if not waiting and len(alive) > 1:
            share, c = {}, {}
            for j in alive - {best}:
                share[j] = wins[best, j] / duels[best, j]
                c[j] = radius * math.sqrt(4 * math.log(HORIZON * arms**2) / duels[best, j])
            alive -= {j for j in share if share[j] - c[j] > 0.5}
            challengers = {j for j in alive - {best} if share[j] + c[j] < 0.5}
            if challengers:
                assert action[0] in challengers
                alive -= {best} | {k for k in alive - {best, action[0]} if share[k] > 0.5}
                best, changes = action[0], changes + 1
            waiting = alive - {best}
        assert live._rule.recommend(None, live.state, None, 0) == best
        assert live.state.alive.nonzero()[0].tolist() == sorted(alive)
        if len(alive) == 1:
            assert action == (best, best)
        else:
            assert action[0] == best and action[1] in waiting
            waiting = waiting - {action[1]}
    assert len(alive) == 1 or case == "tie"
    assert changes <= arms


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("hyper", "seed"), [({"radius": 0.08}, 0), ({"radius": 0.03, "gamma": 1.5}, 1)])
def test_beat_the_mean_follows_the_definition(case, hyper, seed):
    preference = CASES[case]
    arms = len(preference)
    alive, drops = set(range(arms)), 0
    compared, won = np.zeros((arms, arms)), np.zeros((arms, arms))
    width = 3 * hyper.get("gamma", 1.0) ** 2 * hyper["radius"] * math.sqrt(math.log(2 * HORIZON * arms))
    for history, action, live in play("beat_the_mean", preference, seed=seed, **hyper):
        if history and history[-1][0] != history[-1][1]:
            i, j, victory = history[-1]
            compared[i, j] += 1
            won[i, j] += victory
        if len(alive) > 1:
            others = sorted(alive)
            n = compared[np.ix_(others, others)].sum(axis=1)
            share = np.where(n > 0, won[np.ix_(others, others)].sum(axis=1) / np.maximum(n, 1), 0.5)
            c = width / math.sqrt(n.min()) if n.min() > 0 else 1.0
            now = set(live.state.alive.nonzero()[0].tolist())
            if share.min() + c < share.max() - c:
                gone = alive - now
                assert len(gone) == 1 and share[others.index(*gone)] == pytest.approx(share.min(), abs=1e-12)
                alive, drops = now, drops + 1
            assert now == alive
        inside = sorted(alive)
        n = compared[np.ix_(inside, inside)].sum(axis=1)
        if len(alive) == 1:
            assert action == (inside[0], inside[0])
        else:
            assert action[0] in alive and action[1] in alive - {action[0]}
            assert n[inside.index(action[0])] == n.min()
    assert drops >= (1 if case != "circle" else 0)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("hyper", "seed"), [({"radius": 0.4}, 0), ({"radius": 0.5, "delta": 0.1}, 1)])
def test_savage_follows_the_definition(case, hyper, seed):
    preference = CASES[case]
    arms = len(preference)
    alive = set(range(arms))
    wins, sizes = np.zeros((arms, arms)), set()
    delta = hyper.get("delta", 1 / HORIZON)
    for history, action, live in play("savage", preference, seed=seed, **hyper):
        if history and history[-1][0] != history[-1][1]:
            i, j, victory = history[-1]
            wins[(i, j) if victory else (j, i)] += 1
        duels = wins + wins.T
        c = hyper["radius"] * np.sqrt(math.log(arms * (arms - 1) * HORIZON / delta) / (2 * np.maximum(duels, 1)))
        beaten = (duels > 0) & (wins / np.maximum(duels, 1) + c < 0.5)
        alive -= {i for i in alive if beaten[i].any()}
        assert live.state.alive.nonzero()[0].tolist() == sorted(alive)
        sizes.add(len(alive))
        if len(alive) == 1:
            assert set(action) == alive
        else:
            fewest = min(duels[i, j] for i in alive for j in alive if i != j)
            assert action[0] != action[1] and set(action) <= alive and duels[action] == fewest
            worst = {i: min(wins[i, j] / duels[i, j] if duels[i, j] else 1.0 for j in alive - {i}) for i in alive}
            recommended = live._rule.recommend(None, live.state, live._problem, 0)
            assert recommended in alive and worst[recommended] == max(worst.values())
    assert min(sizes) < arms


@pytest.mark.parametrize("case", CASES)
def test_winner_stays_follows_the_definition(case):
    preference = CASES[case]
    arms, ties = len(preference), 0
    score = np.zeros(arms)
    for history, action, _ in play("winner_stays", preference, rounds=600, seed=3):
        last = []
        if history:
            i, j, victory = history[-1]
            last, winner = [i, j], i if victory else j
            score[winner] += 1
            score[i + j - winner] -= 1
        pool = list(range(arms))
        for arm in action:
            top = [k for k in pool if score[k] == max(score[p] for p in pool)]
            preferred = [k for k in last if k in top]
            assert arm == preferred[0] if preferred else arm in top
            ties += len(top) > 1
            pool.remove(arm)
    assert ties > 5 and score.sum() == 0


@pytest.mark.parametrize(
    ("policy", "hyper", "explored"),
    [
        ("interleaved_filter", {}, 1 * (math.floor(16 * math.log(4 * HORIZON)) + 1)),
        ("interleaved_filter", {"radius": 0.5}, math.floor(4 * math.log(4 * HORIZON)) + 1),
        ("beat_the_mean", {}, 2 * (math.floor(36 * math.log(4 * HORIZON)) + 1)),
        ("beat_the_mean", {"gamma": 1.1}, 2 * (math.floor(36 * 1.1**4 * math.log(4 * HORIZON)) + 1)),
        ("savage", {}, math.floor(2 * math.log(2 * HORIZON**2)) + 1),
        ("savage", {"delta": 0.01}, math.floor(2 * math.log(200 * HORIZON)) + 1),
    ],
)
def test_certain_winner_of_two_is_settled_when_the_radius_says(policy, hyper, explored):
    """A certain winner has share 1: IF and SAVAGE end at ``c < 1/2``, BTM, whose loser has share 0, at ``2 c < 1``."""
    certain = np.array([[0.5, 1.0], [0.0, 0.5]])
    actions = [action for _, action, _ in play(policy, certain, rounds=explored + 5, **hyper)]
    assert all(i != j for i, j in actions[:explored]) and actions[explored:] == [(0, 0)] * 5


def evenly(counts, choices):
    return len(counts) == choices and stats.chisquare(list(counts.values())).pvalue > 1e-4


@pytest.mark.parametrize(
    ("policy", "pairs"), [("interleaved_filter", 4), ("beat_the_mean", 12), ("savage", 6), ("winner_stays", 12)]
)
def test_first_round_is_drawn_evenly(policy, pairs):
    actions = [agent(policy, 4, seed=seed, horizon=100).act() for seed in range(900)]
    assert evenly(Counter(actions), pairs)


def test_interleaved_filter_draws_among_the_rivals_that_beat_the_candidate():
    seen = Counter()
    for seed in range(400):
        live = agent("interleaved_filter", 5, seed=seed, horizon=100, radius=1e-3)
        live.state.candidate[0], live.state.cursor[0], live.state.sweeps[0] = 0, 5, 9
        live.state.wins[:] = 0, 4, 6, 1, 4  # out of 10: arm 2 has lost, 1, 3 and 4 won
        first, second = live.act()
        assert live.state.alive.tolist() == [0, 1, 0, 1, 1] and second != first
        seen[first] += 1
    assert set(seen) == {1, 3, 4} and evenly(seen, 3)


def test_beat_the_mean_draws_opponents_and_the_worst_evenly():
    opponents, worst = Counter(), Counter()
    for seed in range(400):
        live = agent("beat_the_mean", 5, seed=seed, horizon=100, radius=1e-3)
        live.state.count[:] = 5, 4, 5, 5, 5
        live.state.won[:] = live.state.count / 2
        opponents[live.act()] += 1
        live = agent("beat_the_mean", 3, seed=seed, horizon=100, radius=1e-3)
        live.state.count[:], live.state.won[:] = 10, (9, 2, 2)
        live.act()
        worst[int(live.state.alive.argmin())] += 1
    assert {first for first, _ in opponents} == {1} and evenly(opponents, 4) and evenly(worst, 2)


def test_winner_stays_prefers_who_was_playing():
    for seed in range(10):
        live = agent("winner_stays", 4, seed=seed)
        live.state.last[:] = 2, 1
        assert live.act() == (2, 1)
        live = agent("winner_stays", 4, seed=seed)
        live.state.last[:], live.state.score[:] = (2, 1), (0, 0, -1, 1)
        assert live.act()[0] == 3 and live.state.last.tolist() == [2, 1]
        live.learn(live.act(), 0.0)


@pytest.mark.parametrize(
    ("policy", "wrong", "match"),
    [
        ("interleaved_filter", {"radius": 0.0}, "radius must be > 0"),
        ("beat_the_mean", {"gamma": 0.9}, "gamma must be >= 1"),
        ("beat_the_mean", {"radius": -1.0}, "radius must be > 0"),
        ("savage", {"delta": 1.0}, r"delta must lie in \[0, 1\)"),
        ("savage", {"radius": 0.0}, "radius must be > 0"),
    ],
)
def test_nonsense_is_refused(policy, wrong, match):
    with pytest.raises(ValueError, match=match):
        agent(policy, 3, horizon=10, **wrong)
    if policy != "winner_stays":
        with pytest.raises(ValueError, match="needs horizon"):
            agent(policy, 3)


CLAIMS = select(["elimination", "winner_stays", "dueling.feedback", "dueling.von_neumann"])


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.key)
def test_claim_holds_and_its_controls_fail(claim):
    verdict = check(claim)
    assert verdict.outcome == ("consistent on this window" if claim.asymptotic else "supported"), verdict
    assert [control.outcome for control in verdict.controls] == ["violated"] * len(claim.controls), verdict
