"""Sphinx's settings for the site; build_site.py runs Sphinx."""

import re

import pynn

project = "pynn"
version = release = pynn.__version__
copyright = "the pynn authors"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
root_doc = "index"

# Docstrings say `name` for code; a name that the reference has becomes a link.
default_role = "py:obj"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False
napoleon_use_rtype = False

# Code without a language is shown as it stands; examples with >>> are Python nevertheless.
highlight_language = "none"

# The pages are written for code hosts; headings get the anchors that code hosts give them.
myst_heading_anchors = 6
myst_enable_extensions = ["dollarmath"]

html_theme = "furo"
html_title = "pynn"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"


def prepare(_app, _what, _name, _object, _options, lines):
    """Write a docstring as reStructuredText needs it.

    A name such as coefs_ is no link, |t - y| is no substitution, and an indented block after a
    colon is shown as it stands.
    """
    if lines and lines[0].startswith("Alias for field number"):  # what NamedTuple says of a field
        lines[:] = [""]
    following, example = [*lines[1:], "", ""], False
    for number, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if example:
            continue
        # napoleon escapes the names that sections describe.
        begin = re.match(r"(?: *\w+_(?: \(.*\))?:)?", line).end()
        parts = re.split(r"(`[^`]*`)", line[begin:])
        parts[::2] = [re.sub(r"(?<=\w)_(?!\w)|\|", r"\\\g<0>", part) for part in parts[::2]]
        lines[number] = line[:begin] + "".join(parts)
        before_block = not following[number] and following[number + 1].startswith("    ")
        if line.endswith(":") and before_block:
            lines[number] += ":"


def without_internals(_app, what, _name, value, _options, signature, result):
    """Show no arguments of a class that users do not call, such as Model."""
    hidden = what == "class" and value.__module__ in {"pynn._model", "pynn._builder"}
    return ("()", None) if hidden else (signature, result)


def setup(app):
    """Let Sphinx call both; `prepare` before napoleon's own function."""
    app.connect("autodoc-process-signature", without_internals)
    app.connect("autodoc-process-docstring", prepare, priority=400)
