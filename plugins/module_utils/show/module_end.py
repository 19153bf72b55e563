# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""How a module ends: with its result, or with the error of the engine as data and as text."""

from __future__ import annotations

import typing as t

from ..base.errors import RollcallError
from .errors import error_text
from .words import Reader

Told = t.Dict[str, t.Any]


def end(
    module: t.Any,
    work: t.Callable[[], Told],
    *,
    told: t.Callable[[Told], Told] = dict,
    reader: t.Optional[Reader] = None,
) -> None:
    """Do the work of a module and end the module.

    Args:
        module: Ansible's, which this knows nothing else of.
        work: returns the result.
        told: returns what may be told of a result or an error, such as without secrets.
        reader: who reads the error; somebody on the host when that is not said.
    """
    try:
        result = work()
    except RollcallError as exc:
        error = t.cast("t.Any", told(t.cast("Told", exc.as_dict())))
        module.fail_json(msg=error_text(error, reader=reader), error=error)
        return
    module.exit_json(**told(result))
