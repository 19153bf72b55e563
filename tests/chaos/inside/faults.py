# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults. Each is a function that breaks something in the world and says what is to come of it."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.inside import eyes, wall_clock
from tests.chaos.inside.bystanders import LISTEN
from tests.chaos.inside.places import (
    APPLICATION,
    CHAOS,
    CONFIG,
    DATABASE,
    ETC,
    LOG_DISK,
    LOGS,
    MANIFEST,
    PIDFILE,
    ROOT,
    RUN,
    SOCKET,
    STACK,
    STATE,
    USER,
)
from tests.chaos.inside.world import Untrue, World, kill_all, wait_until

# What is to come of the next restart.
HELD = "held"  # it holds, if need be as an emergency
REFUSED = "refused"  # nothing is touched, and the reason is named
FAILED = "failed"  # it may be tried and says truly that it did not hold, and why
ANY = "any"  # either it holds, or it says truly why not


@dataclass
class Struck:
    """What a fault has done.

    Attributes:
        what: in words.
        then: HELD, REFUSED, FAILED or ANY.
        reason: what the words of a refusal or failure must match.
        code: the exit code of a refusal; None when any but 0 will do.
        lift: takes the fault's cause away; None when a restart is to cope with it.
        settled: whether what it does is done when it returns; else processes go on ending because of it.
        lives: processes of the fault's own that are strangers to the stack: they must survive.
        dies: processes of the fault's own that are the stack's: none may be left when a restart has held.
    """

    what: str
    then: str = HELD
    reason: str = ""
    code: int | None = None
    lift: Callable[[], None] | None = None
    settled: bool = True
    lives: tuple[int, ...] = ()
    dies: tuple[int, ...] = ()

    def matches(self, said: str) -> bool:
        """Whether what was said names the reason."""
        return re.search(self.reason, said, re.DOTALL) is not None


Fault = Callable[[World, random.Random], Struck]
FAULTS: dict[str, Fault] = {}
# Faults of these kinds leave the stack's processes and files as they were for another one to strike as well.
SIMPLE: list[str] = []


def fault(simple: bool = False) -> Callable[[Fault], Fault]:
    """Enter a function into the list, by its name."""

    def enter(function: Fault) -> Fault:
        kind = function.__name__.replace("_", " ")
        FAULTS[kind] = function
        if simple:
            SIMPLE.append(kind)
        return function

    return enter


# --- processes ----------------------------------------------------------------------------------------------------


@fault(simple=True)
def supervisord_killed(world: World, _dice: random.Random) -> Struck:
    """KILL supervisord; its services live on as orphans that still answer."""
    kill_all(process.pid for process in world.look().daemons)
    return Struck("KILL to supervisord")


@fault(simple=True)
def supervisord_stopped(world: World, _dice: random.Random) -> Struck:
    """STOP supervisord."""
    kill_all((process.pid for process in world.look().daemons), signal.SIGSTOP)
    return Struck("STOP to supervisord")


@fault(simple=True)
def supervisord_ending(world: World, dice: random.Random) -> Struck:
    """TERM supervisord and look at it while it ends, or just afterwards."""
    kill_all((process.pid for process in world.look().daemons), signal.SIGTERM)
    seconds = dice.uniform(0, 3)
    time.sleep(seconds)
    return Struck(f"TERM to supervisord {seconds:.2f} s before", settled=False)


@fault(simple=True)
def service_killed(world: World, dice: random.Random) -> Struck:
    """KILL one service; supervisord starts it again meanwhile."""
    (name,) = signalled(world, dice, 1, signal.SIGKILL)
    return Struck(f"KILL to {name}")


@fault(simple=True)
def several_killed(world: World, dice: random.Random) -> Struck:
    """KILL some services at once."""
    names = signalled(world, dice, dice.randint(2, len(world.services)), signal.SIGKILL)
    return Struck(f"KILL to {', '.join(names)}")


@fault(simple=True)
def service_hangs(world: World, dice: random.Random) -> Struck:
    """STOP a service with a port: connections are made, and nobody answers."""
    (name,) = signalled(world, dice, 1, signal.SIGSTOP, list(world.with_port))
    return Struck(f"STOP to {name}")


@fault(simple=True)
def several_hang(world: World, dice: random.Random) -> Struck:
    """STOP some services."""
    names = signalled(world, dice, dice.randint(2, len(world.services)), signal.SIGSTOP)
    return Struck(f"STOP to {', '.join(names)}")


