# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small real programs that hold ports in every way a port can be held, and one that holds nothing and must survive.

Run as a program it is such a victim; imported it starts them and ends them, each by its pid.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import functools
import json
import os
import platform
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

READY_TIMEOUT = 10.0
NOBODY = 65534
# Runs a command as the first process of a pid namespace, with a /proc that shows it.
PID_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


# --- what the tests use -------------------------------------------------------------------------------------------


class Victim:
    """A started victim.

    Attributes:
        pid: of the process that matters: the master, the daemon, the listener.
        port: it holds.
        pids: all its processes, as far as it has said so.
    """

    def __init__(self, process: subprocess.Popen[str], said: t.Mapping[str, t.Any]) -> None:
        self.process = process
        self.said = said
        self.pid: int = said["pid"]
        self.port: int = said["port"]
        self.pids: t.List[int] = said["pids"]

    @property
    def alive(self) -> bool:
        """Whether the process that matters runs."""
        return is_alive(self.pid)

    def end(self) -> None:
        """End all its processes, the parents first so that nothing is started again, and reap our own child."""
        import psutil

        for pid in dict.fromkeys([self.process.pid, self.pid, *self.pids]):
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                family = psutil.Process(pid)
                if pid != self.process.pid and SIGN not in " ".join(family.cmdline()):
                    continue
                descendants = family.children(recursive=True)
                family.kill()
                for child in descendants:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.kill()
        self.process.wait(READY_TIMEOUT)
        if self.process.stdout is not None:
            self.process.stdout.close()


