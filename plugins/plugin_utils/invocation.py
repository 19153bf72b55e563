# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""How this very ansible-playbook was called, so that a cure names a command that whoever called it can call."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import typing as t

from ansible import constants, context
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.splitter import parse_kv

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.cures import INSTALL

COLLECTION = "rollcall.supervisor."
SITE = "site"
PROGRAM = "ansible-playbook"
# Names by which a machine calls itself.
LOCAL = ("localhost", "127.0.0.1", "::1")
# Variables that say which hosts and which manifest are meant: every command is about these. None may be secret.
MEANT = ("rollcall_hosts", "rollcall_manifest_file")
# Variables that say how a playbook goes about it this time: the same command has them again. None may be secret.
THIS_TIME: t.Mapping[str, t.Sequence[str]] = {
    "rollout": (
        "rollout_batches",
        "soak",
        "failure_budget",
        "rollout_on_failure",
        "min_up",
        "min_up_timeout",
        "host_timeout",
        "progress_timeout",
        "unreachable",
        "unhealthy_before",
        "takeover",
        "restart",
        "port_flush_policy",
        "rollout_drain",
        "rollout_drain_timeout",
        "rollout_patience",
    ),
}
# What a value may consist of that stands beside its name as it is: Ansible splits a text at its spaces and quotes.
# Stands for a value that is not told. A shell takes it for files to read from, which are not there, and runs nothing.
AS_BEFORE = "<as-before>"
# Options of ansible-playbook that are a word, that have a value, and that may be given several times: the name of each,
# it, and the setting that gives its default.
_FLAGS = (
    ("become", "--become", "DEFAULT_BECOME"),
    ("become_ask_pass", "--ask-become-pass", "DEFAULT_BECOME_ASK_PASS"),
    ("ask_pass", "--ask-pass", "DEFAULT_ASK_PASS"),
    ("ask_vault_pass", "--ask-vault-pass", "DEFAULT_ASK_VAULT_PASS"),
)
_VALUES = (
    ("remote_user", "--user", "DEFAULT_REMOTE_USER"),
    ("private_key_file", "--private-key", "DEFAULT_PRIVATE_KEY_FILE"),
    ("connection", "--connection", "DEFAULT_TRANSPORT"),
    ("timeout", "--timeout", "DEFAULT_TIMEOUT"),
    ("become_method", "--become-method", "DEFAULT_BECOME_METHOD"),
    ("become_user", "--become-user", "DEFAULT_BECOME_USER"),
    ("become_password_file", "--become-password-file", "BECOME_PASSWORD_FILE"),
    ("connection_password_file", "--connection-password-file", "CONNECTION_PASSWORD_FILE"),
    ("ssh_common_args", "--ssh-common-args", ""),
    ("ssh_extra_args", "--ssh-extra-args", ""),
)
_LISTS = (("vault_ids", "--vault-id"), ("vault_password_files", "--vault-password-file"))
PLAIN = re.compile(r"[A-Za-z0-9_@%+:,./-]+")
# Where Ansible puts the words that have no name.
RAW = "_raw_params"


def apply_command(*, applies: bool = False, limit: str = "", again: bool = False) -> str:
    """Return the command with which a manifest is applied.

    Args:
        applies: whether the playbook that runs does that itself.
        limit: the hosts that are meant.
        again: whether it is to go about it as this time.
    """
    return playbook_command("" if applies else SITE, limit=limit, again=again)


def same_command() -> str:
    """Return the command that runs, with all that was said of how it is to go about it.

    What may be secret has a stand-in for its value, and no shell runs the command with that: without it the command
    would do another thing, such as bring another version.
    """
    known = playbook_command("", limit=str(context.CLIARGS.get("subset") or ""), again=True)
    given = [str(text) for text in context.CLIARGS.get("extra_vars") or ()]
    unsaid = _unsaid(given, (*MEANT, *THIS_TIME.get(_stem(_running()), ())))
    return " ".join([known, *(f"-e {shlex.quote(name)}={AS_BEFORE}" if name else f"-e {AS_BEFORE}" for name in unsaid)])


def playbook_command(name: str, *, limit: str = "", again: bool = False) -> str:
    """Return the command for one of the collection's playbooks, called as the one that runs was called.

    Args:
        name: of the playbook; empty for the one that runs.
        limit: the hosts that are meant.
        again: whether it is to go about it as this time.
    """
    arguments: t.Mapping[str, t.Any] = context.CLIARGS
    running = _running()
    if not running:
        return INSTALL
    words = [_program()]
    for source in arguments.get("inventory") or ():
        if source not in _default_inventory():
            words += ["-i", _near(str(source))]
    words.append(_sibling(running, name) if name else running)
    if limit:
        words += ["--limit", limit]
    words += _reached() if again else []
    told = (*MEANT, *(THIS_TIME.get(name or _stem(running), ()) if again else ()))
    for text in _given([str(given) for given in arguments.get("extra_vars") or ()], told):
        words += ["-e", text]
    return shlex.join(words)


def _running() -> str:
    """Return the playbook that runs, as it was called; empty where none does."""
    playbooks = context.CLIARGS.get("args") or ()
    return str(playbooks[0]) if playbooks else ""


