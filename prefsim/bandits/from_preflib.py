"""Dueling bandit of a PrefLib file: orders (``.soc``, ``.soi``, ``.toc``, ``.toi``) or pairs (``.pwg``, ``.wmg``).

Orders: ``P(i beats j)`` is the share of voters with ``i`` before ``j`` among those who rank one of them before the other; arms
that a voter ties or leaves out are not compared. Pairwise counts (``.pwg``) ``count, i, j`` say how many prefer ``i`` to ``j``.
Margins (``.wmg``, recalled: the majority's surplus of votes) give ``P = (1 + margin / voters) / 2``, which is exact if every
voter ranks both. Whatever the file holds: no known answer.

Headers are those of 2022, ``# NUMBER ALTERNATIVES: 3``, ``# ALTERNATIVE NAME 1: x``, with orders ``count: 1,{2,3}``; or the
older ones, a number, lines ``1,x``, a line ``voters,sum,orders``, with orders ``count,1,{2,3}``.

Source: FORMAT_SPECIFICATION.md of PrefLib-Data and preflib.org/data/format; Mattei and Walsh 2013. With ``arms=16`` on the
sushi orders over 100 kinds this is the recipe of Sushi-16 (Komiyama et al. 2015).
"""

import re
from os import PathLike
from pathlib import Path

import numpy as np

from prefsim.bandit import Bandit
from prefsim.bandits._counts import Floats, from_wins, read_lines

ORDERS, PAIRS = (".soc", ".soi", ".toc", ".toi"), (".pwg", ".wmg")
GROUP = re.compile(r"\{([^{}]*)\}|(\d+)")
LINE = re.compile(r"\s*(\d+)\s*[:,]\s*((?:\{[\d,\s]*\}|\d+)(?:\s*,\s*(?:\{[\d,\s]*\}|\d+))*)\s*,?\s*")


def from_preflib(path: str | PathLike[str], arms: int = 0) -> Bandit:
    """Read a dueling bandit from a PrefLib file.

    Parameters
    ----------
    path : str or path-like
        The file; its suffix says what it holds.
    arms : int
        Keep this many alternatives, those with the most comparisons; 0 keeps all.

    Raises
    ------
    ValueError
        In one sentence naming the line, if the file cannot be read so; or if `arms` does not fit.
    """
    kind = Path(path).suffix.lower()
    if kind not in ORDERS + PAIRS:
        raise ValueError(f"{path} must end in one of {', '.join(ORDERS + PAIRS)}, which says what it holds.")
    lines = read_lines(path)
    names, voters, rest = (_new_header if lines and lines[0][1].startswith("#") else _old_header)(path, lines)
    wins = np.zeros((len(names), len(names)))
    for number, line in rest:
        match = LINE.fullmatch(line)
        groups = [(g or one).replace(",", " ").split() for g, one in GROUP.findall(match[2])] if match else []
        order = [[int(k) - 1 for k in group] for group in groups]
        listed = [k for group in order for k in group]
        if match is None or not all(0 <= k < len(names) for k in listed) or len(set(listed)) != len(listed):
            raise ValueError(
                f"{path}, line {number}: {line!r} is not a count and an order of different alternatives, numbered from 1 to "
                f"{len(names)}."
            )
        if kind in PAIRS and (len(order) != 2 or len(listed) != 2):
            raise ValueError(f"{path}, line {number}: {line!r} must be a count and two alternatives, the preferred one first.")
        for k, group in enumerate(order):
            for later in order[k + 1 :]:
                wins[np.ix_(group, later)] += float(match[1])
    if kind == ".wmg":
        wins = _from_margins(path, wins, voters)
    return from_wins(wins, names, arms, path)


def _from_margins(path: str | PathLike[str], surplus: Floats, voters: int) -> Floats:
    """Wins of a weighted majority graph, if every voter ranks all."""
    margin = surplus - surplus.T
    if not voters or np.abs(margin).max() > voters:
        raise ValueError(f"{path}: margins must be at most the number of voters in the header, {voters}.")
    wins = (voters + margin) / 2
    np.fill_diagonal(wins, 0.0)
    return wins


def _new_header(path: str | PathLike[str], lines: list[tuple[int, str]]) -> tuple[list[str], int, list[tuple[int, str]]]:
    """Names, number of voters, and the lines behind a header of ``# KEY: value``."""
    header = dict(line[1:].strip().partition(":")[::2] for _, line in lines if line.startswith("#"))
    count = _whole(path, header.get("NUMBER ALTERNATIVES", ""), "NUMBER ALTERNATIVES")
    names = [header.get(f"ALTERNATIVE NAME {k}", "").strip() or str(k) for k in range(1, count + 1)]
    voters = _whole(path, header["NUMBER VOTERS"], "NUMBER VOTERS") if "NUMBER VOTERS" in header else 0
    return names, voters, [(number, line) for number, line in lines if not line.startswith("#")]


def _old_header(path: str | PathLike[str], lines: list[tuple[int, str]]) -> tuple[list[str], int, list[tuple[int, str]]]:
    """Names, number of voters, and the lines behind a header of a number, that many names, and a line of totals."""
    count = _whole(path, lines[0][1] if lines else "", "the first line")
    if len(lines) < count + 2:
        raise ValueError(f"{path} promises {count} alternatives in its first line and ends before the votes.")
    names = [line.partition(",")[2].strip() or line for _, line in lines[1 : count + 1]]
    return names, _whole(path, lines[count + 1][1].split(",")[0], "the line of totals"), lines[count + 2 :]


def _whole(path: str | PathLike[str], text: str, what: str) -> int:
    if not text.strip().isdigit():
        raise ValueError(f"{path}: {what} must hold a whole number; got {text.strip()!r}.")
    return int(text)
