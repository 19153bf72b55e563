# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a running HAProxy has to be told so that it is as its new configuration says: decided before it is done.

A server that is drained or in maintenance stays so. What else than servers has changed needs a reload; then the new
process is given the states of the old one's servers, by a file that it reads before it takes the first request.
"""

from __future__ import annotations

import typing as t

from .haproxy import ServerKey, ServerView
from .plan import Views
from .published import EdgeConfig, EdgeServer, EdgeService, description, server_arguments, server_place

# The file of states when nothing is to be kept.
NO_STATES = "1\n"
# Columns of `show servers state` for a server that has to pass its checks first: it is down, and its last check has
# failed, L4CON. With a check that is unknown (0) HAProxy 2.6 never counts it as up.
_DOWN: t.Mapping[str, str] = {
    "srv_op_state": "0",
    "srv_check_status": "8",
    "srv_check_result": "2",
    "srv_check_health": "0",
}
_NEW: t.Mapping[str, str] = {
    **_DOWN,
    **dict.fromkeys(("be_id", "srv_id", "srv_admin_state", "srv_time_since_last_change", "srv_agent_state"), "0"),
    **dict.fromkeys(("bk_f_forced_id", "srv_f_forced_id", "srv_use_ssl", "srv_check_port", "srv_agent_port"), "0"),
    "srv_check_state": "6",
}

Wanted = t.Dict[ServerKey, t.Tuple[EdgeService, EdgeServer]]


class EdgeChanges(t.NamedTuple):
    """How what runs differs from what is wanted.

    Attributes:
        reload: whether HAProxy has to read its configuration anew, or to be started.
        added: servers that it does not have.
        moved: servers that are elsewhere.
        weighted: servers with another weight.
        removed: servers that are wanted no more, in backends that are.
        returned: servers that are wanted, and that an earlier run had drained to remove them.
    """

    reload: bool
    added: t.Tuple[ServerKey, ...] = ()
    moved: t.Tuple[ServerKey, ...] = ()
    weighted: t.Tuple[ServerKey, ...] = ()
    removed: t.Tuple[ServerKey, ...] = ()
    returned: t.Tuple[ServerKey, ...] = ()

    @property
    def any(self) -> bool:
        """Whether there is anything to do."""
        return self.reload or bool(self.rows())

    def rows(self) -> t.List[t.Dict[str, str]]:
        """Return each server with what becomes of it, as data."""
        kinds = ("added", "moved", "weighted", "removed", "returned")
        return [
            {"backend": key.backend, "server": key.server, "change": kind}
            for kind in kinds
            for key in getattr(self, kind)
        ]


def wanted_servers_of(wanted: EdgeConfig) -> Wanted:
    """Return every server of a configuration."""
    return {
        ServerKey(wanted.socket, service.name, server.name): (service, server)
        for service in wanted.services
        for server in service.servers
    }


def changes_of(
    said: t.Optional[str], views: Views, wanted: EdgeConfig, going: t.Container[ServerKey] = ()
) -> EdgeChanges:
    """Return what has to become of a HAProxy.

    Args:
        said: what the running process says of itself; None when none runs.
        views: its servers.
        wanted: what it is to be.
        going: servers that an earlier run had drained to remove them, and has not.
    """
    keys, backends = wanted_servers_of(wanted), {service.name for service in wanted.services}
    there = {key: one for key, one in keys.items() if key in views}
    moved = [
        key for key, (_of, one) in there.items() if (views[key].address, views[key].port) != (one.address, one.port)
    ]
    return EdgeChanges(
        reload=said != description(wanted),
        added=tuple(key for key in keys if key not in views),
        moved=tuple(moved),
        weighted=tuple(key for key, (_of, one) in there.items() if _has_another_weight(views[key], one)),
        removed=tuple(key for key in views if key.backend in backends and key not in keys),
        returned=tuple(key for key in there if key in going and not views[key].in_use),
    )


def _has_another_weight(view: ServerView, server: EdgeServer) -> bool:
    """Return whether a server has to get its weight; with none it is somebody's way to drain it, and stays so."""
    return view.weight not in (0, server.weight)


def orders_of(changes: EdgeChanges, views: Views, wanted: EdgeConfig) -> t.List[t.Tuple[ServerKey, t.Tuple[str, ...]]]:
    """Return the commands by which a running HAProxy gets its servers, but for those that it loses.

    The commands of one server are one call, so no request comes between them, and no end of ours.

    Args:
        changes: what has to become of it.
        views: its servers.
        wanted: what it is to be.
    """
    keys = wanted_servers_of(wanted)
    orders = [(key, _added(key, *keys[key])) for key in changes.added]
    orders += [(key, _moved(key, keys[key][1], views)) for key in changes.moved]
    return orders + [(key, (f"set server {key} weight {keys[key][1].weight}",)) for key in changes.weighted]