@fault()
def everything_killed(world: World, _dice: random.Random) -> Struck:
    """KILL supervisord and all services, as the kernel does when memory is out."""
    end_all_of_the_stack(world)
    return Struck("KILL to supervisord and every service")


@fault()
def everything_stopped(world: World, _dice: random.Random) -> Struck:
    """STOP supervisord and all services."""
    view = world.look()
    running = [process.pid for processes in view.services.values() for process in processes]
    kill_all([*(process.pid for process in view.daemons), *running], signal.SIGSTOP)
    return Struck("STOP to supervisord and every service")


@fault()
def service_ignores_term(world: World, dice: random.Random) -> Struck:
    """Have supervisord start a service anew that ignores TERM."""
    name = dice.choice(sorted(world.services))
    deaf = f"""\
import signal, sys
if sys.argv[1] == {name!r}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal = lambda *_unused: None
"""
    respawned_as(world, name, deaf)
    return Struck(f"{name} ignores TERM")


@fault()
def left_over_child(world: World, dice: random.Random) -> Struck:
    """Leave a process behind that carries a service's label in a session of its own, perhaps deaf to TERM."""
    name = dice.choice(sorted(world.services))
    deaf = dice.random() < 0.5
    code = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)" if deaf else ""
    pid = world.crowd.python(code, user=USER, **labels(world, name))
    return Struck(f"a left-over child of {name}" + (", deaf to TERM" if deaf else ""), dies=(pid,))


@fault()
def left_over_on_a_port(world: World, dice: random.Random) -> Struck:
    """Kill everything and leave a process of the stack on a service's port, perhaps stopped by a signal."""
    name = dice.choice(sorted(world.with_port))
    labelled = labels(world, name)
    end_all_of_the_stack(world)
    pid = world.crowd.python(LISTEN, str(world.with_port[name]), user=USER, **labelled)
    stopped = dice.random() < 0.5
    if stopped:
        os.kill(pid, signal.SIGSTOP)
    return Struck(f"a left-over of {name} on its port" + (", stopped" if stopped else ""), dies=(pid,))


# --- socket, pid file, run directory ------------------------------------------------------------------------------


@fault(simple=True)
def socket_deleted(_world: World, _dice: random.Random) -> Struck:
    """Delete the socket of the living supervisord."""
    Path(SOCKET).unlink(missing_ok=True)
    return Struck("the socket was deleted")


@fault()
def socket_is_a_file(_world: World, _dice: random.Random) -> Struck:
    """Put a file in the socket's place."""
    os.unlink(SOCKET)
    Path(SOCKET).write_text("not a socket\n", encoding="utf-8")
    return Struck("a file lies in the socket's place")


@fault()
def socket_of_a_stranger(world: World, dice: random.Random) -> Struck:
    """Put a socket in its place on which somebody listens who never answers; supervisord may be gone as well."""
    killed = dice.random() < 0.5
    if killed:
        kill_all(process.pid for process in world.look().daemons)
    os.unlink(SOCKET)
    code = "import socket, sys\nheld = socket.socket(socket.AF_UNIX)\nheld.bind(sys.argv[1])\nheld.listen(8)"
    pid = world.crowd.python(code, SOCKET, user=USER)
    what = "somebody who never answers listens on the socket" + (", and supervisord was killed" if killed else "")
    return Struck(what, lives=(pid,))


@fault(simple=True)
def pid_file_wrong(world: World, dice: random.Random) -> Struck:
    """Delete the pid file, empty it, or write rubbish or a bystander's pid into it; supervisord may be gone as well."""
    text = dice.choice([None, "", "rubbish\n", f"{dice.choice(sorted(world.strangers))}\n", "1\n", "-1\n"])
    if dice.random() < 0.5:
        kill_all(process.pid for process in world.look().daemons)
    Path(PIDFILE).unlink(missing_ok=True)
    if text is not None:
        Path(PIDFILE).write_text(text, encoding="utf-8")
    return Struck("no pid file" if text is None else f"the pid file says {text!r}")


@fault()
def run_directory_closed(world: World, dice: random.Random) -> Struck:
    """Take the run directory from the stack's user."""
    if dice.random() < 0.5:
        os.chown(RUN, 0, 0)
    else:
        os.chmod(RUN, 0o500)
    return Struck(
        "the stack's user may not write into the run directory", REFUSED, r"/run\b", lift=lambda: world.own(RUN, 0o700)
    )


