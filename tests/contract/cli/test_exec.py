# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``rollcall exec``: a command of the application, with what its service has, and none of its processes."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import pty
import pwd
import select
import signal
import struct
import subprocess
import termios
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Deadline
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.ours import find
from tests.support.commands import BOUND, rollcall
from tests.support.interpreters import own_interpreter, python_of_all
from tests.support.namespaces import NOBODY
from tests.support.stacks import StackUnderTest, stack, two_services

SECRET = "hunter2 'and' more"
SHOW = "import json, os; print(json.dumps([os.getcwd(), os.getuid(), os.umask(0), dict(os.environ)]))"


@pytest.fixture(scope="module")
def running() -> t.Iterator[StackUnderTest]:
    with stack(two_services(env={"COLOUR": "blue"}, secrets={"API_KEY": SECRET}, umask="027")) as made:
        assert made.perform()["ok"]
        yield made


@contextlib.contextmanager
def started(made: StackUnderTest, *arguments: str, **options: t.Any) -> t.Iterator[subprocess.Popen[bytes]]:
    """Start the command, and end it afterwards. It heeds Ctrl-C, whatever this test ignores."""
    child = subprocess.Popen([made.command, *arguments], **options)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.wait(BOUND)


def test_it_has_the_directory_the_umask_the_variables_and_the_secrets_of_the_service(running: StackUnderTest) -> None:
    directory = running.generation().stack.service("web").directory
    done = rollcall(
        running,
        "exec",
        "web",
        "--",
        running.program,
        "-c",
        SHOW,
        env={"PATH": os.defpath, "MINE": "x", "TERM": "vt100"},
    )
    assert (done.code, done.err) == (0, "")
    where, uid, umask, variables = json.loads(done.out)
    assert (where, uid, umask) == (os.path.realpath(directory), os.getuid(), 0o027)
    port = str(running.raw["services"]["web"]["port"])
    wanted = {"COLOUR": "blue", "API_KEY": SECRET, "PORT": port, "ROLLCALL_ROOT": running.root, "TERM": "vt100"}
    assert {name: variables[name] for name in wanted} == wanted
    assert "MINE" not in variables


def test_what_a_running_service_has_it_has_too(running: StackUnderTest) -> None:
    process = Path(f"/proc/{running.pids()['web']}/environ").read_text(encoding="utf-8")
    of_service = dict(line.split("=", 1) for line in process.rstrip("\0").split("\0"))
    done = rollcall(running, "exec", "web", "--", running.program, "-c", SHOW, env={"PATH": os.defpath})
    of_command = json.loads(done.out)[3]
    assert of_command.pop("ROLLCALL_EXEC") == "1"
    assert of_command == {name: value for name, value in of_service.items() if not name.startswith("SUPERVISOR_")}


def test_the_secret_is_in_no_command_line_and_nothing_of_it_in_the_history(running: StackUnderTest) -> None:
    before = rollcall(running, "history", "--json").data
    with started(running, "exec", "web", "--", "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"through\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"through\n"
        assert Path(f"/proc/{child.pid}/cmdline").read_bytes() == b"cat\0"
        child.stdin.close()
        assert child.wait(BOUND) == 0
    assert rollcall(running, "history", "--json").data == before


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -TERM $$"], -signal.SIGTERM),
        (["no-such-program"], 127),
        (["./no-such-program"], 127),
        (["/"], 126),
    ],
)
@pytest.mark.parametrize("service", ["web", "worker"])
def test_the_exit_code_is_the_commands(running: StackUnderTest, service: str, command: t.List[str], code: int) -> None:
    done = rollcall(running, "exec", service, "--", *command)
    assert done.code == code
    assert ("cannot be started" in done.err) == (code in (126, 127))


def test_input_from_a_file_and_pipes_pass_through(running: StackUnderTest, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one\ntwo\n", encoding="utf-8")
    text = (
        f"'{running.command}' exec worker -- wc -l < {tmp_path}/file; '{running.command}' exec worker -- yes | head -1"
    )
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False, timeout=BOUND)
    assert (done.stdout.split(), done.stderr) == (["2", "y"], "")


def test_it_has_the_limits_and_the_niceness_of_the_service() -> None:
    with stack({"worker": {"limits": {"nofile": 333}, "nice": 7}}) as made:
        assert made.perform()["ok"]
        done = rollcall(made, "exec", "worker", "--", "sh", "-c", "ulimit -n; nice")
        assert (done.code, done.out) == (0, "333\n7\n")


