# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Where everything stands in the text of a manifest, and how one value of it becomes another.

Texts of YAML are read by ruamel.yaml, and it writes the new values; JSON is read and written here. Everything but the
one value stays as it is, byte for byte, which a text that was read and written again as a whole does not: not even
ruamel.yaml keeps two blanks before a value, an indentation that differs within the file, or CRLF.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import io
import json
import re
import sys
import typing as t

from ..base.errors import RollcallError
from .file import parse_manifest
from .places import name_place

Place = t.Tuple[str, ...]

# The value of what is not to be there.
GONE: t.Any = object()

# ruamel.yaml takes some seconds for so much, and others wait meanwhile.
YAML_LIMIT = 128 * 1024


@dataclasses.dataclass
class Node:
    """A value or key in a text.

    Attributes:
        kind: ``{``, ``[``, ``scalar`` or ``alias``.
        start: where it begins, its tag and its anchor included.
        end: behind its last character.
        flow: whether brackets hold a mapping or list together, not indentation.
        text: of a scalar.
        quote: of a scalar: ``'``, ``"``, ``|``, ``>`` or ''.
        keys: of a mapping.
        values: of a mapping or list.
    """

    kind: str
    start: int
    end: int
    flow: bool = True
    text: str = ""
    quote: str = ""
    keys: t.List[Node] = dataclasses.field(default_factory=list)
    values: t.List[Node] = dataclasses.field(default_factory=list)

    @property
    def collection(self) -> bool:
        """Whether it is a mapping or a list."""
        return self.kind in ("{", "[")

    @property
    def block(self) -> bool:
        """Whether it is a mapping or list that indentation holds together."""
        return self.collection and not self.flow

    def names(self) -> t.List[t.Optional[str]]:
        """Return the keys of a mapping, None for one that is not a scalar; no keys for anything else."""
        return [key.text if key.kind == "scalar" else None for key in self.keys]

    def secrets(self, secret: bool = False) -> t.Iterator[Node]:
        """Find all scalars below a key ``secrets``."""
        if self.kind == "scalar" and secret:
            yield self
        names = self.names() if self.keys else [None] * len(self.values)
        for name, value in zip(names, self.values):
            yield from value.secrets(secret or name == "secrets")


class Layout(abc.ABC):
    """Where everything stands in a text, and how values are written in its language.

    Attributes:
        text: all of it.
        root: its one value.
        gap: what stands between a key and its value.
    """

    text: str
    root: Node
    gap = ": "

    @abc.abstractmethod
    def written(self, value: t.Any, in_flow: bool, like: t.Optional[Node]) -> str:
        """Return a value as text, with a line's end first when it is to stand below its key.

        Args:
            value: plain data.
            in_flow: whether brackets are around it.
            like: what stood in its place, or its neighbour, to be written alike.
        """

    def plain_text(self) -> str:
        """Return the text, for a reader of plain data: without tags, and with merge keys like any other."""
        return self.text

    def find(self, place: Place) -> t.Optional[Node]:
        """Return the value at a place; None when it does not stand there itself."""
        node = self.root
        for key in place:
            names = node.names()
            if key not in names:
                return None
            node = node.values[names.index(key)]
        return node

    def shown(self) -> str:
        """Return the text as it may be shown: with asterisks for the values of secrets."""
        text = self.text
        for node in sorted(self.root.secrets(), key=lambda node: -node.start):
            text = f"{text[: node.start]}********{text[node.end :]}"
        return text

    def changed(self, place: Place, value: t.Any) -> str:
        """Return the text with another value at a place, :data:`GONE` for none; missing keys on the way are made.

        Raises:
            RollcallError: ``refused``: an alias stands there or on the way, or another document is merged in; or
                ``wrong_use``: a key on the way is there twice.
        """
        parent: t.Optional[Node] = None
        index = 0
        node = self.root
        for number, key in enumerate(place):
            names = node.names()
            if node.kind == "alias" or (value is GONE and key not in names):
                raise shared(name_place(place))
            if not node.collection and parent is not None:
                # An empty value, in whose place a mapping begins.
                return _replaced(self, parent, index, _around(place[number:], value))
            if names.count(key) > 1:
                raise RollcallError(
                    f"{name_place(place[: number + 1])} is in the manifest twice, and no rule says which one counts.",
                    kind="wrong_use",
                    evidence={"place": list(place)},
                    remedies=["remove one of the two"],
                )
            if key not in names:
                return _inserted(self, node, key, _around(place[number + 1 :], value))
            parent, index = node, names.index(key)
            node = parent.values[index]
        if parent is None:
            raise ValueError("a manifest as a whole is no place in it")
        if value is not GONE:
            return _replaced(self, parent, index, value)
        above = self.find(place[:-2])
        if len(parent.keys) == 1 and parent.block and above is not None and len(place) > 1:
            # Without its last key a mapping that indentation holds together would be nothing.
            return _replaced(self, above, above.names().index(place[-2]), {})
        return _removed(self, parent, index)


