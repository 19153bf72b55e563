# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Takes secrets out of what is told: a service may write one into its log, or answer with it. Pure."""

from __future__ import annotations

import binascii
import json
import re
import shlex
import typing as t

# What stands in the place of a secret, and how many characters one must have to be told from other words.
HIDDEN = "********"
SHORTEST = 6
# Keys of the documents whose values are some of a few words, or names of the stack's own: programs decide on them, and
# no service writes them.
KEPT = frozenset(
    (
        *("action", "code", "codes", "family", "health", "kind", "mode", "name", "protocol", "proves"),
        *("level", "provenance", "result", "what"),
        *("root", "run", "severity", "stack", "state", "step", "subject"),
    )
)
# What one line has more was cut off where it is read: a secret may have been cut in two.
_LONG = 500
_PASSWORD = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?#@:]*:([^/?#]+)@")
# Letters that one word of a file must have to be told from words that stand everywhere: a user, a stack, a region.
_LONG_WORD = 12
# A name that tells that its value is secret, and that value: as JSON, YAML, INI, a shell and netrc(5) write it.
_SECRET_NAME = re.compile(
    r"passw|passphrase|pwd|secret|token|credential|private|(?:\A|[_-]|api)key(?:_?id)?\Z", re.IGNORECASE
)
_NAMED = re.compile(r"""\A["']?(?P<name>[\w.-]+)["']?\s*(?::\s|=(?!=*\Z))\s*(?P<value>.+)\Z""")
_NETRC = re.compile(r"\bpassword\s+(\S+)")
# What is written the same way everywhere, and what a URL has as it is (RFC 3986, 2.3).
_PLAIN = re.compile(r"[A-Za-z0-9_.-]*\Z")
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]")
_FRAME = re.compile(r"\A-----(BEGIN|END) (.+)-----\Z")
# What is in these everybody may know (RFC 7468).
_PUBLIC = ("CERTIFICATE", "PUBLIC KEY", "PARAMETERS", "CRL", "REQUEST")

_T = t.TypeVar("_T")


def masked(value: _T, secrets: t.Any) -> _T:
    """Return data with the secrets taken out of its texts.

    Of a secret of several lines each is looked for by itself, as a log is given line by line; of a URL also its
    password, as the service knows it. One of fewer than ``SHORTEST`` characters stays: it is in half of all words.
    Ansible's ``remove_values`` replaces these, and numbers: nothing could be read any more.

    Args:
        value: as JSON has it.
        secrets: texts, also within mappings and lists.
    """
    forms = {form for text in _texts(secrets) for form in _forms(text)}
    hidden = sorted((form for form in forms if len(form) >= SHORTEST), key=len, reverse=True)
    return t.cast(_T, _cleaned(value, hidden)) if hidden else value


def tells_secret(name: str) -> bool:
    """Return whether a name tells that its value is secret, such as ``API_TOKEN``."""
    return _SECRET_NAME.search(name) is not None


def secrets_in(content: str) -> t.Iterator[str]:
    """Yield what is secret in a file of credentials.

    A file of one line is a secret as a whole. Of several lines each one is, but comments, titles, certificates, public
    keys, and words that stand elsewhere as well: what has a name is a secret when its name says so.

    Args:
        content: the text of the file.
    """
    text = content.strip()
    if text[:1] in ("{", "["):
        try:
            yield from _secrets_in_data(json.loads(text), secret=False)
            return
        except (ValueError, RecursionError):
            pass
    lines = [line.strip() for line in text.splitlines()]
    if len(lines) == 1:
        yield text
    public = False
    for line in lines:
        frame = _FRAME.match(line)
        if frame is not None:
            public = frame.group(1) == "BEGIN" and frame.group(2).endswith(_PUBLIC)
        elif not public and line[:1] not in ("#", ";", "["):
            yield from _secrets_in_line(line)


def _secrets_in_line(line: str) -> t.Iterator[str]:
    named = _NAMED.match(line)
    if named is not None:
        value = named.group("value").rstrip(",").strip("\"'")
        if _SECRET_NAME.search(named.group("name")) or _PASSWORD.match(value):
            yield value
        return
    yield from _NETRC.findall(line)
    if not line.isalpha() or len(line) >= _LONG_WORD:
        yield line
        # As in pgpass and htpasswd.
        yield line.rpartition(":")[2]


