# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site from outside: after the install, after an upgrade that did not start, and without a network."""

from __future__ import annotations

import http.cookiejar
import json
import os
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import eyes
from tests.support.askers import Asker
from tests.support.processes import eventually, free_port

EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
ROOT = "/opt/django"
TASK = "celery.backend_cleanup"
SECRETS = ("planted-key", "planted-db", "planted-queue", "planted-admin")
SERVICES = {"web-1", "web-2", "worker", "beat"}
PORTS = (8000, 8001)
# A busy machine needs a dozen times as long as this takes.
BOUND = 120
SECONDS = 20
TASKS = "django_celery_results_taskresult"


def noted(name: str) -> str | None:
    """Return what a side effect has left for the tests; None when it has not run yet."""
    path = EPHEMERAL / name
    return path.read_text(encoding="utf-8") if path.exists() else None


def psql(host: Any, statement: str) -> list[str]:
    """Return the rows that PostgreSQL itself has."""
    command = "cd / && runuser -u postgres -- psql -X -A -t -d django -c %s"
    return list(host.check_output(command, statement).splitlines())


def queued(host: Any) -> int:
    """Return how often Redis was given something to queue."""
    lines = host.check_output("REDISCLI_AUTH=%s redis-cli info commandstats", 'planted-queue/2%@"x').splitlines()
    return sum(int(line.split("calls=")[1].split(",")[0]) for line in lines if line.startswith("cmdstat_lpush:"))


class Browser:
    """A person at the admin: has its cookies, and sends a form with what the page hides in it."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self._cookies)
        )

    def get(self, path: str) -> str:
        """Return the page at ``path``."""
        return self._open(path, None)

    def post(self, path: str, **fields: str) -> str:
        """Send a form and return the page that comes after it."""
        token = next(cookie.value for cookie in self._cookies if cookie.name == "csrftoken")
        return self._open(path, urllib.parse.urlencode({"csrfmiddlewaretoken": token, **fields}).encode())

    def _open(self, path: str, body: bytes | None) -> str:
        with self._opener.open(self._address + path, body, timeout=60) as answer:
            return str(answer.read().decode())


@pytest.fixture(scope="module")
def ways(host: Any) -> Iterator[list[int]]:
    """The ports here that lead to the two instances of the site, which listen on the host's own loopback."""
    reach = yaml.safe_load((EPHEMERAL / "inventory" / "reach.yml").read_text(encoding="utf-8"))
    way = reach["all"]["hosts"][host.backend.get_hostname()]
    ports = [free_port() for _port in PORTS]
    options = "BatchMode=yes ExitOnForwardFailure=yes IdentitiesOnly=yes StrictHostKeyChecking=no LogLevel=ERROR"
    options += " UserKnownHostsFile=/dev/null"
    tunnel = subprocess.Popen(
        [
            *("ssh", "-N", "-i", way["ansible_ssh_private_key_file"]),
            *(word for here, there in zip(ports, PORTS) for word in ("-L", f"127.0.0.1:{here}:127.0.0.1:{there}")),
            *(word for option in options.split() for word in ("-o", option)),
            *("-p", str(way["ansible_port"]), f"{way['ansible_user']}@{way['ansible_host']}"),
        ]
    )
    try:
        assert eventually(lambda: tunnel.poll() is not None or all(map(connects, ports)))
        assert tunnel.poll() is None
        yield ports
    finally:
        tunnel.terminate()
        tunnel.wait(60)


def connects(port: int) -> bool:
    """Whether something takes connections on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def address(ways: list[int]) -> str:
    """Where the first instance of the site is reached from here."""
    return f"http://127.0.0.1:{ways[0]}"


@pytest.fixture
def browser(address: str) -> Browser:
    """One that has logged in."""
    browser = Browser(address)
    assert "Log in" in browser.get("/")
    page = browser.post("/admin/login/", username="admin", password="planted-admin-'3", next="/admin/")
    assert "Log out" in page
    return browser


@pytest.fixture
def view(host: Any) -> eyes.View:
    return eyes.look(host)


def below(view: eyes.View) -> list[eyes.Process]:
    """Return the stack's one supervisord and everything below it."""
    (daemon,) = view.supervisord(ROOT)
    return [process for process in view.processes.values() if daemon.pid in (process.pid, *view.ancestors(process.pid))]


def result(host: Any, condition: str) -> list[str]:
    """Return the first row of a result that is there: its task's id, how it ended, which worker had it."""
    columns = "task_id, status, worker"
    where = f"task_name = '{TASK}' AND {condition}"
    rows: list[str] = []

    def found() -> bool:
        rows[:] = psql(host, f"SELECT {columns} FROM {TASKS} WHERE {where}")
        return bool(rows) and "|SUCCESS|" in rows[0]

    assert eventually(found, BOUND), rows
    return rows[0].split("|")


