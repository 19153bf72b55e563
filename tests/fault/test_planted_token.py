# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A token of its own is planted in every place for a secret, and looked for everywhere else.

Everywhere is: what Ansible prints at -vvv with --diff, its log, the callback's document, every file that anybody but
its owner can read, all that the stack writes but its private files, and arguments and environment of every process,
looked at all the while.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
import urllib.parse
from pathlib import Path

import pytest
import yaml

from ansible_collections.rollcall.supervisor.plugins.module_utils.host.labels import LABEL_SERVICE
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.deliveries import deliver
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.runs import run_ids, steps_of
from tests.support import postgresql, redis, supervisords
from tests.support.commands import rollcall
from tests.support.playbooks import BOUND, PLAYBOOK, outcome, play, prepare
from tests.support.processes import eventually, free_port
from tests.support.repository import ROOT
from tests.support.stacks import APP, StackUnderTest, stack
from tests.support.victims import innocent

pytestmark = pytest.mark.fault(47)
sandbox = supervisords.sandbox

# Every place in the code that takes a secret, and the name of the token that comes through it here.
PLACES: t.Mapping[str, str] = {
    "manifest secrets": "api",
    "action stack_restart secrets": "api",
    "module stack_credentials files": "credential",
    "role database database_postgresql.password": "postgresql",
    "role database tasks postgresql_create.yml": "postgresql",
    "role database tasks postgresql_make.yml": "postgresql",
    "role database tasks postgresql_undo.yml": "postgresql",
    "module database_info url": "postgresql",
    "role database database_redis.password": "redis",
    "role database tasks redis_run.yml": "redis",
    "role database tasks redis_undo.yml": "redis",
    "module supervisor_program password": "supervisord",
}

# Where a test of its own looks for the token that came through.
ELSEWHERE: t.Mapping[str, str] = {
    "role drain tasks by_http.yml": (
        "tests/playbooks/test_drain.py::test_the_applications_own_ways_each_drain_and_bring_back"
    ),
    "module haproxy_config extra": (
        "tests/playbooks/test_edge.py::"
        "test_what_the_hosts_run_is_published_and_what_is_wrong_is_told_before_anything_is_changed"
    ),
}
# No two are alike, and none is found by chance.
TOKENS: t.Mapping[str, str] = {
    name: f"planted{secrets.token_hex(8)}"
    for name in ("api", "api_next", "credential", "credential_next", "postgresql", "redis", "supervisord")
}
# The tokens that the processes of a service may have in their environment.
GIVEN: t.Mapping[str, t.Container[str]] = {
    "web": ("api", "api_next"),
    "store": ("postgresql",),
    "cache": ("redis",),
}
# What is the stack's own and private, below its root.
PRIVATE = re.compile(r"(generations/[^/]+/env/[^/]+\.json|credentials/[^/]+)\Z")
LOOK_EVERY = 0.05

TOLD_BY_NAME = re.compile(r"passw|secret|token|credential|private|api_?key")


def options_of(tree: ast.AST) -> t.Iterator[t.Tuple[str, bool]]:
    """Return each option of the argument specs in a file, and whether it is never logged."""
    for node in ast.walk(tree):
        for key, value in zip(node.keys, node.values) if isinstance(node, ast.Dict) else ():
            if isinstance(key, ast.Constant) and isinstance(value, ast.Dict):
                told = {
                    one.value: given for one, given in zip(value.keys, value.values) if isinstance(one, ast.Constant)
                }
                if "type" in told:
                    yield str(key.value), "no_log" in told


def options_of_role(options: t.Mapping[str, t.Any], above: str = "") -> t.Iterator[str]:
    """Return the options of a role by their names, those within others after a point."""
    for name, option in options.items():
        yield f"{above}{name}"
        yield from options_of_role(option.get("options", {}), f"{above}{name}.")


def tasks_in_secret(tasks: t.Any) -> bool:
    """Return whether a task, or one of its block, is never logged."""
    return any(
        task.get("no_log") or any(tasks_in_secret(task.get(key, [])) for key in ("block", "rescue", "always"))
        for task in tasks or []
    )