@functools.lru_cache(maxsize=4)
def layout_of(text: str, is_json: bool) -> Layout:
    """Return the layout of a text that the engine's own reader has taken for JSON or for YAML.

    Raises:
        RollcallError: ``wrong_use``: it is YAML, and ruamel.yaml is not there, or cannot read it.
    """
    return _Json(text) if is_json else _Yaml(text)


def shared(where: str) -> RollcallError:
    """Return the refusal to change a place that is tied to others, ``where`` that would show."""
    return RollcallError(
        f"The manifest was left as it is: {where} would not be as asked for. An alias (*), an anchor (&) or a merge "
        "key (<<) ties places to each other there.",
        kind="refused",
        evidence={"place": where},
        remedies=["write the values themselves in the place of the alias or the merge key, then change them"],
    )


def _nested(value: t.Any) -> bool:
    """Return whether a mapping or list has others in it."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(isinstance(item, (dict, list)) and item for item in items)


class _Json(Layout):
    """The layout of a JSON text, which is known to be one."""

    _SPACE = re.compile(r"[ \t\r\n]*")

    def __init__(self, text: str) -> None:
        self.text = text
        self.gap = ":" if re.search(r'":\S', text) and not re.search(r'":\s', text) else ": "
        self._decoder = json.JSONDecoder()
        self.root = self._value(self._behind_space(0))

    def _behind_space(self, at: int) -> int:
        found = self._SPACE.match(self.text, at)
        return at if found is None else found.end()

    def _value(self, at: int) -> Node:
        kind = self.text[at]
        if kind not in "{[":
            value, end = self._decoder.raw_decode(self.text, at)
            text = isinstance(value, str)
            return Node("scalar", at, end, text=value if text else "", quote='"' if text else "")
        node = Node(kind, at, at)
        at = self._behind_space(at + 1)
        while self.text[at] not in "}]":
            if kind == "{":
                key = self._value(at)
                node.keys.append(key)
                at = self._behind_space(self.text.index(":", key.end) + 1)
            value = self._value(at)
            node.values.append(value)
            at = self._behind_space(value.end)
            if self.text[at] == ",":
                at = self._behind_space(at + 1)
        node.end = at + 1
        return node

    def written(self, value: t.Any, in_flow: bool, like: t.Optional[Node]) -> str:  # noqa: ARG002 - it always is
        step = re.search(r"\n([ \t]+)", self.text)
        if like is not None and like.collection:
            spread = "\n" in self.text[like.start : like.end]
        else:
            spread = step is not None and _nested(value)
        if spread and isinstance(value, (dict, list)):
            return json.dumps(value, ensure_ascii=False, indent=step[1] if step else 2)
        return json.dumps(value, ensure_ascii=False, separators=("," if self.gap == ":" else ", ", self.gap))


class _Yaml(Layout):
    """The layout of a YAML text."""

    # What stands before a value, a comma of the flow style not among it.
    _TAG = re.compile(r"(?:&[^\s,\[\]{}]+\s+)?(!<[^>]*>|![^\s,\[\]{}]*)")
    _COLON = re.compile(r"\s*:")
    # Another parser, and Ansible is one, may take a text that begins so for a number or a time.
    _LIKE_A_NUMBER = re.compile(r"[-+.]*[0-9=]")

    def __init__(self, text: str) -> None:
        self.text = text
        self._odd: t.List[t.Tuple[int, int, str]] = []
        if len(text) > YAML_LIMIT:
            raise RollcallError(
                f"The manifest is larger than {YAML_LIMIT // 1024} KiB, too much to be changed as YAML.",
                kind="wrong_use",
                remedies=["divide it, or write the manifest as JSON in a .json file"],
            )
        library = _library()
        try:
            self.root = self._built(library.YAML(typ="safe", pure=True).parse(text))
        except library.error.YAMLError as exc:
            what = getattr(exc, "problem", None) or "ruamel.yaml cannot read it"
            raise RollcallError(
                f"The manifest is not YAML: {what}.", kind="wrong_use", remedies=["rollcall manifest check FILE"]
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
                # ruamel.yaml puts what is empty where the next one is.
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
        """Return a block scalar without its last line's end, and without blank lines behind it unless it keeps them."""
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
        block = like.block if like is not None and like.collection else _nested(value)
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
        """Return data for ruamel.yaml: what has others in it stands below its key, what has none on one line."""
        comments = _library().comments
        if isinstance(value, dict):
            styled = comments.CommentedMap((key, self._styled(item, _nested(item))) for key, item in value.items())
        elif isinstance(value, list):
            styled = comments.CommentedSeq(self._styled(item, _nested(item)) for item in value)
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
        """Return by how much the first mapping or list that stands below a key is indented; None when there is none."""
        for value in node.values:
            if node.kind == "{" and node.block and value.kind == kind and value.block:
                first = value.keys[0] if value.keys else value
                return _column(self.text, first.start) - _column(self.text, node.keys[0].start)
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
                f"{sys.executable} -m pip install ruamel.yaml",
                "in a playbook: set ansible_python_interpreter to a Python that has it, such as "
                "ROOT/engine/venv/bin/python of a stack, or {{ ansible_playbook_python }} on the controller",
            ],
        ) from exc
    return ruamel.yaml


