# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real sshd of the test's own, on a free port of 127.0.0.1, into which whoever runs the tests may log in."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import subprocess
import typing as t
from pathlib import Path

from tests.support.processes import eventually, free_port

SSHD = "/usr/sbin/sshd"

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {place}/host_key
AuthorizedKeysFile {place}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""


@contextlib.contextmanager
def sshd(place: Path) -> t.Iterator[t.Dict[str, t.Any]]:
    """Run sshd, and yield the variables of a host that Ansible reaches by it.

    Args:
        place: an empty directory, for its keys and its log.
    """
    if not os.path.exists(SSHD):
        raise AssertionError(f"there is no {SSHD}: run tests/tools/servers.sh")
    for name in ("host_key", "key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)], check=True, timeout=100
        )
    if os.geteuid() == 0:
        # Where its process without rights lives; its package has systemd make it.
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    port = free_port()
    (place / "config").write_text(CONFIG.format(port=port, place=place), encoding="utf-8")
    server = subprocess.Popen([SSHD, "-D", "-f", str(place / "config"), "-E", str(place / "log")])
    try:
        assert eventually(lambda: _answers(port)), (place / "log").read_text(encoding="utf-8")
        yield {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": port,
            "ansible_user": getpass.getuser(),
            "ansible_ssh_private_key_file": str(place / "key"),
            "ansible_ssh_common_args": "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
        }
    finally:
        server.terminate()
        server.wait(60)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
