"""Games read from an .npz file as ``PreferenceGame.save`` writes it: one game or a batch, with reference and temperature.

The file holds the arrays ``preference`` (..., n, n) and, optionally, ``log_reference`` (..., n), ``beta`` (...), ``names`` (n)
and the text ``transform``. Judged answers to several prompts make such a batch, a game for each prompt. Whatever the file
holds: no known answer.
"""

from os import PathLike
from zipfile import BadZipFile

import numpy as np

from prefsim.game import PreferenceGame

FIELDS = ("preference", "log_reference", "beta", "names", "transform")


def from_npz(path: str | PathLike[str], beta: float | None = None) -> PreferenceGame:
    """Read preference games from an .npz file.

    Parameters
    ----------
    path : str or path-like
        A file written by ``game.save(path)``, or by ``numpy.savez`` with the same names.
    beta : float, optional
        Temperature of the games instead of the file's, ``>= 0``.

    Raises
    ------
    ValueError
        In one sentence, if the file cannot be read or does not hold preference games.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}; give the path of an .npz file.") from None
    # AttributeError: what numpy.load returns for a lone array is no archive.
    except (OSError, ValueError, BadZipFile, EOFError, AttributeError, TypeError):
        raise ValueError(f"{path} cannot be read as an .npz file of numbers and text; write it with game.save(path).") from None
    if "preference" not in content or not set(content) <= set(FIELDS):
        raise ValueError(
            f"{path} must hold preference and may hold {', '.join(FIELDS[1:])}; got {', '.join(content) or 'nothing'}."
        )
    try:
        return PreferenceGame(
            content["preference"],
            beta=content.get("beta", 0.0) if beta is None else beta,
            log_reference=content.get("log_reference"),
            names=content["names"].tolist() if "names" in content else None,
            transform=str(content.get("transform", "probability")),
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