# --- a second supervisord -----------------------------------------------------------------------------------------


@fault()
def second_supervisord(world: World, _dice: random.Random) -> Struck:
    """Delete the socket and start another supervisord over the same config: split brain."""
    os.unlink(SOCKET)
    pid = start_second(world)
    return Struck("the socket was deleted and a second supervisord started over the same config", dies=(pid,))


@fault()
def second_supervisord_after_a_kill(world: World, dice: random.Random) -> Struck:
    """Kill supervisord and start another by hand, as people do; orphans hold the ports of its programs."""
    kill_all(process.pid for process in world.look().daemons)
    pid = start_second(world)
    seconds = dice.uniform(0, 3)
    time.sleep(seconds)
    return Struck(f"supervisord was killed and one started by hand, {seconds:.1f} s before", dies=(pid,))


@fault()
def second_supervisord_with_its_own_config(world: World, _dice: random.Random) -> Struck:
    """Start another supervisord over a copy of the config with another socket."""
    copy = CHAOS / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    os.chown(copy, world.account.pw_uid, world.account.pw_gid)
    text = Path(CONFIG).read_text(encoding="utf-8").replace(f"{RUN}/", f"{copy}/")
    (copy / "supervisord.conf").write_text(text.replace("autostart=false", "autostart=true"), encoding="utf-8")
    pid = world.crowd.supervisord(str(copy / "supervisord.conf"))
    wait_until((copy / "supervisor.sock").exists, "the second supervisord has its socket")

    def lift() -> None:
        # As people stop one. What a killed one has forked a moment before carries no label until it has become the
        # program, which then writes into our service's log that its port is taken: the verdict rightly tells of it.
        world.crowd.stop(pid)

    return Struck(
        "a second supervisord runs over a copy of the config with another socket", ANY, rf"\b{pid}\b", lift=lift
    )


# --- ports --------------------------------------------------------------------------------------------------------


@fault()
def port_taken_while_down(world: World, dice: random.Random) -> Struck:
    """Kill supervisord and a service, and have a stranger take its port; the other services live on."""
    name = dice.choice(sorted(world.with_port))
    kill_all([world.daemon(), world.service(name)])
    return taken(world, name, world.crowd.python(LISTEN, str(world.with_port[name])))


@fault()
def port_taken_under_supervisord(world: World, dice: random.Random) -> Struck:
    """Kill a service and have a stranger take its port before supervisord starts it again."""
    name = dice.choice(sorted(world.with_port))
    code = f"""
import os, socket, sys, time
held = socket.socket()
held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
os.kill({world.service(name)}, 9)
until = time.monotonic() + 10
while True:
    try:
        held.bind(("127.0.0.1", int(sys.argv[1])))
        break
    except OSError:
        if time.monotonic() > until:
            raise
held.listen(8)
"""
    return taken(world, name, world.crowd.python(code, str(world.with_port[name]), user=USER))


@fault()
def port_bound_in_silence(world: World, dice: random.Random) -> Struck:
    """Kill everything and have a stranger bind a port without listening on it: no tool shows who that is."""
    name = dice.choice(sorted(world.with_port))
    end_all_of_the_stack(world)
    code = (
        "import socket, sys\n"
        "held = socket.socket()\n"
        "held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        "held.bind(('127.0.0.1', int(sys.argv[1])))\n"
        # With it the service could bind beside this one; without it this one could not, after the service's clients.
        "held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)"
    )
    pid = world.crowd.python(code, str(world.with_port[name]))
    struck = taken(world, name, pid)
    struck.what = f"a stranger, pid {pid}, has bound port {world.with_port[name]} ({name}) and does not listen"
    struck.reason = rf"\b{world.with_port[name]}\b"
    return struck


