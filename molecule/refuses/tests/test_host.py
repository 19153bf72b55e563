# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host after the refusal: as it was before, in every process and in every file."""

from __future__ import annotations

import json
from typing import Any

from tests.support import eyes

ROOT = "/opt/trading"


def test_nothing_was_stopped(host: Any) -> None:
    before = {int(pid) for pid in host.file("/root/before").content_string.split()}
    assert before
    assert before <= set(eyes.look(host).processes)


def test_the_foreign_process_still_holds_its_port(host: Any) -> None:
    view = eyes.look(host)
    (pid,) = view.listeners[8001]
    assert view.processes[pid].user == "bob"


def test_what_ran_before_still_answers(host: Any) -> None:
    view = eyes.look(host)
    (daemon,) = view.supervisord(ROOT)
    assert all(daemon.pid in view.ancestors(pid) for pid in view.listeners[4000])
    fetch = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:4000/health', timeout=60).read().decode())"
    assert json.loads(host.check_output("python3 -c %s", fetch))["status"] == "ok"


def test_the_refused_config_is_not_in_place(host: Any) -> None:
    assert "trade_executor" not in host.file(f"{ROOT}/etc/supervisord.conf").content_string
    manifest = json.loads(host.file(f"{ROOT}/etc/manifest.json").content_string)
    assert [service["name"] for service in manifest["services"]] == ["trade_manager"]
