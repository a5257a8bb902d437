"""What a name of the registry stands for, read off its file: documentation, parameters with their meaning, papers."""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

from prefsim import registry


class Parameter(NamedTuple):
    """A hyperparameter of an algorithm, or an argument of a problem family."""

    name: str
    default: str
    """As text; empty if it must be given."""
    meaning: str


class Paper(NamedTuple):
    """A publication named in a docstring."""

    authors: str
    year: str
    arxiv: str
    """Identifier, or empty."""

    def __str__(self) -> str:
        return f"{self.authors} ({self.year})" + (f", arXiv {self.arxiv}" if self.arxiv else "")


def hyperparameters(algorithm: registry.Algorithm) -> list[Parameter]:
    """List an algorithm's hyperparameters; the meaning is the string below each field."""
    meanings = _field_docstrings(algorithm.parameters)
    defaults: dict[str, Any] = algorithm.parameters._field_defaults  # type: ignore[attr-defined]
    return [Parameter(name, _literal(value), meanings.get(name, "")) for name, value in defaults.items()]


def arguments(family: Callable[..., Any]) -> list[Parameter]:
    """List the arguments of a problem family; the meaning is the entry of its docstring's "Parameters" section."""
    meanings = _numpy_parameters(inspect.getdoc(family) or "")
    found = []
    for name, parameter in inspect.signature(family).parameters.items():
        default = "" if parameter.default is parameter.empty else _literal(parameter.default)
        found.append(Parameter(name, default, meanings.get(name, "")))
    return found


def papers(text: str) -> list[Paper]:
    """List the papers named in a docstring as ``Author, Author and Author 2014, arXiv 2312.00886``."""
    name = r"\b(?!(?:In|Since|Until|See|The)\b)(?:(?:de|van|von|der) )*[A-Z][\w'’-]+"
    authors = rf"{name}(?:, {name})*(?:,? and {name})?(?: et al\.)?"
    pattern = rf"({authors}),? \(?((?:19|20)\d\d)\b\)?(?:[,;:]? *arXiv[: ](\d{{4}}\.\d{{4,5}}))?"
    found = [Paper(a, year, arxiv) for a, year, arxiv in re.findall(pattern, " ".join(text.split()))]
    return list(dict.fromkeys(found))


def _literal(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _field_docstrings(fields: type) -> dict[str, str]:
    """Strings that stand below the fields of a class."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(fields))).body[0]
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    found = {}
    for field, below in zip(body, body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            if isinstance(below.value, ast.Constant):
                found[field.target.id] = " ".join(str(below.value.value).split())
    return found


def _numpy_parameters(docstring: str) -> dict[str, str]:
    """Entries of the "Parameters" section of a NumPy-style docstring."""
    _, _, rest = docstring.partition("Parameters\n----------\n")
    section = re.split(r"\n\n?\w[\w ]*\n-{3,}\n", rest)[0]
    found = {}
    for entry in re.split(r"\n(?=\S)", section):
        head, _, body = entry.partition("\n")
        for name in head.partition(":")[0].split(","):
            found[name.strip()] = " ".join(body.split())
    return found


def citation(data: Any) -> str:
    """Return a sentence and BibTeX entries for results: this package, and the papers their algorithms name.

    Parameters
    ----------
    data : xarray.Dataset
        Results of :func:`prefsim.run`.
    """
    content = json.loads(data.attrs["provenance"])
    version, keys = content["version"], dict.fromkeys(str(key) for key in data["key"].values)
    known = {key: entry for kind in ("solvers", "policies") for key, entry in registry.algorithms(kind).items()}
    named: dict[Paper, list[str]] = {}
    for key in keys:
        if key not in known:
            raise registry.unknown(key, known, "algorithm in the file:")
        for paper in papers(known[key].module.__doc__ or ""):
            named.setdefault(paper, []).append(key)
    credits = "".join(f"\n  {', '.join(users)}: {paper}" for paper, users in named.items())
    text = f"Computed with prefsim {version}. Its documentation names these papers:{credits}" if named else (
        f"Computed with prefsim {version}; its documentation names no papers for {', '.join(keys)}."
    )
    package = (
        f"@software{{prefsim,\n  title = {{prefsim: bandits and preference games}},\n"
        f"  author = {{{{The prefsim developers}}}},\n  version = {{{version}}}\n}}"
    )
    return "\n\n".join([text, package, *(_bibtex(paper, users) for paper, users in named.items())])


def _bibtex(paper: Paper, users: list[str]) -> str:
    names = re.split(r",? and |, ", paper.authors.replace(" et al.", ", others"))
    fields = {"author": " and ".join(names), "year": paper.year}
    if paper.arxiv:
        fields |= {"eprint": paper.arxiv, "archiveprefix": "arXiv"}
    fields["note"] = f"named by {', '.join(users)} of prefsim; complete the entry from the publication"
    key = re.sub(r"\W", "", names[0]).lower() + paper.year
    return f"@misc{{{key},\n" + ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items()) + "\n}"
