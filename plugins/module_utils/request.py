# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What is asked of a run, as it goes from a module or the command to the worker."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .journal import Generation
from .manifest import Paths, Stack


@dataclass(frozen=True)
class Request:
    """What is asked of a run.

    Attributes:
        root: the stack's root.
        mode: one of plan.MODES.
        who: who asks, for the lock and the journal.
        paths: where the stack's files are.
        wanted: the generation to bring about; None means the one installed.
        policy: what may be ended on the stack's ports: owned, refuse or any.
        grace: seconds between TERM and KILL for what is ended outside supervisord.
        kill_grace: seconds to wait after KILL.
    """

    root: str
    mode: str
    who: str
    paths: Paths
    wanted: t.Optional[Generation] = None
    policy: str = "owned"
    grace: float = 5.0
    kill_grace: float = 2.0

    def to_dict(self) -> t.Dict[str, t.Any]:
        """Return the request as JSON data; it holds the secrets of the environment files."""
        wanted = self.wanted
        return {
            **{key: value for key, value in vars(self).items() if key not in ("wanted", "paths")},
            "paths": vars(self.paths),
            "wanted": None
            if wanted is None
            else {
                "stack": wanted.stack.to_dict(),
                "config": wanted.config,
                "environment": {name: dict(values) for name, values in wanted.environment.items()},
            },
        }

    @classmethod
    def from_dict(cls, data: t.Mapping[str, t.Any]) -> Request:
        """Return the request that `to_dict` gave."""
        wanted = data["wanted"]
        generation = None
        if wanted is not None:
            generation = Generation(Stack.from_dict(wanted["stack"]), wanted["config"], wanted["environment"])
        return cls(**{**data, "paths": Paths(**data["paths"]), "wanted": generation})