def _secrets_in_data(value: t.Any, *, secret: bool) -> t.Iterator[str]:
    """Yield what is secret in data: what stands under a name that says so, and texts of several lines."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _secrets_in_data(inner, secret=secret or _SECRET_NAME.search(name) is not None)
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets_in_data(inner, secret=secret)
    elif isinstance(value, str) and (secret or _PASSWORD.match(value)):
        yield from secrets_in(value) if "\n" in value.strip() else (value,)


def _texts(value: t.Any) -> t.Iterator[str]:
    """Yield all texts within a value."""
    if isinstance(value, t.Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)
    elif value is not None:
        yield str(value)


def _forms(text: str) -> t.Iterator[str]:
    """Yield a secret as it may be written: whole, each line of it, and both in the ways of `_written`."""
    password = _PASSWORD.match(text)
    parts = [text]
    if password is not None:
        from urllib.parse import unquote

        parts += [password.group(1), unquote(password.group(1))]
    for part in parts:
        for line in (part, *part.splitlines()):
            yield from _written(line)


def _written(line: str) -> t.Iterator[str]:
    """Yield a text as it is, and as JSON, Python's repr, URLs, HTML, the trace of a shell and Base64 have it."""
    yield line.strip()
    yield from _in_base64(line)
    if _PLAIN.match(line):
        # All others write it as it is.
        return
    as_json = json.dumps(line)[1:-1]
    yield from (as_json, json.dumps(line, ensure_ascii=False)[1:-1], repr(line)[1:-1])
    # PHP and Go write these characters of JSON in other ways.
    yield as_json.replace("/", "\\/")
    yield "".join(f"\\u{ord(char):04x}" if char in "<>&" else char for char in as_json)
    for safe in ("", "/"):
        quoted = "".join(char if char in safe or _UNRESERVED.match(char) else _percent(char) for char in line)
        yield from (quoted, quoted.replace("%20", "+"), re.sub("%..", lambda code: code.group().lower(), quoted))
    html = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for quote in ("&#x27;", "&#39;"):
        yield html.replace('"', "&quot;").replace("'", quote)
    yield html
    yield shlex.quote(line)


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))


def _in_base64(line: str) -> t.Iterator[str]:
    """Yield what of a text's Base64 is the same whatever stands around it, as ``user:`` before it in a header."""
    content = line.encode("utf-8", "surrogatepass")
    for before in range(3):
        whole = binascii.b2a_base64(bytes(before) + content, newline=False).decode("ascii")
        inner = whole[(before * 8 + 5) // 6 : (before + len(content)) * 8 // 6]
        yield from (inner, inner.replace("+", "-").replace("/", "_"))


def _cleaned(value: t.Any, hidden: t.Sequence[str]) -> t.Any:
    if isinstance(value, str):
        return _hide(value, hidden)
    if isinstance(value, dict):
        return {
            key: inner if key in KEPT and _is_of_words(inner) else _cleaned(inner, hidden)
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        # Of named tuples none is told as it is: JSON has them as lists.
        cleaned = [_cleaned(inner, hidden) for inner in value]
        return cleaned if isinstance(value, list) else tuple(cleaned)
    return value


def _is_of_words(value: t.Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _hide(text: str, hidden: t.Sequence[str]) -> str:
    if len(text) < SHORTEST:
        return text
    for secret in hidden:
        text = text.replace(secret, HIDDEN)
    if "…" in text or len(text) >= _LONG:
        text = "\n".join("…".join(_hide_halves(part, hidden) for part in line.split("…")) for line in text.split("\n"))
    return text


def _hide_halves(part: str, hidden: t.Sequence[str]) -> str:
    """Return a stretch of text without the half of a secret that it may begin or end with."""
    for secret in hidden:
        if part[:SHORTEST] in secret and len(part) >= SHORTEST:
            half = next((n for n in range(len(secret) - 1, SHORTEST - 1, -1) if part.startswith(secret[-n:])), 0)
            part = HIDDEN + part[half:] if half else part
        if part[-SHORTEST:] in secret and len(part) >= SHORTEST:
            half = next((n for n in range(len(secret) - 1, SHORTEST - 1, -1) if part.endswith(secret[:n])), 0)
            part = part[:-half] + HIDDEN if half else part
    return part
