# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which port is it? For applications beside Rollcall: Python 3.6 or later, this one file and nothing else.

    from rollcall_ports import get_port

    redis = get_port("cache")
    metrics = get_port("main_app.metrics")  # of a service with several ports

The answer comes from the registry of the stack, ROOT/ports.json, which is replaced as a whole whenever the stack is
changed. It is read anew for each question, so a process that runs for weeks learns of a port that has moved. Whatever
is not known is a PortError; there is no default, and nothing is guessed.

The registry wins: PORT and PORT_<NAME> are not looked at here. A variable is as old as its process, is inherited by
whatever the process starts, and may have been set by anybody; the registry is what holds now. For a service that
Rollcall has started the two say the same, because one whose ports have changed is started anew. A service that is to
listen on its own port may as well read PORT and needs no client for it.

ROOT is what the caller says, else the variable ROLLCALL_ROOT, which every service of a stack has, else where this
very file is installed: ROOT/lib/rollcall_ports.py.

In a shell: python3 ROOT/lib/rollcall_ports.py NAME
"""

import json
import os
import sys
from typing import Any, Dict, Optional

FORMAT = 1


class PortError(LookupError):
    """No port can be told, and why, as one sentence."""


def get_port(name: str, stack_root: Optional[str] = None) -> int:
    """Return the port of the service called ``name``.

    Args:
        name: as in the manifest; of several ports the first, or another one as ``main_app.metrics``.
        stack_root: directory of the stack; found as the module's own text says when it is not given.

    Raises:
        PortError: there is no such service, it has no port, or the registry is missing or broken.
    """
    path = _path(stack_root)
    services = _services(path)
    port = services.get(name)
    if port is None:
        what = "has no port" if name in services else "is no service"
        known = ", ".join(other for other in services if services[other] is not None)
        raise PortError(f"'{name}' {what} in {path}. With a port: {known or 'none'}.")
    return port


def ports(stack_root: Optional[str] = None) -> Dict[str, int]:
    """Return the port of every service that has one, by the service's name.

    Args:
        stack_root: as for `get_port`.

    Raises:
        PortError: the registry is missing or broken.
    """
    found = _services(_path(stack_root))
    return {name: port for name, port in found.items() if port is not None and "." not in name}


def _path(stack_root: Optional[str]) -> str:
    if stack_root is None:
        own = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
        stack_root = os.environ.get("ROLLCALL_ROOT") or own
    return os.path.join(stack_root, "ports.json")


def _services(path: str) -> Dict[str, Optional[int]]:
    """Return the port of every service, None for one that has none, and the ports that have names as web.metrics."""
    try:
        with open(path, encoding="utf-8") as stream:
            registry = json.load(stream)
    except FileNotFoundError:
        raise PortError(f"There is no registry at {path}: no stack has been installed there.") from None
    except OSError as exc:
        raise PortError(f"The registry {path} cannot be read: {exc.strerror}.") from exc
    except ValueError as exc:
        raise PortError(f"The registry {path} is half-written or damaged: {exc}.") from exc
    if not isinstance(registry, dict) or not isinstance(registry.get("services"), dict):
        raise PortError(f"{path} is not a registry of Rollcall.")
    if registry.get("rollcall") != FORMAT:
        raise PortError(f"The registry {path} is not of format {FORMAT}, which this client knows: run site.yml again.")
    found = {name: _port(path, name, entry) for name, entry in registry["services"].items()}
    for name, entry in registry["services"].items():
        several = entry.get("ports", {})
        if not isinstance(several, dict):
            raise PortError(f"The registry {path} is damaged: the ports of '{name}' are {several!r}.")
        for called, port in several.items():
            found[f"{name}.{called}"] = _port(path, f"{name}.{called}", {"port": port})
    return found


def _port(path: str, name: str, entry: Any) -> Optional[int]:
    if isinstance(entry, dict) and "port" in entry:
        port = entry["port"]
        if port is None:
            return None
        if isinstance(port, int) and not isinstance(port, bool) and 0 < port < 65536:
            return port
    raise PortError(f"The registry {path} is damaged: the port of '{name}' is not in {entry!r}.")


def main() -> int:
    """Print the port of the service that the command line names; return the exit code."""
    if len(sys.argv) != 2:
        print("usage: rollcall_ports.py NAME", file=sys.stderr)
        return 2
    try:
        print(get_port(sys.argv[1]))
    except PortError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
