"""Rock-paper-scissors-lizard-Spock: five actions, each beating two others.

Scissors beat paper and lizard, paper beats rock and Spock, rock beats lizard and scissors, lizard beats Spock and paper,
Spock beats scissors and rock. It is the cyclic tournament on five actions with the actions renamed: the uniform policy is
the only Nash equilibrium for a margin above 0 and, with a uniform reference, the regularised equilibrium at every
``beta``. Self-play rotates around it at ``omega = margin cot(pi / 10) / 5``, 0.3078 at margin 1/2.

Source: the rules (Sam Kass and Karen Bryla); equilibrium by symmetry, unique as the payoff has rank 4.
"""

import numpy as np

from prefsim.game import PreferenceGame

NAMES = ("rock", "paper", "scissors", "lizard", "spock")
BEATS = {"scissors": ("paper", "lizard"), "paper": ("rock", "spock"), "rock": ("lizard", "scissors"),
         "lizard": ("spock", "paper"), "spock": ("scissors", "rock")}  # fmt: skip


def rock_paper_scissors_lizard_spock(margin: float = 0.5) -> PreferenceGame:
    """Build the game.

    Parameters
    ----------
    margin : float
        ``P(winner > loser) - 1/2``, in [0, 1/2].

    Raises
    ------
    ValueError
        If `margin` leaves [0, 1/2].
    """
    if not isinstance(margin, (int, float)) or not 0 <= margin <= 0.5:
        raise ValueError(f"margin must lie in [0, 1/2], so that 1/2 + margin is a probability; got {margin!r}.")
    wins = np.array([[float(loser in BEATS[winner]) for loser in NAMES] for winner in NAMES])
    return PreferenceGame(0.5 + margin * (wins - wins.T), names=NAMES)
