"""Games, policies and tabular paths of the exactness ladder, which its claims share."""

from prefsim.claims._ladder import (  # noqa: F401
    BETA,
    SOLVED,
    STEP,
    N,
    ascended,
    error,
    games,
    grown,
    hyper,
    logits_policy,
    paths,
    prefix_policy,
    recursion,
    regressed,
    solved,
    stepped,
    tabular,
    trained,
)
