# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to start a stack after a boot, decided from what the host has said."""

from __future__ import annotations

import hashlib
import subprocess

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.units import unit_name
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import boot, boot_timers
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.boot import Host, Present
from tests.support.manifests import a_manifest, a_service, checked
from tests.support.repository import ROOT

STACK = {"name": "shop", "root": "/opt/shop"}
SAID = """\
Welcome to web1
user 0 root\r
home /root
systemd yes
file systemd 0123abc
root systemd /opt/shop
state systemd enabled active
file launchd 4567def
root launchd /opt/other
"""


def host(uid: str = "0", *, runs: bool = True, **present: Present) -> Host:
    return Host(uid, "root" if uid == "0" else "ann", "/home/ann", runs, present)


def check(known: Host, kind: str, *after: str) -> None:
    boot.check(known, kind, STACK, after, "web1")


def test_the_answer_is_read_whatever_else_was_said() -> None:
    found = boot.parse(SAID)
    assert (found.uid, found.user, found.home, found.systemd) == ("0", "root", "/root", True)
    assert found.present == {
        "systemd": Present("0123abc", "/opt/shop", "enabled active"),
        "launchd": Present("4567def", "/opt/other", ""),
    }


@pytest.mark.parametrize(
    ("uid", "runs", "wanted", "words"),
    [
        ("0", True, "auto", ""),
        ("0", False, "none", ""),
        ("1000", True, "user", ""),
        ("0", False, "auto", "after a boot of web1, for systemd does not run there"),
        (
            "1000",
            True,
            "auto",
            "for ann may not install a unit of the system. If that is what you want, set",
        ),
    ],
)
def test_where_nothing_starts_a_stack_and_nobody_wanted_it_so_that_is_said(
    uid: str, runs: bool, wanted: str, words: str
) -> None:
    said = boot.why_nothing_starts(host(uid, runs=runs), wanted, "shop", "web1")

    assert (words in said) if words else (said == "")


def test_a_host_that_does_not_say_who_asks_has_not_answered() -> None:
    with pytest.raises(RollcallError, match="did not say"):
        boot.parse("sh: id: not found\n")


def test_a_real_shell_answers() -> None:
    asked = subprocess.run(["/bin/sh", "-c", boot.question("nowhere")], capture_output=True, text=True, check=True)
    found = boot.parse(asked.stdout)
    assert found.home.startswith("/")
    assert found.present == {}


def test_the_unit_has_the_name_that_the_engine_looks_for() -> None:
    assert boot.unit("shop") == unit_name("shop")


@pytest.mark.parametrize(
    ("known", "wanted", "kind"),
    [
        (host(), "auto", "systemd"),
        (host(runs=False), "auto", "none"),
        (host("1000"), "auto", "none"),
        (host("1000"), "user", "user"),
        (host(), "none", "none"),
    ],
)
def test_auto_is_the_unit_of_the_system_where_root_installs_and_systemd_runs(
    known: Host, wanted: str, kind: str
) -> None:
    assert boot.kind_of(known, wanted) == kind


@pytest.mark.parametrize(("uid", "kind"), [("0", "user"), ("1000", "systemd")])
def test_a_unit_of_somebody_else_is_refused(uid: str, kind: str) -> None:
    with pytest.raises(RollcallError, match=f"services_boot is {kind}, and web1 is installed as"):
        check(host(uid), kind)


def test_what_starts_another_stack_of_that_name_is_not_overwritten() -> None:
    known = host(systemd=Present("0", "/opt/other"))
    with pytest.raises(RollcallError, match=r"/etc/systemd/system/rollcall-shop.service on web1 starts .* /opt/other"):
        check(known, "systemd")
    check(known, "none")
    assert boot.superfluous(known, "none", "/opt/shop") == []


def test_a_users_unit_cannot_wait_for_units_of_the_system() -> None:
    with pytest.raises(RollcallError, match="services_boot_after"):
        check(host("1000"), "user", "postgresql.service")
    check(host(), "systemd", "postgresql.service")