# By this word in its command line a victim is known before it is ended by pid: pids are used again.
SIGN = os.path.basename(__file__)


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def eventually(condition: t.Callable[[], bool], seconds: float = READY_TIMEOUT) -> bool:
    """Return whether the condition came to hold in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def free_port() -> int:
    """Return a port that was free on every address just now, outside of the range the kernel gives out by itself."""
    for _unused in range(100):
        port = 10001 + int.from_bytes(os.urandom(2), "big") % 20000
        with socket.socket(socket.AF_INET6) as probe:
            try:
                probe.bind(("::", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


@contextlib.contextmanager
def victim(
    kind: str,
    port: int = 0,
    *options: str,
    mark: t.Optional[t.Mapping[str, str]] = None,
    python: str = sys.executable,
    prefix: t.Sequence[str] = (),
) -> t.Iterator[Victim]:
    """Start a victim and end it afterwards.

    Args:
        kind: one of the functions below.
        port: to hold; 0 means any free one.
        options: further options of this program.
        mark: environment to add, such as a stack's label.
        python: the interpreter, by another name perhaps.
        prefix: a command that runs the victim, such as ``unshare``.
    """
    started = start(kind, port, *options, mark=mark, python=python, prefix=prefix)
    try:
        yield started
    finally:
        started.end()


@contextlib.contextmanager
def innocent() -> t.Iterator[Victim]:
    """Run a listener that nothing here has any business with; it must be alive afterwards."""
    held = start("listen")
    try:
        yield held
        assert held.alive, "a bystander was ended"
    finally:
        held.end()


def start(
    kind: str,
    port: int = 0,
    *options: str,
    mark: t.Optional[t.Mapping[str, str]] = None,
    python: str = sys.executable,
    prefix: t.Sequence[str] = (),
) -> Victim:
    """Start a victim and wait until it says that it is ready; the caller ends it."""
    process = subprocess.Popen(
        [*prefix, python, os.path.abspath(__file__), kind, str(port or free_port()), *options],
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], **(mark or {})},
        start_new_session=True,
    )
    stdout = t.cast(t.TextIO, process.stdout)
    readable, _unused, _unused = select.select([stdout], [], [], READY_TIMEOUT)
    line = stdout.readline() if readable else ""
    if not line:
        process.kill()
        process.wait()
        stdout.close()
        raise AssertionError(f"the victim {kind} did not get ready")
    return Victim(process, json.loads(line))


def marks(root: str, service: str = "victim", stack: str = "test") -> t.Dict[str, str]:
    """Return the label that a process of the stack at ``root`` carries."""
    return {
        "ROLLCALL_STACK": stack,
        "ROLLCALL_ROOT": root,
        "ROLLCALL_SERVICE": service,
        "ROLLCALL_REVISION": "0123456789ab",
    }


def a_stack(root: t.Union[str, Path], *ports: int, **rules: t.Any) -> t.Any:
    """Return a manifest with a service ``service0``, ``service1`` … on each of the ports; nothing of it is installed.

    Args:
        root: the stack's root directory.
        ports: one for each service.
        rules: for PortRules.
    """
    from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest import model as manifest

    services = tuple(
        manifest.Service(name=f"service{number}", command=("/bin/true",), directory=str(root), port=port)
        for number, port in enumerate(ports)
    )
    return manifest.Stack(
        name="test",
        root=str(root),
        paths=manifest.Paths.of(str(root)),
        services=services,
        ports=manifest.PortRules(**rules),
    )


def as_nobody(function: t.Callable[[], t.Any]) -> t.Any:
    """Return what ``function`` returns, as JSON data, when it is run by the user nobody in a child of ours."""
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(here)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        with os.fdopen(there, "w", encoding="utf-8") as stream:
            json.dump(function(), stream)
        os._exit(0)
    os.close(there)
    with os.fdopen(here, encoding="utf-8") as stream:
        text = stream.read()
    os.waitpid(pid, 0)
    return json.loads(text)


def in_a_fresh_namespace(code: str, *arguments: str, how: t.Sequence[str] = PID_NAMESPACE) -> t.Any:
    """Return what ``code`` prints as JSON when it runs in namespaces of its own; takes root."""
    done = subprocess.run(
        [*how, sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@contextlib.contextmanager
def cgroup(name: str, *hierarchies: str) -> t.Iterator[t.List[Path]]:
    """Make a cgroup in those of the hierarchies that are there; what still runs in it is ended with it.

    Args:
        name: of the cgroup.
        hierarchies: below /sys/fs/cgroup; none means those by which systemd knows its units.
    """
    tops = [Path("/sys/fs/cgroup", hierarchy) for hierarchy in hierarchies or ("", "unified", "systemd")]
    made = [top / name for top in tops if os.access(top / "cgroup.procs", os.W_OK)]
    for place in made:
        place.mkdir()
    try:
        yield made
    finally:
        for place in made:
            assert eventually(functools.partial(_remove_cgroup, place)), f"{place} cannot be removed"


def _remove_cgroup(place: Path) -> bool:
    for inner in sorted((path for path in place.rglob("*") if path.is_dir()), reverse=True):
        if not _remove_cgroup(inner):
            return False
    for pid in (place / "cgroup.procs").read_text(encoding="ascii").split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    with contextlib.suppress(OSError):
        place.rmdir()
    return not place.exists()


def join(cgroups: t.Iterable[Path], pid: int) -> None:
    """Put a process into cgroups."""
    for place in cgroups:
        (place / "cgroup.procs").write_text(str(pid), encoding="ascii")


# --- what the victims do ------------------------------------------------------------------------------------------


def _ready(port: int, pids: t.Sequence[int] = (), **more: t.Any) -> None:
    print(json.dumps({"pid": os.getpid(), "port": port, "pids": list(pids), **more}), flush=True)


def _live() -> None:
    while True:
        signal.pause()


def _listener(options: argparse.Namespace) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.address else socket.AF_INET
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if options.reuseport:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(options.v6only))
    made.bind((options.address, options.port))
    made.listen(8)
    return made


def bystander(options: argparse.Namespace) -> None:
    """Hold nothing."""
    _ready(options.port)
    _live()


def listen(options: argparse.Namespace) -> None:
    """Listen, and answer nobody."""
    held = _listener(options)
    _ready(options.port, address=held.getsockname()[0])
    _live()


def two(options: argparse.Namespace) -> None:
    """Listen on two ports."""
    held = [_listener(options)]
    second = options.port = free_port()
    held.append(_listener(options))
    _ready(held[0].getsockname()[1], second=second)
    _live()


def leaves(options: argparse.Namespace) -> None:
    """Listen as one that does without SO_REUSEADDR, and close a connection before the other side does."""
    held = socket.socket()
    held.bind((options.address, options.port))
    held.listen(8)
    _ready(options.port, address=held.getsockname()[0])
    held.accept()[0].close()
    _live()


def deaf(options: argparse.Namespace) -> None:
    """Listen and ignore TERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    listen(options)


def stopped(options: argparse.Namespace) -> None:
    """Listen and be stopped by a signal."""
    held = _listener(options)
    _ready(options.port, address=held.getsockname()[0])
    os.kill(os.getpid(), signal.SIGSTOP)
    _live()


def bound(options: argparse.Namespace) -> None:
    """Bind and never listen."""
    held = socket.socket()
    held.bind((options.address, options.port))
    _ready(options.port)
    _live()


def pair(options: argparse.Namespace) -> None:
    """Two processes with a SO_REUSEPORT listener each."""
    options.reuseport = True
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    child = os.fork()
    held = _listener(options)
    if child == 0:
        os.kill(os.getppid(), signal.SIGUSR1)
        _live()
    signal.sigwait({signal.SIGUSR1})
    _ready(options.port, [child], address=held.getsockname()[0])
    _live()


