# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What to do next: every cure that is told for a host is made here, one name for each kind.

Of each there is a trial in tests/repo/test_cures.py: something is broken, and what stands here puts it right. A command
of the stack's own begins with ``rollcall``, and ``INSTALL`` is how a manifest is applied; whoever shows a cure writes
both as they work for who reads (show/words.py).
"""

from __future__ import annotations

import shlex
import typing as t

# --- the stack's own commands -------------------------------------------------------------------------------------

INSTALL = "ansible-playbook site.yml"
STATUS = "rollcall status"
START = "rollcall start"
STOP = "rollcall stop"
FULL = "rollcall restart full"
EMERGENCY = "rollcall restart emergency"
DOCTOR = "rollcall doctor"
FIX = "rollcall doctor --fix"
HISTORY = "rollcall history"
ACKNOWLEDGE = "rollcall acknowledge"
RESTART = "rollcall restart"
UNDO = "rollcall undo"
ROLLBACK = "rollcall rollback"
PORTS = "rollcall ports list"
FREE_PORT = "rollcall ports find-available"
AUTO_FIX = "rollcall ports auto-fix"
# Brings services that have moved back to their own ports; on the host, and where the manifest is.
HOME = "rollcall ports home"
GO_HOME = f"{INSTALL} -e ports_home=true"

# What ends a process that is not ours: for the stack as it is installed, and for a manifest that is yet to be.
FORCE = "rollcall start --policy any"
FORCE_INSTALL = f"{INSTALL} -e port_flush_policy=any"


# What takes a stack off its host.
TAKE_OFF = "ansible-playbook rollcall.supervisor.remove"


def take_off(stack: str) -> str:
    """Return the command that takes a stack off its host."""
    return f"{TAKE_OFF} -e confirm={shlex.quote(stack)}"


def force(words: str) -> str:
    """Return the command of the stack that ends what is not ours on its ports; ``words``: verb and mode."""
    return f"rollcall {words} --policy any"


def override(port: int) -> str:
    """Return the advice for whoever uses the module port_flush."""
    return then(f"set overrides: {{{port}: any}} in the task", "the same playbook again")


def beside_inventory(option: str, path: str) -> str:
    """Return the option as it names something that lies beside the inventory, on the controller."""
    return f"{option}: '{{{{ inventory_dir }}}}/{path}'"


def password() -> str:
    """Return the advice for whoever gave a supervisord the wrong user name or password."""
    return then("give the user name and password that [unix_http_server] in its configuration has", "the same again")


def look_at(service: str) -> str:
    """Return the command that asks a service again and shows its answers."""
    return f"{STATUS} {service}"


def start(*services: str) -> str:
    """Return the command that starts services that somebody has stopped by name."""
    return " ".join([START, *services])


def restart(*services: str) -> str:
    """Return the command that restarts services by name."""
    return " ".join([RESTART, *services])


def rerun(*oneshots: str) -> str:
    """Return the command that runs oneshots again."""
    return f"rollcall rerun {' '.join(oneshots)}"


def execute(service: str, *command: str) -> str:
    """Return the command that runs another one with the variables of a service."""
    return f"rollcall exec {service} -- {shlex.join(command)}"


def history(run: str) -> str:
    """Return the command that tells all about a run."""
    return f"{HISTORY} {run}"


def check_port(port: int) -> str:
    """Return the command that says who has a port."""
    return f"rollcall ports check {port}"


def check_manifest(path: str) -> str:
    """Return the command that names every problem of a manifest."""
    return f"rollcall manifest check {shlex.quote(path)}"


def rollback(generation: str) -> str:
    """Return the command that goes to a generation that is kept."""
    return f"{ROLLBACK} {generation}"


# --- what a person corrects, and the command after that -----------------------------------------------------------


def then(what: str, command: str = INSTALL) -> str:
    """Return an advice that ends with the command for when it was followed."""
    return f"{what}, then run: {command}"


def correct(what: str = "the manifest") -> str:
    """Return the advice to correct what is named, and to apply that."""
    return then(f"correct {what}")


def manifest_or_host() -> str:
    """Return the advice for what is the manifest's fault or the host's."""
    return correct("the manifest, or what it names on this host")


def put_right(command: str) -> str:
    """Return the advice for after a look."""
    return then("put right what it shows", command)


def bring(command: str) -> str:
    """Return the advice for a service that waits for something."""
    return then("bring what it needs", command)


def another_port(service: str) -> str:
    """Return the advice to give a service another port."""
    return then(f"give {service} another port in the manifest")


def another_python() -> str:
    """Return the command that makes the engine's environment with another Python."""
    return f"{INSTALL} -e bootstrap_python=/usr/bin/python3"


