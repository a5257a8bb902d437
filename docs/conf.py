"""Configuration of the documentation: ``sphinx-build -W -b html docs docs/_build/html``."""

import os
import re
import sys
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
# The notebook's kernel is another process and must find the same package.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))

project = "prefsim"
author = "The prefsim developers"
copyright = author
html_title = project

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "auto"
nb_execution_timeout = 300
nb_execution_raise_on_error = True

autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["prefsim.css"]
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_show_copyright = False
html_math_renderer = "mathml"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6aa8", "color-brand-content": "#0b6aa8"},
    "dark_css_variables": {"color-brand-primary": "#5cb3f0", "color-brand-content": "#5cb3f0"},
}


THIN = '<mspace width="0.17em"></mspace>'
# What docutils leaves to the browser, in the order of application: fences as high as the line, no space around slashes,
# a thin space around the names of functions but none before their parentheses.
SPACING = (
    (r'<mo(?: class="math\w+")?>([|‖⟨⟩{}])</mo>', r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>'),
    (r'<mo stretchy="false">/</mo>', '<mo stretchy="false" lspace="0.06em" rspace="0.06em">/</mo>'),
    (r"<mo>'</mo>", '<mo lspace="0" rspace="0">′</mo>'),
    (r"((?:</m(?:i|n|sub|sup|subsup|frac|sqrt)>|\)</mo>)\s*)(?=<mi>(?:log|ln|exp|sinh|cot|det)</mi>)", rf"\1{THIN}"),
    (r"<mo>&ApplyFunction;</mo>(?=\s*<mo[^>]*>[(\[{])", ""),
    (r"<mo>&ApplyFunction;</mo>", THIN),
)


def _mathml(formula, block):
    """Formulas become MathML, which browsers show without scripts or a network."""
    text = tex2mathml(formula, as_block=block)
    for pattern, replacement in SPACING:
        text = re.sub(pattern, replacement, text)
    return text


def _inline_math(self, node):
    self.body.append(_mathml(node.astext(), False))
    raise nodes.SkipNode


def _display_math(self, node):
    formula, _, tag = node.astext().partition(r"\tag")
    number = f'<span class="number">({tag.strip(" {}")})</span>' if tag else ""
    self.body.append(f'<div class="math-block">{_mathml(formula, True)}{number}</div>')
    raise nodes.SkipNode


def _link_names(app, name, source):
    """On the pages of theory, names of algorithms and claims lead to their pages."""
    from text import linked

    if name in ("mathematics", "preference_games", "bandits"):
        source[0] = linked(source[0])


def setup(app):
    """Write the generated pages, and register what renders formulas and links."""
    import generate

    generate.write(Path(app.srcdir))
    app.connect("source-read", _link_names)
    app.add_html_math_renderer("mathml", (_inline_math, None), (_display_math, None))
