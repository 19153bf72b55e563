# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Sphinx makes the documentation site of what build.py has laid out: the repository's pages and the plugins'."""

from __future__ import annotations

import os
import pathlib
import re
import sys

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))
from tests.tools.diagrams import BLOCK, picture_of

project = "Rollcall"
author = "the Rollcall authors"
copyright = "2026, the Rollcall authors"
version = release = os.environ["ROLLCALL_VERSION"]

extensions = ["myst_parser", "sphinx_antsibull_ext"]
root_doc = "docs/index"
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
include_patterns = ["*.md", "docs/**", "collections/**"]

# Links between pages go to headings by the anchors that a code host makes of them.
myst_heading_anchors = 4

# Pages of plugins refer to some of Ansible's own, by labels. Any other link that leads nowhere is an error.
ANSIBLE = "https://docs.ansible.com/ansible/latest"
ELSEWHERE = {
    "action_plugins": "plugins/action.html",
    "callback_plugins": "plugins/callback.html",
    "common_return_values": "reference_appendices/common_return_values.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "ansible_collections.ansible.builtin.default_callback": "collections/ansible/builtin/default_callback.html",
    "ansible_collections.ansible.builtin.uri_module": "collections/ansible/builtin/uri_module.html",
}

html_theme = "furo"
html_title = f"Rollcall {release}"
html_static_path = ["static"]
html_css_files = ["rollcall.css"]
html_show_sourcelink = False
html_copy_source = False
# Nothing of the site comes from elsewhere: it is read and searched without a network.
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "monokai"

# The parts of the site, as a reader comes to them; all pages of a folder follow in the order of their names.
PARTS = (
    ("Start here", ("README.md", "docs/tutorial/first-stack.md", "docs/tutorial/django.md")),
    ("How to", ("docs/how-to/*.md",)),
    ("Reference", ("docs/reference/*.md", "collections/index.rst")),
    ("Explanation", ("docs/explanation/*.md",)),
    ("Design", ("docs/design/*.md",)),
    ("Project", ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
)


def titled(page: str) -> str:
    """Return an entry of the contents; the one page that has the collection's name gets another title."""
    return f"Every module, plugin and role <{page}>" if page == "/collections/index" else page


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Add the tables of contents to the index, which is a plain page on a code host."""
    if page != root_doc:
        return
    top = pathlib.Path(app.srcdir)
    for caption, patterns in PARTS:
        pages = [found for pattern in patterns for found in sorted(top.glob(pattern))]
        names = "\n".join(titled(f"/{found.relative_to(top).with_suffix('')}") for found in pages)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{names}\n```\n"


def show_diagrams(_app: Sphinx, page: str, source: list[str]) -> None:
    """Put the pictures that ``make diagrams`` has drawn in the place of diagrams, which a code host draws itself."""
    up = "../" * page.count("/")

    def picture(found: re.Match[str]) -> str:
        drawn = picture_of(found[1])
        # It is wider than the page: a click shows it whole.
        return f"```{{image}} {up}{drawn}\n:alt: A diagram\n:target: {up}_images/{drawn.name}\n```\n"

    source[0] = BLOCK.sub(picture, source[0])


def link_to_ansible(
    _app: Sphinx, _environment: BuildEnvironment, reference: pending_xref, text: nodes.TextElement
) -> nodes.reference | None:
    """Return the link to a page of Ansible's own documentation; None for a label that it does not have."""
    page = ELSEWHERE.get(reference.get("reftarget", ""))
    if page is None:
        return None
    link = nodes.reference("", "", internal=False, refuri=f"{ANSIBLE}/{page}")
    link += text
    return link


def setup(app: Sphinx) -> None:
    """Connect what this page adds to Sphinx."""
    app.connect("source-read", add_contents)
    app.connect("missing-reference", link_to_ansible)
    app.connect("source-read", show_diagrams)