@functools.cache
def _representer() -> t.Any:
    """Return how ruamel.yaml is to write scalars: so that every reader takes them for the same."""
    # A dynamic base: the library is imported late.
    representer: t.Any = type("_Representer", (_library().representer.RoundTripRepresenter,), {})

    def write(tag: str, text: t.Callable[[t.Any], str], style: t.Callable[[t.Any], t.Optional[str]]) -> t.Any:
        return lambda self, value: self.represent_scalar(f"tag:yaml.org,2002:{tag}", text(value), style=style(value))

    representer.add_representer(str, write("str", str, _style))
    representer.add_representer(float, write("float", _float, lambda _value: None))
    representer.add_representer(type(None), write("null", lambda _value: "null", lambda _value: None))
    return representer


def _float(value: float) -> str:
    """Return a number as YAML 1.1 knows it, which wants a dot."""
    text = repr(value)
    return text if "." in text else text.replace("e", ".0e")


def _style(text: str) -> t.Optional[str]:
    """Return the quotes that a text needs: none when the engine's own reader takes it for that text everywhere."""
    if not text.isprintable():
        return '"'
    if not _Yaml._LIKE_A_NUMBER.match(text):
        read = [parse_manifest(written.encode("utf-8")) for written in (f"- {text}\n", f"[{text}]\n")]
        if all(loaded.data == [text] and not loaded.problems for loaded in read):
            return None
    return "'"


# --- the text ----------------------------------------------------------------------------------------------------


def _around(keys: Place, value: t.Any) -> t.Any:
    """Return a value with mappings around it."""
    for key in reversed(keys):
        value = {key: value}
    return value


def _replaced(layout: Layout, mapping: Node, index: int, value: t.Any) -> str:
    """Return the text with another value for a key."""
    text, key, old = layout.text, mapping.keys[index], mapping.values[index]
    written = layout.written(value, mapping.flow, old)
    below = written.startswith("\n")
    if below:
        written = _indented(written, " " * _column(text, key.start))
    else:
        written = _indented(written, _margin(text, key.start))
    if not below and not old.block:
        glue = "" if old.start < old.end else " " if ":" in text[key.end : old.start] else ": "
        # An anchor stays: others may name it, and then they are seen to change.
        anchor = _ANCHOR.match(text, old.start, old.end)
        return _put(text, anchor.end() if anchor else old.start, old.end, glue + written)
    colon = text.index(":", key.end) + 1
    # What stands below its key goes with the end of the line before it; a comment behind the key stays.
    start = _before_line_end(text, text.rfind("\n", colon, old.start)) if old.block else colon
    start = len(text[: old.start].rstrip(" ")) if start < colon else start
    if old.block and below:
        return _put(text, start, old.end, written)
    if old.block:
        return _put(_put(text, start, old.end, ""), colon, colon, f" {written}")
    line_end = _line_end(text, old.end)
    rest = text[old.end : line_end].rstrip(" ")
    return _put(text, colon, line_end, rest + written)


