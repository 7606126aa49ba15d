"""Pages that are read elsewhere too: links to the root of the repository, words of docstrings."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

OUTSIDE = {
    "../SECURITY.md": "security.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../CHANGELOG.md": "changelog.md",
}
"""Files of the repository's root, and the pages that show them."""


def mend_links(app: Sphinx, docname: str, source: list[str]) -> None:
    """Turn links to files of the root (right on a code host) into links to their pages."""
    up = "../" * docname.count("/")
    for outside, inside in OUTSIDE.items():
        source[0] = source[0].replace(f"]({up}{outside}", f"]({up}{inside}")
    if docname == "index":
        source[0] = source[0].replace("\n*\n", "\n".join(["", *unlisted(app, source[0]), ""]))


def unlisted(app: Sphinx, index: str) -> list[str]:
    """Pages that no list of the index names: a line ``*`` stands for them."""
    named = {"index", *re.findall(r"^[a-z][\w/-]*$", index, re.MULTILINE)}
    return sorted(name for name in app.env.found_docs if "/" not in name and name not in named)


def read_again(app: Sphinx, *changes: object) -> list[str]:
    """The index is read in every build: pages may have come."""
    return ["index"]


def keep_words(app: Sphinx, doctree: nodes.document) -> None:
    """Leave words such as path and window in docstrings alone: no name of a package, no link."""
    for reference in list(doctree.findall(pending_xref)):
        target = reference.get("reftarget", "")
        if reference.get("refdomain") == "py" and not target.startswith("cistransfer."):
            reference.replace_self(reference.children)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("env-get-outdated", read_again)
    app.connect("source-read", mend_links)
    app.connect("doctree-read", keep_words)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