def places_in_the_code() -> t.Set[str]:
    """Return every place that is never logged, or is called as a secret is."""
    found = {"manifest secrets"}
    for kind, directory in (("module", "modules"), ("action", "action")):
        for path in sorted((ROOT / "plugins" / directory).glob("*.py")):
            for name, hidden in options_of(ast.parse(path.read_text(encoding="utf-8"), str(path))):
                if hidden or TOLD_BY_NAME.search(name):
                    found.add(f"{kind} {path.stem} {name}")
    for role in sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir()):
        specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
        for spec in specs.values():
            names = options_of_role(spec.get("options", {}))
            secret = {name for name in names if TOLD_BY_NAME.search(name.partition("_")[2])}
            found |= {f"role {role.name} {name}" for name in secret}
        for path in sorted((role / "tasks").glob("*.yml")):
            if tasks_in_secret(yaml.safe_load(path.read_text(encoding="utf-8"))):
                found.add(f"role {role.name} tasks {path.name}")
    return found


def test_every_place_for_a_secret_has_a_token_planted() -> None:
    assert places_in_the_code() == {*PLACES, *ELSEWHERE}
    for path, _colons, function in (test.partition("::") for test in ELSEWHERE.values()):
        assert f"def {function}(" in (ROOT / path).read_text(encoding="utf-8")
    assert set(PLACES.values()) <= set(TOKENS)


# --- looking everywhere -------------------------------------------------------------------------------------------


def named_in(content: bytes) -> t.Set[str]:
    """Return the names of the tokens in something."""
    return {name for name, token in TOKENS.items() if token.encode() in content}


