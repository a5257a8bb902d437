"""Policies over policies: a rule file that plays copies of another policy, turned into a rule file like any other.

A reduction such as ``policies/sparring.py`` names its usual learner, ``LEARNER = "ucb1"``, and how many copies it plays,
``COPIES = 2`` or ``"arms"``. Its functions call ``learner_init``, ``learner_act`` and ``learner_learn`` on
``copy_of(state, k)``. The module made here is the text of the reduction with these names bound to one learner; its state
holds every array of the learner once a copy, beside the reduction's own ``Memory``. A file may name another's functions
instead of having its own, ``RULE = sparring`` (the imported module); then a docstring and a learner are all it says.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType

from prefsim.bandit import kinds

OWN = ("FEEDBACK", "COPIES", "Memory", "init", "act", "learn", "regret_bound")
"""What a reduction says itself, or leaves to its ``RULE``."""


def over(reduction: ModuleType, learner: ModuleType) -> ModuleType:
    """The rule file of `reduction` playing copies of `learner`.

    Raises
    ------
    ValueError
        If the learner is no policy of single arms, or needs descriptions of the arms; or if the reduction's ``RULE`` is none.
    """
    rule = getattr(reduction, "RULE", reduction)
    key, inner = reduction.__name__.rsplit(".", 1)[-1], learner.__name__.rsplit(".", 1)[-1]
    if "bandit" not in kinds(learner) or hasattr(learner, "SIDE"):
        raise ValueError(f"{key} plays copies of a policy that learns from the reward of one arm, which {inner} does not.")
    if rule is not reduction and (not hasattr(rule, "COPIES") or any(hasattr(reduction, own) for own in OWN)):
        raise ValueError(f"{key}: RULE must be the module of another reduction, and then {', '.join(OWN)} are left to that.")
    name = f"{reduction.__name__.replace('.', '_')}_over_{learner.__name__.replace('.', '_')}"
    if name in sys.modules:
        return sys.modules[name]
    fields = learner.State._field_defaults
    copies = repr(rule.COPIES)
    arrays = [
        f'    learner_{field}: object = {"floats" if kind == "float64" else "integers"}'
        f'({", ".join([copies, *map(repr, shape)])})'
        for field, (kind, shape) in fields.items()
    ]
    memory = rule.Memory._field_defaults if hasattr(rule, "Memory") else ()
    own = [f"    {field}: object = Memory._field_defaults[{field!r}]" for field in memory]
    views = ", ".join(f"state.learner_{field}[k]" for field in fields)
    imports = ["Hyper", "State as Learner", "init as learner_init", "act as learner_act", "learn as learner_learn"]
    tail = [
        "",
        f"# The learner: {inner}.",
        f"REDUCTION = {reduction.__name__!r}",
        f"LEARNER = {reduction.LEARNER!r}",
        "from typing import NamedTuple",
        "from prefsim.ops import floats, integers",
        f"from {learner.__name__} import {', '.join(imports)}",
        f"ANYTIME = {getattr(learner, 'ANYTIME', True)}",
        f"ALLOCATES = {getattr(learner, 'ALLOCATES', False)}",
    ]
    if hasattr(learner, "validate"):
        tail.append(f"from {learner.__name__} import validate")
    # A learner that reacts to the past makes an adversary that does: its bound must hold against such.
    if getattr(learner, "ADAPTIVE", False) and hasattr(rule, "regret_bound"):
        tail += [f"from {learner.__name__} import regret_bound as learner_bound", 'BOUND_COVERS = "adversarial_duel"']
    tail += [
        "class State(NamedTuple):",
        '    """The copies\' arrays, and the reduction\'s own."""',
        *arrays,
        *own,
        "def copy_of(state, k):",
        '    """State of the k-th copy."""',
        f"    return Learner({views})" if fields else "    return Learner()",
    ]
    # The text begins like the rule's file and says it is that file, so that line numbers and sources are found there.
    module = ModuleType(name)
    module.__file__ = rule.__file__
    text = inspect.getsource(rule) + "\n".join(tail) + "\n"
    exec(compile(text, str(rule.__file__), "exec"), module.__dict__)
    module.__doc__ = reduction.__doc__
    sys.modules[name] = module
    return module
