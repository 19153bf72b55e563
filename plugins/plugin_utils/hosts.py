# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What there is of a stack on a host, by one command of the shell: no Python need be there, and none is started."""

from __future__ import annotations

import os
import re
import shlex
import typing as t
from dataclasses import dataclass

from ansible.errors import AnsibleActionFail

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import one_line, printable

if t.TYPE_CHECKING:
    from ansible.plugins.action import ActionBase

# A host's words are shown up to so many characters, and so many sentences.
SAID, MOST_BROKEN = 500, 20
_VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){1,3}(?:-[0-9A-Za-z.-]{1,40})?")
# Engines before 0.2.0 had no file `version`.
_LOOK = """\
cd {root} 2>/dev/null || exit 0
old=$(sed -n 's/^VERSION = "\\(.*\\)"/\\1/p' engine/rollcall/version.py 2>/dev/null)
echo "version $(cat engine/version 2>/dev/null || echo "$old")"
echo "prepared $(head -n 1 engine/prepared 2>/dev/null)"
{proof}
find . -mindepth 1 -maxdepth 1 -print0 | od -An -v -tx1 | sed 's/^/found /'"""
# Whether what the host was prepared with is still there, by the engine's own Python. Where that does not run there is
# no answer, which is an answer as well.
_PROOF = "engine/venv/bin/python -I engine/rollcall/base/installation.py all {arguments} 2>/dev/null || :"
# The same for what root was to put on the PATH.
_ON_PATH = """
{{ [ -x /usr/local/bin/rollcall ] && [ -e /etc/rollcall/stacks/{name} ]; }} || [ "$(id -u)" != 0 ] \\
|| echo "broken the command on the PATH: it is not there\""""


@dataclass(frozen=True)
class Found:
    """What there is in the directory of a stack.

    Attributes:
        version: of the engine; empty when there is none.
        prepared: the fingerprint of what the host was prepared with; empty when that was not done, or not to its end.
        names: all files and directories.
        whole: whether all that it was prepared with is still there; False when that was not asked.
        broken: what is not, as sentences.
    """

    version: str = ""
    prepared: str = ""
    names: t.Tuple[str, ...] = ()
    whole: bool = False
    broken: t.Tuple[str, ...] = ()


def look(action: ActionBase, root: str, proof: str = "") -> Found:
    """Ask the host of an action what there is in the directory of a stack.

    Args:
        action: that asks.
        root: directory of the stack.
        proof: the command of ``proof``, to have the host look whether all is still there.

    Raises:
        AnsibleActionFail: the host has no shell that can be asked.
    """
    done = action._low_level_execute_command(_LOOK.format(root=shlex.quote(root), proof=proof))
    if done["rc"] != 0:
        said = (done["stderr"] or done["stdout"]).strip()
        raise AnsibleActionFail(f"The host could not be looked at: {printable(said[-500:])}")
    try:
        return parse(done["stdout"])
    except ValueError as exc:
        raise AnsibleActionFail(f"The host could not be looked at: what it has said is no answer: {exc}") from exc


def proof(data: t.Mapping[str, t.Any], *, on_path: bool) -> str:
    """Return the shell's command that looks, in a stack's directory, whether the host is still as it was prepared.

    Args:
        data: the normalised manifest.
        on_path: whether root was to put the command on the PATH.
    """
    paths = data["paths"]
    arguments = [data["root"], data["user"] or "", paths["run"], paths["logs"]]
    command = _PROOF.format(arguments=shlex.join(arguments))
    if on_path:
        command += _ON_PATH.format(name=shlex.quote(data["name"]))
    return command


def parse(output: str) -> Found:
    """Return what the host has said; a login shell may have said something of its own before it.

    Names come as the bytes that they are, each ended by a zero: a terminal, which SSH may give, changes none of that.

    Raises:
        ValueError: it is no answer.
    """
    said: t.Dict[str, t.List[str]] = {}
    for line in output.splitlines():
        word, _blank, rest = line.strip().partition(" ")
        said.setdefault(word, []).append(rest)
    last = {word: said.get(word, [""])[-1] for word in ("version", "prepared")}
    names = bytes.fromhex("".join(said.get("found", ()))).split(b"\0")[:-1]
    found = sorted(os.fsdecode(name)[len("./") :] for name in names)
    broken = tuple(one_line(words, SAID) for words in said.get("broken", ())[:MOST_BROKEN])
    whole = "yes" in said.get("whole", ()) and not broken
    return Found(_known_version(last["version"]), last["prepared"], tuple(found), whole, broken)


def _known_version(text: str) -> str:
    """Return the version of an engine as a host tells it.

    Raises:
        ValueError: it is none.
    """
    if text and not _VERSION.fullmatch(text):
        raise ValueError(f"{one_line(text, 40)!r} is no version")
    return text
