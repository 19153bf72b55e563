# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real PostgreSQL of the test's own: in a temporary directory, on a free port, run by an account without rights."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import typing as t
from pathlib import Path

from tests.support.processes import eventually, free_port

BOUND = 120
ADMIN = "admin"
# Who may connect, and how. The administrator is the test itself.
RULES = """
local all admin trust
local all all peer
host all admin 127.0.0.1/32 trust
hostssl encrypted all 127.0.0.1/32 scram-sha-256
hostnossl encrypted all 127.0.0.1/32 reject
host all md5_user 127.0.0.1/32 md5
host all plain_user 127.0.0.1/32 password
host all trusted,missing 127.0.0.1/32 trust
host all barred 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
"""


def program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs; Debian keeps the server's off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        raise AssertionError(f"there is no {name}: run tests/tools/servers.sh")
    return path


class Cluster:
    """A running server.

    Attributes:
        directory: of its data, its socket and its log; everybody may come to the socket.
        port: of 127.0.0.1, and of its socket.
        user: the account that runs it.
    """

    host = "127.0.0.1"

    def __init__(self, directory: str, user: str) -> None:
        self.directory = directory
        self.port = free_port()
        self.user = user
        self._data = f"{directory}/data"
        self._log = f"{directory}/log"
        self._server: t.Optional[subprocess.Popen[bytes]] = None

    @property
    def certificate(self) -> str:
        """The file of the server's certificate, which is good for 127.0.0.1 when it is itself the authority."""
        return f"{self._data}/server.crt"

    def _as_user(self) -> t.Dict[str, t.Any]:
        if os.geteuid() != 0:
            return {}
        account = pwd.getpwnam(self.user)
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, cwd=self.directory, capture_output=True, text=True, check=False, timeout=BOUND, **self._as_user()
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def make(self) -> None:
        """Make the data directory."""
        self._run(program("initdb"), "-D", self._data, "-U", ADMIN, "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        Path(self._data, "pg_hba.conf").write_text(RULES, encoding="utf-8")
        subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
        files = ("-keyout", f"{self._data}/server.key", "-out", self.certificate)
        self._run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = {
            "port": self.port,
            "listen_addresses": self.host,
            "unix_socket_directories": self.directory,
            "fsync": "off",
            "ssl": "on",
            "max_connections": 30,
            "lc_messages": "C",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with open(self._log, "a", encoding="utf-8") as log:
            self._server = subprocess.Popen(
                [program("postgres"), "-D", self._data, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                **self._as_user(),
            )
        assert eventually(self._answers, BOUND), Path(self._log).read_text(encoding="utf-8")

    def _answers(self) -> bool:
        command = [program("pg_isready"), "-h", self.directory, "-p", str(self.port)]
        return subprocess.run(command, capture_output=True, check=False, timeout=BOUND).returncode == 0

    def stop(self) -> None:
        """Stop the server at once and take its exit status."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(BOUND)
            self._server = None

    def sql(self, text: str, database: str = "postgres") -> str:
        """Run SQL as the administrator and return what it says."""
        command = [program("psql"), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]
        where = ["-h", self.directory, "-p", str(self.port), "-U", ADMIN, "-d", database]
        done = subprocess.run(
            [*command, *where], input=text, capture_output=True, text=True, check=False, timeout=BOUND
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextlib.contextmanager
def cluster() -> t.Iterator[Cluster]:
    """Make and start a server; stop it by its pid and remove all of it afterwards."""
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    directory = tempfile.mkdtemp(prefix="pg-")
    made = Cluster(directory, user)
    try:
        if os.geteuid() == 0:
            account = pwd.getpwnam(user)
            os.chown(directory, account.pw_uid, account.pw_gid)
        os.chmod(directory, 0o755)
        made.make()
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(directory)