def _reached() -> t.List[str]:
    """Return the options that say how hosts are reached and what is encrypted read, where they were given."""
    arguments: t.Mapping[str, t.Any] = context.CLIARGS
    words = [option for name, option, usual in _FLAGS if arguments.get(name) and not getattr(constants, usual, False)]
    for name, option, usual in _VALUES:
        value = arguments.get(name)
        if value and value != getattr(constants, usual, None):
            words += _option(option, _near(str(value)))
    for name, option in _LISTS:
        for value in arguments.get(name) or ():
            words += _option(option, _near(str(value)))
    return words


def _option(option: str, value: str) -> t.List[str]:
    """Return an option with its value; as one word where the value would be taken for another option."""
    return [f"{option}={value}"] if value.startswith("-") else [option, value]


def _stem(running: str) -> str:
    """Return the name of the playbook that runs, as the collection has it."""
    if running.startswith(COLLECTION):
        return running[len(COLLECTION) :]
    return os.path.splitext(os.path.basename(running))[0]


def _given(given: t.Sequence[str], told: t.Container[str]) -> t.List[str]:
    """Return what was given by ``-e`` as it can be given again: files, and variables that may be told, each once.

    Of what stands on the command line itself only these are told: anything else may be secret.
    """
    words: t.List[str] = []
    known: t.Set[str] = set()
    # Of one that is given twice the last counts.
    for text in reversed(given):
        if text.startswith("@"):
            words.insert(0, text)
            continue
        values = {name: value for name, value in _values(text).items() if name in told and name not in known}
        words[:0] = [_assigned(name, value) for name, value in values.items()]
        known.update(values)
    return words


def _unsaid(given: t.Sequence[str], told: t.Container[str]) -> t.List[str]:
    """Return the variables given by ``-e`` whose values are not told, each once; an empty name for what is not read."""
    names: t.Dict[str, None] = {}
    for text in given:
        if text.strip() and not text.startswith("@"):
            known = _values(text)
            names.update((name, None) for name in _names(text) or ("",) if name not in told or name not in known)
    return list(names)


def _names(text: str) -> t.List[str]:
    """Return the names of the variables of one ``-e``, those whose values cannot be told apart included."""
    if text.startswith(("{", "[")):
        return list(_values(text))
    try:
        return [name for name in parse_kv(text) if name != RAW]
    except AnsibleError:
        return []


def _values(text: str) -> t.Dict[str, t.Any]:
    """Return the variables of one ``-e``; none where it cannot be read, for Ansible has refused it then."""
    try:
        if text.startswith(("{", "[")):
            read = DataLoader().load(text)
            return dict(read) if isinstance(read, dict) else {}
        values = dict(parse_kv(text))
    except AnsibleError:
        return {}
    rest = str(values.pop(RAW, ""))
    if not rest:
        return values
    # A list with spaces in it, as the batches of a rollout are: its words without a name belong to it.
    return {name: joined for name, value in values.items() for joined in [_joined(str(value), rest)] if joined}


def _joined(value: str, rest: str) -> str:
    """Return a value with the words that were split off it; empty where it is not known whether they are of it."""
    if PLAIN.fullmatch(value):
        return value
    try:
        json.loads(f"{value} {rest}")
    except ValueError:
        return ""
    return f"{value} {rest}"


def _assigned(name: str, value: t.Any) -> str:
    """Return a variable with its value as ``-e`` takes it."""
    if isinstance(value, str) and PLAIN.fullmatch(value):
        return f"{name}={value}"
    return json.dumps({name: value}, default=str)


def _program() -> str:
    """Return how this ansible-playbook is called: by its name, or by its path where the name leads elsewhere."""
    path, found = sys.argv[0], shutil.which(PROGRAM)
    if os.path.basename(path) != PROGRAM or (found and os.path.realpath(found) == os.path.realpath(path)):
        return PROGRAM
    return _near(os.path.abspath(path))


def is_local(host: t.Any) -> bool:
    """Return whether a host of the inventory is this machine, so that its commands are run right here."""
    known: t.Mapping[str, t.Any] = host.get_vars()
    connection = known.get("ansible_connection") or context.CLIARGS.get("connection")
    return connection == "local" or host.get_name() in LOCAL


def _default_inventory() -> t.Sequence[str]:
    known = constants.DEFAULT_HOST_LIST
    return [str(source) for source in (known if isinstance(known, (list, tuple)) else [known])]


def _near(source: str) -> str:
    """Return a path as it was most likely written: from here when it is below."""
    if "," in source or not os.path.isabs(source):
        return source
    path = os.path.relpath(source)
    return source if path.startswith("..") else path


def _sibling(running: str, name: str) -> str:
    """Return how a playbook of the collection is called by whoever has called ``running``."""
    if running.startswith(COLLECTION):
        return f"{COLLECTION}{name}"
    beside = os.path.join(os.path.dirname(running), f"{name}.yml")
    here = [path for path in (beside, f"{name}.yml") if os.path.exists(path)]
    return here[0] if here else f"{COLLECTION}{name}"