def test_a_request_goes_through_web_queue_worker_and_database(host: Any, browser: Browser) -> None:
    seen = psql(host, f"SELECT coalesce(max(id), 0) FROM {TASKS}")[0]
    (periodic,) = psql(host, f"SELECT id FROM django_celery_beat_periodictask WHERE task = '{TASK}'")
    before = queued(host)

    page = browser.post(
        "/admin/django_celery_beat/periodictask/", action="run_tasks", _selected_action=periodic, index="0"
    )

    assert "1 task was successfully run" in page
    task, status, worker = result(host, f"id > {seen}")
    assert (status, worker) == ("SUCCESS", f"celery@{host.backend.get_hostname()}")
    assert queued(host) > before
    shown = browser.get(f"/admin/django_celery_results/taskresult/?q={task}")
    assert task in shown
    assert "1 task result" in shown


def test_what_a_person_schedules_is_sent_by_beat(host: Any, browser: Browser) -> None:
    name = "as soon as beat sees it"
    intervals = "SELECT id FROM django_celery_beat_intervalschedule WHERE every = 1 AND period = 'seconds'"
    seen = psql(host, f"SELECT coalesce(max(id), 0) FROM {TASKS}")[0]
    # The page has a part for the tasks of the interval, which says how many it shows.
    counts = {"periodictask_set-TOTAL_FORMS": "0", "periodictask_set-INITIAL_FORMS": "0"}
    browser.post("/admin/django_celery_beat/intervalschedule/add/", every="1", period="seconds", **counts)
    browser.post(
        "/admin/django_celery_beat/periodictask/add/",
        **{"name": name, "regtask": TASK, "enabled": "on", "interval": psql(host, intervals)[0], "one_off": "on"},
        **{"args": "[]", "kwargs": "{}", "headers": "{}"},
    )
    (periodic,) = psql(host, f"SELECT id FROM django_celery_beat_periodictask WHERE name = '{name}'")

    def gone() -> bool:
        browser.post(f"/admin/django_celery_beat/periodictask/{periodic}/delete/", post="yes")
        return psql(host, f"SELECT id FROM django_celery_beat_periodictask WHERE name = '{name}'") == []

    try:
        _task, status, _worker = result(host, f"id > {seen} AND periodic_task_name = '{name}'")
        assert status == "SUCCESS"
    finally:
        # beat saves what it has sent, and thereby makes anew what was deleted meanwhile.
        assert eventually(gone, BOUND)


def as_it_was_installed() -> None:
    """Skip a trial of restarts that says the same on every host."""
    if noted("release") is not None:
        pytest.skip("tried when it had just been installed")


def test_a_task_of_20_s_is_finished_in_a_restart_of_everything_and_the_site_is_not_away_meanwhile(host: Any) -> None:
    as_it_was_installed()
    call = f"from project.tasks import wait; print(wait.delay({SECONDS}).id)"
    task = host.check_output("rollcall exec worker -- venv/bin/python -m django shell -c %s", call).split()[-1]
    row = f"SELECT status, result FROM {TASKS} WHERE task_id = '{task}'"
    assert eventually(lambda: [line.partition("|")[0] for line in psql(host, row)] == ["STARTED"], BOUND)

    report = json.loads(host.check_output("rollcall restart --json"))

    assert report["ok"]
    assert psql(host, row) == [f"SUCCESS|{SECONDS}"]
    # By the worker that had it, and not once more by the next one.
    log = host.check_output("grep --fixed-strings %s %s/logs/worker.log", task, ROOT).splitlines()
    assert ["received" in line for line in log] == [True, False]
    # The site was told to end when the task was done, and not before. gunicorn notes whole seconds.
    (done,) = psql(host, f"SELECT floor(extract(epoch FROM date_done)) FROM {TASKS} WHERE task_id = '{task}'")
    assert all(told_to_end(host, instance) >= float(done) for instance in ("web-1", "web-2"))


def told_to_end(host: Any, instance: str) -> float:
    """Return when gunicorn was told to end for the last time, by its log: a time in seconds since 1970."""
    log = host.check_output("grep --fixed-strings 'Handling signal: term' %s/logs/%s.log", ROOT, instance)
    return datetime.strptime(log.splitlines()[-1].partition("]")[0], "[%Y-%m-%d %H:%M:%S %z").timestamp()


def test_who_asks_again_once_sees_no_failure_while_the_two_instances_of_the_site_are_restarted(
    host: Any, ways: list[int], view: eyes.View
) -> None:
    as_it_was_installed()
    names = {process.pid: process.environment.get("ROLLCALL_SERVICE") for process in below(view)}
    before = {pid for pid, name in names.items() if name in ("web-1", "web-2")}
    with Asker(ways, "/static/admin/css/base.css") as asker:
        report = json.loads(host.check_output("rollcall restart web --json"))
    assert report["ok"]
    assert not before & set(eyes.look(host).processes)
    assert asker.asked > 0
    assert asker.failed == 0