def test_it_has_no_open_file_of_its_caller_but_the_standard_ones(running: StackUnderTest) -> None:
    text = f"exec 5</etc/passwd; '{running.command}' exec worker -- sh -c 'ls /proc/$$/fd'"
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False, timeout=BOUND)
    assert set(done.stdout.split()) <= {"0", "1", "2", "255"}, done


def test_words_after_the_dashes_are_the_commands_own(running: StackUnderTest) -> None:
    done = rollcall(running, "exec", "worker", "--", "echo", "--check", "--root", "/", "--", "-h")
    assert (done.code, done.out) == (0, "--check --root / -- -h\n")


@contextlib.contextmanager
def on_terminal(made: StackUnderTest, *words: str, shell: str = "") -> t.Iterator[t.Tuple[int, int]]:
    """Start the command, or a shell, on a terminal of its own; yield its pid and the other end. It heeds Ctrl-C."""
    argv = ["/bin/sh", "-c", shell] if shell else [made.command, *words]
    pid, master = pty.fork()
    if pid == 0:
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        os.execv(argv[0], argv)
    try:
        yield pid, master
    finally:
        os.close(master)
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def read_until(master: int, text: bytes, *, pressing: bytes = b"") -> bytes:
    """Read what is written to a terminal until ``text`` is in it.

    Args:
        master: the other end of the terminal.
        text: what is waited for.
        pressing: a key that is pressed until then. Python may miss a Ctrl-C just before it waits for a line.
    """
    deadline, seen = Deadline(BOUND), b""
    while text not in seen and not deadline.expired:
        os.write(master, pressing)
        if select.select([master], [], [], 1.0)[0]:
            seen += os.read(master, 4096)
    assert text in seen, seen
    return seen


def exit_code(pid: int, again: t.Callable[[], object] = lambda: None) -> int:
    """Return the exit code of a process that ends.

    Args:
        pid: of the process, a child.
        again: is called as long as it lives.
    """
    found: t.List[int] = []

    def has_ended() -> bool:
        ended, status = os.waitpid(pid, os.WNOHANG)
        found.append(status)
        if not ended:
            again()
        return ended == pid

    assert Deadline(BOUND).poll(has_ended, 0.02)
    return os.waitstatus_to_exitcode(found[-1])


def test_a_shell_of_the_application_is_interactive(running: StackUnderTest) -> None:
    with on_terminal(running, "exec", "web", "--", running.program, "-q") as (pid, master):
        read_until(master, b">>> ")
        os.write(master, b"import sys, os; print(os.isatty(0), 6 * 7, os.environ['COLOUR'])\n")
        read_until(master, b"True 42 blue")
        read_until(master, b"KeyboardInterrupt", pressing=b"\x03")
        # The last Ctrl-C may reach Python late, and takes with it the line that it is about to read.
        assert exit_code(pid, functools.partial(os.write, master, b"sys.exit(5)\n")) == 5


def test_ctrl_c_ends_a_command(running: StackUnderTest) -> None:
    with on_terminal(running, "exec", "worker", "--", "sh", "-c", "echo ready; exec sleep 600") as (pid, master):
        read_until(master, b"ready")
        os.write(master, b"\x03")
        assert exit_code(pid) in (-signal.SIGINT, 128 + signal.SIGINT)


