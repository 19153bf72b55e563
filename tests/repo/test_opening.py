# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine opens files in one place, base/opening.py, which nobody can keep waiting or lead elsewhere."""

from __future__ import annotations

import ast
import typing as t

import pytest

from tests.support.repository import ENGINE, ROOT

OPENS = {
    *(("os", name) for name in ("open", "openpty")),
    *((module, "open") for module in ("io", "codecs", "gzip", "bz2", "lzma", "tarfile", "shelve", "dbm", "builtins")),
    *(("shutil", name) for name in ("copy", "copy2", "copyfile", "copytree", "copymode", "copystat", "chown", "move")),
    *(("shutil", name) for name in ("unpack_archive", "make_archive", "rmtree")),
    *(("io", name) for name in ("FileIO", "open_code")),
    ("zipfile", "ZipFile"),
    ("sqlite3", "connect"),
    ("os", "truncate"),
}
METHODS = {"read_text", "read_bytes", "write_text", "write_bytes", "atomic_move", "load_verify_locations"}
# What opens files by a path and is of no use to the engine besides; and what hides what is called.
NEVER = {
    *("pathlib", "linecache", "fileinput", "tokenize", "runpy", "shelve", "dbm", "imp", "zipimport", "mmap"),
    *("multiprocessing", "pty", "logging", "mailbox", "netrc", "pickle", "marshal"),
}
# Of these no name is imported by itself: `from os import open` would be a call of `open`, or of any other name.
WHOLE = {
    "os",
    "io",
    "shutil",
    "subprocess",
    "tarfile",
    "zipfile",
    "gzip",
    "bz2",
    "lzma",
    "codecs",
    "sqlite3",
    "builtins",
}
# The kernel's own files, which no user can replace.
KERNEL = ("/proc/", "/sys/", "/dev/fd", "/dev/null")
PLACE = "base/opening.py"
# Where else, by file and function, and why.
ALLOWED: t.Mapping[str, str] = {
    "base/files.py::_replace_at": "the writer: a new file by its name in a directory that is open",
    "base/removing.py::_open": "the remover: by its name in a directory that is open",
    "base/installation.py::_first_damage": "runs by itself, as the user of the services",
    "base/installation.py::_packages": "runs by itself, as the user of the services",
    "base/installation.py::damaged_files": "runs by itself, as the user of the services",
    "launcher.py::read_variables": "runs by itself, as the user of the services",
    "supervisord/config_reader.py::read_version": "a file of supervisor's own package",
    "supervisord/life.py::_open_log": "to append, as the user of the services, and no link",
    "probes/sqlite.py::look_into": "as the user of the services; SQLite opens what it needs by itself",
    "doctor/labels.py::_enforces": "the kernel's",
    "host/listeners.py::_read_proc_net": "the kernel's",
    "host/proc.py::_body": "the kernel's, below a process that is open",
    "host/proc.py::read": "the kernel's",
    "host/other_hands.py::_listed": "a directory, to see what is in it; nothing of that is opened",
    "host/terminal.py::has_terminal": "the terminal of this process",
    "host/terminal.py::on_own_terminal": "a new terminal",
    "run/preflight.py::_numbers": "the kernel's",
    "state/directories.py::make_directory": "a directory by its name in an open one, and no link",
    "state/lock.py::_write_note": "to write, in the state directory, and no link; never blocks",
    "state/deliveries.py::Deliveries.put_back": "a file that was kept in the state directory, under a name of ours",
    "state/deliveries.py::Deliveries._keep": "a directory in the state directory, to write by names in it",
    "state/deliveries.py::Deliveries._list": "a directory in the state directory, to write by names in it",
    "state/deliveries.py::Deliveries._opened": "the root of the stack, where it goes on by descriptors",
    "state/deliveries.py::Deliveries._step": "a directory by its name in an open one, and no link",
    "state/deliveries.py::_look_at": "a file by its name in a directory that is open, and no link",
    "state/runs.py::Journal.__init__": "to append, in the state directory, under a name with a random part",
    "state/watching.py::_lock_file": "to lock, in the state directory, and no link; never blocks",
    "state/log_positions.py::keep_positions": "to write, in the state directory, under a name with a random part",
    "state/waiting.py::_Teller._write": "to write, in the state directory, under a name with a random part",
    "run/job.py::_Job._log": "to append, as the user of the services, and no link",
    "run/dispatch.py::_fork": "to write, in the state directory, under a name with a random part",
    "ports/leases.py::locked": "to lock, in the directory of all stacks, which is root's",
    "doctor/repairs.py::_close_to_others": "for its mode alone, and no link",
    "run/hand_over.py::_give": "for its owner alone, no link and no second name",
    "manifest/edit.py::_opened": "to write what was named; a regular file, and never blocks",
    "releases/members.py::_zip_members": "by a descriptor that the opener has opened",
    "releases/members.py::_tar_members": "by a file that is open",
    "releases/archives.py::_content": "a file that was unpacked a moment ago, as the user of the services",
    "releases/archives.py::file_digest": "an archive of ours, or on the controller what is to be packed",
    "releases/archives.py::pack": "on the controller",
    "releases/archives.py::unpack": "a new file, as the user of the services, and no link",
    "releases/shared.py::_make_shared": "as the user of the services",
}


