# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The content of ``stack``, merged from every document that was given, and where each part of it was written."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from . import corrections
from .events import Encrypted
from .legacy import KEYS, Monitor, PlacedProblem, convert, recognise
from .places import Place, kind_of

# A value that has a problem, which is told, or that only a playbook knows.
WRONG: t.Any = object()

# The variable of an inventory that has a manifest, and the one that names its file.
VARIABLE = "rollcall_stack"
FILE_VARIABLE = "rollcall_manifest_file"

# How deep documents are merged key by key: down to the variables of stack.services.NAME.env.
_DEEPEST = 3


class Source(t.NamedTuple):
    """Where a part was written.

    Attributes:
        shown: its place as people are told it.
        in_file: its place in the file; None when it is in no file.
    """

    shown: Place
    in_file: t.Optional[Place]

    def below(self, place: Place) -> Source:
        """Return the source of a part of this part."""
        return Source(self.shown + place, None if self.in_file is None else self.in_file + place)


class _Origins:
    """The sources of a document's parts: a tree with a branch for each part whose source differs from its parent's."""

    def __init__(self, source: t.Optional[Source] = None) -> None:
        self.source = source
        self.below: t.Dict[t.Any, _Origins] = {}

    def put(self, place: Place, source: Source) -> None:
        """Set the source of a part, and forget those of its own parts."""
        node = self
        for key in place[:-1]:
            node = node.below.setdefault(key, _Origins())
        node.below[place[-1]] = _Origins(source)

    def find(self, place: Place) -> Source:
        """Return the source of a part, derived from the nearest part around it that has one."""
        node: t.Optional[_Origins] = self
        found = Source((), None)
        for depth in range(len(place) + 1):
            if node is None:
                break
            if node.source is not None:
                found = node.source.below(place[depth:])
            node = node.below.get(place[depth]) if depth < len(place) else None
        return found


