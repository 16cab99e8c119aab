"""Sphinx configuration; ``sphinx-build -W -b html docs docs/_build/html`` builds the site."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import generate

project = "nasicon_struct"
author = "The nasicon_struct developers"
project_copyright = "The nasicon_struct developers, MIT licence"
version = release = installed_version("nasicon-struct")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "_generated/README.md", "**/.ipynb_checkpoints", "jupyter_execute"]
suppress_warnings = ["mystnb.unknown_mime_type"]

html_theme = "furo"
html_title = f"nasicon_struct {release}"
html_show_sphinx = False

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# A notebook that comes with outputs (from `pytest --nbmake --overwrite notebooks`) is rendered as it is, one
# without is executed; a cell that fails stops the build.
nb_execution_mode = os.environ.get("DOCS_NOTEBOOKS", "auto")
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

generate.write_pages(Path(__file__).parent)
nb_execution_excludepatterns = generate.executed_notebooks(Path(__file__).parent)