def read(path: t.Union[str, Path]) -> bytes:
    """Return what a file holds; nothing when it is gone, as files and processes of others come and go."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


class Watch:
    """Looks at the arguments and the environment of every process, again and again until it is left."""

    def __init__(self) -> None:
        self.leaks: t.Set[str] = set()
        self.looks = 0
        self._over = threading.Event()
        self._seen: t.Dict[str, bytes] = {}
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look_on(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                self._look_at(pid)
            self.looks += 1

    def _look_at(self, pid: str) -> None:
        arguments = read(f"/proc/{pid}/cmdline")
        if self._seen.get(pid) == arguments:
            return  # the same program as at the last look
        self._seen[pid] = arguments
        environment = read(f"/proc/{pid}/environ")
        marks = dict(line.split(b"=", 1) for line in environment.split(b"\0") if b"=" in line)
        given = GIVEN.get(marks.get(LABEL_SERVICE.encode(), b"").decode(), ())
        shown = arguments.replace(b"\0", b" ").decode("utf-8", "replace")
        self.leaks |= {f"{name} in the arguments of {shown}" for name in named_in(arguments)}
        self.leaks |= {f"{name} in the environment of {shown}" for name in named_in(environment) if name not in given}


def is_private(path: Path, below: Path) -> bool:
    """Return whether nobody but its owner can read a file: by its own mode, or by that of a directory on the way."""
    if not path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return True
    return any(
        not above.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH) for above in path.parents if below in above.parents
    )


def files_with_tokens(place: Path, since: float = 0.0) -> t.Iterator[t.Tuple[Path, t.Set[str]]]:
    """Return every file below a directory that has a token in it, of those that changed since a time."""
    # Not os.walk, which calls itself for each level: what other tests make there may be very deep.
    waiting = [place]
    while waiting:
        with contextlib.suppress(OSError):
            for path in waiting.pop().iterdir():
                with contextlib.suppress(OSError):
                    status = path.lstat()
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append(path)
                    elif stat.S_ISREG(status.st_mode) and status.st_mtime >= since and named_in(read(path)):
                        yield path, named_in(read(path))


def test_what_looks_for_tokens_finds_them(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    for path, mode in (("open", 0o644), ("own", 0o600), ("closed/open", 0o644)):
        (tmp_path / path).write_text(f"x{TOKENS['api']}x", encoding="utf-8")
        (tmp_path / path).chmod(mode)
    found = {
        str(path.relative_to(tmp_path)): is_private(path, tmp_path) for path, _names in files_with_tokens(tmp_path)
    }
    assert found == {"open": False, "own": True, "closed/open": True}


def test_who_watches_the_processes_sees_them() -> None:
    web = {LABEL_SERVICE: "web"}
    started = {
        "told": ([TOKENS["redis"]], {}),
        "given": ([], {"A": TOKENS["api"], **web}),
        "another's": ([], {"A": TOKENS["postgresql"], **web}),
        "nobody's": ([], {"A": TOKENS["api"]}),
    }
    with contextlib.ExitStack() as held:
        for name, (arguments, variables) in started.items():
            command = [sys.executable, "-c", "import signal; signal.pause()", name, *arguments]
            process = held.enter_context(subprocess.Popen(command, env=variables))
            held.callback(process.kill)
        watch = held.enter_context(Watch())
        assert eventually(lambda: watch.looks > 2)
    found = {(leak.split()[0], leak.split()[3], leak.split("()")[1].split()[0]) for leak in watch.leaks}
    assert found == {
        ("redis", "arguments", "told"),
        ("postgresql", "environment", "another's"),
        ("api", "environment", "nobody's"),
    }


# --- a stack with all of them -------------------------------------------------------------------------------------


class Host:
    """A stack with a token in each of its secrets, and databases behind it.

    Args:
        made: the stack.
        place: a directory for all that Ansible writes.
        server: PostgreSQL.
        cache: Redis.
    """

    def __init__(self, made: StackUnderTest, place: Path, server: postgresql.Cluster, cache: redis.Redis) -> None:
        self.made = made
        self.place = place
        self.log = place / "ansible.log"
        self.began = time.time()
        self.database = {
            "postgresql": {
                "create": True,
                "name": "shop",
                "password": PASSWORD,
                "port": server.port,
                "admin_account": "",
                "admin_role": postgresql.ADMIN,
                "admin_socket": server.directory,
            }
        }
        self.cache = {"port": cache.port, "password": TOKENS["redis"]}
        self.credentials = {"credentials/feed.pem": f"-----BEGIN\n{TOKENS['credential']}\n-----END\n"}

    def play(self, playbook: str, *arguments: str, **variables: t.Any) -> subprocess.CompletedProcess[str]:
        """Run a playbook with all the words that Ansible has, and look for tokens in all that came of it."""
        known = {
            "rollcall_database": self.database,
            "rollcall_redis": self.cache,
            "rollcall_credentials": self.credentials,
        }
        done = play(self.made, playbook, "-vvv", "--diff", *arguments, **{**known, **variables})
        # The test's own inventory.
        Path(self.made.root, "hosts.json").unlink(missing_ok=True)
        assert not named_in((done.stdout + done.stderr).encode()), f"{playbook} prints a secret"
        self.look()
        return done

    def look(self) -> None:
        """Look for tokens in every file of the stack and of Ansible's."""
        root = Path(self.made.root)
        for path, names in files_with_tokens(root):
            assert PRIVATE.fullmatch(str(path.relative_to(root))), f"{names} in {path}"
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        for path, names in files_with_tokens(self.place):
            assert is_private(path, self.place), f"{names} in {path}"
            assert self.place / "remote" in path.parents, f"{names} in {path}"

    def look_around(self) -> None:
        """Look for tokens in what anybody has left in the directories for temporary files meanwhile."""
        own = (Path(self.made.root), self.place)
        # The usual one as well: not everybody has the test's environment.
        for place in sorted({tempfile.gettempdir(), "/tmp"}):
            for path, names in files_with_tokens(Path(place), self.began):
                assert any(one in path.parents for one in own), f"{names} in {path}"

    def says(self, *arguments: str) -> None:
        """Run the command of the host, with and without --json."""
        for more in ((), ("--json",)):
            said = rollcall(self.made, *arguments, *more)
            assert not named_in((said.out + said.err).encode()), arguments
            assert "Traceback" not in said.err


