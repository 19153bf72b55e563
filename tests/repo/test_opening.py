# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine opens files in one place, base/opening.py, which nobody can keep waiting or lead elsewhere."""

from __future__ import annotations

import ast
import typing as t

from tests.support.repository import ENGINE

OPENS = {
    *(("os", name) for name in ("open", "openpty")),
    *((module, "open") for module in ("io", "codecs", "gzip", "bz2", "lzma", "tarfile", "shelve", "dbm")),
    *(("shutil", name) for name in ("copy", "copy2", "copyfile", "copytree")),
    ("zipfile", "ZipFile"),
    ("gzip", "GzipFile"),
    ("sqlite3", "connect"),
}
METHODS = {"read_text", "read_bytes", "write_text", "write_bytes"}
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
    "host/listeners.py::_read_proc_net": "the kernel's",
    "host/proc.py::_body": "the kernel's, below a process that is open",
    "host/proc.py::read": "the kernel's",
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
    "run/dispatch.py::_fork": "to write, in the state directory, under a name with a random part",
    "ports/leases.py::locked": "to lock, in the directory of all stacks, which is root's",
    "doctor/repairs.py::_close_to_others": "for its mode alone, and no link",
    "run/hand_over.py::_give": "for its owner alone, no link and no second name",
    "manifest/edit.py::_opened": "to write what was named; a regular file, and never blocks",
    "releases/members.py::_begins": "an archive that was fetched into a directory of ours",
    "releases/members.py::_zip_members": "an archive that was fetched into a directory of ours",
    "releases/members.py::_tar_members": "an archive that was fetched into a directory of ours",
    "releases/members.py::_XzStream.__init__": "an archive that was fetched into a directory of ours",
    "releases/members.py::_decompressed": "an archive that was fetched into a directory of ours",
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