def _added(key: ServerKey, service: EdgeService, server: EdgeServer) -> t.Tuple[str, ...]:
    """Return the commands for a new server: it gets its first request when its checks have passed.

    It is in maintenance when it comes. HAProxy counts what leaves maintenance as up, but what is down and drained only
    by its checks, so it goes that way.
    """
    place = f"{server_place(server)} {server_arguments(service)} weight {server.weight}"
    return (f"add server {key} {place}", f"enable health {key}", *into_use(key))


def into_use(key: ServerKey) -> t.Tuple[str, ...]:
    """Return the commands by which a server that is out of use gets requests as soon as its checks have passed."""
    return (f"set server {key} state drain", f"set server {key} health down", f"set server {key} state ready")


def _moved(key: ServerKey, server: EdgeServer, views: Views) -> t.Tuple[str, ...]:
    """Return the commands for a server that is elsewhere: its state stays, and where others answer it is tried."""
    move = f"set server {key} addr {server.address} port {server.port}"
    view = views[key]
    distrust = view.checked and view.in_use and _others_answer(key, views)
    return (f"set server {key} health down", move) if distrust else (move,)


def _others_answer(key: ServerKey, views: Views) -> bool:
    return any(_answers(view) for other, view in views.items() if other != key and other.backend == key.backend)


def _answers(view: ServerView) -> bool:
    return view.in_use and view.up and view.passed


def kept_states(states: str, changes: EdgeChanges, views: Views, wanted: EdgeConfig) -> str:
    """Return the file of states for the process to come: each server is as it was, at the place where it is to be.

    A server that is new or elsewhere is down until its checks have passed, where another one answers meanwhile that
    stays as it is. Without such a one it is taken for up, as HAProxy does with all servers after a start.

    Args:
        states: the answer of the process to ``show servers state``.
        changes: what has to become of it.
        views: its servers.
        wanted: what it is to be.

    Raises:
        ValueError: the answer has no headings.
    """
    keys = wanted_servers_of(wanted)
    lines = [line for line in states.splitlines() if line.strip()]
    if len(lines) < 2 or not lines[1].startswith("# "):
        raise ValueError("it has no headings")
    names = lines[1].lstrip("# ").split()
    doubtful = _doubtful(changes, views, keys)
    rows = []
    for line in lines[2:]:
        row = dict(zip(names, line.split()))
        key = ServerKey(wanted.socket, row["be_name"], row["srv_name"])
        if key in keys:
            weightless = {"srv_uweight": "0"} if row["srv_uweight"] == "0" else {}
            rows.append({**row, **_place(keys[key][1]), **weightless, **(_DOWN if key in doubtful else {})})
    for key in changes.added:
        if key in doubtful:
            blank = {**dict.fromkeys(names, "-"), **_NEW}
            rows.append({**blank, "be_name": key.backend, "srv_name": key.server, **_place(keys[key][1])})
    return "\n".join([*lines[:2], *(" ".join(row[name] for name in names) for row in rows)]) + "\n"


def _doubtful(changes: EdgeChanges, views: Views, keys: Wanted) -> t.Set[ServerKey]:
    """Return the servers that have to pass their checks before they get a request."""
    new = {*changes.added, *changes.moved}
    answered = {key.backend for key in keys if key in views and key not in new and _answers(views[key])}
    return {key for key in new if key.backend in answered and (key not in views or views[key].in_use)}


def _place(server: EdgeServer) -> t.Dict[str, str]:
    weight = str(server.weight)
    return {
        "srv_addr": server.address,
        "srv_port": str(server.port),
        "srv_uweight": weight,
        "srv_iweight": weight,
        "srv_fqdn": "-",
    }


def differences(views: Views, wanted: EdgeConfig) -> t.List[str]:
    """Return how a HAProxy is not as it should be, as sentences."""
    keys = wanted_servers_of(wanted)
    found = [f"{key} is not there" for key in keys if key not in views]
    for key, (_of, one) in keys.items():
        view = views.get(key)
        if view is None:
            continue
        if (view.address, view.port) != (one.address, one.port) or _has_another_weight(view, one):
            found.append(f"{key} is at {view.address}:{view.port} with weight {view.weight}")
    return found


def lost_states(before: Views, after: Views) -> t.List[t.Tuple[str, ServerKey]]:
    """Return the orders for servers that were out of use and no longer are."""
    return [
        ("maint" if view.maint else "drain", key)
        for key, view in before.items()
        if (view.maint or view.drain) and key in after and not (after[key].maint or after[key].drain)
    ]