# What a shell, SQL, a URL and a template each read in their own way.
PASSWORD = f"'\"\\$%/ {TOKENS['postgresql']}"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Host]:
    with contextlib.ExitStack() as held:
        held.enter_context(innocent())
        server = held.enter_context(postgresql.cluster())
        cache = held.enter_context(redis.running())
        want_password(cache.port, TOKENS["redis"])
        url = f"postgresql://shop:{urllib.parse.quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/shop"
        services = {
            "web": {
                "port": free_port(),
                "health": {"http": "/health"},
                "secrets": {"API_KEY": TOKENS["api"]},
                "requires_env": ["API_KEY"],
                "requires_files": ["credentials/feed.pem"],
            },
            "store": {"secrets": {"DATABASE_URL": url}},
            "cache": {"secrets": {"REDIS_URL": f"redis://:{TOKENS['redis']}@127.0.0.1:{cache.port}"}},
            "plain": {"depends_on": ["web", "store", "cache"]},
        }
        checks = {"database": {"postgresql": {"service": "store"}, "redis": {"service": "cache"}}}
        made = held.enter_context(stack(services, checks=checks))
        place = Path(tempfile.mkdtemp(prefix="rc-"))
        held.callback(shutil.rmtree, place)
        for directory in (made.root, place):
            os.chmod(directory, 0o755)
        for name, directory in (("HOME", "home"), ("LOCAL_TEMP", "local"), ("REMOTE_TEMP", "remote")):
            (place / directory).mkdir()
            monkeypatch.setenv(f"ANSIBLE_{name}", str(place / directory))
        monkeypatch.setenv("ANSIBLE_LOG_PATH", str(place / "ansible.log"))
        watch = held.enter_context(Watch())
        prepare(made)
        found = Host(made, place, server, cache)
        yield found
        found.look_around()
        assert found.log.stat().st_size > 0
        assert watch.looks > 10
        assert not watch.leaks


def want_password(port: int, password: str) -> None:
    """Have a Redis ask for a password from now on, without an argument that shows it."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(f"CONFIG SET requirepass {password}\r\n".encode())
        assert connection.recv(100) == b"+OK\r\n"


def failed_run(made: StackUnderTest) -> str:
    """Return the latest run that failed."""
    steps = {run: steps_of(made.paths.state, run) for run in run_ids(made.paths.state)}
    return next(run for run, taken in steps.items() if taken[-1]["result"] != "ok")


LOOKS = ("status", "doctor", "manifest check FILE", "history RUN")
MORE_LOOKS = ("verify", "history", "ports list", "ports show-config", "manifest drift FILE")


def said_by_the_host(host: Host, looks: t.Iterable[str]) -> None:
    """Have the host's own command say what it can, the manifest's file with its secrets in hand."""
    made = host.made
    manifest = Path(made.root, "credentials", "manifest.json")
    manifest.touch(0o600)
    manifest.write_text(json.dumps({"stack": made.raw}), encoding="utf-8")
    words = {"FILE": str(manifest), "RUN": failed_run(made)}
    for look in looks:
        host.says(*(words.get(word, word) for word in look.split()))


def fail_to_upgrade(host: Host) -> None:
    """Bring another secret together with what does not start, and see it give way."""
    web = host.made.raw["services"]["web"]
    web.update(secrets={"API_KEY": TOKENS["api_next"]}, env={"EXIT": "3"})
    assert host.play("site.yml").returncode != 0
    assert outcome(host.made)["result"] == "rolled_back"
    del web["env"]


def remove(host: Host) -> None:
    """Take the stack off the host."""
    done = host.play("playbooks/remove.yml", confirm="test")
    assert done.returncode == 0, done.stdout
    # What the test has put there stays: the program of the services, the inventory and a manifest.
    left = {str(path.relative_to(host.made.root)) for path in Path(host.made.root).rglob("*")}
    own = {"python", "hosts.json", "outcome.json", "credentials", "credentials/manifest.json"}
    assert left <= own, done.stdout


def test_no_planted_token_is_anywhere_but_in_its_private_file(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    made = host.made
    announced = host.play("site.yml", "--check")
    assert announced.returncode == 0, announced.stdout
    with monkeypatch.context() as changed:
        changed.setenv("ANSIBLE_PIPELINING", "false")
        changed.setenv("ANSIBLE_KEEP_REMOTE_FILES", "true")
        installed = host.play("site.yml")
    assert installed.returncode == 0, installed.stdout
    assert any((host.place / "remote").iterdir()), "temporary files were kept, and looked at"
    shutil.rmtree(host.place / "remote")
    given = {name: named_in(read(f"/proc/{pid}/environ")) for name, pid in made.pids().items()}
    assert given == {"web": {"api"}, "store": {"postgresql"}, "cache": {"redis"}, "plain": set()}

    fail_to_upgrade(host)
    host.credentials = {"credentials/feed.pem": TOKENS["credential_next"]}
    before = made.pids()
    assert host.play("playbooks/credentials.yml").returncode == 0
    assert {name for name, pid in made.pids().items() if pid != before[name]} == {"web", "plain"}
    said_by_the_host(host, LOOKS)
    remove(host)


def test_what_a_service_logs_of_its_secret_is_not_printed_by_a_playbook() -> None:
    talks = ["sh", "-c", 'echo "the key $API_KEY is refused" && exit 3']
    with innocent(), stack({"web": {"command": talks, "secrets": {"API_KEY": TOKENS["api"]}}}) as made:
        prepare(made)
        done = play(made, "playbooks/site.yml", "-vvv")
        assert done.returncode != 0
        assert "the key ******** is refused" in done.stdout, done.stdout
        assert not named_in((done.stdout + done.stderr).encode())
        assert not named_in(json.dumps(outcome(made)).encode())


# Says its secrets in its log and in its answer; ends, or answers that it is ill, where a file tells it to.
TALKS = """
import http.server, json, os, sys, urllib.parse
key, url = os.environ["API_KEY"], os.environ["DATABASE_URL"]
words = [key, json.dumps({"key": key}), url, urllib.parse.unquote(urllib.parse.urlsplit(url).password)]
for word in words:
    print("CRITICAL:" if os.path.exists("fails") else "with", word, "x" * 700, key, flush=True)
