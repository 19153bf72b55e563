# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a host tells of a rollout. Types only, as in documents.py."""

from __future__ import annotations

import typing as t


class ControllerData(t.TypedDict):
    """The process that a rollout is, on its controller.

    Attributes:
        boot: The boot of the controller, as its kernel names it.
        namespace: The namespace of its pids; empty where there are none.
        pid: The process.
        start: Clock ticks from boot to its start; 0 when that is not known.
    """

    boot: str
    namespace: str
    pid: int
    start: int


class RolloutData(t.TypedDict):
    """What a host knows of the last rollout that came to it.

    Attributes:
        id: Of the rollout.
        by: Who started it, as user@controller.
        controller: The process that it is.
        began: When it began here, in seconds since the epoch.
        sign: When it last gave a sign of life here, in seconds since the epoch.
        step: The step that it is at, or by which it has ended here.
        before: The generation that was in place when it began; empty when there was none.
        drained: By what this host is drained, such as haproxy; empty when it is not.
        since: Since when, in seconds since the epoch; 0 when it is not.
        leads: Whether the rollout as a whole is recorded here, and has not ended.
        origin: The id of the first rollout of those that have gone on with each other, this one included.
        back: Whether it goes back here, or has gone back.
        one_way: The one-way steps that have run in it so far, on whichever host: no host goes back over them.
        at_work: Whether it has not ended, here or as a whole.
    """

    id: str
    by: str
    controller: ControllerData
    began: float
    sign: float
    step: t.Literal["begin", "drain", "run", "undrain", "soak", "back", "done", "failed", "inconclusive", "reverted"]
    before: str
    drained: str
    since: float
    leads: bool
    origin: str
    back: bool
    one_way: t.List[str]
    at_work: bool


class MachineData(t.TypedDict):
    """By which two names of one machine are known.

    Attributes:
        boot: The boot of its kernel.
        directory: Device and inode of the stack's directory, within that boot.
    """

    boot: str
    directory: str


class AskedHow(t.TypedDict):
    """How a service is asked whether it is healthy, for those who want to ask it, too.

    Attributes:
        name: What the check is called, or its kind.
        kind: How it is asked.
        host: Where, on the host of the service.
        port: The port that is asked; 0 for exec, which asks none.
        socket: The path of the unix socket that is asked instead; empty where host and port are.
        path: For http and https the path, with its query.
        method: For http and https GET, HEAD or POST.
        headers: For http and https what is sent beside the usual ones; a secret stands as its name in braces.
        status: For http and https the only status that is healthy.
        timeout: Seconds for one question.
        verify: For https and tls whether the certificate is checked.
        server_name: For https and tls the name that it must have; empty for that of host.
        compares: Whether the text of the answer is looked at as well.
        own_authorities: Whether the certificate is checked by authorities that the manifest names.
    """

    name: str
    kind: t.Literal["http", "https", "tcp", "tls", "exec"]
    host: str
    port: int
    socket: str
    path: str
    method: str
    headers: t.Dict[str, str]
    status: int
    timeout: float
    verify: bool
    server_name: str
    compares: bool
    own_authorities: bool


class EndpointData(t.TypedDict):
    """One port of a service, for those who want to find it.

    Attributes:
        stack: Name of the stack.
        service: Name of the service.
        group: For an instance the service that it is an instance of; empty for others.
        instance: For an instance its number, from 1; 0 for others.
        port_name: What the port is called; empty for the only one of a service that gives it no name.
        port: The port that it has on this host.
        protocol: tcp or udp.
        address: Where to ask it on its own host.
        health: How the service is, as in its row of the report.
        stopped: Whether somebody has stopped it, or the whole stack.
        checks: The health checks that ask this port; those that ask none of the service's ports are its first one's.
    """

    stack: str
    service: str
    group: str
    instance: int
    port_name: str
    port: int
    protocol: t.Literal["tcp", "udp"]
    address: str
    health: t.Literal["none", "ok", "not_ready", "failed"]
    stopped: bool
    checks: t.List[AskedHow]


class DiscoveredHost(t.TypedDict):
    """What is known of a host for those who want to find its services.

    Attributes:
        address: Under which others reach it.
        own_address: The same where the inventory says it; empty where it is only how the controller reaches it.
        release: The release of the application's code that its services run; empty without one.
        why: Why it is not known what it has; empty when that is known.
        endpoints: Every port of its services; null when that is not known.
    """

    address: str
    own_address: str
    release: str
    why: str
    endpoints: t.Optional[t.List[EndpointData]]


class FleetHost(t.TypedDict):
    """One host in the table of a fleet.

    Attributes:
        verdict: How it is, in a word or two.
        well: Whether there is nothing to see to.
        reached: Whether it has answered.
        why: Why it did not, or why nothing is known of it all the same; empty when neither is so.
        healthy: Whether every check of its verdict passed; null where nothing is installed, or it is not known.
        failing: The checks that failed, each with its subject.
        stopped: By whom its stack was stopped on purpose, and when; empty when it was not.
        release: The release of the application's code that is installed; empty without one.
        running: The releases that its processes work in, run or have open.
        generation: The generation that is in place; empty when there is none.
        verified: Whether that was ever proved, and has kept up since.
        drained: By what a rollout has drained it; empty when none has.
        since: Since when, in seconds since the epoch; 0 when none has.
        rollout: The last rollout that came to it; null when there was none.
        engine: Version of its engine; empty when there is none, or it is not known.
        at_work: The run that has its stack locked; empty when there is none.
    """

    verdict: str
    well: bool
    reached: bool
    why: str
    healthy: t.Optional[bool]
    failing: t.List[str]
    stopped: str
    release: str
    running: t.List[str]
    generation: str
    verified: bool
    drained: str
    since: float
    rollout: t.Optional[RolloutData]
    engine: str
    at_work: str