@fault()
def port_taken_on_another_address(world: World, dice: random.Random) -> Struck:
    """Have a stranger listen on a service's port at another address, beside the service."""
    name = dice.choice(sorted(world.with_port))
    address = dice.choice(["127.0.0.2", "::1"])
    code = (
        "import socket, sys\n"
        "family = socket.AF_INET6 if ':' in sys.argv[2] else socket.AF_INET\n"
        "held = socket.create_server((sys.argv[2], int(sys.argv[1])), family=family)"
    )
    try:
        pid = world.crowd.python(code, str(world.with_port[name]), address)
    except RuntimeError:
        if address != "::1":
            raise
        # A container may have no IPv6.
        address = "127.0.0.2"
        pid = world.crowd.python(code, str(world.with_port[name]), address)
    struck = taken(world, name, pid)
    struck.what = f"a stranger listens on {address} port {world.with_port[name]} ({name})"
    struck.then = ANY
    return struck


# --- disks --------------------------------------------------------------------------------------------------------


@fault()
def disk_full(world: World, dice: random.Random) -> Struck:
    """Fill the disk of the root or of the logs to the last byte, or nearly."""
    disk = dice.choice([ROOT, LOG_DISK])
    spare = dice.choice([0, 0, 4096, 1 << 20])
    fill_blocks(disk, spare)
    left = f"{spare} bytes" if spare else "nothing"
    return Struck(f"{left} is left on the disk of {disk}", REFUSED, _FULL, lift=world.free_disks)


@fault()
def inodes_used_up(world: World, dice: random.Random) -> Struck:
    """Use up the inodes of the disk of the root or of the logs."""
    disk = dice.choice([ROOT, LOG_DISK])
    spare = dice.choice([0, 0, 1, 5])
    fill_inodes(disk, spare)
    return Struck(f"{spare} inodes are left on the disk of {disk}", REFUSED, _FULL, lift=world.free_disks)


@fault()
def disk_fills_during_a_restart(world: World, dice: random.Random) -> Struck:
    """Fill a disk while a restart is on its way; whatever that says must be true."""
    disk = dice.choice([ROOT, LOG_DISK])
    seconds = dice.uniform(0.1, 2.5)
    running = world.begin("restart")
    time.sleep(seconds)
    fill_blocks(disk, 0)
    ran = running.end()
    wrong = world.eyes.wrong(world.look())
    world.free_disks()
    if ran.ok and wrong:
        raise Untrue(f"FALSE OK: {disk} was filled {seconds:.2f} s into it, and it said ok: {'; '.join(wrong)}")
    return Struck(f"the disk of {disk} was full {seconds:.2f} s into an earlier restart ({ran.reason or 'it held'})")


_FULL = r"(?i)space|inode|full|free"


# --- what is installed --------------------------------------------------------------------------------------------


@fault()
def config_broken(world: World, dice: random.Random) -> Struck:
    """Write rubbish into the installed supervisord.conf, cut it off, empty it or delete it."""
    how = damage(Path(CONFIG), dice)
    return Struck(f"supervisord.conf {how}", REFUSED, r"supervisord\.conf|config", lift=world.restore_etc)


@fault()
def config_altered(world: World, dice: random.Random) -> Struck:
    """Change a line of the installed supervisord.conf so that it still parses and says another thing."""
    name = dice.choice(sorted(world.services))
    text = Path(CONFIG).read_text(encoding="utf-8")
    head, section, rest = text.partition(f"[program:{name}]\n")
    rest = re.sub(r"(?m)^command=.*$", "command=/usr/bin/sleep 1000", rest, count=1)
    Path(CONFIG).write_text(head + section + rest, encoding="utf-8")
    return Struck(
        f"supervisord.conf starts a sleep as {name}", REFUSED, rf"{name}|supervisord\.conf", lift=world.restore_etc
    )


@fault()
def manifest_broken(world: World, dice: random.Random) -> Struck:
    """Write rubbish into the installed manifest, cut it off, empty it or delete it."""
    how = damage(Path(MANIFEST), dice)
    return Struck(f"manifest.json {how}", REFUSED, r"manifest|installed", lift=world.restore_etc)


@fault()
def environment_file_broken(world: World, dice: random.Random) -> Struck:
    """Delete or damage the private file of a service with a secret."""
    files = sorted(Path(ETC, "env").iterdir())
    path = dice.choice(files)
    how = damage(path, dice)
    return Struck(f"etc/env/{path.name} {how}", REFUSED, rf"{path.name}|{path.stem}|env", lift=world.restore_etc)


@fault()
def record_of_the_generation_broken(world: World, dice: random.Random) -> Struck:
    """Damage what is remembered of the installed generation, or the registry that applications ask for their ports."""
    path = Path(ETC, dice.choice(["meta.json", "ports.json"]))
    how = damage(path, dice)
    return Struck(f"etc/{path.name} {how}", ANY, rf"{path.name}|registry|generation", lift=world.restore_etc)


