# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The layout of a YAML text. It is read by ruamel.yaml, which also writes the new values."""

from __future__ import annotations

import functools
import io
import re
import sys
import typing as t

from ..base.errors import RollcallError
from . import corrections
from .file import parse_manifest
from .layout import Layout, Node, column_of, nested

# ruamel.yaml takes some seconds for so many characters, and others wait meanwhile.
YAML_LIMIT = 128 * 1024


class YamlLayout(Layout):
    """The layout of a YAML text."""

    # A tag before a value, behind its anchor if it has one. A comma of the flow style is no part of it.
    _TAG = re.compile(r"(?:&[^\s,\[\]{}]+\s+)?(!<[^>]*>|![^\s,\[\]{}]*)")
    _COLON = re.compile(r"\s*:")
    # Other parsers, that of Ansible too, may take a text that begins like this for a number or a time.
    _LIKE_A_NUMBER = re.compile(r"[-+.]*[0-9=]")

    def __init__(self, text: str) -> None:
        self.text = text
        self._odd: t.List[t.Tuple[int, int, str]] = []
        if len(text) > YAML_LIMIT:
            raise RollcallError(
                f"The manifest is larger than {YAML_LIMIT // 1024} KiB, too much to be changed as YAML.",
                kind="wrong_use",
                remedies=[corrections.JSON_OR_DIVIDE],
            )
        library = _library()
        try:
            self.root = self._built(library.YAML(typ="safe", pure=True).parse(text))
        except library.error.YAMLError as exc:
            what = getattr(exc, "problem", None) or "ruamel.yaml cannot read it"
            raise RollcallError(
                f"The manifest is not YAML: {what}.", kind="wrong_use", remedies=[corrections.AS_JSON]
            ) from exc

    def _built(self, events: t.Iterable[t.Any]) -> Node:
        """Return the first value that the events describe."""
        root: t.Optional[Node] = None
        opened: t.List[Node] = []
        for event in events:
            name = type(event).__name__
            if name in ("MappingEndEvent", "SequenceEndEvent"):
                node = opened.pop()
                node.end = event.end_mark.index if node.flow else node.values[-1].end
            elif name in ("MappingStartEvent", "SequenceStartEvent", "ScalarEvent", "AliasEvent"):
                node = self._node(event, name)
                if opened:
                    self._add(opened[-1], node)
                root = root or node
                if name.endswith("StartEvent"):
                    opened.append(node)
        if root is None:
            raise ValueError("a text without a value has been read as a manifest")
        return root

    def _add(self, parent: Node, node: Node) -> None:
        """Add the next key or value to a mapping or list."""
        if parent.kind == "[":
            parent.values.append(node)
        elif len(parent.keys) == len(parent.values):
            parent.keys.append(node)
            if node.text == "<<" and not node.quote:
                self._odd.append((node.start, node.end, '"<<"'))
        else:
            parent.values.append(node)
            if node.kind == "scalar" and node.start == node.end:
                # ruamel.yaml says that an empty value stands where the next value is.
                colon = self._COLON.match(self.text, parent.keys[-1].end)
                node.start = node.end = colon.end() if colon else parent.keys[-1].end

    def _node(self, event: t.Any, name: str) -> Node:
        start, end = event.start_mark.index, event.end_mark.index
        if getattr(event, "tag", None) is not None:
            tag = self._TAG.match(self.text, start)
            if tag is not None:
                self._odd.append((*tag.span(1), " " * len(tag[1])))
        if name == "AliasEvent":
            return Node("alias", start, end)
        if name != "ScalarEvent":
            return Node("{" if name[0] == "M" else "[", start, end, flow=bool(event.flow_style))
        quote = event.style or ""
        if quote in ("|", ">"):
            end = start + len(self._block_text(self.text[start:end]))
        return Node("scalar", start, end, text=event.value, quote=quote)

    @staticmethod
    def _block_text(text: str) -> str:
        """Return a block scalar without the last line's end, and without blank lines there unless it keeps them."""
        keeps = re.match(r"(?:[&!]\S*\s+)*[|>][1-9]?\+", text)
        return re.sub(r"\r?\n\Z", "", text) if keeps else text.rstrip()

    def plain_text(self) -> str:
        text = self.text
        for start, end, plain in sorted(self._odd, reverse=True):
            text = text[:start] + plain + text[end:]
        return text

    def written(self, value: t.Any, in_flow: bool, like: t.Optional[Node]) -> str:
        library = _library()
        collection = isinstance(value, (dict, list)) and bool(value)
        block = like.block if like is not None and like.collection else nested(value)
        if isinstance(value, str) and like is not None and like.quote in ("'", '"'):
            quoted = library.scalarstring
            double = like.quote == '"' or not value.isprintable()
            value = (quoted.DoubleQuotedScalarString if double else quoted.SingleQuotedScalarString)(value)
        styled = self._styled(value, block and collection and not in_flow)
        entry = library.comments.CommentedMap(k=styled)
        if in_flow:
            entry.fa.set_flow_style()
        else:
            entry.fa.set_block_style()
        dumped = self._dumped(entry)
        return (dumped[len("{k:") : -len("}")] if in_flow else dumped[len("k:") :]).lstrip(" ")

    def _styled(self, value: t.Any, block: bool) -> t.Any:
        """Return data for ruamel.yaml. A mapping or list with others in it stands below its key, others on one line."""
        comments = _library().comments
        if isinstance(value, dict):
            styled = comments.CommentedMap((key, self._styled(item, nested(item))) for key, item in value.items())
        elif isinstance(value, list):
            styled = comments.CommentedSeq(self._styled(item, nested(item)) for item in value)
        else:
            return value
        if block:
            styled.fa.set_block_style()
        else:
            styled.fa.set_flow_style()
        return styled

    def _dumped(self, entry: t.Any) -> str:
        step = self._step(self.root, "{") or 2
        dash = self._step(self.root, "[")
        dash = step if dash is None else dash
        yaml = _library().YAML()
        yaml.Representer = _representer()
        yaml.width = 2**30
        yaml.brace_single_entry_mapping_in_flow_sequence = True
        yaml.indent(mapping=step, sequence=dash + 2, offset=dash)
        stream = io.StringIO()
        yaml.dump(entry, stream)
        return stream.getvalue().rstrip("\n")

    def _step(self, node: Node, kind: str) -> t.Optional[int]:
        """Return the indentation of the first mapping or list that stands below a key; None when there is none."""
        for value in node.values:
            if node.kind == "{" and node.block and value.kind == kind and value.block:
                first = value.keys[0] if value.keys else value
                return column_of(self.text, first.start) - column_of(self.text, node.keys[0].start)
        return next((step for value in node.values for step in [self._step(value, kind)] if step is not None), None)


