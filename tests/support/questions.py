# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forty questions that users ask, and where each is answered: the first ones are those that new users did not find."""

from __future__ import annotations

import typing as t


class Question(t.NamedTuple):
    """A question and its answer.

    Attributes:
        asked: after "How do I" or by itself, as a user would say it.
        row: the row of the index's table "I want to ..." that leads there.
        page: below ``docs``.
        heading: of the section that answers it; the page's own where its beginning does.
        says: what the answer has, such as the command or the key.
    """

    asked: str
    row: str
    page: str
    heading: str
    says: str


_DAY = "how-to/everyday.md"
_MANIFEST = "reference/manifest.md"
_RUNBOOK = "how-to/runbook.md"
_PLAYBOOKS = "reference/playbooks.md"
_COMMAND = "reference/command.md"
_ROLLOUT = "how-to/rollout.md"
_INSTALL = "how-to/install.md"
_DATABASE = "how-to/database.md"

QUESTIONS = (
    Question("restart one service?", "restart one service", _DAY, "Restart one service", "rollcall restart web"),
    Question(
        "have a service read its config anew, with HUP?",
        "send HUP, reload a config or a certificate",
        _DAY,
        "Reload instead of restart, such as with HUP",
        "sends it HUP",
    ),
    Question(
        "give a service two ports?", "have two ports in one service", _DAY, "A service with two ports", "ports: {"
    ),
    Question(
        "limit what a service takes of memory, CPU and files?",
        "limit memory, CPU, open files",
        _DAY,
        "Limits of memory, CPU and open files",
        "limits: {nofile: 8192",
    ),
    Question(
        "check the health of a service with my own program?",
        "check health with a program",
        _DAY,
        "A health check that is a program",
        "exec: [",
    ),
    Question("run a job every night?", "run a job on a schedule", _DAY, "A job on a schedule", "kind: timer"),
    Question(
        "run a management command with the application's environment?",
        "run a management command with the application's environment",
        _DAY,
        "A management command with the application's environment",
        "rollcall exec web --",
    ),
    Question("upgrade Rollcall?", "upgrade Rollcall", "how-to/upgrade.md", "Upgrading Rollcall", "--force"),
    Question(
        "Which hosts does a playbook take?",
        "know which hosts a playbook takes",
        _PLAYBOOKS,
        "Which hosts a playbook takes",
        "rollcall_hosts",
    ),
    Question(
        "What is a variable called in the inventory, and what with -e?",
        "find a variable",
        _PLAYBOOKS,
        "Variables",
        "command line (`-e`)",
    ),
    Question(
        "Does the stack start after a reboot?",
        "have the stack start after a reboot",
        "how-to/boot.md",
        "After a boot",
        "the stack starts by itself after a reboot",
    ),
    Question(
        "Which modules are there?",
        "use it in a playbook of my own",
        "reference/modules.md",
        "Modules and plugins",
        "ansible-doc rollcall.supervisor",
    ),
    Question(
        "install into my own project?",
        "install into my own project",
        "tutorial/first-stack.md",
        "A project",
        "ansible-galaxy collection install",
    ),
    Question(
        "add a service, or remove one?",
        "add or remove a service",
        _DAY,
        "Add, change or remove a service",
        "ansible-playbook rollcall.supervisor.site",
    ),
    Question(
        "see before what a run would change?",
        "see before what a run would change",
        _PLAYBOOKS,
        "See before what would change",
        "--check",
    ),
    Question(
        "check my manifest without a host?",
        "check a manifest without a host",
        _DAY,
        "Check the manifest before anything",
        "rollcall.supervisor.manifest -e file=",
    ),
    Question(
        "find who has my port, and free it?",
        "free a port that something else has",
        _RUNBOOK,
        "Port already in use",
        "kill <pid of the listener>",
    ),
    Question(
        "Why is my service FATAL?",
        "find out why a service does not start",
        _RUNBOOK,
        "Stuck in FATAL or BACKOFF",
        "rollcall verify",
    ),
    Question("see what a service logs?", "follow a log", _DAY, "See a log", "rollcall logs -f"),
    Question("Where are the logs?", "find the logs", _RUNBOOK, "Where the logs are", "/opt/trading/logs/SERVICE.log"),
    Question(
        "stop a service, or all, for a while?",
        "stop one service for longer",
        _DAY,
        "Stop a service for longer",
        "rollcall stop web",
    ),
    Question(
        "go back to what ran before?",
        "go back to what ran before",
        _RUNBOOK,
        "The new version does not work",
        "rollcall rollback",
    ),
    Question(
        "bring a new version of my application?",
        "bring the code, and go back",
        "how-to/release.md",
        "Releases of the application's code",
        "rollcall_release:",
    ),
    Question(
        "run a migration with every release?",
        "run a migration with every release",
        _DATABASE,
        "The schema",
        "kind: oneshot",
    ),
    Question(
        "give a service a password that stands nowhere?",
        "give a service a variable or a secret",
        _MANIFEST,
        "Variables",
        "`secrets` reach the process",
    ),
    Question(
        "change a password?",
        "rotate a password or a certificate",
        _DAY,
        "Change a password or a certificate",
        "rollcall.supervisor.credentials",
    ),
    Question(
        "have one service start after another one is up?",
        "have a service start after another one",
        _MANIFEST,
        "Dependencies",
        "`healthy`",
    ),
    Question(
        "My service needs a minute to start. What now?",
        "give a service more time to start",
        _MANIFEST,
        "Alive and ready",
        "start: {grace: 60}",
    ),
    Question("run three instances of a service?", "run several instances", _MANIFEST, "Instances", "instances: "),
    Question(
        "restart without users noticing?",
        "restart without a gap",
        _DAY,
        "Restart without a gap",
        "update: rolling",
    ),
    Question(
        "let a Celery worker finish its task?",
        "let a worker finish what it does",
        _DAY,
        "Let a worker finish what it does",
        "scope: process",
    ),
    Question(
        "have the next port taken when one is taken?",
        "use another port when one is taken",
        _MANIFEST,
        "Assigned ports",
        "fallback_ports",
    ),
    Question(
        "Which lines of a log make a run fail?",
        "choose which lines of a log are a failure",
        _MANIFEST,
        "Critical lines",
        "logs.critical",
    ),
    Question(
        "A failure is known. How do I get green again?",
        "say that a failure is known",
        "explanation/verdict.md",
        "What is remembered",
        "rollcall acknowledge",
    ),
    Question("What does exit code 3 mean?", "know what an exit code means", _COMMAND, "Exit codes", "| 3 |"),
    Question(
        "install without the internet, or without root?",
        "install where nothing is: no Python, no root, no index",
        _INSTALL,
        "Hosts with little on them",
        "bootstrap_wheels",
    ),
    Question(
        "roll out over many hosts, a few at a time?",
        "roll out over a fleet, and go on after a failure",
        _ROLLOUT,
        "How many at a time, and how carefully",
        "rollout_batches",
    ),
    Question(
        "take a host out of its load balancer meanwhile?",
        "take a host out of its balancer and bring it back",
        "how-to/balancers.md",
        "The role drain",
        "drain",
    ),
    Question(
        "take all of it off a host?",
        "take a stack off a host",
        "how-to/remove.md",
        "Taking a stack off a host",
        "-e confirm=NAME",
    ),
    Question(
        "come from a supervisord.conf?",
        "come from supervisord.conf, a Procfile or PM2",
        "how-to/import.md",
        "Importing from other tools",
        "rollcall manifest import FILE",
    ),
)
