# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make recordings``: runs commands for real, each on a terminal, and draws what they print into docs/images.

``recordings.py DIRECTORY`` does so in a copy of the checkout, so that nothing of a demo that runs here is touched; the
ports of the demo must be free. The directory of the copy and the name of this machine are replaced by those of the
pages. Times, pids and runs are those of the recording.
"""

from __future__ import annotations

import fcntl
import io
import os
import platform
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import typing as t
from pathlib import Path
from xml.sax.saxutils import escape

import yaml
from rich.console import Console
from rich.text import Text

from tests.support.repository import ROOT, tracked

COLUMNS, ROWS = 116, 56
# Of a make that calls this, and what takes the colours away.
NOT_GIVEN = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "NO_COLOR", "ANSIBLE_NOCOLOR"}
# What the pages call the checkout and the machine.
CHECKOUT, MACHINE = "/home/ada/rollcall", "ada"
MANIFEST = "inventories/demo/group_vars/all.yml"
# Rich's own form without its fonts, which a browser would fetch from elsewhere, and without a window's frame.
FORM = """\
<svg viewBox="0 0 WIDTH HEIGHT" xmlns="http://www.w3.org/2000/svg">
<title>TITLE</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
 font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>
{lines}
</defs>
<rect fill="#1f2430" width="WIDTH" height="HEIGHT" rx="8"/>
<g transform="translate(MARGIN, MARGIN)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
# In the units of the picture: a character of rich's, and the room around all of them.
WIDE, HIGH, MARGIN = 12.2, 24.4, 14


class Printed(t.NamedTuple):
    """What a command has printed on its terminal, and its exit code."""

    text: str
    code: int


def on_a_terminal(command: t.Sequence[str], directory: Path, **environment: str) -> Printed:
    """Run a command on a terminal of ``COLUMNS`` and ``ROWS``, without input, and return what it printed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    known = {name: value for name, value in os.environ.items() if name not in NOT_GIVEN}
    with subprocess.Popen(
        command,
        cwd=directory,
        env={**known, "TERM": "xterm-256color", **environment},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as running:
        os.close(theirs)
        printed = b""
        # Linux says that the other end is closed by an error.
        while part := _read(ours):
            printed += part
        os.close(ours)
        return Printed(printed.decode().replace("\r\n", "\n"), running.wait())


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""


def draw(command: str, printed: str) -> str:
    """Return a picture of a terminal with a command and the last lines of what it has printed, folded at its edge."""
    prompt = Text.assemble(("$ ", "bold green"), (command, "bold"))
    lines = [prompt, *Text.from_ansi(printed.rstrip("\n")).split("\n", allow_blank=True)]
    for line in lines:
        # Ansible fills its lines with spaces, beyond the edge.
        line.rstrip()
    console = Console(width=COLUMNS, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    folded = [
        part for line in lines for part in (line.divide(range(COLUMNS, len(line), COLUMNS)) if len(line) else [line])
    ]
    if len(folded) > ROWS:
        folded = [folded[0], Text("...", "dim"), *folded[2 - ROWS :]]
    for line in folded:
        console.print(line, no_wrap=True, crop=False, highlight=False)
    sizes = {
        "TITLE": escape(command).replace("{", "{{").replace("}", "}}"),
        "WIDTH": f"{COLUMNS * WIDE + 2 * MARGIN:.0f}",
        "HEIGHT": f"{len(folded) * HIGH + 2 * MARGIN:.0f}",
        "MARGIN": str(MARGIN),
    }
    form = re.sub("|".join(sizes), lambda word: sizes[word[0]], FORM)
    return console.export_svg(code_format=form, unique_id="rollcall")


class Recorder:
    """Records commands in a copy of the checkout, into pictures in a directory."""

    def __init__(self, copy: Path, pictures: Path) -> None:
        self.copy = copy
        self._pictures = pictures

    def record(self, name: str, shown: str, code: int, **environment: str) -> None:
        """Run a command as it is shown, and draw it with what it printed.

        Args:
            name: of the picture.
            shown: the command.
            code: the exit code that it is to end with.
            environment: what the command gets beside the own environment.

        Raises:
            SystemExit: it has ended otherwise; its words are in the message.
        """
        done = on_a_terminal(["/bin/sh", "-c", shown], self.copy, **environment)
        if done.code != code:
            sys.exit(f"{shown} ended with {done.code}, and {code} was expected:\n{done.text}")
        text = done.text.replace(str(self.copy), CHECKOUT)
        text = re.sub(rf"\bon {re.escape(platform.node())}\b", f"on {MACHINE}", text)
        picture = draw(shown, text)
        (self._pictures / f"{name}.svg").write_text(picture, encoding="utf-8")
        print(f"{name}.svg: {shown}", flush=True)

    def run(self, *command: str, **environment: str) -> None:
        """Run a command that is not shown; it must succeed."""
        done = on_a_terminal(command, self.copy, **environment)
        if done.code:
            sys.exit(f"{' '.join(command)} ended with {done.code}:\n{done.text}")

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that is once in a file of the copy."""
        path = self.copy / name
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            sys.exit(f"{name} has {old!r} {text.count(old)} times")
        path.write_text(text.replace(old, new), encoding="utf-8")