def _inserted(layout: Layout, mapping: Node, key: str, value: t.Any) -> str:
    """Return the text with one more key behind the last one of a mapping."""
    text = layout.text
    kind = "{" if isinstance(value, dict) else "["
    like = next((node for node in reversed(mapping.values) if node.kind == kind), None)
    written = layout.written(value, mapping.flow, like if isinstance(value, (dict, list)) else None)
    name = layout.written(key, mapping.flow, None)
    entry = name + (":" if written.startswith("\n") else layout.gap) + written
    if mapping.block:
        column = _column(text, mapping.keys[0].start)
        at = _behind(text, mapping.values[-1].end, column)
        return _put(text, at, at, _indented(f"\n{entry}", " " * column))
    if not mapping.keys:
        at = text.index("{", mapping.start) + 1
        return _put(text, at, at, _indented(entry, _margin(text, at)))
    first, last = mapping.keys[-1], mapping.values[-1]
    margin = _margin(text, first.start)
    entry = _indented(entry, margin)
    if not _begins_line(text, first.start):
        gap = text[mapping.values[-2].end : first.start] if len(mapping.keys) > 1 else ""
        comma = gap if re.fullmatch(r"\s*,[ \t]*", gap) else "," if layout.gap == ":" else ", "
        return _put(text, last.end, last.end, comma + entry)
    own = _OWN_LINE.match(text, last.end)
    if own is None:
        return _put(text, last.end, last.end, f",\n{margin}{entry}")
    end = _before_line_end(text, own.end())
    entry = f"\n{margin}{entry}{own['comma']}"
    return _put(_put(text, end, end, entry), last.end, last.end, "" if own["comma"] else ",")


def _removed(layout: Layout, mapping: Node, index: int) -> str:
    """Return the text without a key and its value; a comment stays unless it is inside of that value, or behind it."""
    text, key, old = layout.text, mapping.keys[index], mapping.values[index]
    if len(mapping.keys) == 1 and mapping.flow:
        return _put(text, text.index("{", mapping.start) + 1, mapping.end - 1, "")
    own = _OWN_LINE.match(text, old.end)
    if mapping.block or (own is not None and _begins_line(text, key.start)):
        end = _behind(text, old.end, _column(text, key.start)) if mapping.block else _line_end(text, old.end)
        text = _without_lines(text, text.rfind("\n", 0, key.start) + 1, end)
        if mapping.block or index < len(mapping.keys) - 1 or (own is not None and own["comma"]):
            return text
        # It was the last one, so the one before it has a comma too much.
        comma = text.index(",", mapping.values[index - 1].end)
        return _put(text, comma, comma + 1, "")
    if index:
        return _put(text, mapping.values[index - 1].end, old.end, "")
    return _put(text, key.start, mapping.keys[1].start, "")


_ANCHOR = re.compile(r"&[^\s,\[\]{}]+[ \t]+")
# What may stand behind a value when nothing else does in its line.
_OWN_LINE = re.compile(r"[ \t]*(?P<comma>,?)[ \t]*(?:#[^\n]*)?(?=\r?\n)")


def _put(text: str, start: int, end: int, new: str) -> str:
    """Return the text with something else in one place, its lines ended as the others are."""
    return text[:start] + (new.replace("\n", "\r\n") if "\r\n" in text else new) + text[end:]


def _indented(text: str, margin: str) -> str:
    return text.replace("\n", f"\n{margin}")


def _column(text: str, at: int) -> int:
    return at - text.rfind("\n", 0, at) - 1


def _margin(text: str, at: int) -> str:
    """Return what the line of a place is indented by."""
    line = text[text.rfind("\n", 0, at) + 1 :]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _begins_line(text: str, at: int) -> bool:
    return not text[text.rfind("\n", 0, at) + 1 : at].strip()


def _before_line_end(text: str, at: int) -> int:
    """Return where a line's end begins that has its last character at ``at``."""
    return at - 1 if text[at - 1 : at] == "\r" else at


def _line_end(text: str, at: int) -> int:
    """Return where the end of the line begins that a place is in."""
    end = text.find("\n", at)
    return len(text) if end < 0 else _before_line_end(text, end)


def _behind(text: str, at: int, column: int) -> int:
    """Return the end of a value's last line, comments included that are indented as if they belonged to it."""
    deeper = re.compile(rf"[^\n]*(?:\n {{{column + 1},}}#[^\n]*)*").match(text, at)
    end = at if deeper is None else deeper.end()
    return end if end == len(text) else _before_line_end(text, end)


def _without_lines(text: str, start: int, end: int) -> str:
    """Return the text without some lines; where the last one had no end, the last one has none."""
    following = text.find("\n", end)
    if following >= 0:
        return text[:start] + text[following + 1 :]
    return text[: _before_line_end(text, start - 1)]
