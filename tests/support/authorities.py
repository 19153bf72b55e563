# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of a test's own, and servers that show them."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from socket import socket

from tests.support.peers import Behaviour

BOUND = 60
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """An authority that signs certificates.

    Args:
        directory: takes its files.

    Attributes:
        certificate: the file of its own certificate.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.certificate = str(directory / "authority.pem")
        self._key = str(directory / "authority.key")
        _openssl("req", "-x509", *_KEY, "-days", "2", "-subj", "/CN=a test's authority",
                 "-keyout", self._key, "-out", self.certificate)  # fmt: skip

    def server(self, *names: str) -> ssl.SSLContext:
        """Return how a server speaks TLS whose certificate is signed, for names as openssl writes them: ``DNS:a``."""
        base = str(self._directory / names[0].replace(":", "-"))
        Path(f"{base}.ext").write_text(f"subjectAltName={','.join(names)}\n", encoding="ascii")
        _openssl("req", "-new", *_KEY, "-subj", "/CN=server", "-keyout", f"{base}.key", "-out", f"{base}.csr")
        _openssl("x509", "-req", "-in", f"{base}.csr", "-CA", self.certificate, "-CAkey", self._key, "-days", "2",
                 "-set_serial", "7", "-extfile", f"{base}.ext", "-out", f"{base}.pem")  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{base}.pem", f"{base}.key")
        return context


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False, timeout=BOUND)
    assert done.returncode == 0, done.stderr


def in_tls(context: ssl.SSLContext, behave: Behaviour, requests: list[bytes] | None = None) -> Behaviour:
    """Speak TLS, read a request, and then treat the connection as ``behave`` says."""

    def wrapped(connection: socket) -> None:
        connection.settimeout(20)
        with context.wrap_socket(connection, server_side=True) as secured:
            request = secured.recv(65536)
            if requests is not None:
                requests.append(request)
            behave(secured)

    return wrapped