@fault()
def etc_gone(world: World, dice: random.Random) -> Struck:
    """Delete the link etc, or put a directory or a dangling link in its place."""
    how = dice.choice(["was deleted", "is a directory", "leads nowhere"])
    os.unlink(ETC)
    if how == "is a directory":
        os.mkdir(ETC)
    elif how == "leads nowhere":
        os.symlink("generations/nowhere", ETC)
    return Struck(f"etc {how}", REFUSED, r"installed|etc", lift=world.restore_etc)


@fault()
def logs_gone(world: World, dice: random.Random) -> Struck:
    """Delete the log directory, or take it from the stack's user."""
    how = dice.choice(["deleted", "closed", "given to root"])
    if how == "deleted":
        shutil.rmtree(LOGS)
    elif how == "closed":
        os.chmod(LOGS, 0o500)
    else:
        os.chown(LOGS, 0, 0)
        os.chmod(LOGS, 0o700)
    return Struck(f"the log directory was {how}", REFUSED, re.escape(LOGS), lift=lambda: world.own(LOGS, 0o750))


@fault()
def application_broken(world: World, dice: random.Random) -> Struck:
    """Break the services' program for one of them: only its start can show it."""
    name = dice.choice(sorted(world.services))
    how = dice.choice(["raise RuntimeError('the flux capacitor is empty')", "raise SystemExit(0)", "import nonsense"])
    text = APPLICATION.read_text(encoding="utf-8")
    broken = f"import sys\nif sys.argv[1] == {name!r}:\n    {how}\n"
    APPLICATION.write_text(text.replace("import sys\n", broken, 1), encoding="utf-8")
    return Struck(f"{name} can only {how}", FAILED, name, lift=world.restore_application)


@fault()
def database_broken(world: World, _dice: random.Random) -> Struck:
    """Write rubbish over the database of all services."""
    kept = DATABASE.parent / "kept"
    kept.mkdir()
    for path in DATABASE.parent.glob("demo.db*"):
        path.rename(kept / path.name)
    DATABASE.write_bytes(b"not a database, but as long as a page of one " * 200)
    os.chown(DATABASE, world.account.pw_uid, world.account.pw_gid)

    def lift() -> None:
        for path in DATABASE.parent.glob("demo.db*"):
            path.unlink()
        for path in kept.iterdir():
            path.rename(DATABASE.parent / path.name)
        kept.rmdir()

    return Struck("the database is rubbish", FAILED, r"database|running|health", lift=lift)


# --- state --------------------------------------------------------------------------------------------------------


@fault()
def lock_deleted(_world: World, _dice: random.Random) -> Struck:
    """Delete the lock's file."""
    Path(STATE, "lock").unlink(missing_ok=True)
    return Struck("state/lock was deleted")


@fault()
def lock_held(world: World, _dice: random.Random) -> Struck:
    """Have somebody hold the lock."""
    code = (
        "import fcntl, json, os, sys\n"
        "held = os.open(sys.argv[1], os.O_RDONLY)\n"
        "fcntl.flock(held, fcntl.LOCK_EX)\n"
        "note = open(sys.argv[1] + '/lock', 'w')\n"
        "note.write(json.dumps({'pid': os.getpid(), 'who': 'ada', 'verb': 'full', 'since': 'noon', 'run': 'r'}))\n"
        "note.close()"
    )
    pid = world.crowd.python(code, STATE, user="root")
    return Struck(
        "somebody holds the lock",
        REFUSED,
        rf"ada.*\b{pid}\b",
        code=3,
        lift=lambda: world.crowd.end(pid),
        lives=(pid,),
    )


