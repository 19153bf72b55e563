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

from .port_numbers import UdpPort

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
LOGS = "rollcall logs"
ACKNOWLEDGE = "rollcall acknowledge"
RESTART = "rollcall restart"
UNDO = "rollcall undo"
ROLLBACK = "rollcall rollback"
PORTS = "rollcall ports list"
FREE_PORT = "rollcall ports find-available"
AUTO_FIX = "rollcall ports auto-fix"
# Has the stack watched from then on.
WATCHED = f"{INSTALL} -e watch=true"
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


# Each word after ``rollcall restart`` that is a mode, and not the name of a service; the first is the usual one.
_MODE_WORDS = ("full", "master", "quick", "emergency", "force", "auto")


def restart(*services: str) -> str:
    """Return the command that restarts services by name; one that is called like a mode is named after one."""
    mode = _MODE_WORDS[:1] if services[:1] and services[0] in _MODE_WORDS else ()
    return " ".join([RESTART, *mode, *services])


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

_THEN = ", then run: "


def then(what: str, command: str = INSTALL) -> str:
    """Return an advice that ends with the command for when it was followed."""
    return f"{what}{_THEN}{command}"


def parts(cure: str) -> t.Tuple[str, str]:
    """Return what a person is to do first, which is mostly nothing, and the command of a cure, to be copied."""
    what, between, command = cure.rpartition(_THEN)
    return (what, command) if between else ("", cure)


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


def detaches(service: str) -> str:
    """Return the advice for a service that puts processes into the background."""
    return then(f"give {service} detaches: true in the manifest, or have it keep in the foreground what it starts")


def another_port(service: str) -> str:
    """Return the advice to give a service another port."""
    return then(f"give {service} another port in the manifest")


def another_python() -> str:
    """Return the command that makes the engine's environment with another Python."""
    return f"{INSTALL} -e bootstrap_python=/usr/bin/python3"


def working_python(host: str) -> str:
    """Return the advice for a host whose modules Ansible calls with a Python that does not run."""
    what = (
        f"give {host} in the inventory ansible_python_interpreter: /usr/bin/python3, or another Python that runs there"
    )
    return then(what, "the same playbook again")


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


def timers_without_systemd(rollcall: str, timer: str) -> str:
    """Return the advice for a host on which nothing would run the jobs of timers."""
    return then(
        "set services_boot to systemd (as root) or user, where systemd runs; or set it to none, and have a line of "
        f"crontab call each job when its time has come: {shlex.quote(rollcall)} rerun {timer}"
    )


NAMES = "check the names, and with `state: present` have new ones taken in"
CAPABILITY = "give this container the capability SYS_PTRACE"
OWN_COMMAND = "call the installed command: ROOT/bin/rollcall"

# --- the same command again ---------------------------------------------------------------------------------------


_TAKE_OVER = "if its controller is gone, run the same command with -e takeover="


def take_over(rollout: str) -> str:
    """Return what ends the claim of a rollout whose controller is gone."""
    return f"{_TAKE_OVER}{shlex.quote(rollout)}"


SKIP_UNREACHABLE = "bring it back, or leave it out with -e unreachable=skip"
KEEP_OR_DROP = (
    "bring it back, or say what becomes of its entries: -e discovery_lost=keep leaves them as they were, "
    "-e discovery_lost=drop takes them out"
)
GO_ON = "put right what is told, then run the same command again: it goes on with the hosts that are not done"
SAY_REVERSIBLE = (
    "bring what ran since, or, when it can live with what the step changed, say `reversible: true` of the step"
)
STEP_FIRST = (
    "put this host before the others in the inventory, or have the rollout be about its group by -e rollcall_hosts"
)
ONE_FIRST = """let the first batch be one host: -e rollout_batches='[1, "25%"]'"""
STEP_HOST = "bring it back, or name another host in the step's `hosts`"
DRAIN_WAY = "name one of these by rollout_drain, or roll out without one"


