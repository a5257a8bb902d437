"""The exactness ladder of ``prefsim.llm``: the same solver files, by torch and by the tabular engine, iterate by iterate.

Games have 64 responses (T1), 20 (T1s), or are played by words of at most three letters (T3); log-odds are those of scores
plus a skew form of rank 4, the reference is uneven, ``beta = 0.1``, ``eta = 0.5``. The mistakes that the ladder is there to
catch are its controls, each applied to the training code while it is measured. Derived (``docs/llm.md``). Needs the extra
``prefsim[llm]``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prefsim.claim import Claim, Control, Evidence
from prefsim.claims.llm import PULLED

NEEDS = ("torch",)

ITERATES, SOLUTIONS = 1e-10, 1e-6
"""Bars: of log-probabilities and of probabilities."""
GENERIC = ("omd", "egpo", "nash_md", "mwu", "omwu", "apo", "comal")
"""Algorithms each of which must catch a mistake that concerns all."""


def _largest(errors: list[float], bar: float) -> Evidence:
    return Evidence(np.array(errors), upper=bar, label="largest difference of probabilities")


def _iterates(
    budget: str,
    *,
    keys: tuple[str, ...] = (),
    target: str = "step",
    backwards: bool = False,
    rate: float | None = None,
    mistake: str = "",
) -> Evidence:
    """T1: one gradient step a phase against the tabular iterates; of the algorithms `keys` of a control the least error."""
    from prefsim.claims import _ladder
    from prefsim.claims._ladder_mistakes import MISTAKES

    if keys:
        with MISTAKES[mistake]():
            size = None if rate is None else rate * _ladder.N / 4
            found = [_ladder.stepped(key, 3, target, backwards=backwards, rate=size) for key in keys]
        return Evidence(min(row.max() for row in found), upper=ITERATES)
    horizon = {"fast": 30, "paper": 300}[budget]
    rows = [_ladder.stepped(key, horizon) for key in _ladder.regressed()]
    rows += [_ladder.stepped(key, horizon, "fixed_point") for key in PULLED]
    label = "largest difference of log-probabilities"
    return Evidence(np.array(rows), upper=ITERATES, times=np.arange(horizon + 1), label=label)


def _ascent(budget: str, *, tied: float = 1.0, rate: float = 2.0, mistake: str = "") -> Evidence:
    """T1-PG: methods that follow their policy gradient against the recursion written out; `tied` times ``eta beta``."""
    from prefsim.claims import _ladder
    from prefsim.claims._ladder_mistakes import MISTAKES

    horizon = {"fast": 30, "paper": 300}[budget]
    game, rows = _ladder.games(_ladder.N), []
    cases: tuple[tuple[Any, dict[str, Any], dict[str, Any]], ...] = (
        (("nash_md_pg", {"step": 2.0, "mixture": 0.3}), {"kl_gradient": "reward_to_go"}, {"mixture": 0.3}),
        (("nash_md_pg", {"step": 2.0, "mixture": 0.3}), {"kl_gradient": "sequence"}, {"mixture": 0.3}),
        (("nash_md", {"step": 3.0}), {"estimator": "policy_gradient"}, {"mixture": tied * 3.0 * _ladder.BETA}),
        (("nash_ema_pg", {"decay": 0.8}), {}, {"decay": 0.8}),
    )
    with MISTAKES[mistake]():
        for algorithm, settings, opponent in cases[:3] if mistake else cases:
            found = _ladder.ascended(algorithm, horizon, rate, **settings)
            rows.append(np.abs(found - _ladder.recursion(game, 2.0, horizon, **opponent)).max(axis=(0, 2)))
    label = "largest difference of log-probabilities"
    return Evidence(np.array(rows), upper=ITERATES, times=np.arange(horizon + 1), label=label)


SOLVED: dict[str, tuple[str, dict[str, Any]]] = {
    "inpo, soft labels": ("inpo", {"estimator": "pair_label"}),
    "inpo, expected hard labels": ("inpo", {"estimator": "pair_label", "label": "bernoulli"}),
    "dno": ("dno", {"estimator": "soft_logistic"}),
    "onpo": ("onpo", {"estimator": "pair_label"}),
    "sppo": ("sppo", {"estimator": "variance"}),
    "sppo, exact log Z": ("sppo", {"estimator": "unpaired", "log_z": "exact"}),
    "omd, pairs": ("omd", {"estimator": "pairs"}),
    "gpo": ("gpo", {"estimator": "variance"}),
    "gpo, exact log Z": ("gpo", {"estimator": "unpaired", "log_z": "exact"}),
}
"""Cases of T1s: the algorithm and its switches. GPO plays for log-odds."""


def solved_error(case: str, horizon: int) -> float:
    """Largest difference of probabilities from the tabular path, every step solved."""
    from prefsim.claims import _ladder

    key, settings = SOLVED[case]
    odds = key == "gpo"
    given = {"step": 8.0} if odds else _ladder.hyper(key)
    found, game = _ladder.solved(key, given, horizon, "log_odds" if odds else "probability", **settings)
    return _ladder.error(found, _ladder.tabular(game, key, given, horizon))


def _solved(budget: str, *, log_z: str = "", elsewhere: bool = False) -> Evidence:
    """T1s: every estimator, solved to its minimiser, against the tabular steps."""
    from prefsim.claims import _ladder
    from prefsim.claims._ladder_mistakes import MISTAKES

    if elsewhere:
        with MISTAKES["any pairs"]():
            found, game = _ladder.solved("inpo", _ladder.hyper("inpo"), 5, estimator="pair_label", behaviour="uniform")
        return _largest([_ladder.error(found, _ladder.tabular(game, "inpo", _ladder.hyper("inpo"), 5))], SOLUTIONS)
    if log_z:
        found, game = _ladder.solved("sppo", {"step": 2.0}, 5, estimator="unpaired", log_z=log_z)
        return _largest([_ladder.error(found, _ladder.tabular(game, "mwu", {"step": 2.0}, 5))], SOLUTIONS)
    return _largest([solved_error(case, {"fast": 6, "paper": 40}[budget]) for case in SOLVED], SOLUTIONS)


def _lambert(budget: str, *, other: bool = False) -> Evidence:
    """SPPO with 1/2 for ``log Z`` at ``eta = 2``, solved, against the tabular Lambert policy, or against the MWU step."""
    from prefsim.claims import _ladder

    horizon, given = {"fast": 10, "paper": 40}[budget], {"step": 2.0}
    found, game = _ladder.solved("sppo", given, horizon, estimator="unpaired", log_z="half")
    rule = ("mwu", given) if other else ("sppo", {**given, "half_partition": True})
    return _largest([_ladder.error(found, _ladder.tabular(game, *rule, horizon))], SOLUTIONS)


def word_error(key: str, ends: bool, horizon: int, mistake: str = "", **settings: Any) -> float:
    """Largest difference of probabilities of a prefix policy from the tabular path, every step solved in its parameters."""
    from prefsim.claims import _ladder
    from prefsim.claims._ladder_mistakes import MISTAKES

    asked = {"estimator": "variance", "behaviour": "uniform", "mixture_by": "sequence", **settings}
    with MISTAKES[mistake]():
        found, game = _ladder.grown(key, _ladder.hyper(key), ends, horizon, **asked)
    return _ladder.error(found, _ladder.tabular(game, key, _ladder.hyper(key), horizon))


WORDS = ("omd", "egpo", "nash_md", "inpo", "sppo")


def _words(budget: str, *, key: str = "", mistake: str = "", log_z: str = "", **settings: Any) -> Evidence:
    """T3: a policy with logits for every prefix of a word against the tabular path."""
    from prefsim.claims import _ladder

    if key:
        return _largest([word_error(key, True, 6, mistake, **settings)], SOLUTIONS)
    if log_z:
        found, game = _ladder.grown("sppo", {"step": 2.0}, True, 2, estimator="unpaired", log_z=log_z)
        return _largest([_ladder.error(found, _ladder.tabular(game, "mwu", {"step": 2.0}, 2))], SOLUTIONS)
    horizon = {"fast": 3, "paper": 25}[budget]
    return _largest([word_error(key, ends, horizon) for ends in (False, True) for key in WORDS], SOLUTIONS)


_DERIVED = "derived: the minimiser of L is the tabular step, whatever the measure"

CLAIMS = (
    Claim(
        "llm.tabular_iterates",
        "A gradient step a phase on logits, rate n/4 (c n/4 to the fixed point), is the step of every solver with a target.",
        "derived (T1)",
        ("one logit a response", "plain gradient descent", "exact expectations, nu uniform"),
        _iterates,
        (
            Control("the preference is read in the wrong direction", {"keys": GENERIC, "backwards": True}),
            Control("half the weight of the mixture", {"keys": ("nash_md",), "mistake": "weight halved"}),
            Control("twice the weight of the mixture", {"keys": ("nash_md",), "mistake": "weight doubled"}),
            Control("the second phase plays against the first opponent", {"keys": ("egpo",), "mistake": "first opponent"}),
            Control("the second phase is anchored at the half-step", {"keys": ("egpo",), "mistake": "anchored at half"}),
            Control(
                "the second phase starts at the half-step",
                {"keys": ("egpo",), "mistake": "started at half", "target": "fixed_point"},
            ),
            Control("learning rate 0.9 n/4", {"keys": ("omd", "egpo", "mwu"), "rate": 0.9}),
            Control("the divisor of a sample, n - 1", {"keys": ("omd",), "mistake": "sample divisor"}),
        ),
        (
            *("omd", "online_ipo", "mmd", "egpo", "mirror_prox", "inpo", "nash_md", "nash_ema", "mwu", "spo", "dno", "gpo"),
            *("sppo", "omwu", "onpo", "comal", "mpo", "apo"),
        ),
    ),
    Claim(
        "llm.policy_gradient_iterates",
        "On logits the estimator policy_gradient visits the policies of the exact softmax policy gradient.",
        "derived (T1-PG); recursion written out",
        ("one logit a response", "plain gradient descent", "exact expectations"),
        _ascent,
        (
            Control("half the weight of the mixture", {"mistake": "weight halved"}),
            Control("the weight of nash_md is half of eta beta", {"tied": 0.5}),
            Control("learning rate 1.9 instead of 2", {"rate": 1.9}),
        ),
        ("nash_md_pg", "nash_ema_pg", "nash_md"),
    ),
    Claim(
        "llm.solved_steps",
        "Steps solved to their minimiser are the tabular steps, by every estimator that has it for its minimiser.",
        _DERIVED + " (T1s)",
        ("one logit a response", "exact expectations", "pairs of labels from the opponent; log Z exact where it appears"),
        _solved,
        (
            Control("1/2 for log Z at eta = 2, against MWU", {"log_z": "half"}),
            Control("pair labels on pairs that are not the opponent's", {"elsewhere": True}),
        ),
        ("inpo", "dno", "onpo", "omwu", "sppo", "mwu", "omd", "gpo"),
    ),
    Claim(
        "llm.half_partition",
        "With 1/2 for log Z, as published, SPPO's solved step is the Lambert policy of sppo with half_partition.",
        "Wu et al. (arXiv 2405.00675) for the constant; derived (T1s)",
        ("one logit a response", "exact expectations"),
        _lambert,
        (Control("against the step it stands in for, MWU", {"other": True}),),
        ("sppo",),
    ),
    Claim(
        "llm.words",
        "A policy with logits for every prefix, each step solved in its parameters, follows the tabular path over words.",
        _DERIVED + " (T3)",
        ("every distribution over words is a policy", "log-probabilities are sums over tokens, the end included"),
        _words,
        (
            Control("log-probabilities divided by length", {"key": "omd", "mistake": "per token"}),
            Control("1/2 for log Z at eta = 2, against MWU", {"log_z": "half"}),
            Control("the mixture of tokens for that of words", {"key": "nash_md", "mixture_by": "token"}),
            Control("half the weight of the mixture", {"key": "nash_md", "mistake": "weight halved"}),
        ),
        WORDS,
    ),
)