def group(options: argparse.Namespace) -> None:
    """One process with three SO_REUSEPORT listeners, and a fourth on the other family."""
    options.reuseport = True
    held = [_listener(options) for _unused in range(3)]
    options.address = "::1"
    held.append(_listener(options))
    _ready(options.port, inodes=[os.fstat(one.fileno()).st_ino for one in held])
    _live()


def shared(options: argparse.Namespace) -> None:
    """A master and its workers, all with the same listener; the master replaces a worker that dies."""
    held = _listener(options)
    workers = [_worker() for _unused in range(options.workers)]
    signal.signal(signal.SIGCHLD, lambda *_: None)
    _ready(options.port, workers, address=held.getsockname()[0])
    while True:
        os.wait()
        workers.append(_worker())


def _worker() -> int:
    pid = os.fork()
    if pid == 0:
        _live()
    return pid


def daemon(options: argparse.Namespace) -> None:
    """Fork twice into a session of its own, as a classic daemon does, and listen there; the first process ends."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    listen(options)


def leaderless(options: argparse.Namespace) -> None:
    """Listen in a second thread while the first one has ended: /proc/PID/fd is empty then."""
    held = _listener(options)

    def stay() -> None:
        time.sleep(0.05)
        _ready(options.port, address=held.getsockname()[0])
        while True:
            time.sleep(60)

    threading.Thread(target=stay).start()
    exit_number = {"x86_64": 60, "aarch64": 93}[platform.machine()]
    # exit(2) ends the calling thread alone; exit_group(2) would be the whole process.
    ctypes.CDLL(None).syscall(exit_number, 0)


def in_flight(options: argparse.Namespace) -> None:
    """Put the listener into a message that nobody takes (SCM_RIGHTS): no process holds it any more."""
    held = _listener(options)
    here, there = socket.socketpair()
    socket.send_fds(here, [b"x"], [held.fileno()])
    held.close()
    _ready(options.port, there=there.fileno())
    _live()


def posted(options: argparse.Namespace) -> None:
    """Listen, with the listener also in a message that another process has not taken yet (SCM_RIGHTS)."""
    here, there = socket.socketpair()
    child = os.fork()
    if child == 0:
        here.close()
        _live()
    held = _listener(options)
    socket.send_fds(here, [b"x"], [held.fileno()])
    there.close()
    _ready(options.port, [child], address=held.getsockname()[0])
    _live()


def handed(options: argparse.Namespace) -> None:
    """Listen, and hand the listener to a daemon that was there before and is no relative any more (SCM_RIGHTS)."""
    here, there = socket.socketpair()
    told, tell = os.pipe()
    if os.fork() == 0:
        if os.fork():
            os._exit(0)
        os.setsid()
        os.write(tell, str(os.getpid()).encode())
        kept = socket.recv_fds(there, 1, 1)[1]
        there.send(b"x" * len(kept))
        _live()
    stranger = int(os.read(told, 16))
    held = _listener(options)
    socket.send_fds(here, [b"x"], [held.fileno()])
    here.recv(1)
    _ready(options.port, [stranger], address=held.getsockname()[0])
    _live()


def respawner(options: argparse.Namespace) -> None:
    """Hold nothing, and start a new listener when the last one has died."""
    first = True
    while True:
        child = os.fork()
        if child == 0:
            held = _listener(options)
            if first:
                _ready(options.port, address=held.getsockname()[0], parent=os.getppid())
            _live()
        os.waitpid(child, 0)
        time.sleep(options.pause)
        first = False


def zombie(options: argparse.Namespace) -> None:
    """Have a child that has ended and is never reaped."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    _ready(options.port, [child])
    _live()


def client(options: argparse.Namespace) -> None:
    """Be connected to the port, and hold nothing."""
    connection = socket.create_connection((options.address, options.port))
    _ready(options.port, local=connection.getsockname()[1])
    _live()


def parent(options: argparse.Namespace) -> None:
    """Listen, and then run a command as a child with the listener closed; print what it prints as ``output``."""
    held = _listener(options)
    done = subprocess.run(options.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    _ready(options.port, address=held.getsockname()[0], output=done.stdout, status=done.returncode)
    _live()


KINDS = {
    function.__name__: function
    for function in (
        bystander,
        listen,
        two,
        leaves,
        deaf,
        stopped,
        bound,
        pair,
        group,
        shared,
        daemon,
        leaderless,
        in_flight,
        posted,
        handed,
        respawner,
        zombie,
        client,
        parent,
    )
}


def main() -> None:
    """Be a victim."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("port", type=int)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--v6only", action="store_true")
    parser.add_argument("--reuseport", action="store_true")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--uid", type=int)
    parser.add_argument("command", nargs="*")
    options = parser.parse_args()
    if options.uid is not None:
        os.setuid(options.uid)
    KINDS[options.kind](options)


if __name__ == "__main__":
    main()