@fault()
def journal_torn(_world: World, dice: random.Random) -> Struck:
    """Damage the newest record of a run, as a crash of the machine can."""
    newest = max(Path(STATE, "runs").glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    how = damage(newest, dice)
    return Struck(f"the newest journal {how}")


@fault()
def state_damaged(_world: World, dice: random.Random) -> Struck:
    """Damage one of the files that Rollcall remembers things in."""
    files = [path for path in sorted(Path(STATE).iterdir()) if path.is_file() and path.name != "lock"]
    path = dice.choice(files)
    how = damage(path, dice)
    return Struck(f"state/{path.name} {how}", ANY, re.escape(path.name), lift=lambda: path.unlink(missing_ok=True))


# --- interruptions ------------------------------------------------------------------------------------------------


@fault()
def worker_killed(world: World, dice: random.Random) -> Struck:
    """KILL the worker of a restart at a moment of its run; whoever waits for it must not say ok."""
    seconds = dice.uniform(0.05, 3)
    running = world.begin("restart")
    time.sleep(seconds)
    workers = world.workers()
    kill_all(process.pid for process in workers)
    ran = running.end()
    if ran.ok and workers and "died" in ran.reason:
        raise Untrue("FALSE OK: the worker was killed")
    if ran.ok:
        truly(world, "the restart whose worker was to be killed")
    return Struck(
        f"the worker of an earlier restart was killed {seconds:.2f} s after the call: {ran.reason or 'too late'}"
    )


@fault()
def asker_killed(world: World, dice: random.Random) -> Struck:
    """KILL the command that waits for the worker, not the worker; a second call is refused while that goes on."""
    seconds = dice.uniform(0.05, 2)
    running = world.begin("restart")
    time.sleep(seconds)
    running.child.kill()
    running.end(killed=True)
    if world.workers():
        ran = world.rollcall("restart")
        if not ran.ok and ran.code != 3:
            raise Untrue(f"a second call while the worker goes on ended with {ran.code}: {ran.reason}")
    wait_until(lambda: not world.workers(), "the worker has come to its end", 60.0)
    return Struck(f"the waiting command was killed {seconds:.2f} s after the call")


@fault()
def worker_stopped(world: World, dice: random.Random) -> Struck:
    """STOP the worker of a restart: whoever comes next must be refused with its name."""
    seconds = dice.uniform(0.1, 2)
    running = world.begin("restart")
    time.sleep(seconds)
    workers = [process.pid for process in world.workers()]
    kill_all(workers, signal.SIGSTOP)
    if not workers:
        running.end()
        return Struck(f"the worker was to be stopped {seconds:.2f} s after the call, too late")
    second = world.rollcall("restart")
    if second.code != 3 or "lock" not in second.reason:
        kill_all(workers, signal.SIGCONT)
        running.end()
        if second.code == 0:
            raise Untrue("a second restart went on beside one whose worker is stopped")
        return Struck(f"the worker was stopped {seconds:.2f} s after the call, before it had the lock")
    kill_all(workers, signal.SIGCONT if dice.random() < 0.5 else signal.SIGKILL)
    ran = running.end()
    if ran.ok:
        truly(world, "the restart whose worker was stopped for a while")
    return Struck(f"the worker of an earlier restart was stopped {seconds:.2f} s after the call")


@fault()
def two_at_once(world: World, dice: random.Random) -> Struck:
    """Two operators restart at once: one does it, and the other is refused, or comes when the first is done."""
    first = world.begin("restart")
    time.sleep(dice.uniform(0, 0.3))
    second = world.begin("restart", dice.choice(["full", "quick", "auto"]))
    ran = [first.end(), second.end()]
    codes = sorted(one.code for one in ran)
    if codes not in ([0, 0], [0, 3]):
        raise Untrue(f"two restarts at once ended with {codes}: {'; '.join(one.reason for one in ran)}")
    truly(world, "one of two restarts at once")
    return Struck(f"two restarts at once ended with {codes}")


# --- the clock ----------------------------------------------------------------------------------------------------


@fault()
def clock_jumps(world: World, dice: random.Random) -> Struck:
    """Let the wall clock of supervisord, engine and services jump, before the restart or in the middle of one."""
    seconds = dice.choice([-1, 1]) * dice.choice([30.0, 3600.0, 86400.0, 400 * 86400.0]) * dice.uniform(0.5, 1)
    middle = dice.random() < 0.5
    if middle:
        running = world.begin("restart")
        time.sleep(dice.uniform(0.1, 2.5))
        wall_clock.jump(seconds)
        ran = running.end()
        if not ran.ok:
            raise Untrue(f"a restart did not hold because the clock jumped by {seconds:.0f} s: {ran.reason}")
        truly(world, f"a restart during which the clock jumped by {seconds:.0f} s")
    else:
        wall_clock.jump(seconds)
    return Struck(f"the wall clock jumped by {seconds:.0f} s" + (" during an earlier restart" if middle else ""))


# --- helpers ------------------------------------------------------------------------------------------------------


def signalled(world: World, dice: random.Random, count: int, number: int, among: list[str] | None = None) -> list[str]:
    """Signal ``count`` services and return their names."""
    view = world.look()
    chosen = dice.sample(sorted(among or world.services), count)
    kill_all((process.pid for name in chosen for process in view.services[name]), number)
    return chosen


def end_all_of_the_stack(world: World) -> None:
    """KILL supervisord first, then every service, and wait for their ends."""
    view = world.look()
    pids = [process.pid for process in view.daemons]
    pids += [process.pid for running in view.services.values() for process in running]
    kill_all(pids)


def labels(world: World, name: str) -> dict[str, str]:
    """Return the labels in the environment of a running service."""
    raw = Path(f"/proc/{world.service(name)}/environ").read_text(encoding="utf-8").split("\0")
    found = dict(item.split("=", 1) for item in raw if item.startswith("ROLLCALL_"))
    if found.get("ROLLCALL_STACK") != STACK:
        raise RuntimeError(f"{name} carries no label")
    return found


def respawned_as(world: World, name: str, code: str) -> None:
    """Kill a service and have supervisord start it with ``code`` put before its own, once."""
    old = world.service(name)
    text = APPLICATION.read_text(encoding="utf-8")
    mark = "from __future__ import annotations\n"
    APPLICATION.write_text(text.replace(mark, f"{mark}{code}", 1), encoding="utf-8")
    try:
        os.kill(old, signal.SIGKILL)
        log = Path(LOGS, f"{name}.log")
        size = log.stat().st_size
        ready = f"{name} starts as pid".encode()
        wait_until(lambda: ready in log.read_bytes()[size:], f"{name} is there again")
    finally:
        world.restore_application()


def start_second(world: World) -> int:
    """Start a supervisord over the stack's config by hand and wait until it answers, or has ended. Returns its pid."""
    pid = world.crowd.supervisord(CONFIG)
    wait_until(lambda: eyes.answering_daemon() == pid or eyes.read(pid) is None, "the second supervisord answers")
    return pid


def taken(world: World, name: str, pid: int) -> Struck:
    """Return what comes of a stranger on a service's port."""
    port = world.with_port[name]

    def lift() -> None:
        world.crowd.end(pid)

    return Struck(
        f"a stranger, pid {pid}, holds port {port} ({name})",
        REFUSED,
        rf"\b{port}\b.*\b{pid}\b",
        code=3,
        lift=lift,
        lives=(pid,),
    )


def damage(path: Path, dice: random.Random) -> str:
    """Damage a file, or delete it, and say how. It keeps owner and mode."""
    how = dice.choice(["was deleted", "is empty", "is rubbish", "was cut off"])
    if how == "was deleted":
        path.unlink()
        return how
    data = path.read_bytes()
    new = {"is empty": b"", "is rubbish": dice.randbytes(300), "was cut off": data[: len(data) // 2]}[how]
    path.write_bytes(new)
    return how


def filling(disk: str) -> Path:
    """Return the directory on a disk for what fills it."""
    place = Path(disk, ".filling")
    place.mkdir(exist_ok=True)
    return place


def fill_blocks(disk: str, spare: int) -> None:
    """Write to a disk until nothing more goes, then give ``spare`` bytes back."""
    chunk = b"\0" * 65536
    with open(filling(disk) / "blocks", "wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            if not stream.write(chunk):
                break
    path = filling(disk) / "blocks"
    if spare:
        os.truncate(path, max(0, path.stat().st_size - spare))


def fill_inodes(disk: str, spare: int) -> None:
    """Make files on a disk until nothing more goes, then remove ``spare`` of them."""
    place = filling(disk)
    made: list[Path] = []
    while True:
        path = place / str(len(made))
        try:
            path.touch(exist_ok=False)
        except OSError as exc:
            if exc.errno != errno.ENOSPC:
                raise
            break
        made.append(path)
    for path in made[len(made) - spare :]:
        path.unlink()


def truly(world: World, what: str) -> None:
    """Check that a success is one.

    Raises:
        Untrue: it is not.
    """
    wrong = world.eyes.wrong(world.look())
    if wrong:
        raise Untrue(f"FALSE OK: {what} said ok, but {'; '.join(wrong)}")
