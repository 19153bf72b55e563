# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a record of a stack's state has in it, reading it gives what it should be, or an error that tells of it."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import readable_time
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import births, processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.accounts import find_account
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import leases
from ansible_collections.rollcall.supervisor.plugins.module_utils.releases import store
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import (
    before,
    budget,
    credentials,
    generations,
    last_steps,
    lives,
    lock,
    log_marks,
    memory,
    runs,
    stopped,
    undo,
)
from tests.support import configs
from tests.support.hostile import FUZZ, contained, mutated, rollcall

BOOT = processes.boot_id()
RUN = "20260101-000000-abcd"
EXIT = [1700000000.5, 3.0, 1, "", False]
LIFE = {"revision": "r", "exits": [EXIT], "earlier": 2, "life": [77, 88], "since": 1.5, "longest": 3.5}
STEPS: t.Sequence[t.Any] = [
    {"step": "prove", "at": 0.0, "time": 1700000000.0, "who": "root", "mode": "full", "brought": True},
    {"step": "plan", "at": 0.1, "time": 1700000000.1, "manifest": "abcdef", "actions": ["start web"]},
    {"step": "done", "at": 0.2, "time": 1700000000.2, "result": "failed", "timings": {"plan": 0.1}, "message": "x"},
]


class Record(t.NamedTuple):
    """A record: where it is, below the root; what is in it when all is well; and who reads it, and returns what."""

    path: str
    good: t.Any
    read: t.Callable[[Stack], t.Any]
    right: t.Callable[[t.Any], bool]


def of(*kinds: type) -> t.Callable[[t.Any], bool]:
    return lambda value: isinstance(value, kinds)


def mark_is_right(mark: log_marks.LogMark) -> bool:
    kinds = (int, int, str, float, int, str)
    return all(isinstance(value, kind) for value, kind in zip(mark, kinds))


def book_is_right(book: lives.Book) -> bool:
    return all(isinstance(number, int) for pair in (book.supervisord, book.mark) for number in pair) and all(
        isinstance(each.earlier, int)
        and isinstance(each.since + each.longest, float)
        and all(isinstance(one.at, float) and isinstance(one.signal, str) for one in each.exits)
        for each in book.lives.values()
    )


def births_are_right(found: births.Births) -> bool:
    labels = all(isinstance(word, str) for label in found.processes.values() for word in label)
    return labels and all(isinstance(number, int) for pair in found.processes for number in pair)


def missing(stack: Stack) -> t.List[str]:
    generations.write_meta(os.path.join(stack.root, "generations", "1"), {"verified": True})
    return last_steps.missing(stack)