class Document:
    """The content of ``stack`` in today's shape, merged from every document that was given.

    Attributes:
        raw: the content. Its upper mappings are copies, so the documents stay as they were.
        problems: what is wrong with the shape of the documents, and the source of each part.
        monitors: ports that a document of the older shape gives to monitors, and the source of each.
        lenient: keys of which an unknown one is only a warning: those beside the keys of the older shape, for others
            may read such a document, too.
        templates: the source of each value that is a template or encrypted, so that only a playbook knows it.

    Args:
        stack_keys: the keys of a stack.
        service_keys: the keys of a service.
    """

    def __init__(self, stack_keys: t.Iterable[str], service_keys: t.Container[str]) -> None:
        self._stack_keys = tuple(stack_keys)
        self._service_keys = service_keys
        self.raw: t.Dict[t.Any, t.Any] = {}
        self.problems: t.List[t.Tuple[Source, PlacedProblem]] = []
        self.monitors: t.List[t.Tuple[Source, Monitor]] = []
        self.lenient: t.Set[t.Any] = set()
        self.templates: t.List[Source] = []
        self._origins = _Origins(Source(("stack",), None))

    def source(self, place: Place) -> Source:
        """Return the source of a part."""
        return self._origins.find(place)

    def add(self, data: t.Any, *, from_file: bool) -> None:
        """Merge another document, of today's shape or the older one, over the content."""
        self._add(data, Source((), () if from_file else None))

    def add_variables(self, data: t.Mapping[t.Any, t.Any]) -> None:
        """Merge the manifest in a file of an inventory's variables, whose other variables are not looked at."""
        whole = Source((VARIABLE,), (VARIABLE,))
        self._add(self._known(data[VARIABLE], whole), whole)

    def _known(self, value: t.Any, source: Source) -> t.Any:
        """Return a value with :data:`WRONG` instead of each part that only a playbook knows. A secret stays text."""
        if source.shown[-1] == "secrets" and isinstance(value, Mapping):
            return value
        if isinstance(value, Mapping):
            return {key: self._known(part, source.below((key,))) for key, part in value.items()}
        if has_template(value):
            self.templates.append(source)
            return WRONG
        return value

    def _add(self, data: t.Any, whole: Source) -> None:
        if data is WRONG:
            return
        if not isinstance(data, Mapping):
            self._refuse(
                Source(whole.shown or ("stack",), whole.in_file),
                f"is {kind_of(data)}, not a mapping",
                corrections.BELOW_STACK,
            )
            return
        if data and not any(key in data for key in ("stack", *self._stack_keys, *KEYS)):
            # It may be another file, named by mistake: its keys are not repeated.
            cure = corrections.some_of(("stack", *self._stack_keys))
            self._refuse(Source(("stack",), None), "has no key of a manifest", cure)
            return
        if describes_containers(data):
            self._refuse(Source(("stack",), None), "is a file of docker compose, not a manifest", corrections.COMPOSE)
            return
        nested = whole.below(("stack",))
        content = nested if "stack" in data else Source(whole.shown or ("stack",), whole.in_file)
        if not self.raw:
            self._origins.source = content
        if "stack" not in data:
            self._add_part(data, whole, content)
            return
        beside = {key: value for key, value in data.items() if key != "stack"}
        older = recognise(data) or (isinstance(data["stack"], Mapping) and recognise(data["stack"]))
        if recognise(beside):
            beside = self._add_older(beside, whole)
        for key in beside:
            self._refuse(
                whole.below((key,)),
                "is not a key beside stack",
                corrections.REMOVE_OR_BELOW_STACK,
                severity="warning" if older and key not in self._stack_keys else "error",
            )
        if data["stack"] is WRONG:
            return
        if isinstance(data["stack"], Mapping):
            self._add_part(data["stack"], nested, nested)
        else:
            self._refuse(nested, f"is {kind_of(data['stack'])}, not a mapping", corrections.OF_A_STACK)

    def _refuse(self, source: Source, message: str, cure: str, *, severity: str = "error") -> None:
        self.problems.append((source, PlacedProblem((), message, cure, severity)))

    def _add_part(self, part: t.Mapping[t.Any, t.Any], older: Source, own: Source) -> None:
        """Merge the keys of the older shape first, then those of today's."""
        if recognise(part):
            part = self._add_older(part, older)
        self._lay_over(self.raw, part, (), own)

    def _add_older(self, part: t.Mapping[t.Any, t.Any], source: Source) -> t.Dict[t.Any, t.Any]:
        """Merge the keys of the older shape over the content, and return the others."""
        converted = convert(part, self._service_keys)
        self.problems += [(source, problem) for problem in converted.problems]
        self.monitors += [(source.below(monitor.place), monitor) for monitor in converted.monitors]
        self._lay_over(self.raw, converted.raw, (), source)
        for place, origin in converted.origins:
            self._origins.put(place, source.below(origin))
        others = {key: value for key, value in part.items() if key not in KEYS}
        self.lenient.update(others)
        return others

    def _lay_over(
        self, lower: t.Dict[t.Any, t.Any], upper: t.Mapping[t.Any, t.Any], place: Place, source: Source
    ) -> None:
        for key, value in upper.items():
            here = (*place, key)
            mapping = isinstance(value, Mapping) and len(here) <= _DEEPEST
            if not mapping or not isinstance(lower.get(key), dict):
                self._origins.put(here, source.below((key,)))
                lower[key] = {} if mapping else value
            if mapping:
                self._lay_over(lower[key], value, here, source.below((key,)))


def describes_containers(data: t.Any) -> bool:
    """Return whether data are a file of docker compose: services with an image, or built ones, and no root."""
    services = data.get("services") if isinstance(data, Mapping) and not {"stack", "root"} & data.keys() else None
    if not isinstance(services, Mapping):
        return False
    return any(isinstance(entry, Mapping) and {"image", "build"} & entry.keys() for entry in services.values())


def is_inventory_file(data: t.Any) -> bool:
    """Return whether data are variables of an inventory that have a manifest among them."""
    return isinstance(data, Mapping) and VARIABLE in data


def has_template(value: t.Any) -> bool:
    """Return whether a value, or a part of it, is a template or encrypted."""
    if isinstance(value, Mapping):
        return any(has_template(part) for part in value.values())
    if isinstance(value, (list, tuple)):
        return any(has_template(part) for part in value)
    return isinstance(value, Encrypted) or (isinstance(value, str) and ("{{" in value or "{%" in value))