def test_what_starts_the_stack_and_is_not_wanted_is_superfluous() -> None:
    known = host(systemd=Present("0", "/opt/shop"), launchd=Present("0", "/opt/shop"))
    assert boot.superfluous(known, "systemd", "/opt/shop") == ["launchd"]
    assert boot.superfluous(known, "none", "/opt/shop") == ["systemd", "launchd"]


@pytest.mark.parametrize(
    ("text", "state", "settled"),
    [
        ("unit", "enabled active", True),
        ("unit", "", True),
        ("unit", "enabled inactive", False),
        ("unit", "disabled active", False),
        ("another", "enabled active", False),
    ],
)
def test_a_unit_is_left_alone_when_it_is_this_one_enabled_and_active(text: str, state: str, settled: bool) -> None:
    known = host(systemd=Present(hashlib.sha256(b"unit").hexdigest(), "/opt/shop", state))
    assert boot.is_settled(known, "systemd", text) is settled
    assert not boot.is_settled(host(), "systemd", text)


def test_launchd_has_daemons_of_root_and_agents_of_everybody_else() -> None:
    assert host().place("launchd", "shop") == "/Library/LaunchDaemons/org.rollcall.shop.plist"
    assert host("501").place("launchd", "shop") == "/home/ann/Library/LaunchAgents/org.rollcall.shop.plist"
    assert host("1000").place("user", "shop") == "/home/ann/.config/systemd/user/rollcall-shop.service"


JOBS = """
jobs systemd /opt/shop
job systemd rollcall-shop@.service 0123
job systemd rollcall-shop@old.timer 4567
jobstate systemd rollcall-shop@old.timer enabled active
job systemd ../../etc/passwd 89ab
"""


def test_the_units_of_jobs_come_and_go_with_the_timers_of_the_manifest() -> None:
    timers = {"kind": "timer", "every": "90s", "stop": {"timeout": 30}, "limits": {"nofile": 9000}}
    services = {"web": a_service(), "poll": a_service(**timers), "night": a_service(kind="timer", cron="0 3 1 * mon")}
    stack = checked(a_manifest(services, name="shop", root="/opt/shop")).to_dict()
    templates = str(ROOT / "roles" / "services" / "templates" / "boot")
    known = boot.parse(SAID + JOBS)
    wanted = boot_timers.texts(stack, templates)

    assert list(wanted) == ["rollcall-shop@.service", "rollcall-shop@poll.timer", "rollcall-shop@night.timer"]
    lines = wanted["rollcall-shop@.service"].splitlines()
    for line in ('ExecStart="/opt/shop/bin/rollcall" job %i', "TimeoutStopSec=45", "LimitNOFILE=1024:524288"):
        assert line in lines
    assert "After=rollcall-shop.service" in lines
    assert "OnUnitActiveSec=90s" in wanted["rollcall-shop@poll.timer"].splitlines()
    night = wanted["rollcall-shop@night.timer"].splitlines()
    assert [line for line in night if line.startswith(("OnCalendar", "Persistent", "WantedBy"))] == [
        "OnCalendar=*-*-01 03:00:00",
        "OnCalendar=Mon *-*-* 03:00:00",
        "Persistent=true",
        "WantedBy=timers.target",
    ]
    assert [step.path for step in boot_timers.to_install(known, "systemd", wanted)] == [
        f"/etc/systemd/system/{name}" for name in wanted
    ]
    assert [step.name for step in boot_timers.to_remove(known, "systemd", wanted, "/opt/shop")] == [
        "rollcall-shop@old.timer"
    ]
    assert [step.name for step in boot_timers.to_remove(known, "none", {}, "/opt/shop")] == [
        "rollcall-shop@old.timer",
        "rollcall-shop@.service",
    ]
    assert boot_timers.to_remove(known, "none", {}, "/opt/other") == []
    settled = boot.Jobs(
        "/opt/shop",
        {
            name: Present(hashlib.sha256(text.encode()).hexdigest(), "", "enabled active" * name.endswith(".timer"))
            for name, text in wanted.items()
        },
    )
    there = Host("0", "root", "/root", True, {}, {"systemd": settled})
    assert boot_timers.to_install(there, "systemd", wanted) == []
    assert boot_timers.to_remove(there, "systemd", wanted, "/opt/shop") == []