def opens(call: ast.Call) -> bool:
    """Return whether a call opens a file by a path."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id == "open"
    if not isinstance(function, ast.Attribute):
        return False
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    return (owner, function.attr) in OPENS or (function.attr in METHODS and owner != "files")


def is_kernels(call: ast.Call) -> bool:
    """Return whether what is opened is a file of the kernel's by what is written there."""
    first = call.args[0] if call.args else None
    if isinstance(first, ast.JoinedStr):
        first = first.values[0]
    if isinstance(first, ast.Attribute):
        return ast.unparse(first) == "os.devnull"
    return isinstance(first, ast.Constant) and str(first.value).startswith(KERNEL)


def found_in(text: str) -> t.Set[str]:
    """Return the functions of a module that open a file by a path; empty text for the module itself."""
    found = set()

    def look(node: ast.AST, inside: str) -> None:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            inside = f"{inside}.{node.name}".lstrip(".")
        if isinstance(node, ast.Call) and opens(node) and not is_kernels(node):
            found.add(inside)
        for child in ast.iter_child_nodes(node):
            look(child, inside)

    look(ast.parse(text), "")
    return found


def test_nothing_else_in_the_engine_opens_a_file() -> None:
    found = set()
    for path in sorted(ENGINE.rglob("*.py")):
        name = str(path.relative_to(ENGINE))
        if name != PLACE:
            found |= {f"{name}::{where}" for where in found_in(path.read_text(encoding="utf-8"))}
    assert found == set(ALLOWED)


