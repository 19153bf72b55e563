# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every shell command that a page shows: which test runs it, or one of the same shape, or why none does.

``COMMANDS`` is the table. A command of a page that is followed from its first line to its last (``FOLLOWED``) needs no
entry. ``tests/repo/test_shown_commands.py`` refuses a page with a command that is in neither, and an entry that
nothing is left of.
"""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from tests.support.repository import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
_FENCE = re.compile(r"^ *```(\w*)")
# What a code block of commands is called. One without a name is one, unless its page says what else it is.
_SHELL = {"shell", "sh", "bash", "console", ""}
# Blocks without a name that are no commands, by how they begin.
_FILES = ("global\n", "0 3 * * * ")


class Ran(t.NamedTuple):
    """A command that a test runs, or one of the same shape.

    Attributes:
        test: the file of the test, and its function after ``::`` where the file has functions.
        by: what stands in that file and runs it.
    """

    test: str
    by: str


class NotRun(t.NamedTuple):
    """A command that no test runs, and why."""

    why: str


class Shown(t.NamedTuple):
    """A command as a page shows it: without its comment, its lines joined."""

    command: str
    page: Path


def blocks(text: str) -> t.Iterator[t.Tuple[str, str, str]]:
    """Yield the heading above each code block, its language, and what is in it."""
    heading, language = "", None
    lines: t.List[str] = []
    for line in text.splitlines():
        fence = _FENCE.match(line)
        if fence and language is None:
            language, lines = fence[1], []
        elif fence and language is not None:
            yield heading, language, "".join(f"{one}\n" for one in lines)
            language = None
        elif language is not None:
            lines.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("# ")


def commands_of(text: str) -> t.List[str]:
    """Return the commands of one code block."""
    joined = re.sub(r" \\\n\s*", " ", text)
    return [command for line in joined.splitlines() if (command := re.sub(r"(^|\s{2,})#.*", "", line).strip())]


def shown(page: Path) -> t.Iterator[t.Tuple[str, Shown]]:
    """Yield each command of a page's code blocks with the heading that it stands below."""
    for heading, language, text in blocks(page.read_text(encoding="utf-8")):
        if language in _SHELL and not text.startswith(_FILES):
            yield from ((heading, Shown(command, page)) for command in commands_of(text))


# Pages whose commands a test types, one after the other, and compares what they print with what the page shows; with
# the headings whose commands it does not type.
FOLLOWED: t.Mapping[str, t.Tuple[str, t.FrozenSet[str]]] = {
    "docs/how-to/runbook.md": (
        "tests/fault/test_runbook.py::test_an_entry_shows_what_is_seen_and_its_cure_cures",
        frozenset(),
    ),
    "docs/tutorial/first-stack.md": (
        "tests/playbooks/test_first_stack.py::test_who_types_the_page_sees_what_it_shows",
        frozenset({"A project"}),
    ),
}

_BY_NAME = "tests/contract/run/test_by_name.py"
_EXEC = "tests/contract/cli/test_exec.py"
_MANIFEST = "tests/contract/cli/test_manifest_command.py"
_MANIFEST_PLAYBOOK = "tests/playbooks/test_manifest_playbook.py"
_RUNNER = "tests/playbooks/test_runner.py"
_DISCOVERY = "tests/playbooks/test_discovery.py"
_EDGE = "tests/playbooks/test_edge.py"
_JOBS = "tests/contract/run/test_jobs.py"
_PORTS = "tests/playbooks/test_ports.py"
_REMOVE = "molecule/debian/side_effect_remove.yml"
_FIRST_INSTALL = "tests/playbooks/test_first_install.py"
_PULL = "tests/playbooks/test_pull.py"
_WHEELS = "tests/tools/wheels.sh"
_MOLECULE = "tests/tools/molecule.sh"
_CONTAINER = "tests/tools/container.sh"

_OF_A_PACKAGE_INDEX = NotRun("it installs from the package index of whoever reads it, and is pip's own")
_OF_SYSTEMD = NotRun("systemd's own, on a host that has the unit; the page names it for what it does there")

