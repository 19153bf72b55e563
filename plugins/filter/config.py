# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What supervisord.conf.j2 is written with. A filter's documentation is the YAML file of its name beside this one.

To look for one filter Ansible loads others, too, in every playbook: each loads what it needs when it is called.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError


def conf_value(value: t.Any) -> str:
    """Return a value for its key: a list of text is a command, a list of numbers is joined, a mapping is variables."""
    from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import render

    return _plainly(lambda: render.conf_value(_own(value)))


def conf_command(argv: t.Sequence[str]) -> str:
    """Return a list of arguments for the key ``command``."""
    from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import quoting

    return _plainly(lambda: quoting.quote_command(argv))


def conf_environment(variables: t.Mapping[str, str]) -> str:
    """Return variables for the key ``environment``."""
    from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import quoting

    return _plainly(lambda: quoting.quote_environment(variables))


def programs(stack: t.Mapping[str, t.Any]) -> t.List[t.Dict[str, t.Any]]:
    """Return what each ``[program:x]`` section of a normalised stack must say."""
    import dataclasses

    from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
    from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import config

    return _plainly(lambda: [dataclasses.asdict(program) for program in config.programs(Stack.from_dict(_own(stack)))])


def descriptors(stack: t.Mapping[str, t.Any]) -> int:
    """Return how many files supervisord must be able to open for a normalised stack."""
    from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
    from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import config

    return config.descriptors(Stack.from_dict(_own(stack)))


def _own(value: t.Any) -> t.Any:
    """Return data in Python's own types: Ansible's lazy ones cannot be copied by ``dataclasses``."""
    if isinstance(value, Mapping):
        return {str(key): _own(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_own(member) for member in value]
    return str(value) if isinstance(value, str) else value


_Result = t.TypeVar("_Result")


def _plainly(act: t.Callable[[], _Result]) -> _Result:
    """Return what ``act`` does, its error turned into one that Ansible shows as a sentence."""
    try:
        return act()
    except RollcallError as exc:
        raise AnsibleFilterError(exc.text()) from exc


class FilterModule:
    """The filters of this file."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """Return them by their short names."""
        return {
            "conf_value": conf_value,
            "conf_command": conf_command,
            "conf_environment": conf_environment,
            "descriptors": descriptors,
            "programs": programs,
        }
