# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The judge of the check that is about what the logs of the services say. Pure."""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..manifest.model import Service
from ..supervisord.places import log_file
from .conditions import EARLIER
from .judge import Case, Proof
from .observation import LogSeen


def judge_logs(case: Case, service: Service) -> t.Optional[Proof]:
    """Judge what the log of a service says since its mark."""
    log = case.seen.logs.get(service.name)
    if log is None:
        return None
    if log.unfit:
        return _unfit(log_file(case.stack, service.name), *log.unfit)
    if not log.critical and not log.gaps:
        return _in_use(case, service, log) or Proof("no critical line since it was last judged good")
    lines = ["critical lines:", *log.critical] if log.critical else []
    evidence = "\n".join([*log.gaps, *lines])
    data = {"gaps": list(log.gaps)}
    if log.earlier:
        earlier = f"before this run began, and nobody has acknowledged it: {evidence}"
        return Proof(earlier, EARLIER, cures.ACKNOWLEDGE, data)
    if not log.critical:
        return Proof(evidence, "gap", cures.ACKNOWLEDGE, data)
    return Proof(evidence, "critical", cures.logs(service.name), data)


def _in_use(case: Case, service: Service, log: LogSeen) -> t.Optional[Proof]:
    """Judge that a service without a port has found an address in use: nothing else would show that it does not listen.

    Where it, or another instance of it, listens on some port, it may have found another one or come second on purpose.
    """
    alike = [one.name for one in case.stack.services if one.name == service.name or one.group == service.group != ""]
    if not log.in_use or any(case.seen.elsewhere.get(name) for name in alike):
        return None
    lines = "\n".join(log.in_use)
    if log.earlier:
        earlier = f"before this run began, and nobody has acknowledged it: {lines}"
        return Proof(earlier, EARLIER, cures.ACKNOWLEDGE)
    evidence = f"it listens on no port, and its log says that an address was in use:\n{lines}"
    return Proof(evidence, "in_use", cures.logs(service.name))


def _unfit(log: str, path: str, why: str) -> Proof:
    # What leads to the log may be a directory that the logs of others are in as well.
    cure = cures.move_away(path) if path == log else cures.rights(path, os.path.dirname(path))
    return Proof(f"{path} is not read: {why}", "unfit", cure, {"path": path})
