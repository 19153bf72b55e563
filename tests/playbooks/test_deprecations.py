# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deprecation warning of ours fails the test that has it; one of others does not."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from tests.support import deprecations
from tests.support.playbooks import PLAYBOOK
from tests.support.repository import ROOT

CALL = """\
from ansible.utils.display import Display

def deprecates(value):
    Display().deprecated("old", version="9.9"{options})
    return value
"""
FILTER = """\
exec(compile({call!r}, {path!r}, "exec"))

class FilterModule:
    def filters(self):
        return {{"deprecates": deprecates}}
"""
MODULE = """\
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule({})
module.deprecate("old", version="9.9", collection_name="COLLECTION")
module.exit_json()
"""


def play(directory: Path, *tasks: str) -> t.List[t.Dict[str, t.Any]]:
    """Run tasks, and return what was deprecated."""
    playbook = directory / "play.yml"
    lines = ["- hosts: localhost", "  gather_facts: false", "  tasks:", *(f"    - {task}" for task in tasks)]
    playbook.write_text("\n".join(lines), encoding="utf-8")
    interpreter = f"ansible_python_interpreter={sys.executable}"
    done = subprocess.run(
        [str(PLAYBOOK), "-i", "localhost,", "-c", "local", "-e", interpreter, str(playbook)],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_FILTER_PLUGINS": f"{directory}/filters", "ANSIBLE_LIBRARY": f"{directory}/library"},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return deprecations.recorded()


def a_filter(directory: Path, path: Path, options: str = "") -> str:
    """Make a filter whose code says that it is in the file ``path``; return a task that uses it."""
    text = FILTER.format(call=CALL.format(options=options), path=str(path))
    (directory / "filters").mkdir()
    (directory / "filters" / "of_filter.py").write_text(text, encoding="utf-8")
    return "debug: {msg: \"{{ 'a' | deprecates }}\"}"


@pytest.mark.parametrize(("collection", "ours"), [("rollcall.supervisor", True), ("other.things", False)])
def test_what_a_collection_deprecates_is_its_own(tmp_path: Path, collection: str, *, ours: bool) -> None:
    task = a_filter(tmp_path, tmp_path / "of_filter.py", f', collection_name="{collection}"')
    # Each has a name of its own: what is packed of a module is kept by its name.
    module = collection.replace(".", "_")
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / f"{module}.py").write_text(MODULE.replace("COLLECTION", collection), encoding="utf-8")

    seen = play(tmp_path, task, f"{module}: {{}}")

    assert {record["by"] for record in seen} == {collection}
    assert [record["action"] for record in seen if "action" in record] == ["ansible.builtin.debug", module]
    assert [deprecations.is_ours(record) for record in seen] == [ours] * len(seen)


@pytest.mark.parametrize(("place", "ours"), [(ROOT / "plugins" / "filter", True), (Path("/opt"), False)])
def test_what_code_of_ours_calls_is_ours(tmp_path: Path, place: Path, *, ours: bool) -> None:
    path = place / "lent.py"
    seen = play(tmp_path, a_filter(tmp_path, path))
    assert [record["files"] for record in seen if "action" not in record] == [[str(path)]]
    assert any(deprecations.is_ours(record) for record in seen) == ours


def test_what_has_no_file_and_no_name_of_ours_is_not() -> None:
    other: t.Dict[str, t.Any] = {"by": "ansible.builtin", "files": [], "message": "old"}
    assert not deprecations.is_ours(other)
    assert not deprecations.is_ours({**other, "files": [os.path.realpath(os.__file__)]})
    assert not deprecations.is_ours({**other, "by": "rollcall.supervisor_of_others"})
    assert deprecations.is_ours({**other, "by": "rollcall.supervisor.stack_info"})
    assert deprecations.is_ours({**other, "files": [str(ROOT / "roles" / "services" / "tasks" / "main.yml")]})
    assert deprecations.is_ours({**other, "action": "rollcall.supervisor.stack_info"})
    with pytest.raises(AssertionError, match=r"old \(\)"):
        deprecations.refuse_ours([{**other, "by": "rollcall.supervisor"}])
