# SPDX-License-Identifier: Apache-2.0
"""The documentation as a site: `make docs`. Why Sphinx: decisions/0021."""

import lowbit

project = "lowbit"
author = "the lowbit authors"
copyright = "the lowbit authors, Apache-2.0"
release = lowbit.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_copybutton"]
exclude_patterns = ["_build"]
nitpicky = False

# Markdown: sections can be linked to by their title, quotes stay as they are written.
myst_heading_anchors = 3
myst_links_external_new_tab = True

# Docstrings: `name` is code; types stand in the signature, and what raises is told in words.
default_role = "code"
smartquotes = False  # "w8a8" is typed as it stands there
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "show-inheritance": False}
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "lowbit"
html_static_path = ["_static"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5cad", "color-brand-content": "#0b5cad"},
    "dark_css_variables": {"color-brand-primary": "#7db8ff", "color-brand-content": "#7db8ff"},
}
html_show_sphinx = False