def another_path(config: str, what: str, option: str, pid: int) -> str:
    """Return the advice for a supervisord of somebody else that has a path in common with another one."""
    return then(f"give {config} another {what}: {option}", reload(pid))


def guard(config: str, pid: int) -> str:
    """Return the advice for a supervisord of somebody else that takes orders from everybody."""
    return then(
        f"remove [inet_http_server] from {config}, or give it port=127.0.0.1:9001, username and password", reload(pid)
    )


def reload(pid: int) -> str:
    """Return the command that has a supervisord of somebody else start anew with its config, and its programs."""
    return f"kill -HUP {pid}"


NAMES = "check the names, and with `state: present` have new ones taken in"
CAPABILITY = "give this container the capability SYS_PTRACE"
OWN_COMMAND = "call the installed command: ROOT/bin/rollcall"

# --- the same command again ---------------------------------------------------------------------------------------

AGAIN = "run the same command again"
WAIT = "wait for it to end, then run the same command again"
AS_ROOT = "run the same command with sudo"
BECOME = "in a playbook: become: true"
# What says nothing of where it is to be run.
SAME = (AGAIN, WAIT, AS_ROOT, BECOME)


def as_root(command: str) -> str:
    """Return a command for a user who is not root."""
    return f"sudo {command}"


def as_user(user: str, command: str) -> str:
    """Return a command as another user runs it."""
    return f"sudo -u {shlex.quote(user)} {command}"


# --- looks: what they show says what to do ------------------------------------------------------------------------

_LOOKING = (
    *("curl", "df", "docker", "fuser", "ls", "nc", "openssl", "podman", "ps", "psql", "redis-cli", "sqlite3", "ss"),
    "tail",
)


def shows(command: str) -> bool:
    """Return whether a cure is a command that only shows something."""
    words = command.split()
    return bool(words) and words[0] in _LOOKING


def log(path: str) -> str:
    """Return the command that shows the end of a log."""
    return f"tail -n 50 {shlex.quote(path)}"


def packages() -> str:
    """Return the advice for a host to which pip could not bring what is needed."""
    return then("let the host reach a package index, or name a directory of wheels with bootstrap_wheels")


def space(*paths: str) -> str:
    """Return the command that shows how much room there is for files."""
    named = shlex.join(dict.fromkeys(paths))
    return f"df -h {named}; df -i {named}"


def rights(*paths: str) -> str:
    """Return the command that shows to whom files belong, and their modes."""
    return f"ls -ld {shlex.join(dict.fromkeys(paths))}"


def holder(path: str) -> str:
    """Return the command that shows which processes have a file or a socket open."""
    return f"fuser -v {shlex.quote(path)}"


def listener(port: int) -> str:
    """Return the command that shows who listens on a port."""
    return f"ss -ltnp 'sport = :{port}'"


def remote(url: str) -> str:
    """Return the command that shows what a repository has."""
    return f"git ls-remote {shlex.quote(url)}"


def closing(port: int) -> str:
    """Return the command that shows the closed connections that the kernel remembers of a port."""
    return f"ss -tn state time-wait 'sport = :{port}'"


def process(pid: int) -> str:
    """Return the command that shows a process."""
    return f"ps -o pid,user,stat,wchan,lstart,args -p {pid}"


# --- processes and files ------------------------------------------------------------------------------------------


def end(*pids: int) -> str:
    """Return the command that asks processes to end."""
    return f"kill {' '.join(map(str, pids))}"


def kill(*pids: int) -> str:
    """Return the command that ends processes that do not when they are asked."""
    return f"kill -KILL {' '.join(map(str, pids))}"


def go_on(*pids: int) -> str:
    """Return the command that lets processes go on that a signal has stopped."""
    return f"kill -CONT {' '.join(map(str, pids))}"


def end_and_start(pid: int) -> str:
    """Return the advice for a supervisord of somebody else."""
    return f"kill -TERM {pid}, and start it again as it was started"