RECORDS = {
    "leases": Record(
        "state/ports.json",
        {"ports": {"web": 8000}},
        lambda stack: leases.load(stack.paths.state),
        lambda found: all(isinstance(name, str) and isinstance(port, int) for name, port in found.items()),
    ),
    "budget": Record(
        "state/budget.json",
        {"boot": BOOT, "restarts": [1.0, 2]},
        budget.spent,
        lambda found: all(isinstance(ago, float) for ago in found),
    ),
    "acknowledgement": Record(
        "state/acknowledged.json",
        {"who": "root", "time": 1.5, "boot": BOOT, "moment": 3.0, "run": RUN},
        lambda stack: memory.acknowledgement(stack.paths.state),
        lambda found: found is None or isinstance(found.time + found.moment, float),
    ),
    "stopped": Record(
        "state/stopped.json",
        {"web": {"by": "ada", "at": 1.5, "along": ""}},
        stopped.read_stopped,
        lambda found: all(isinstance(one.by + one.along, str) and isinstance(one.at, float) for one in found.values()),
    ),
    "marks": Record(
        "state/marks.json",
        {"web": [1, 2, "ab", 3.5, 4, "cd"], "old": [1, 2]},
        log_marks.saved_marks,
        lambda found: all(map(mark_is_right, found.values())),
    ),
    "lives": Record(
        "state/lives.json",
        {"boot": BOOT, "supervisord": [5, 6], "mark": [7, 8], "lives": {"web": LIFE}, "proved": {"web": [9, 10]}},
        lambda stack: lives.read_book(stack, {}, (0, 0)),
        book_is_right,
    ),
    "births": Record(
        "state/started.json",
        {
            "boot": BOOT,
            "processes": [[1, 2, "demo", "/x", "web", "r"]],
            "sessions": [[1, 2, 3]],
            "sockets": [[4, "web"]],
        },
        lambda stack: births.recorded(stack.root),
        births_are_right,
    ),
    "files": Record(
        "state/files.json",
        {"key": "00ff", "services": {"web": {"/etc/x": "abcd"}}},
        lambda stack: credentials.FileRecord(stack).changed().restart,
        of(dict),
    ),
    "boot": Record("state/boot.json", {"unit": "/etc/x.service"}, missing, of(list)),
    "pending": Record("state/release/pending.json", {"id": "r1"}, missing, of(list)),
    "lock": Record("state/lock", {"pid": 1, "who": "root"}, lambda stack: lock.locked_by(stack.paths.state), of(dict)),
    "undo": Record(
        "state/undo/password.json",
        {"what": "the password", "argv": ["true"], "stdin": ""},
        lambda stack: undo.kept(stack.paths.state),
        lambda found: all(isinstance(one.what, str) and isinstance(one.argv, tuple) for one in found),
    ),
    "meta": Record(
        "generations/1/meta.json",
        {"digest": "ab", "content": "cd", "loaded": True, "verified": True, "by": "x", "before": ["0"]},
        lambda stack: [
            generations.kept_generations(stack.paths, stack.root),
            generations.is_edited(stack.paths, stack.root),
        ],
        of(list),
    ),
    "manifest": Record(
        "generations/1/manifest.json",
        configs.stack("/opt/demo", configs.service("web")).to_dict(),
        lambda stack: generations.load_stack(stack.paths),
        of(Stack),
    ),
    "placement": Record(
        "generations/1/manifest.json",
        configs.stack("/opt/demo", configs.service("web")).to_dict(),
        lambda stack: generations.load_placement(stack.paths),
        of(generations.Placement, type(None)),
    ),
    "private": Record(
        "generations/1/env/web.json",
        {"TOKEN": "x"},
        generations.load_environment,
        of(dict),
    ),
    "release": Record(
        "releases/r1/.rollcall-release.json",
        {"id": "r1", "code": "c", "recipe": "r", "made": 1.5, "venv": "v"},
        lambda stack: store.release_record(stack.root, "r1", find_account(None)),
        of(dict, type(None)),
    ),
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    root = tmp_path_factory.mktemp("root")
    for folder in ("state/runs", "state/release", "state/undo", "generations/1/env", "releases/r1", "logs", "run"):
        (root / folder).mkdir(parents=True)
    (root / "etc").symlink_to("generations/1")
    return configs.stack(str(root), configs.service("web"))


def write(stack: Stack, record: Record, content: bytes) -> None:
    (Path(stack.root) / record.path).write_bytes(content)


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_that_is_in_order_is_read(stack: Stack, name: str) -> None:
    record = RECORDS[name]
    write(stack, record, json.dumps(record.good).encode())
    try:
        assert record.right(record.read(stack))
    finally:
        # The next test has the same stack: a lock, for one, would hide from it what is missing.
        os.unlink(os.path.join(stack.root, record.path))


@given(
    st.sampled_from(sorted(RECORDS)).flatmap(
        lambda name: st.tuples(st.just(name), mutated(json.dumps(RECORDS[name].good).encode()))
    )
)
@FUZZ
def test_a_record_of_a_stack(stack: Stack, case: t.Tuple[str, bytes]) -> None:
    name, content = case
    record = RECORDS[name]
    write(stack, record, content)
    try:
        with contained():
            found = record.read(stack)
    except RollcallError as exc:
        json.dumps(exc.as_dict())
        return
    finally:
        os.unlink(os.path.join(stack.root, record.path))
    assert record.right(found)


@given(mutated("\n".join(map(json.dumps, STEPS)).encode()))
@FUZZ
def test_the_record_of_a_run(stack: Stack, content: bytes) -> None:
    state = stack.paths.state
    (Path(state) / "runs" / f"{RUN}.jsonl").write_bytes(content)

    with contained():
        runs.unfinished_run(state)
        memory.last_failure(state)
        before.names_before(stack.root)
    assert rollcall("--root", stack.root, "history").code == 0
    assert json.loads(rollcall("--root", stack.root, "history", "--json").output)["ok"]


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1e300, 1e18, 10**30])
def test_a_time_that_there_is_not_is_told_as_such(seconds: float) -> None:
    assert readable_time(seconds) == "at no time that there is"


@pytest.mark.parametrize("unit", ["/etc/a\0b", "/etc/" + "x" * 300, "/etc" * 2000, "\ud800"])
def test_a_unit_that_no_file_system_has_is_a_damaged_record(stack: Stack, unit: str) -> None:
    record = RECORDS["boot"]
    write(stack, record, json.dumps({"unit": unit}).encode())

    with pytest.raises(RollcallError, match="What starts the stack"):
        record.read(stack)


def test_a_record_that_is_too_large_is_not_read_into_memory(stack: Stack) -> None:
    record = RECORDS["leases"]
    path = Path(stack.root) / record.path
    with open(path, "wb") as stream:
        stream.truncate(1 << 30)

    with contained(), pytest.raises(RollcallError, match="larger than 16777216 bytes"):
        record.read(stack)
    path.unlink()
