# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page costs: ``python -m tests.benchmark report [COUNT...]``, 1, 10 and 100 hosts by default.

For each number of hosts it prints a line for a fleet that is well and for one in trouble: CPU seconds and bytes of the
page from what the hosts have told, and CPU seconds of a playbook that writes it once all hosts have answered.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.rollcall.supervisor.plugins.module_utils.page.document import page
from tests.benchmark.arena import ROOT, THIS
from tests.benchmark.table import table
from tests.support import pages

COUNTS = (1, 10, 100)
ROUNDS = 5
# Seconds for the page of a hundred hosts, made from their reports, and its bytes.
TARGET, LARGEST = 2.0, 1 << 20
AT = 100
HEAD = ("hosts", "fleet", "page, CPU", "page, bytes", "playbook without asking, CPU")


def built(data: Any) -> tuple[float, int]:
    """Return the CPU seconds that the page takes, the middle of some rounds, and its bytes."""
    took = []
    for _round in range(ROUNDS):
        began = time.process_time()
        text = page(data)
        took.append(time.process_time() - began)
    return statistics.median(took), len(text.encode("utf-8"))


def played(data: Any, directory: Path) -> float:
    """Return the CPU seconds of a playbook that does what report.yml does once all hosts have answered."""
    answers = {
        one["name"]: {"reached": one["reached"], "why": one["why"], "by": one["by"], "host": one["told"]}
        for one in data["hosts"]
    }
    hosts = {name: {"report_asked": answer} for name, answer in answers.items()}
    inventory = directory / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    (play,) = yaml.safe_load((ROOT / "playbooks" / "report.yml").read_text(encoding="utf-8"))
    playbook = directory / "report.yml"
    tasks = [task for task in play["tasks"] if "block" not in task]
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    command = [str(THIS.bin / "ansible-playbook"), "-i", str(inventory), str(playbook)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    options = ["-e", f"report={directory}/page.html"]
    subprocess.run([*command, *options], cwd=ROOT, env=os.environ, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(arguments: Sequence[str]) -> int:
    """Print the table; return 1 when the page of a hundred hosts misses its target."""
    rows, missed = [], False
    for count in map(int, arguments or COUNTS):
        for broken in (False, True):
            data = pages.fleet(count, broken=broken)
            seconds, size = built(data)
            with tempfile.TemporaryDirectory() as directory:
                whole = played(data, Path(directory))
            what = "in trouble" if broken else "well"
            rows.append((str(count), what, f"{seconds:.2f} s", f"{size:,}", f"{whole:.1f} s"))
            missed = missed or (count == AT and (seconds > TARGET or size > LARGEST))
    print(table(HEAD, rows))
    if missed:
        print(f"more than {TARGET:g} s or {LARGEST:,} bytes for {AT} hosts", file=sys.stderr)
    return 1 if missed else 0
