"""The documentation site (``make docs``): pages of this folder, references made from the code.

Nothing is fetched while it is built or read. Warnings are errors, broken links among them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS / "_extensions"))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from cistransfer import __version__  # noqa: E402

project = "cistransfer"
author = "the cistransfer authors"
copyright = f"{author}, MIT licence"
release = version = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "verbs",
    "pages",
]
exclude_patterns = ["_build"]

# Text
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
default_role = "py:obj"
copybutton_exclude = ".linenos, .gp, .go"

# The notebook is executed once; a later build takes its outputs from the cache.
nb_execution_mode = "cache"
nb_execution_cache_path = os.environ.get(
    "CISTRANSFER_NOTEBOOKS", str(DOCS / "_build" / "notebooks")
)
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 1200
nb_merge_streams = True

# Python
autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_use_keyword = False
napoleon_use_rtype = False
napoleon_preprocess_types = False

# Links to elsewhere: make docs-links
linkcheck_timeout = 20
linkcheck_anchors = False

html_theme = "furo"
html_title = "cistransfer"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0072B2",
        "color-brand-content": "#0072B2",
        "color-brand-visited": "#7F3C8D",
    },
    "dark_css_variables": {
        "color-brand-primary": "#56B4E9",
        "color-brand-content": "#56B4E9",
        "color-brand-visited": "#CC79A7",
    },
}
pygments_style = "friendly"