def test_the_site_has_its_style_sheets(browser: Browser) -> None:
    assert ":root {" in browser.get("/static/admin/css/base.css")


def test_a_wrong_password_lets_nobody_in(address: str) -> None:
    stranger = Browser(address)
    stranger.get("/admin/login/")
    page = stranger.post("/admin/login/", username="admin", password="planted-admin", next="/admin/")
    assert "Please enter the correct username and password" in page


def test_there_is_one_account_however_often_it_was_asked_for(host: Any) -> None:
    assert psql(host, "SELECT username, is_superuser FROM auth_user") == ["admin|t"]


def test_every_service_runs_below_one_supervisord_as_its_user(view: eyes.View) -> None:
    ours = below(view)
    (daemon,) = view.supervisord(ROOT)
    children = [process for process in ours if process.ppid == daemon.pid]
    assert sorted(process.environment["ROLLCALL_SERVICE"] for process in children) == sorted(SERVICES)
    assert {process.user for process in ours} == {"django"}
    assert {process.pid for process in view.of_user("django")} == {process.pid for process in ours}
    for port in PORTS:
        assert set(view.listeners[port]) <= {process.pid for process in ours}


def test_postgresql_and_redis_are_the_hosts_and_not_the_stacks(host: Any, view: eyes.View) -> None:
    ours = {process.pid for process in below(view)}
    for port, user, unit in ((5432, "postgres", "postgresql"), (6379, "redis", "redis-server")):
        assert {view.processes[pid].user for pid in view.listeners[port]} == {user}
        assert not ours & set(view.listeners[port])
        assert host.check_output(f"systemctl is-active {unit}") == "active"
        assert host.check_output(f"systemctl is-enabled {unit}") == "enabled"


def test_secrets_reach_who_needs_them_and_nobody_else(host: Any, view: eyes.View) -> None:
    for secret in SECRETS:
        assert [process.argv for process in view.processes.values() if secret in " ".join(process.argv)] == []
        knowing = {
            process.environment.get("ROLLCALL_SERVICE")
            for process in view.processes.values()
            if any(secret in value for value in process.environment.values())
        }
        assert knowing == (set() if secret == "planted-admin" else SERVICES)
        holding = host.run("grep -rlF %s /opt /var/log /tmp /root/.ansible /etc/systemd", secret).stdout.split()
        assert holding
        for path in holding:
            assert Path(path).match("/opt/django/generations/*/env/*.json")
            assert (oct(host.file(path).mode), host.file(path).user) == ("0o600", "django")
            assert secret != "planted-admin" or Path(path).stem == "admin_account"


def test_the_release_that_held_is_in_place_and_runs(host: Any, view: eyes.View) -> None:
    place = host.check_output("readlink --canonicalize %s/current", ROOT)
    for process in below(view):
        if process.environment.get("ROLLCALL_SERVICE") in SERVICES:
            assert host.check_output(f"readlink /proc/{process.pid}/cwd") == place
    assert place == f"{ROOT}/releases/{noted('release') or Path(place).name}"
    assert host.run("grep -rl aplication %s/project", place).stdout == ""


def test_the_release_that_did_not_start_was_tried(host: Any) -> None:
    if noted("release") is None or noted("cut") is not None:
        pytest.skip("there was none on this host")
    (broken,) = host.check_output("grep -rl aplication %s/releases --include=wsgi.py", ROOT).splitlines()
    assert Path(broken).parents[1].name != noted("release")
    # The misspelt name is in what the service wrote last.
    assert host.run("grep -q get_wsgi_aplication %s/logs/web-1.log*", ROOT).rc == 0


def test_without_a_network_all_of_it_came_from_the_controller(host: Any) -> None:
    if noted("cut") is None:
        pytest.skip("the network is there")
    for family in ("-4", "-6"):
        assert host.check_output(f"ip {family} route show default") == ""
    assert host.run("ip route get 192.0.2.1").rc != 0
    installed = json.loads(
        host.check_output("%s/current/venv/bin/pip --disable-pip-version-check list --format json", ROOT)
    )
    (django,) = (package["version"] for package in installed if package["name"].lower() == "django")
    assert django.startswith("5.2")


def test_it_comes_back_with_the_host_after_its_databases(host: Any) -> None:
    assert host.check_output("systemctl is-active rollcall-django") == "active"
    assert host.check_output("systemctl is-enabled rollcall-django") == "enabled"
    after = host.check_output("systemctl show --property=After --value rollcall-django").split()
    assert {"postgresql.service", "redis-server.service"} <= set(after)


def test_the_command_on_the_host_has_asked_both_databases(host: Any) -> None:
    verdict = json.loads(host.check_output("rollcall verify --json"))
    assert verdict["ok"]
    asked = [check["subject"] for check in verdict["checks"] if check["name"] == "database"]
    assert len(asked) == 2


def test_the_bystander_lives(host: Any) -> None:
    assert len(host.check_output("pgrep --uid nobody --exact sleep").split()) == 1