def imports_in(text: str) -> t.Set[str]:
    """Return the imports of a module by which a file could be opened unseen."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names if one.name.split(".")[0] in NEVER}
            found |= {f"{one.name} as {one.asname}" for one in node.names if one.asname and one.name in WHOLE}
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] in NEVER | WHOLE:
            found.add(f"from {node.module}")
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "getattr",
            "__import__",
            "importlib.import_module",
        ):
            first = ast.unparse(node.args[0]) if node.args else ""
            # A flag or a function that some system has not is asked for by its name, which is written there.
            named = len(node.args) > 1 and isinstance(node.args[1], ast.Constant)
            if first.strip("'") in WHOLE and not (named and node.args[1].value not in ("open", "fdopen")):  # type: ignore[attr-defined]
                found.add(ast.unparse(node))
    return found


def test_no_import_hides_what_opens_a_file() -> None:
    found = {
        f"{path.relative_to(ENGINE)}: {one}"
        for path in sorted(ENGINE.rglob("*.py"))
        for one in imports_in(path.read_text(encoding="utf-8"))
    }
    assert found == set()


@pytest.mark.parametrize(
    "text",
    [
        "import pathlib",
        "from pathlib import Path",
        "from os import open as look",
        "import os as system",
        "getattr(os, 'open')(path)",
        "getattr(os, name)(path)",
        "import linecache",
        "__import__('os').open(path, 0)",
        "from shutil import copyfile",
        "from subprocess import run",
    ],
)
def test_an_import_that_hides_is_found(text: str) -> None:
    assert imports_in(text)


# Who gives files away, names them anew or makes them, by a path: in a directory that others can write to it would be
# another file. By file and function, and why there.
CHANGES = {
    *("chown", "lchown", "chmod", "lchmod", "utime", "setxattr", "removexattr", "mknod", "mkfifo", "mkdir", "makedirs"),
    *("rename", "renames", "replace", "link", "symlink", "unlink", "remove", "rmdir", "removedirs"),
}
STATE = "in the state directory, which is root's with all above it"
OURS = "below the root, in a directory that is root's with all above it"
CHANGED: t.Mapping[str, str] = {
    "state/jobs.py::make_directory": STATE,
    "run/job.py::rotate": "as the user of the services, whose directory it is",
    "base/removing.py::_open": "the mode of what is open, by its descriptor",
    "doctor/doctor.py::_first_directory": STATE,
    "ports/leases.py::locked": "the directory of all stacks, which is root's",
    "ports/leases.py::register": "in the directory of all stacks, which is root's",
    "ports/leases.py::save": STATE,
    "balancer/record.py::write_drained": "the directory of our own records, below one that is root's",
    "releases/archives.py::_make_directories": "as the user of the services",
    "releases/archives.py::unpack": "as the user of the services",
    "releases/lifecycle.py::_make": "as the user of the services; the rename is between directories of ours",
    "releases/shared.py::_make_shared": OURS,
    "releases/shared.py::share": "as the user of the services",
    "releases/store.py::discard": OURS,
    "releases/store.py::ensure_own_directory": OURS,
    "releases/store.py::locked_releases": STATE,
    "releases/store.py::workshop": OURS,
    "releases/venvs.py::_build": OURS,
    "releases/venvs.py::link_venv": "as the user of the services",
    "run/dispatch.py::_begin": STATE,
    "run/restart.py::perform": STATE,
    "state/before.py::make_engine_directory": "the root; bootstrap has seen that it and all above is root's",
    "state/deliveries.py::Deliveries._keep": STATE,
    "state/deliveries.py::Deliveries._list": STATE,
    "state/generations.py::_link": OURS,
    "state/generations.py::write_generation": OURS,
    "state/runs.py::Journal.__init__": STATE,
}


def changed_in(text: str) -> t.Set[str]:
    """Return the functions of a module that change a file by its path, and not by an open directory."""
    found = set()

    def look(node: ast.AST, inside: str) -> None:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            inside = f"{inside}.{node.name}".lstrip(".")
        function = node.func if isinstance(node, ast.Call) else None
        if isinstance(function, ast.Attribute) and ast.unparse(function.value) == "os" and function.attr in CHANGES:
            by_descriptor = {"dir_fd", "src_dir_fd"} & {one.arg for one in node.keywords}  # type: ignore[attr-defined]
            if not by_descriptor:
                found.add(inside)
        for child in ast.iter_child_nodes(node):
            look(child, inside)

    look(ast.parse(text), "")
    return found


def test_nothing_else_in_the_engine_changes_a_file_by_its_path() -> None:
    found = set()
    for path in sorted(ENGINE.rglob("*.py")):
        name = path.relative_to(ENGINE)
        found |= {f"{name}::{where}" for where in changed_in(path.read_text(encoding="utf-8"))}
    assert found == set(CHANGED)


# Who runs a program: it opens what it likes, with the rights that it is given.
RUNS = {"run", "Popen", "call", "check_call", "check_output", "getoutput", "getstatusoutput"}
PROGRAMS: t.Mapping[str, str] = {
    "balancer/edge.py::_ended": "HAProxy itself, what reloads it, and dpkg-query, all of the system",
    "cli/watch.py::_watch": "the stack's own command, as which it was started",
    "cli/foreground.py::Foreground._go_on": "the stack's own command, as which it was started",
    "doctor/labels.py::_differs": "restorecon, of the system, which is told to change nothing",
    "doctor/own_paths.py::damage": "the engine's own Python, which takes the rights of the user of the services",
    "launcher.py::_become": "the command of a service, as its user",
    "host/becoming.py::become": "the launcher, as the user of the services, for a command that a person has called",
    "host/commands.py::_keep": "commands of the application, as its user",
    "host/kept.py::run_kept": "the program of a health check, as the user of the services",
    "host/homes.py::socket_unit": "systemctl, of the system",
    "probes/as_user.py::run_as": "Python, as the user of the services",
    "probes/unix_sockets.py::_connected_by": "Python, as the user of the services",
    "run/boot.py::_asked": "systemctl and busctl, of the system",
    "state/undo.py::_executed": "what a role has written into the state directory; of others it is not run",
    "watch/by_apprise.py::send": "Apprise, in an environment that is root's, as the user of the services",
    "supervisord/life.py::_spawn": "supervisord, by the launcher, as the user of the services",
    "supervisord/parse_back.py::_ask": "the engine's own Python",
}


def programs_in(text: str) -> t.Set[str]:
    """Return the functions of a module that run a program."""
    found = set()

    def look(node: ast.AST, inside: str) -> None:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            inside = f"{inside}.{node.name}".lstrip(".")
        function = node.func if isinstance(node, ast.Call) else None
        if isinstance(function, ast.Attribute):
            owner, name = ast.unparse(function.value), function.attr
            of_os = owner == "os" and name.startswith(("system", "popen", "exec", "spawn", "posix_spawn"))
            if of_os or (owner == "subprocess" and name in RUNS) or name == "run_command":
                found.add(inside)
        for child in ast.iter_child_nodes(node):
            look(child, inside)

    look(ast.parse(text), "")
    return found


def test_nothing_else_in_the_engine_runs_a_program() -> None:
    found = set()
    for path in sorted(ENGINE.rglob("*.py")):
        name = path.relative_to(ENGINE)
        found |= {f"{name}::{where}" for where in programs_in(path.read_text(encoding="utf-8"))}
    assert found == set(PROGRAMS)


@pytest.mark.parametrize(
    "text", ["subprocess.run(['cat', path])", "os.system(x)", "os.execve(a, b, c)", "subprocess.Popen(x)"]
)
def test_a_program_that_would_open_it_is_found(text: str) -> None:
    assert programs_in(f"def look():\n    {text}\n") == {"look"}


@pytest.mark.parametrize("text", ["os.chown(path, 1, 1)", "os.replace(a, b)", "os.symlink(a, b)", "os.mkdir(a)"])
def test_a_change_by_a_path_is_found_and_one_by_a_directory_is_none(text: str) -> None:
    assert changed_in(f"def look():\n    {text}\n") == {"look"}
    assert changed_in(f"def look():\n    {text[:-1]}, dir_fd=place)\n") == set()


# Modules run as root on a host as well; these write the engine, which is root's with all above it.
IN_ENGINE = {
    *(f"engine.py::{name}" for name in ("read", "read_archive", "write")),
    *(f"engine_packages.py::Environment.{name}" for name in ("_fill", "_run", "install", "is_listed")),
    "engine_packages.py::unpack_wheels",
}


def test_modules_open_change_and_run_nothing_but_the_engine() -> None:
    found = set()
    for path in sorted((ROOT / "plugins" / "modules").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        for look in (found_in, changed_in, programs_in, imports_in):
            found |= {f"{path.name}::{where}" for where in look(text)}
    assert found == IN_ENGINE


def test_a_way_around_is_found_and_a_file_of_the_kernels_is_none() -> None:
    around = ["open(path)", "os.open(name, flags, dir_fd=place)", "tarfile.open(path)", "Path(path).read_text()"]
    around += [
        "sqlite3.connect(path)",
        "shutil.copyfile(one, other)",
        "os.open(f'{root}/state', 0)",
        "x.write_bytes(b'')",
    ]
    for text in around:
        assert found_in(f"def look():\n    {text}\n") == {"look"}, text
    for text in (
        "open('/proc/locks')",
        "os.open(f'/proc/{pid}', 0)",
        "os.open(os.devnull, 0)",
        "os.fdopen(descriptor)",
    ):
        assert found_in(f"def look():\n    {text}\n") == set(), text
