"""Sentences in which several rules refuse hyperparameters that make no sense, or leave no room for arithmetic."""

LEAST_RIDGE = 1e-9
"""Below it ``V`` cannot be told from a singular matrix after some million rounds: ``1e6 + 1e-9`` has 16 digits."""


def complain(hyper, *names):
    """Refuse numbers below 0 among `names`, a ``ridge`` that is too small, a ``delta`` that is no probability, and a
    ``power`` of the horizon beyond 1."""
    fields = hyper._asdict()
    if fields.get("ridge", 1.0) < LEAST_RIDGE:
        return f"ridge must be > 0, and {LEAST_RIDGE:g} at least, so that its matrix can be inverted; got {hyper.ridge:g}."
    for name in names:
        if fields[name] < 0:
            return f"{name} must be >= 0; got {fields[name]:g}."
    if not 0 <= fields.get("delta", 0.0) < 1:
        return f"delta must lie in [0, 1), 0 for 1 / T; got {hyper.delta:g}."
    if not 0 <= fields.get("power", 0.0) <= 1:
        return f"power must lie in [0, 1]; got {hyper.power:g}."
    return ""