COMMANDS: t.Mapping[str, t.Union[Ran, NotRun]] = {
    # README, CONTRIBUTING
    "make demo": Ran("tests/chaos/container.py", '"site.yml",'),
    "./restart": Ran(
        "tests/playbooks/test_restart_command.py::test_every_word_reaches_the_playbook_as_it_was_given", "restart"
    ),
    "ansible-galaxy collection build": Ran("tests/support/playbooks.py::archive", '"collection", "build"'),
    "ansible-galaxy collection install rollcall-supervisor-*.tar.gz": Ran(
        "tests/playbooks/test_execution_environment.py"
        "::test_the_stages_install_the_collection_from_its_archive_and_find_what_it_needs",
        '("collection", "install", "--offline"',
    ),
    "make setup": Ran("Makefile", "test: setup"),
    "make changelog": NotRun("it writes into the repository, for a release"),
    "make release": NotRun("it takes long; whoever makes a release runs it, and it proves what it makes"),
    # Installing from the bundle: `make release` types this page's commands in a place without a network.
    **dict.fromkeys(
        (
            "sha256sum --check --quiet SHA256SUMS",
            "python3 -m venv ~/rollcall",
            "~/rollcall/bin/pip install --no-index --find-links wheels/controller --requirement controller.txt",
            "~/rollcall/bin/ansible-galaxy collection install --offline rollcall-supervisor-*.tar.gz",
        ),
        Ran("tests/release/test_bundle.py", "install, site = commands"),
    ),
    "ansible-builder build --tag rollcall-ee --build-arg EE_BASE_IMAGE=localhost/debian-with-python"
    " --build-arg PYCMD=/usr/bin/python3.11 --build-arg PYPKG=python3.11 --build-arg PKGMGR=/usr/bin/apt-get": Ran(
        "tests/release/test_image.py", '"EE_BASE_IMAGE": base'
    ),
    "make check": NotRun("a part of the tests: it would run itself"),
    "make test": Ran(".ci/run", "exec make test"),
    ".venv/bin/molecule converge": Ran(_MOLECULE, "molecule test"),
    ".venv/bin/molecule login --host app1": NotRun("a terminal for whoever looks around"),
    ".venv/bin/molecule verify": Ran(_MOLECULE, "molecule test"),
    ".venv/bin/molecule destroy": Ran(_MOLECULE, "molecule test"),
    "tests/tools/molecule.sh refuses": Ran("tests/tools/stages.py", '_molecule("refuses")'),
    # After a boot
    "journalctl -u rollcall-NAME -b": _OF_SYSTEMD,
    "ROOT/bin/rollcall history": Ran("tests/contract/state/test_history.py", 'rollcall(running, "history").out'),
    "systemctl edit rollcall-NAME": _OF_SYSTEMD,
    # Discovery, an edge
    "ansible-playbook rollcall.supervisor.discovery": Ran(_DISCOVERY, '"playbooks/discovery.yml"'),
    "ansible-playbook rollcall.supervisor.discovery -e discovery_prometheus=/etc/prometheus/rollcall.json"
    " -e discovery_on=monitor": Ran(_DISCOVERY, "discovery_prometheus="),
    "ansible-playbook rollcall.supervisor.discovery -e discovery_consul=/etc/consul.d/rollcall.json": Ran(
        _DISCOVERY, "discovery_consul="
    ),
    'ansible app -a "consul reload"': NotRun("Consul's own; it is not among what the tests install"),
    "ansible-playbook rollcall.supervisor.edge -e rollcall_hosts=app --check --diff": Ran(_EDGE, '"--check"'),
    "ansible-playbook rollcall.supervisor.edge -e rollcall_hosts=app": Ran(_EDGE, '"playbooks/edge.yml"'),
    # Everyday work, commands
    "ansible-playbook rollcall.supervisor.manifest -e file=group_vars/all.yml": Ran(
        f"{_MANIFEST_PLAYBOOK}::test_the_variables_of_a_group_pass_as_the_readme_has_them_and_templates_stay_text",
        "file={name}",
    ),
    "rollcall restart web": Ran("molecule/django/tests/test_site.py", '"rollcall restart web --json"'),
    "rollcall restart web 'worker-*'": Ran(
        f"{_BY_NAME}::test_the_mode_of_a_restart_may_stand_before_the_names", '"restart", "mailer", "worker"'
    ),
    "rollcall stop mailer": Ran(_BY_NAME, 'rollcall(running, "stop", "worker")'),
    "ansible-playbook rollcall.supervisor.restart -e services=web": Ran(
        "tests/playbooks/test_restart_command.py::test_the_named_services_are_restarted_and_no_other",
        'restart(made, "worker")',
    ),
    "rollcall status": Ran(_JOBS, '"status"'),
    "rollcall history cleanup": Ran(_JOBS, '"history", "cleanup"'),
    "rollcall logs cleanup": Ran("tests/contract/cli/test_logs.py", '"logs", "web"'),
    "rollcall rerun cleanup": Ran(_JOBS, '"rerun", "cleanup"'),
    "rollcall exec web -- venv/bin/python manage.py shell": Ran(
        f"{_EXEC}::test_a_shell_of_the_application_is_interactive", "exec"
    ),
    "rollcall exec web -- venv/bin/python manage.py loaddata - < fixture.json": Ran(
        f"{_EXEC}::test_input_from_a_file_and_pipes_pass_through", "exec worker -- wc -l <"
    ),
    "rollcall exec worker -- sh -c 'echo $BROKER_URL'": Ran(_EXEC, '"sh", "-c", "echo $INSTANCE"'),
    'ansible app1 --become -a "rollcall exec web -- venv/bin/python manage.py check"': Ran(
        "molecule/django/tests/test_site.py", '"rollcall exec worker -- venv/bin/python -m django'
    ),
    "rollcall logs web": Ran(
        "tests/contract/cli/test_logs.py::test_the_last_lines_of_one_service_are_printed_as_they_are", '"logs", "web"'
    ),
    "rollcall logs -f 'w*'": Ran(
        "tests/contract/cli/test_logs.py::test_followed_logs_go_on_over_a_rotation_until_they_are_interrupted",
        '"logs", "w?b", "-f"',
    ),
    "rollcall logs --since 10m": Ran("tests/contract/cli/test_logs.py", '"logs", "web", "--since"'),
    "ansible-playbook rollcall.supervisor.logs -e services=web -e since=14:05": Ran(
        "tests/playbooks/test_logs.py", '"playbooks/logs.yml", "-e", f"since={run}"'
    ),
    "rollcall status --watch": Ran("tests/contract/cli/test_status_watch.py", '"status", "--watch"'),
    # Watching, alerts, the page, a container
    "rollcall watch": Ran("tests/contract/watch/test_watch.py", '[made.command, "watch"'),
    "rollcall watch --once": Ran("tests/contract/watch/test_watch.py", '"watch", "--once"'),
    "rollcall watch --test-alert": Ran("tests/contract/watch/test_telling.py", '"watch", "--test-alert"'),
    "ansible-playbook site.yml": Ran(_FIRST_INSTALL, '"site.yml"'),
    "ansible-playbook site.yml -e watch=true": Ran("molecule/default/inventory/host_vars/app2.yml", "watch: true"),
    "ansible-playbook rollcall.supervisor.report -e report=/var/www/fleet.html": Ran(
        "tests/playbooks/test_report.py", '"playbooks/report.yml"'
    ),
    "rollcall report --output /tmp/page.html": Ran("tests/playbooks/test_report.py", '"report", "--json", "--output"'),
    "*/5 * * * *  deploy  cd /srv/deploy && ansible-playbook rollcall.supervisor.report"
    " -e report=/var/www/fleet.html >/dev/null": NotRun("a line of cron, on the controller of whoever reads it"),
    "ansible-galaxy collection build --output-path examples/container": Ran(
        "tests/support/playbooks.py::archive", '"collection", "build"'
    ),
    "podman build --file examples/container/Containerfile --tag shop examples": Ran(_CONTAINER, "podman build"),
    "podman run --name shop --publish 8000:8000 shop": Ran(_CONTAINER, "podman run"),
    "podman run --read-only --volume shop:/opt/shop shop": Ran(_CONTAINER, "--read-only"),
    # An execution environment
    "pip install ansible-builder": _OF_A_PACKAGE_INDEX,
    "ansible-builder build --tag rollcall-ee": Ran(
        "tests/playbooks/test_execution_environment.py::context", '"ansible-builder"), "create"'
    ),
    "ansible-navigator run rollcall.supervisor.site --execution-environment-image rollcall-ee --pull-policy never"
    " -i inventory": NotRun("needs an image of a registry below it; its playbooks run under ansible-runner in a test"),
    # Importing
    "rollcall manifest import FILE --name NAME --to ROOT > stack.yml": Ran(_MANIFEST, '"import", config, "--name"'),
    "rollcall manifest check stack.yml": Ran(_MANIFEST, 'rollcall("check", str(written))'),
    "rollcall manifest check FILE": Ran(_MANIFEST, 'rollcall("check", str(written))'),
    "ansible-playbook rollcall.supervisor.manifest -e op=import -e file=supervisord.conf -e stack=NAME -e to=ROOT"
    " -e output=stack.yml": Ran(
        _MANIFEST_PLAYBOOK, '"op=import", file, "stack=shop", "to=/srv/shop", "output=stack.yml"'
    ),
    "ansible-playbook rollcall.supervisor.manifest -e file=stack.yml": Ran(_MANIFEST_PLAYBOOK, '"file=stack.yml"'),
    "rollcall manifest import copy/etc/supervisor/supervisord.conf --include-root copy --name NAME": Ran(
        _MANIFEST, '"--include-root"'
    ),
    """node -p 'JSON.stringify(require("./ecosystem.config.js"))' > ecosystem.json""": NotRun(
        "Node's own, where PM2 is; what it writes is imported in tests/contract/cli/test_manifest_command.py"
    ),
    # Installing, releases, upgrading
    "pip download --only-binary :all: --python-version 3.11 --dest wheels --requirement"
    " collections/ansible_collections/rollcall/supervisor/roles/bootstrap/files/requirements.txt": Ran(
        _WHEELS, "pip download"
    ),
    "pip download --only-binary :all: --dest wheels --requirement requirements.txt": Ran(_WHEELS, "pip download"),
    "ansible-galaxy collection install --force rollcall-supervisor-*.tar.gz": Ran(
        "tests/playbooks/test_execution_environment.py", '("collection", "install", "--offline"'
    ),
    "ansible-playbook rollcall.supervisor.site": Ran("tests/playbooks/test_cures.py", '"rollcall.supervisor.site"'),
    # Ports
    'exec venv/bin/gunicorn --bind "127.0.0.1:${PORT:?}" --env "CACHE=127.0.0.1:${PORT_CACHE:?}" pages:app': NotRun(
        "a line of the reader's own application; that a service has these variables is tested in"
        " tests/contract/state/test_registry.py"
    ),
    "ansible-playbook site.yml -e ports_home=true": Ran(_PORTS, '"site.yml", "-e", "ports_home=true"'),
    "ansible-playbook rollcall.supervisor.ports -e op=home": Ran(_PORTS, 'op(made, "home")'),
    "rollcall ports home && rollcall start": Ran(_PORTS, 'rollcall(made, "ports", "home")'),
    "rollcall port cache": Ran("tests/contract/ports/test_several_ports.py", 'rollcall(made, "port", "web")'),
    "python3 /opt/trading/lib/rollcall_ports.py cache": Ran(
        "tests/contract/state/test_registry.py", '"rollcall_ports.py"), name'
    ),
    # Hosts that pull
    "apt-get install git python3-venv": NotRun("Debian's own, on the host that pulls"),
    "python3 -m venv /opt/rollcall-pull/venv": Ran("tests/support/playbooks.py::controller", "venv.create("),
    "/opt/rollcall-pull/venv/bin/pip install 'ansible-core>=2.19'": _OF_A_PACKAGE_INDEX,
    "cp rollcall-pull.service rollcall-pull.timer /etc/systemd/system/": Ran(
        f"{_PULL}::test_systemd_itself_finds_no_fault_with_the_service_and_the_timer", "TIMER"
    ),
    "systemctl daemon-reload": _OF_SYSTEMD,
    "systemctl enable --now rollcall-pull.timer": _OF_SYSTEMD,
    # Removing
    "ansible-playbook rollcall.supervisor.remove": Ran(
        "tests/playbooks/test_hostile_host.py", '"playbooks/remove.yml"'
    ),
    "ansible-playbook rollcall.supervisor.remove -e confirm=NAME": Ran(_REMOVE, "-e confirm=notes"),
    """ansible-playbook rollcall.supervisor.remove -e confirm=NAME -e '{"keep": ["shared", "logs"]}'""": Ran(
        _FIRST_INSTALL, '{"keep": ["shared", "logs"]}'
    ),
    # Rollouts
    "ansible-playbook rollcall.supervisor.rollout --check": Ran("tests/playbooks/test_rollout.py", '"--check"'),
    "ansible-playbook rollcall.supervisor.rollout": Ran(_RUNNER, 'play(tmp_path, made, "rollout", soak=1)'),
    "ansible-playbook rollcall.supervisor.rollout -e rollcall_hosts=web -e soak=30": Ran(
        _RUNNER, 'play(tmp_path, made, "rollout", soak=1)'
    ),
    "ansible-playbook rollcall.supervisor.fleet": Ran(_RUNNER, 'play(tmp_path, made, "fleet")'),
    # A Django site
    "ansible-vault create inventories/django/group_vars/all/vault.yml": NotRun("it opens the editor of the reader"),
    "ansible-playbook --inventory=inventories/django --ask-vault-pass site.yml": Ran(
        "molecule/django/converge.yml", "rollcall.supervisor.site"
    ),
    "ssh -L 8000:127.0.0.1:8000 HOST": NotRun("a tunnel from the reader's machine to theirs"),
    'rollcall exec worker -- venv/bin/python -m django shell -c "from project.tasks import wait; wait.delay(20)"': Ran(
        "molecule/django/tests/test_site.py"
        "::test_a_task_of_20_s_is_finished_in_a_restart_of_everything_and_the_site_is_not_away_meanwhile",
        "from project.tasks import wait",
    ),
    "rollcall restart": Ran("molecule/django/tests/test_site.py", '"rollcall restart --json"'),
    "pip download --only-binary :all: --python-version 3.11 --platform manylinux_2_28_x86_64"
    " --platform manylinux2014_x86_64 --dest wheels/django --requirement examples/django/requirements.txt": Ran(
        _WHEELS, "--python-version"
    ),
    "pip download --only-binary :all: --python-version 3.11 --platform manylinux_2_28_x86_64"
    " --platform manylinux2014_x86_64 --dest wheels/host --requirement roles/bootstrap/files/requirements.txt": Ran(
        _WHEELS, "--python-version"
    ),
    "ansible-playbook --inventory=inventories/django --ask-vault-pass site.yml"
    " -e django_wheels=$PWD/wheels/django -e bootstrap_wheels=$PWD/wheels/host": Ran(
        "molecule/django/inventory/group_vars/all.yml", "django_wheels"
    ),
    # The first stack: a project
    "mkdir -p hello/group_vars && cd hello": NotRun("the reader's own directory; the test has one of its own"),
    "python3 -m venv .venv && . .venv/bin/activate": Ran("tests/support/playbooks.py::controller", "venv.create("),
    "pip install 'ansible-core>=2.19,<2.22'": _OF_A_PACKAGE_INDEX,
    "ansible-galaxy collection build ~/rollcall --output-path archive": Ran(
        "tests/support/playbooks.py::archive", '"collection", "build", "--output-path"'
    ),
    "ansible-galaxy collection install archive/rollcall-supervisor-*.tar.gz -p collections": Ran(
        "tests/playbooks/test_execution_environment.py", '("collection", "install", "--offline"'
    ),
}