def record_demo(recorder: Recorder) -> None:
    """Record the first run of the demo, how it is, and a change that fails."""
    # The environment of the controller is made before: how long that takes is no matter of ours.
    recorder.run("tests/tools/setup.sh", "run")
    try:
        recorder.record("first-run", "make demo", 0)
        recorder.record("status", ".demo/bin/rollcall status", 0)
        words = "description: Sends the orders.\n"
        recorder.edit(MANIFEST, words, f'{words}      env: {{CRASH_AFTER: "0.3"}}\n')
        recorder.record("failure", "make demo", 2)
    finally:
        recorder.run("make", "demo-down")


def fleet(copy: Path, version: str) -> dict[str, t.Any]:
    """Return an inventory of four hosts, each a stack of its own on this machine, with a version of their service."""
    python = "{{ ansible_playbook_python }}"
    hosts = {
        f"web{number}": {
            "rollcall_stack": {
                "name": "shop",
                "root": f"{copy}/.fleet/web{number}",
                "services": {
                    "web": {
                        "command": [python, f"{copy}/examples/demo/service.py", "web"],
                        "port": 8040 + number,
                        "health": {"http": "/health"},
                        "env": {"VERSION": version},
                    }
                },
                "checks": {"database": {"sqlite": "data/shop.db"}},
            }
        }
        for number in range(1, 5)
    }
    for host in hosts.values():
        root = host["rollcall_stack"]["root"]
        host["rollcall_stack"]["services"]["web"]["env"]["DATABASE"] = f"{root}/data/shop.db"  # type: ignore[index]
    known = {
        "ansible_connection": "local",
        "ansible_python_interpreter": python,
        "bootstrap_python": python,
        "bootstrap_on_path": False,
        "services_boot": "none",
    }
    return {"all": {"hosts": hosts, "vars": known}}


def record_rollout(recorder: Recorder) -> None:
    """Record a rollout over four hosts."""
    inventory = recorder.copy / "fleet.yml"
    environment = {"ANSIBLE_INVENTORY": str(inventory)}
    inventory.write_text(yaml.safe_dump(fleet(recorder.copy, "1")), encoding="utf-8")
    play = ".venv/bin/ansible-playbook"
    try:
        recorder.run(play, "site.yml", **environment)
        inventory.write_text(yaml.safe_dump(fleet(recorder.copy, "2")), encoding="utf-8")
        recorder.record("rollout", "./rollout -e rollout_batches='[1, 3]'", 0, **environment)
    finally:
        recorder.run(play, "playbooks/remove.yml", "-e", "confirm=shop", **environment)


def main(pictures: Path) -> None:
    """Make all pictures."""
    pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rollcall-") as scratch:
        copy = Path(scratch).resolve() / "rollcall"
        for path in tracked():
            target = copy / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        recorder = Recorder(copy, pictures)
        record_demo(recorder)
        record_rollout(recorder)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
