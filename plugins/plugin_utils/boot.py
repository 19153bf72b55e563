# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What starts a stack after a boot: what a host has of it, and what is to be there instead.

The host is asked by one command of the shell; what to do with the answer is decided here, without side effects.
"""

from __future__ import annotations

import hashlib
import os
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError

SYSTEMD, USER, LAUNCHD, NONE = "systemd", "user", "launchd", "none"
# systemd's words for a unit that needs nothing; launchd is not asked.
SETTLED = ("enabled active", "")

_LOOK = """\
export XDG_RUNTIME_DIR="/run/user/$(id -u)"
echo "user $(id -u) $(id -un)"
echo "home $HOME"
[ -d /run/systemd/system ] && echo "systemd yes"
look() {{
  [ -f "$3" ] || return
  echo "file $1 $({{ sha256sum "$3" 2>/dev/null || shasum -a 256 "$3"; }} | cut -c1-64)"
  echo "root $1 $(sed -n 's|^[^/]*\\(/.*\\)/bin/rollcall.*|\\1|p' "$3" | head -n 1)"
  [ "$1" = launchd ] || echo "state $1 $($2 is-enabled {unit} 2>&1) $($2 is-active {unit} 2>&1)"
}}
jobs() {{
  echo "jobs $1 $(sed -n 's|^ExecStart="\\(/.*\\)/bin/rollcall.*|\\1|p' "$3/{jobs}.service" 2>/dev/null | head -n 1)"
  for f in "$3/{jobs}"*; do
    [ -f "$f" ] || continue
    n=${{f##*/}}
    echo "job $1 $n $(sha256sum "$f" | cut -c1-64)"
    case "$n" in *.timer) echo "jobstate $1 $n $($2 is-enabled "$n" 2>&1) $($2 is-active "$n" 2>&1)" ;; esac
  done
}}
look systemd "systemctl" "/etc/systemd/system/{unit}"
jobs systemd "systemctl" "/etc/systemd/system"
look user "systemctl --user" "$HOME/.config/systemd/user/{unit}"
jobs user "systemctl --user" "$HOME/.config/systemd/user"
[ "$(id -u)" = 0 ] && d=/Library/LaunchDaemons || d=$HOME/Library/LaunchAgents
look launchd "" "$d/{label}.plist"
true"""

# The name of a unit that runs a job of a stack, or all of them.
_OF_JOBS = re.compile(r"rollcall-[A-Za-z0-9_-]+@[A-Za-z0-9_-]*\.(timer|service)\Z")


@dataclass(frozen=True)
class Present:
    """One thing on the host that starts a stack of this name after a boot.

    Attributes:
        digest: SHA-256 of its file.
        root: directory of the stack that it starts.
        state: systemd's words for the unit: whether it is enabled, and whether it is active.
    """

    digest: str
    root: str = ""
    state: str = ""


@dataclass(frozen=True)
class Jobs:
    """The units on the host that run the jobs of a stack of this name.

    Attributes:
        root: directory of the stack whose jobs they run.
        units: what there is, by the name of the unit.
    """

    root: str = ""
    units: t.Mapping[str, Present] = field(default_factory=dict)


@dataclass(frozen=True)
class Host:
    """What a host has said.

    Attributes:
        uid: of the user who installs.
        user: its name.
        home: its home directory.
        systemd: whether systemd runs there.
        present: what starts the stack, by kind.
        jobs: what runs its jobs, by kind.
    """

    uid: str
    user: str
    home: str
    systemd: bool
    present: t.Mapping[str, Present] = field(default_factory=dict)
    jobs: t.Mapping[str, Jobs] = field(default_factory=dict)

    def file(self, kind: str, name: str) -> str:
        """Return the path of a unit of systemd, by its name."""
        return f"/etc/systemd/system/{name}" if kind == SYSTEMD else f"{self.home}/.config/systemd/user/{name}"

    def place(self, kind: str, name: str) -> str:
        """Return the path of what starts the stack ``name``."""
        if kind in (SYSTEMD, USER):
            return self.file(kind, unit(name))
        directory = "/Library/LaunchDaemons" if self.uid == "0" else f"{self.home}/Library/LaunchAgents"
        return f"{directory}/{label(name)}.plist"


def unit(name: str) -> str:
    """Return the name of a stack's unit, as the engine looks for it (run/boot.py)."""
    return f"rollcall-{name}.service"


def label(name: str) -> str:
    """Return launchd's name of a stack."""
    return f"org.rollcall.{name}"


def question(name: str) -> str:
    """Return the command that asks a host; a stack's name needs no quoting: letters, digits, ``_`` and ``-``."""
    return _LOOK.format(unit=unit(name), label=label(name), jobs=f"rollcall-{name}@")


def parse(output: str) -> Host:
    """Return what a host has said; a login shell may have said something of its own before it.

    Raises:
        RollcallError: it has not said who asks.
    """
    lines = [line.strip() for line in output.splitlines()]

    def said(words: str) -> str:
        return next((line[len(words) + 1 :] for line in lines if line.startswith(f"{words} ")), "")

    who, home = re.fullmatch(r"([0-9]{1,10}) (.{1,256})", said("user")), said("home")
    if who is None or not f"{who.group(2)}{home}".isprintable() or (home and not os.path.isabs(home)):
        raise RollcallError(f"The host did not say what starts the stack after a boot: {output.strip()[-200:]!r}.")
    kinds = [kind for kind in (SYSTEMD, USER, LAUNCHD) if said(f"file {kind}")]
    present = {kind: Present(said(f"file {kind}"), said(f"root {kind}"), said(f"state {kind}")) for kind in kinds}
    jobs = {kind: _jobs(lines, kind, said(f"jobs {kind}")) for kind in (SYSTEMD, USER)}
    found = {kind: one for kind, one in jobs.items() if one.units}
    return Host(who.group(1), who.group(2), home, bool(said("systemd")), present, found)


def _jobs(lines: t.Sequence[str], kind: str, root: str) -> Jobs:
    """Return which units a host has said that run jobs of a stack."""
    units: t.Dict[str, Present] = {}
    for line in lines:
        word, _space, rest = line.partition(f" {kind} ")
        name, _space, said = rest.partition(" ")
        if word == "job" and _OF_JOBS.match(name):
            units[name] = Present(said)
        elif word == "jobstate" and name in units:
            units[name] = Present(units[name].digest, "", said)
    return Jobs(root, units)


def kind_of(host: Host, wanted: str) -> str:
    """Return what is to start the stack: systemd, user, launchd or none.

    Args:
        host: what the host has said.
        wanted: one of these, or ``auto``.
    """
    if wanted != "auto":
        return wanted
    return SYSTEMD if host.uid == "0" and host.systemd else NONE


def why_nothing_starts(host: Host, wanted: str, name: str, where: str) -> str:
    """Return why nothing is to start a stack after a boot where nobody has said so, as a sentence; empty otherwise.

    Args:
        host: what the host has said.
        wanted: what is wanted, or ``auto``.
        name: of the stack.
        where: the host's name in the inventory.
    """
    if wanted != "auto" or kind_of(host, wanted) != NONE:
        return ""
    because = "systemd does not run there" if not host.systemd else f"{host.user} may not install a unit of the system"
    more = "set services_boot to none" if not host.systemd else "set services_boot to user or none"
    return f"Nothing starts stack {name} after a boot of {where}, for {because}. If that is what you want, {more}."


def check(host: Host, kind: str, stack: t.Mapping[str, t.Any], after: t.Sequence[str], where: str) -> None:
    """Check that what is wanted can be there.

    Args:
        host: what the host has said.
        kind: what is to start the stack.
        stack: its name and root.
        after: units of the system that it is to wait for.
        where: the host's name in the inventory.

    Raises:
        RollcallError: ``wrong_use``: the kind is for another user, another stack has the name, or a user's unit is
            to wait for units of the system.
    """
    if kind in (SYSTEMD, USER) and (host.uid == "0") != (kind == SYSTEMD):
        raise RollcallError(
            f"services_boot is {kind}, and {where} is installed as {host.user}: root has units of the system "
            "(systemd), everybody else units of their own (user).",
            kind="wrong_use",
        )
    for other, found in host.present.items():
        if kind != NONE and found.root != stack["root"]:
            raise RollcallError(
                f"{host.place(other, stack['name'])} on {where} starts the stack at {found.root}, which has the name "
                f"{stack['name']} as well. Give one of them another name, or set services_boot to none.",
                kind="wrong_use",
            )
    if kind == USER and after:
        raise RollcallError(
            "services_boot_after names units of the system, and a user's unit cannot wait for those: leave it empty, "
            "or install the stack as root.",
            kind="wrong_use",
        )


def superfluous(host: Host, kind: str, root: str) -> t.List[str]:
    """Return the kinds that start the stack at ``root`` and are not to."""
    return [other for other, found in host.present.items() if other != kind and found.root == root]


def is_settled(host: Host, kind: str, text: str) -> bool:
    """Return whether what is to start the stack is there, with this text, enabled and active."""
    found = host.present.get(kind)
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    return found is not None and found.digest == digest and found.state in SETTLED
