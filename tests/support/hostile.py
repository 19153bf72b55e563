# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Input that somebody wrote to do harm, and the bounds within which it must be dealt with."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import signal
import sys
import typing as t

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import EXIT_CODES, EXIT_OK
from ansible_collections.rollcall.supervisor.plugins.module_utils.cli.command import main
from tests.support.examples import fuzz_examples

# Of one example. Seconds are of the processor, so that a busy machine changes nothing.
SECONDS = 4.0
GROWTH = 64 << 20

FUZZ = settings(
    max_examples=fuzz_examples(),
    deadline=None,
    # To find a smaller example of what takes seconds takes minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Hung(BaseException):
    """What was tried has taken too long. No handler of errors may take it for one."""


@contextlib.contextmanager
def contained(seconds: float = SECONDS, growth: int = GROWTH) -> t.Iterator[None]:
    """End what runs for longer, with `Hung`, and refuse more memory to it, which is a MemoryError.

    Args:
        seconds: of the processor.
        growth: bytes of data that the process may have more than now (getrlimit(2), RLIMIT_DATA).
    """

    def hung(*_signal: t.Any) -> None:
        raise Hung(f"it takes longer than {seconds:g} s")

    limits = resource.getrlimit(resource.RLIMIT_DATA)
    before = signal.signal(signal.SIGPROF, hung)
    resource.setrlimit(resource.RLIMIT_DATA, (_data() + growth, limits[1]))
    # Again and again: code in C may have swallowed the first.
    signal.setitimer(signal.ITIMER_PROF, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_DATA, limits)
        signal.signal(signal.SIGPROF, before)


def _data() -> int:
    """Return how many bytes of data this process has (proc(5), /proc/PID/statm)."""
    with open("/proc/self/statm", encoding="ascii") as stream:
        return int(stream.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")


# What readers of text and of JSON and YAML have tripped over somewhere.
POISON: t.Sequence[bytes] = (
    *(b"\0", b"\xff", b"\xfe\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xae", b"\x1b[2J\x1b]0;x\x07", b"\x85"),
    *(b"\r", b"\n", b"\n\n---\n", b"...", b"\t", b" ", b"\\", b'"', b"'", b":", b",", b"%", b"#", b";", b"=", b"/../"),
    *(
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"-1",
        b"-0",
        b"9" * 25,
        b"9" * 5000,
        b"0x",
        b"1_0",
        b"0o17",
        b"1e-9",
    ),
    *(b"null", b"true", b"[]", b"{}", b"[", b"]", b"{", b"}", b'{"":', b'"a":', b"\\ud800", b"\\u0000", b"!!python/x"),
    *(b"&a ", b"*a ", b"<<: *a", b"- &a [*a, *a]", b"!vault ", b"? ", b"|\n", b">-\n", b"{port:", b"%(here)s", b"%(x"),
    *(b"[" * 10_000, b'{"a":' * 10_000, b"- " * 10_000, b"<a>" * 10_000, b"&lt;" * 1000, b"(" * 10_000),
    *(b"A" * 1_000_000, b" " * 100_000, b"\n" * 100_000, b"a: 1\n" * 20_000, b"'" * 100_001, b"\\" * 100_001),
    *(b"\xf0\x9f\x92\xa9" * 1000, b"1," * 100_000, b'"\\n" ' * 20_000),
)

_PLACE = st.integers(0, 1 << 20)
_LENGTH = st.integers(0, 40)
# What is done to a document, where, to how many bytes, and with what.
_CHANGE = st.one_of(
    st.tuples(st.just("put"), _PLACE, st.just(0), st.sampled_from(POISON)),
    st.tuples(st.just("put"), _PLACE, _LENGTH, st.sampled_from(POISON)),
    st.tuples(st.just("put"), _PLACE, _LENGTH, st.binary(max_size=8)),
    st.tuples(st.just("repeat"), _PLACE, _LENGTH, st.sampled_from((b"xx", b"x" * 30, b"x" * 3000))),
    st.tuples(st.just("token"), _PLACE, st.just(0), st.sampled_from(POISON)),
    st.tuples(st.just("end"), _PLACE, st.just(0), st.just(b"")),
)


def _changed(document: bytes, changes: t.Sequence[t.Tuple[str, int, int, bytes]]) -> bytes:
    for kind, place, length, what in changes:
        start = place % (len(document) + 1)
        end = min(len(document), start + length)
        if kind == "token":
            # A whole word, such as a key or a number: what is around it stays in order.
            start, end = _token(document, start)
        if kind == "repeat":
            document = document[:start] + document[start:end] * len(what) + document[end:]
        elif kind == "end":
            document = document[:start]
        else:
            document = document[:start] + what + document[end:]
    return document


def _token(document: bytes, place: int) -> t.Tuple[int, int]:
    start = end = place
    while start > 0 and document[start - 1 : start].isalnum():
        start -= 1
    while document[end : end + 1].isalnum():
        end += 1
    return start, end


def mutated(*documents: bytes) -> st.SearchStrategy[bytes]:
    """Return what becomes of documents that are in order, and once in a while bytes that are nothing at all."""
    changes = st.lists(_CHANGE, max_size=4)
    return st.one_of(
        st.builds(_changed, st.sampled_from(documents), changes),
        st.builds(_changed, st.sampled_from(documents), changes),
        st.builds(_changed, st.binary(max_size=60), changes),
    )


def mutated_text(*documents: str) -> st.SearchStrategy[str]:
    """Return what becomes of texts, with lone surrogates in it where a byte is none of UTF-8, as files are read."""
    whole = mutated(*(document.encode() for document in documents))
    return whole.map(lambda content: content.decode("utf-8", "surrogateescape"))


class Said(t.NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    output: str
    errors: str


def rollcall(*arguments: str, given: bytes = b"") -> Said:
    """Run the command ``rollcall`` within this process and within bounds, with ``given`` on its standard input.

    What it prints must be UTF-8, as on a terminal, and no terminal may obey it.
    """
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _number in range(2)]
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(given), encoding="utf-8", errors="surrogateescape")
    try:
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]), contained():
            code = main(arguments)
    finally:
        sys.stdin = before
    output, errors = (stream.buffer.getvalue().decode() for stream in streams)
    assert all(char.isprintable() or char in "\n\t" for char in output + errors)
    assert code in EXIT_CODES.values() or code == EXIT_OK
    return Said(code, output, errors)