def test_no_run_ends_it_and_no_verdict_counts_it(running: StackUnderTest) -> None:
    words = ("exec", "web", "--", "sh", "-c", "sleep 600 & echo $!; wait")
    with started(running, *words, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        below = int(child.stdout.readline())
        try:
            assert {child.pid, below}.isdisjoint(process.pid for process in find(running.root))
            for mode in ("auto", "full", "emergency"):
                report = running.perform(mode, installed=True)
                assert (report["ok"], report["signals"]) == (True, []), mode
            assert running.status()["ok"]
            assert child.poll() is None
        finally:
            os.kill(below, signal.SIGKILL)


def test_of_several_services_one_must_be_named(running: StackUnderTest) -> None:
    for words in ((), ("w*",)):
        done = rollcall(running, "exec", *words, "--", "echo", "a b")
        assert (done.code, done.out) == (2, "")
        assert "web, worker" in done.err
        assert f"{running.command} exec web -- echo 'a b'" in done.err
        (told,) = (line for line in done.err.splitlines() if line.startswith("  next: "))
        cured = subprocess.run(["sh", "-c", told[8:]], capture_output=True, text=True, check=False, timeout=BOUND)
        assert (cured.returncode, cured.stdout) == (0, "a b\n")
    assert "did you mean web" in rollcall(running, "exec", "wbe", "--", "true").err


def test_without_a_command_it_says_where_that_is_written(running: StackUnderTest) -> None:
    for words in (("web",), ("web", "true"), ("web", "--")):
        done = rollcall(running, "exec", *words)
        assert done.code == 2
        assert "rollcall exec web -- " in done.err


def test_the_only_service_needs_no_name_and_of_instances_it_is_the_first() -> None:
    with stack({"worker": {"instances": 2}}) as made:
        assert rollcall(made, "exec", "--", "true").code == 2
        assert made.perform()["ok"]
        done = rollcall(made, "exec", "--", "sh", "-c", "echo $INSTANCE")
        assert (done.code, done.out) == (0, "1\n")
        assert rollcall(made, "exec", "worker-2", "--", "sh", "-c", "echo $INSTANCE").out == "2\n"


@pytest.fixture
def of_nobody() -> t.Iterator[StackUnderTest]:
    """A stack of root's whose services run as another user."""
    python = python_of_all()
    if os.geteuid() != 0 or python is None:
        pytest.skip("takes on another user")
    with stack(two_services(secrets={"API_KEY": SECRET}), user="nobody") as made:
        own_interpreter(made, python)
        os.unlink(made.program)
        os.symlink(python, made.program)
        os.chmod(made.root, 0o755)
        assert made.perform()["ok"]
        yield made


def test_root_calls_it_and_it_runs_as_the_user_of_the_stack(of_nobody: StackUnderTest) -> None:
    groups = "import os; print(os.getresuid(), os.getresgid(), os.getgroups(), os.environ['API_KEY'])"
    done = rollcall(of_nobody, "exec", "web", "--", of_nobody.program, "-c", groups)
    group = pwd.getpwnam("nobody").pw_gid
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{(NOBODY,) * 3} {(group,) * 3} {os.getgrouplist('nobody', group)} {SECRET}\n"


def test_another_users_program_has_not_the_terminal_of_root(of_nobody: StackUnderTest) -> None:
    """Else it could type commands into root's shell (TIOCSTI)."""
    with on_terminal(of_nobody, "exec", "web", "--", of_nobody.program, "-q") as (pid, master):
        read_until(master, b">>> ")
        os.write(master, b"import os, sys; print(f'on {os.ttyname(0)}.', os.isatty(1), os.isatty(2))\n")
        text = read_until(master, b". True True").decode()
        name = text[text.rindex("on /dev/") + 3 : text.rindex(". True")]
        assert name != os.readlink(f"/proc/{pid}/fd/0")
        assert os.readlink(f"/proc/{pid}/fd/0").startswith("/dev/pts/")
        read_until(master, b"KeyboardInterrupt", pressing=b"\x03")
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
        os.write(master, b"[0 for _ in iter(lambda: tuple(os.get_terminal_size()) == (99, 33), True)]\n")
        os.write(master, b"print('size', os.get_terminal_size().lines * 3)\n")
        read_until(master, b"size 99")
        os.write(master, b"os.kill(os.getpid(), 15)\n")
        assert exit_code(pid) == 128 + signal.SIGTERM


def test_on_a_terminal_of_root_input_comes_from_a_file_and_signals_are_passed_on(
    of_nobody: StackUnderTest, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("from the file\n", encoding="utf-8")
    text = f"exec '{of_nobody.command}' exec worker -- sh -c 'cat; echo $$; exec sleep 600' < {tmp_path}/file"
    with on_terminal(of_nobody, shell=text) as (pid, master):
        read_until(master, b"from the file")
        os.kill(pid, signal.SIGTERM)
        assert exit_code(pid) == 128 + signal.SIGTERM
    with on_terminal(of_nobody, "exec", "worker", "--", "sh", "-c", "echo ready; exec sleep 600") as (pid, master):
        read_until(master, b"ready")
        os.write(master, b"\x03")
        assert exit_code(pid) == 128 + signal.SIGINT


def test_what_is_of_no_use_to_that_user_is_told_on_the_terminal(of_nobody: StackUnderTest) -> None:
    directory = of_nobody.generation().stack.service("web").directory
    os.chmod(directory, 0o700)
    try:
        with on_terminal(of_nobody, "exec", "web", "--", "true") as (pid, master):
            read_until(master, b"Nothing can be run as user nobody")
            assert exit_code(pid) == 1
    finally:
        os.chmod(directory, 0o755)