# Root types these for files in directories of others, who may have put a link there since it was looked at. So none of
# them may follow one: neither as what is moved, given or changed, nor as where it goes.


def move_away(path: str) -> str:
    """Return the command that takes something out of the way.

    Without -T, ``mv`` would move it into the directory that a link of the new name leads to.
    """
    return f"mv -T {shlex.quote(path)} {shlex.quote(f'{path}.saved')}"


def remove(path: str) -> str:
    """Return the command that removes a file."""
    return f"rm {shlex.quote(path)}"


def as_owner(owner: str, command: str) -> str:
    """Return a command as root runs it with the rights of whom a file belongs to: these two follow a link.

    Args:
        owner: the user; empty for whoever runs it.
        command: made here.
    """
    return f"runuser -u {shlex.quote(owner)} -- {command}" if owner else command


def empty(path: str) -> str:
    """Return the command that empties a log that somebody writes to."""
    return f"truncate -s 0 {shlex.quote(path)}"


def give(user: str, path: str) -> str:
    """Return the command that makes a file a user's."""
    return f"chown -h {shlex.quote(user)} {shlex.quote(path)}"


def give_all(user: str, path: str) -> str:
    """Return the command that makes a directory and all in it a user's."""
    return f"chown -R {shlex.quote(user)}: {shlex.quote(path)}"


def give_all_to_root(path: str) -> str:
    """Return the command that makes a directory and all in it root's."""
    return f"chown -R 0:0 {shlex.quote(path)}"


def trust(user: str, path: str, bits: t.Union[int, str] = "go-w") -> str:
    """Return the command that makes a directory one which only a user may change; ``bits``: what `mode` takes."""
    return f"chown -h {shlex.quote(user)}: {shlex.quote(path)} && {mode(bits, path)}"


def trust_all(user: str, path: str, but: str = "") -> str:
    """Return the command that makes a directory and all in it what only a user may change, besides directories ``but``.

    Groups stay: supervisord reads its config by one.
    """
    who, where = shlex.quote(user), shlex.quote(path)
    if not but:
        return f"chown -hR {who} {where} && chmod -R go-w {where}"
    return (
        f"find {where} -name {shlex.quote(but)} -prune -o -exec chown -h {who} {{}} + "
        f"&& find {where} -name {shlex.quote(but)} -prune -o ! -type l -exec chmod go-w {{}} +"
    )


def mode(bits: t.Union[int, str], path: str) -> str:
    """Return the command that changes the mode of a file."""
    return f"chmod {bits if isinstance(bits, str) else format(bits, 'o')} {shlex.quote(path)}"


def mutable(path: str) -> str:
    """Return the command that lets a file be changed and removed again that had been made immutable."""
    return f"chattr -i {shlex.quote(path)}"


def make_directory(path: str) -> str:
    """Return the command that makes a directory."""
    return f"mkdir -p {shlex.quote(path)}"


def writable(path: str) -> str:
    """Return the command that makes a file system writable again."""
    return f"mount -o remount,rw $(df --output=target {shlex.quote(path)} | tail -1)"


MOUNT_PROC = "mount -t proc proc /proc"
HARD_LIMIT = "ulimit -Hn"


def raise_limit(name: str, limit: int) -> str:
    """Return the command that raises a hard limit of the shell that it is typed in (prlimit(1)).

    Args:
        name: of the limit, as in a manifest.
        limit: what it must be; a negative number is unlimited.
    """
    option = {"memory": "as"}.get(name, name)
    return f"sudo prlimit --pid $$ --{option}=:{limit if limit >= 0 else 'unlimited'}"


def most_victims(number: int) -> str:
    """Return the option that lets so many processes be ended at once."""
    return f"set max_victims={number}"


def containers(port: int) -> t.Tuple[str, ...]:
    """Return the commands that show which container publishes a port."""
    # Podman has no such filter.
    return (f"docker ps --filter publish={port}", f"podman port --all | grep ':{port}$'")


def unmount(path: str) -> str:
    """Return the command that takes what is mounted at a path away."""
    return f"umount {shlex.quote(path)}"


def unmount_hung(path: str) -> str:
    """Return the command that takes away a file system which does not answer."""
    return f"umount -c -f -l {shlex.quote(path)}"


def reserve(port: int) -> str:
    """Return the command that has the kernel give a port to no client."""
    return f"sysctl -w net.ipv4.ip_local_reserved_ports={port}"