if os.path.exists("fails"):
    sys.exit(3)

class Talks(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if os.path.exists("ill") else 200)
        self.end_headers()
        self.wfile.write(" ".join(words).encode())

http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Talks).serve_forever()
"""


@pytest.fixture
def talking() -> t.Iterator[StackUnderTest]:
    """Have a stack whose service says its secrets wherever it can."""
    web = {
        "port": free_port(),
        "health": {"http": "/"},
        "ready_timeout": 6,
        "secrets": {
            "API_KEY": TOKENS["api"],
            "DATABASE_URL": f"postgresql://ada:{TOKENS['postgresql']}%2F@localhost/x",
        },
    }
    with innocent(), stack({"web": web}) as made:
        Path(made.root, "talks.py").write_text(TALKS, encoding="utf-8")
        made.raw["services"]["web"]["command"] = [made.program, "talks.py"]
        prepare(made)
        yield made


def said_without(made: StackUnderTest, playbook: str) -> str:
    """Return all that a playbook says, which has no token."""
    done = play(made, playbook, "-vvv", "--diff")
    said = done.stdout + done.stderr + Path(made.root, "outcome.json").read_text(encoding="utf-8")
    assert not named_in(said.encode()), f"{playbook}: {said}"
    return said


@pytest.mark.parametrize("wrong", ["fails", "ill"])
def test_no_playbook_prints_what_a_service_logs_or_answers_of_its_secrets(talking: StackUnderTest, wrong: str) -> None:
    made = talking
    for number in range(2):
        made.raw["services"]["web"]["env"] = {"NUMBER": str(number)}
        said_without(made, "site.yml")
        assert outcome(made)["ok"]
    Path(made.root, wrong).touch()
    hidden = {
        playbook
        for playbook in ("restart", "status", "logs", "doctor", "credentials", "rollback", "flush", "acknowledge")
        if "********" in said_without(made, f"playbooks/{playbook}.yml")
    }
    assert {"restart", "status", "logs", "credentials", "rollback"} <= hidden, "there was something to hide"


# Says its secret and what it was delivered, and ends, unless it is told to live.
SHOWS = (
    'for line in "$API_KEY" "$(sed -n 2p credentials/feed.pem)"; do echo "CRITICAL: $line is refused"; done; '
    "[ -e lives ] && exec sleep 600; exit 3"
)


def test_no_command_of_the_host_says_what_a_service_logs_of_its_secrets() -> None:
    web = {"command": ["sh", "-c", SHOWS], "secrets": {"API_KEY": TOKENS["api"]}}
    with innocent(), stack({"web": web}) as made:
        feed = f"-----BEGIN PRIVATE KEY-----\n{TOKENS['credential']}\n-----END PRIVATE KEY-----\n"
        deliver(made.root, made.paths.state, None, {"credentials/feed.pem": feed})
        assert not made.perform()["ok"]
        assert named_in(read(os.path.join(made.paths.logs, "web.log"))) == {"api", "credential"}
        for words in (
            "restart",
            "start",
            "status",
            "verify",
            "logs",
            "logs --since 1h",
            "history",
            f"history {failed_run(made)}",
            "doctor",
            "watch --once",
            "report",
            "stop",
        ):
            for more in ((), ("--json",)):
                said = rollcall(made, *words.split(), *more)
                assert not named_in((said.out + said.err).encode()), words
                assert "Traceback" not in said.err
                if words in ("restart", "start"):
                    assert (said.out + said.err).count("********") >= 2, words
        assert not named_in(read(os.path.join(made.paths.state, "watch.json")))
        Path(made.root, "lives").touch()
        for words in ("start", "verify", "acknowledge", "undo", "flush", "rollback", "stop"):
            said = rollcall(made, words)
            assert not named_in((said.out + said.err).encode()), words


def test_where_the_command_breaks_down_it_says_no_secret() -> None:
    with innocent(), stack({"web": {"command": ["sleep", "600"], "secrets": {"API_KEY": TOKENS["api"]}}}) as made:
        made.perform()
        broken, listed = (
            Path(made.root, "engine", *name) for name in (("rollcall", "verdict", "status.py"), ("files",))
        )
        before = hashlib.sha256(broken.read_bytes()).hexdigest()
        broken.write_text(f"def status(*_given, **_more):\n    raise ValueError('{TOKENS['api']}')\n", encoding="utf-8")
        damaged = rollcall(made, "status")
        after = hashlib.sha256(broken.read_bytes()).hexdigest()
        listed.write_text(listed.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
        whole = rollcall(made, "status")
    assert (damaged.code, whole.code) == (1, 1)
    assert "the engine of this stack is broken; the services run without it: ValueError\n" in damaged.err
    assert "ValueError: ********" in whole.err
    assert not named_in((damaged.err + whole.err).encode())


PORTS = """
- hosts: all
  gather_facts: false
  tasks:
    - rollcall.supervisor.port_info: {root: "{{ root }}"}
      register: seen
    - ansible.builtin.debug: {var: seen}
    - rollcall.supervisor.port_flush: {root: "{{ root }}", policy: refuse}
      ignore_errors: true
      register: refused
    - ansible.builtin.debug: {var: refused}
    - rollcall.supervisor.supervisor_program: {root: "{{ root }}", name: [web], state: present}
