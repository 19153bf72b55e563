# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor found, as text."""

from __future__ import annotations

import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor import diagnosis
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor.findings import ERROR, NOTE, WARNING, Finding
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.findings import findings_text

OURS: t.Dict[str, t.Any] = {
    **{"pid": 100, "user": "ada", "stack": "demo", "ours": True, "seen": True, "answers": True, "container": False},
    **{
        "version": "4.3.0",
        "config": "/opt/demo/etc/supervisord.conf",
        "socket": "/opt/demo/run/supervisor.sock",
    },
}
OTHER = {
    **OURS,
    "pid": 900,
    "stack": None,
    "ours": False,
    "config": "/etc/other900.conf",
    "socket": "/run/o.sock",
}


def answer(*found: Finding, **more: t.Any) -> t.Any:
    return {
        **{
            "stack": "demo",
            "host": "here",
            "root": "/opt/demo",
            "ok": diagnosis.passed(found),
            "check": False,
            "seconds": 0.4,
            "limit": 40.0,
        },
        "findings": [finding.as_dict() for finding in found],
        "supervisors": [OURS, OTHER],
        **more,
    }


def test_where_nothing_is_wrong_one_line_says_so_and_what_was_not_seen() -> None:
    assert findings_text(answer()) == "demo on here: nothing is wrong (0.4 s, at most 40 s)"
    unseen = Finding(
        "unseen", NOTE, "demo", "as user ada 12 processes could not be looked into", "sudo rollcall doctor"
    )
    line = "demo on here: nothing is wrong; as user ada 12 processes could not be looked into (0.4 s, at most 40 s)"
    assert findings_text(answer(unseen)) == line


def test_a_finding_is_told_with_its_cure_or_what_was_done_after_the_table_of_supervisords() -> None:
    fixed = Finding("stale_socket", WARNING, "/s", "nobody", "c", {"done": "removed it"}, True, True)
    left = Finding("orphan", ERROR, "web", "pid 7 \x1b[31m", "rollcall restart full")
    lines = findings_text(answer(fixed, left)).splitlines()
    assert "not a Rollcall stack" in lines[3]
    assert lines[5:8] == ["fixed     stale_socket  /s", "  nobody", "  done: removed it"]
    assert lines[9:12] == ["error     orphan  web", "  pid 7 \\x1b[31m", "  cure: /opt/demo/bin/rollcall restart full"]
    assert lines[-1] == "demo on here: FAILED, 1 fixed, 1 error (0.4 s, at most 40 s)"


def test_a_check_says_what_would_be_put_right() -> None:
    finding = Finding("temporary_file", WARNING, "/x.new", "never finished", "rollcall doctor --fix", fixable=True)
    assert "  would be fixed: --fix removes it" in findings_text(answer(finding, check=True)).splitlines()
