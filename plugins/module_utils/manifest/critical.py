# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which lines of a log are critical, unless the manifest says otherwise.

They are the words with which the usual languages and loggers tell that a program cannot go on, at the place in a line
where those put them. An ERROR is none: a program that reports one goes on. Colours are taken out of a line before.
"""

from __future__ import annotations

CRITICAL = (
    # Levels of Python's logging, log4j, Ruby's Logger and others; of nginx and Apache; of JSON and logfmt.
    r"\bCRITICAL\b",
    r"(?<![-\w])FATAL\b",
    r"\[alert\]",
    r"\[emerg\]",
    r'"(?:level|severity)"\s*:\s*"critical"',
    r'"(?:level|severity)"\s*:\s*"fatal"',
    r"\blevel=(?:critical|fatal|panic)\b",
    # Python; also in a group of exceptions, behind a logger's prefix, and in a field of JSON.
    r"(?:^\s*|[^\w\s]\s*|\bGroup |[A-Z\d] )Traceback \(most recent call last\)",
    # Go and Rust.
    r"^panic: ",
    r"^fatal error: ",
    r"^thread '.+ panicked at ",
    # Java; .NET; Node.js; PHP; C++.
    r"^Exception in thread ",
    r"^Unhandled exception\b",
    r"\bUnhandledPromiseRejection",
    r"^Uncaught \w*(?:Error|Exception)\b",
    r"\bPHP Fatal error: ",
    r"^terminate called ",
)

# How the kernel's EADDRINUSE is told: strerror(3), and its own name, which Node.js writes.
IN_USE = (r"\b[Aa]ddress already in use\b", r"\bEADDRINUSE\b")