"""


def test_the_arguments_of_a_process_are_told_without_the_secrets_in_them(place: Path) -> None:
    port = free_port()
    with innocent(), stack({"web": {"port": port, "secrets": {"API_KEY": TOKENS["api"]}}}) as made:
        shows = 'exec "$0" "$1" web "$API_KEY"'
        made.raw["services"]["web"]["command"] = ["sh", "-c", shows, made.program, APP]
        assert made.perform()["ok"]
        assert named_in(read(f"/proc/{made.pids()['web']}/cmdline")) == {"api"}

        for words in (("list",), ("check", str(port)), ("kill", str(port), "--check"), ("show-config",)):
            for more in ((), ("--json",)):
                said = rollcall(made, "ports", *words, *more)
                assert not named_in((said.out + said.err).encode()), words
        prepare(made)
        for variables in ({"op": "list"}, {"op": "check", "port": port}):
            done = play(made, "playbooks/ports.yml", "-vvv", "--diff", **variables)
            assert not named_in((done.stdout + done.stderr).encode())
            assert "********" in done.stdout
        done = run_playbook(place, PORTS, {"here": {"root": made.root}})
        assert done.returncode == 0, done.stdout
        assert "********" in done.stdout


@pytest.mark.exhaustive
@pytest.mark.parametrize("pipelining", ["true", "false"])
def test_no_playbook_and_no_command_shows_a_planted_token(
    host: Host, monkeypatch: pytest.MonkeyPatch, pipelining: str
) -> None:
    monkeypatch.setenv("ANSIBLE_PIPELINING", pipelining)
    assert host.play("site.yml").returncode == 0
    fail_to_upgrade(host)
    assert host.play("site.yml", "--check").returncode == 0
    assert host.play("site.yml").returncode == 0
    assert host.play("playbooks/rollback.yml").returncode == 0
    said_by_the_host(host, (*LOOKS, *MORE_LOOKS))
    for playbook in ("status", "logs", "doctor", "flush", "ports", "restart"):
        assert host.play(f"playbooks/{playbook}.yml").returncode == 0
    remove(host)


# --- what a task takes by itself ----------------------------------------------------------------------------------

TASKS = """
- hosts: all
  gather_facts: false
  tasks:
    - rollcall.supervisor.supervisor_program: &program
        socket: "{{ socket }}"
        username: operator
        password: "{{ password }}"
        name: [web]
        state: started
    - rollcall.supervisor.supervisor_program:
        <<: *program
        password: "x{{ password }}"
      ignore_errors: true
      register: refused
    - ansible.builtin.assert: {that: refused is failed}

    - rollcall.supervisor.manifest_edit:
        path: "{{ manifest }}"
        changes:
          - {place: [services, web, secrets, API_KEY], value: "{{ api }}"}
          - {place: [services, web], value: {command: [x], secrets: {API_KEY: "{{ api }}", MORE: ["{{ api_next }}"]}}}
      ignore_errors: true
      register: edited
    - rollcall.supervisor.manifest_edit:
        path: "{{ manifest }}"
        changes: [{place: [services, web, secrets, API_KEY], value: "{{ api }}"}]
    - ansible.builtin.assert: {that: edited is failed}

    - ansible.builtin.include_role: {name: rollcall.supervisor.database, tasks_from: redis_run.yml}
      vars:
        database_redis: {password: "{{ redis }}"}
        __database_system: {redis_config: "{{ config }}", redis_service: "../..{{ script }}"}
        __database_systemd: {stat: {exists: false}}
        __database_checked: {version: "1", manifest: {paths: {state: "{{ state }}"}}}
