# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Do the fields of an answer in JSON have the values that are wanted? Pure."""

from __future__ import annotations

import json
import typing as t

from ..base.files import NOT_AS_EXPECTED
from .wording import quoted

# Digits of a whole number. Python takes long for very long ones.
_LONGEST_NUMBER = 300
_MISSING = object()


def why_other(body: bytes, wanted: t.Mapping[str, t.Any]) -> t.Optional[str]:
    """Return in words, as the rest of a sentence, which field has another value; None when none has.

    Args:
        body: the answer.
        wanted: the value by the path of its field, as in `Health.json`. As in JSON, true is not 1, and 1 is 1.0.
    """
    try:
        data = json.loads(body.decode("utf-8-sig"), parse_int=_number)
    except NOT_AS_EXPECTED:
        return f"its body is not JSON: {quoted(body)}" if body.strip() else "its body is empty"
    for path, value in wanted.items():
        found = _field(data, path)
        if found is _MISSING:
            return f"its body has no {path}: {quoted(body)}"
        if not _same(found, value):
            return f"{path} is {_shown(found)}, wanted {_shown(value)}"
    return None


def _number(text: str) -> t.Union[int, float]:
    return int(text) if len(text) <= _LONGEST_NUMBER else float(text)


def _field(data: t.Any, path: str) -> t.Any:
    for name in path.split("."):
        if isinstance(data, dict):
            data = data.get(name, _MISSING)
        elif isinstance(data, list) and name.isdecimal() and len(name) < 10 and int(name) < len(data):
            data = data[int(name)]
        else:
            return _MISSING
    return data


def _same(found: t.Any, wanted: t.Any) -> bool:
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    return bool(found == wanted)


def _shown(value: t.Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return quoted(value) if isinstance(value, str) else json.dumps(value)