def number_of(variable: str) -> str:
    """Return how the number for a variable of a rollout is written."""
    return f"write a number alone, such as -e {variable}={1 if variable == 'failure_budget' else 60}"


def same_drain(way: str) -> str:
    """Return what brings a host back that was drained by another way than that of this rollout."""
    return (
        f"run the same command with -e rollout_drain={shlex.quote(way)}; or, where that way is no more, bring the host "
        "back by hand and remove state/rollout.json below the stack's root"
    )


MIN_UP = "write a number of hosts or a share of them, such as -e min_up=80%"
BRING_PORT = "bring the new port with the playbook site, and tell the balancer, then run the same command again"
SMALLER_BATCHES = "have fewer hosts at once by -e rollout_batches=1, or be content with fewer by -e min_up"


def less_up(hosts: int) -> str:
    """Return what helps where even one host at a time is too many to be away; ``hosts`` are up then."""
    more = (
        "have more hosts that are up before, or roll out without min_up"
        if hosts < 1
        else (f"be content with -e min_up={hosts}, or have more hosts that are up before")
    )
    return f"no batch is smaller than one host: {more}"


GO_ON_BACK = "put right what is told, then run the same command again: it goes on with taking hosts back"
ROLL_OUT_AGAIN = "all hosts run what ran before: correct what failed, then run the same command again to roll it out"
REPAIR_FIRST = "see to it with the playbook status, or have the rollout repair it with -e unhealthy_before=repair"

AGAIN = "run the same command again"
MENDED = "put right what is told, then run the same command again"
WAIT = "wait for it to end, then run the same command again"
AS_ROOT = "run the same command with sudo"
BECOME = "in a playbook: become: true"
# What says nothing of where it is to be run.
SAME = (AGAIN, WAIT, AS_ROOT, BECOME)


def and_again(cure: str) -> str:
    """Return what is to be done on a host before the same command is run again."""
    return f"{cure}; then {AGAIN}"


def is_of_no_place(cure: str) -> bool:
    """Return whether a cure is followed where the command was called, and says nothing of another place."""
    return cure in SAME or cure.startswith(_TAKE_OVER)


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
    if words[:2] == ["runuser", "-u"]:
        # As `as_owner` writes it.
        words = words[4:]
    return bool(words) and (words[0] in _LOOKING or words[:2] == LOGS.split())


def logs(service: str) -> str:
    """Return the command that shows the end of the log of a service of the stack in place."""
    return f"{LOGS} {service}"


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
    return f"ss -l{'u' if isinstance(port, UdpPort) else 't'}np 'sport = :{int(port)}'"


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


def relabel(path: str) -> str:
    """Return the command that gives a file the label that SELinux's policy has for it."""
    return f"restorecon -v {shlex.quote(path)}"


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


# --- balancers ----------------------------------------------------------------------------------------------------

BALANCER_SOCKET = "start HAProxy, or name what its configuration has as `stats socket`, then run the same command again"
BALANCER_LEVEL = "give the `stats socket` of HAProxy `level admin`, then run the same command again"
SERVER_NAMES = "correct the option `servers` or `addresses`"
OTHER_SERVERS = "bring other servers up, or set the option `others_up` lower"
FORCE_DRAIN = "set the option `timeout` higher, or `policy: force`, which ends the sessions that are left"
BALANCER_CHECK = "have the server answer what the check of HAProxy asks: it gets requests as soon as it does"
REPLACE_CONFIG = "move what it has into `edge_extra`, and set `edge_replace=true`, by which the file is replaced"
CONFIG_OF_BALANCER = (
    "correct what HAProxy names, such as a certificate that is not there, then run the same command again"
)
BALANCER_LOG = (
    "read in the log of HAProxy why it did not load it, such as a port that is taken, then run the same command again"
)
FORCE_REMOVAL = "set `edge_drain_timeout` higher, or `edge_drain_policy=force`, which ends the sessions that are left"