"""


@pytest.fixture
def place() -> t.Iterator[Path]:
    """A directory whose path leaves room for a socket."""
    with tempfile.TemporaryDirectory(prefix="rc-") as directory:
        yield Path(directory)


def test_a_task_that_is_given_a_secret_shows_nothing_of_it(place: Path, sandbox: supervisords.Sandbox) -> None:
    sandbox.configure(web="sleep 600\nstartsecs=0")
    supervisords.want_password(sandbox, "operator", TOKENS["supervisord"])
    manifest, config, script = place / "manifest.yml", place / "redis.conf", place / "redis"
    manifest.write_text("name: test\nroot: /opt/test\nservices:\n  web:\n    command: [x]\n", encoding="utf-8")
    config.write_text("# requirepass foobared\nport 6379\n", encoding="utf-8")
    script.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    script.chmod(0o755)
    given = {name: TOKENS[name] for name in ("api", "api_next", "redis")}
    files = {"manifest": str(manifest), "config": str(config), "script": str(script), "socket": sandbox.socket}
    files["state"] = str(place / "state")
    with supervisords.started(sandbox), Watch() as watch:
        done = run_playbook(place, TASKS, {"here": {**given, **files, "password": TOKENS["supervisord"]}})
    assert done.returncode == 0, done.stdout
    assert config.read_text(encoding="utf-8").endswith(f'requirepass "{TOKENS["redis"]}"\n')
    assert TOKENS["api"] in manifest.read_text(encoding="utf-8")
    assert {path for path, _names in files_with_tokens(place)} == {place / "hosts.json", manifest, config}
    assert watch.looks
    assert not watch.leaks


def run_playbook(
    place: Path, text: str, hosts: t.Mapping[str, t.Mapping[str, t.Any]]
) -> subprocess.CompletedProcess[str]:
    """Run a playbook over hosts of this machine with all the words that Ansible has; it prints no token."""
    known = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory, playbook = place / "hosts.json", place / "playbook.yml"
    whole = {name: {**known, **variables} for name, variables in hosts.items()}
    inventory.write_text(json.dumps({"all": {"hosts": whole}}), encoding="utf-8")
    playbook.write_text(text, encoding="utf-8")
    own = {"ANSIBLE_LOG_PATH": str(place / "log"), "ROLLCALL_OUTCOME": str(place / "outcome")}
    done = subprocess.run(
        [str(PLAYBOOK), "-i", str(inventory), str(playbook), "-vvv", "--diff"],
        cwd=ROOT,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
        timeout=BOUND,
    )
    assert not named_in((done.stdout + done.stderr).encode())
    return done


# --- what is wrong is said without it -----------------------------------------------------------------------------

TOKEN = TOKENS["api"]
BELL = f"{TOKEN}\a"
GIT = f"ada:{TOKEN}@127.0.0.1:1/x.git"


def a_stack(root: Path, **more: t.Any) -> t.Dict[str, t.Any]:
    return {"name": "test", "root": str(root), "services": {"web": {"command": ["/bin/true"], **more}}}


# What is wrong, by the host that it is wrong on: a secret in the service, other variables, and what is said.
WRONG: t.Mapping[str, t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Any], str]] = {
    "credentials_are_text": ({}, {"rollcall_credentials": TOKEN}, "we were unable to convert to dict"),
    "credentials_lead_out": ({}, {"rollcall_credentials": {"../a": TOKEN}}, "../a"),
    "credentials_are_lists": ({}, {"rollcall_credentials": {"a/b": [BELL]}}, "Rollcall is not installed"),
    "secrets_are_text": ({"secrets": TOKEN}, {}, "secrets: is text"),
    "a_secret_is_a_list": ({"secrets": {"A": [TOKEN]}}, {}, "secrets.A: is a list"),
    "a_secret_has_a_bell": ({"secrets": {"A": BELL}}, {}, "secrets.A: contains the control character"),
    "secrets_are_misspelt": ({"secret": {"A": TOKEN}}, {}, "did you mean secrets"),
    "another_option_is_wrong": (
        {"secrets": {"A": TOKEN}},
        {"services_mode": "fast"},
        "value of services_mode must be one",
    ),
    "postgresql_is_text": ({}, {"rollcall_database": {"postgresql": TOKEN}}, "must be of type dict or list of dicts"),
    "postgresql_is_misspelt": (
        {},
        {"rollcall_database": {"postgresql": {"name": "x", "password": TOKEN, "prot": 1}}},
        "database_postgresql.prot. Supported parameters include",
    ),
    "its_password_is_a_list": (
        {},
        {"rollcall_database": {"postgresql": {"name": "x", "password": [TOKEN]}}},
        "FAILED, task 'rollcall.supervisor.database",
    ),
    "its_password_has_a_bell": (
        {},
        {"rollcall_database": {"postgresql": {"name": "x", "password": BELL}}},
        "password of database_postgresql has a control character",
    ),
    "redis_has_a_bell": (
        {},
        {"rollcall_redis": {"password": BELL}},
        "password of database_redis has a control character",
    ),
    "git_has_a_password": ({}, {"rollcall_release": {"source": {"git": f"https://{GIT}"}}}, "a password or token"),
    "git_has_a_token": (
        {},
        {"rollcall_release": {"source": {"git": f"https://{TOKEN}@127.0.0.1:1/x.git"}}},
        "a password or token",
    ),
    "git_is_misspelt": (
        {},
        {"rollcall_release": {"source": {"git": f"https://{GIT}", "ref": "x"}}},
        "source has git, ref, and must be",
    ),
    "the_file_is_no_yaml": ({}, {"rollcall_manifest_file": "BROKEN"}, "is not YAML"),
    "nothing_is_installed": ({"secrets": {"A": TOKEN}}, {}, "Rollcall is not installed"),
}
ROLES = """
- hosts: all
  gather_facts: false
  roles:
    - rollcall.supervisor.release
    - rollcall.supervisor.database
    - rollcall.supervisor.credentials
    - rollcall.supervisor.services
"""


def test_what_is_wrong_with_a_secret_is_said_without_it(place: Path) -> None:
    broken = place / "broken.yml"
    text = f"stack:\n  services:\n    web:\n      secrets:\n        A: '{TOKEN}\n  b: {TOKEN}\n: :\n"
    broken.write_text(text, encoding="utf-8")
    hosts = {
        name: {"rollcall_stack": a_stack(place / name, **service), **variables}
        for name, (service, variables, _said) in WRONG.items()
    }
    hosts["the_file_is_no_yaml"].update(rollcall_stack={}, rollcall_manifest_file=str(broken))
    done = run_playbook(place, ROLES, hosts)
    assert {path.name for path, _names in files_with_tokens(place)} <= {"hosts.json", "broken.yml", "b"}
    said = " ".join(done.stdout.split())
    assert not [name for name, (_service, _variables, words) in WRONG.items() if words not in said]
    recap = dict(re.findall(r"^(\w+) +: .* failed=(\d)", done.stdout, re.MULTILINE))
    assert recap == dict.fromkeys(WRONG, "1")
