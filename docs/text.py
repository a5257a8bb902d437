"""From the plain text of docstrings and claims to Markdown, and links between the pages of names."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable

from prefsim import claim, registry

MARKUP = r"``(?P<code>[^`]+)``|(?<![\w*])\*(?P<stress>\w[\w -]*\w|\w)\*(?![\w*])|\barXiv[: ](?P<id>\d{4}\.\d{4,5})"
GREEK = dict(alpha="α", beta="β", delta="δ", eta="η", mu="μ", omega="ω", pi="π", tau="τ")


def escape(text: str) -> str:
    """Escape everything Markdown could interpret."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def code(text: str) -> str:
    """Return an inline code span."""
    return f"`{text}`" if "`" not in text else f"`` {text} ``"


def link(key: str, here: str = "") -> str:
    """Link the name of an algorithm, problem or claim to its page, from another such page; `here` is not linked."""
    place = _places().get(key)
    return f"[{code(key)}](../{place}/{key}.md)" if place and key != here else code(key)


def _places() -> dict[str, str]:
    """Folder of the page of every name that has one."""
    algorithms = {key: "algorithms" for kind in ("solvers", "policies") for key in registry.algorithms(kind)}
    problems = {key: "problems" for kind in ("games", "bandits") for key in registry.keys(kind)}
    return {**algorithms, **problems, **{key: "claims" for key in claim.all_claims()}}


def linked(markdown: str) -> str:
    """Turn code spans that are names of algorithms, problems or claims into links, for a page at the top."""
    places = _places()

    def to_page(match: re.Match[str]) -> str:
        key = match[1]
        return f"[`{key}`](reference/{places[key]}/{key}.md)" if key in places else match[0]

    return re.sub(r"(?<![`\[])`([\w.]+)`(?!`)", to_page, markdown)


def formula(text: str) -> str:
    """Write the ASCII formulas of a claim as one would print them: Greek letters, inequalities, roots, squares."""
    text = re.sub(rf"(?<![A-Za-z])({'|'.join(GREEK)})(?![A-Za-z])", lambda match: GREEK[match[1]], text)
    for plain, printed in (("<=", "≤"), (">=", "≥"), ("!=", "≠"), ("sqrt(", "√("), ("^2", "²"), ("pi*", "π*")):
        text = text.replace(plain, printed)
    return text


def inline(text: str, here: str = "") -> str:
    """Render a line of plain text: ``code``, *emphasis* and arXiv numbers stand out, the rest is taken literally.

    `here` is the name the page is about, which is not linked to itself.
    """
    parts, last = [], 0
    for match in re.finditer(MARKUP, text):
        parts.append(escape(text[last : match.start()]))
        if match["code"]:
            parts.append(link(match["code"], here))
        elif match["stress"]:
            parts.append(f"*{match['stress']}*")
        else:
            parts.append(f"[arXiv {match['id']}](https://arxiv.org/abs/{match['id']})")
        last = match.end()
    return "".join([*parts, escape(text[last:])])


def prose(docstring: str | None, here: str = "") -> str:
    """Render a docstring: paragraphs as :func:`inline`, indented blocks as formulas in plain text."""
    parts = []
    for paragraph in inspect.cleandoc(docstring or "").split("\n\n"):
        if all(line.startswith("  ") for line in paragraph.splitlines()):
            parts.append(f"```{{code-block}} text\n:class: formula\n\n{inspect.cleandoc(paragraph)}\n```")
        else:
            parts.append(inline(" ".join(paragraph.split()), here))
    return "\n\n".join(parts)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Build a Markdown table; cells are Markdown without line breaks."""
    lines = [list(header), ["---"] * len(list(header)), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