def _library() -> t.Any:
    """Return ruamel.yaml.

    Raises:
        RollcallError: ``wrong_use``: this Python does not have it.
    """
    try:
        import ruamel.yaml
    except ImportError as exc:
        raise RollcallError(
            f"The manifest is YAML, and {sys.executable} has no ruamel.yaml, by which comments and layout are kept.",
            kind="wrong_use",
            evidence={"python": sys.executable},
            remedies=[
                corrections.install_ruamel(sys.executable),
                corrections.WITH_RUAMEL,
            ],
        ) from exc
    return ruamel.yaml


@functools.cache
def _representer() -> t.Any:
    """Return the class by which ruamel.yaml writes scalars so that every parser reads them in the same way."""
    # The base class comes from a library that is imported late.
    representer: t.Any = type("_Representer", (_library().representer.RoundTripRepresenter,), {})

    def write(tag: str, text: t.Callable[[t.Any], str], style: t.Callable[[t.Any], t.Optional[str]]) -> t.Any:
        return lambda self, value: self.represent_scalar(f"tag:yaml.org,2002:{tag}", text(value), style=style(value))

    representer.add_representer(str, write("str", str, _style))
    representer.add_representer(float, write("float", _float, lambda _value: None))
    representer.add_representer(type(None), write("null", lambda _value: "null", lambda _value: None))
    return representer


def _float(value: float) -> str:
    """Return a number with a dot, which YAML 1.1 wants."""
    text = repr(value)
    return text if "." in text else text.replace("e", ".0e")


def _style(text: str) -> t.Optional[str]:
    """Return the quotes that a text needs: none when the engine's own reader reads it as that text everywhere."""
    if not text.isprintable():
        return '"'
    if not YamlLayout._LIKE_A_NUMBER.match(text):
        read = [parse_manifest(written.encode("utf-8")) for written in (f"- {text}\n", f"[{text}]\n")]
        if all(loaded.data == [text] and not loaded.problems for loaded in read):
            return None
    return "'"
