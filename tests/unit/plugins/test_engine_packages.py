# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that makes the engine's environment: nothing twice, and what was cut off again."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.rollcall.supervisor.plugins.module_utils.releases import archives
from ansible_collections.rollcall.supervisor.plugins.modules import engine_packages
from tests.support import returns

# Stands for a Python that makes environments with a Python that stands for itself. That one has a pip, which notes what
# it is asked; it fails while there is a file `broken`, and what it installs is whole while there is none `half`.
PYTHON = """\
#!/bin/sh
case "$1 $2" in
  "-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  "-m pip")
    [ "$3" != --version ] || exit 0
    echo "$@" >>{here}/asked
    [ ! -e {here}/broken ] || {{ cat {here}/broken >&2; exit 7; }}
    touch "${{0%python}}supervisord"
    [ -e {here}/half ] || touch "${{0%python}}psutil" ;;
  "-I -c")
    case "$3" in
      import*) echo {here}/python ;;
      *) if [ -e "${{0%python}}psutil" ]; then echo whole yes; else echo "broken psutil: it is not there"; fi ;;
    esac ;;
esac
"""


@pytest.fixture
def install(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> t.Callable[..., t.Dict[str, t.Any]]:
    """Run the module with a Python of its own."""
    python = tmp_path / "python"
    python.write_text(PYTHON.format(here=tmp_path), encoding="utf-8")
    python.chmod(0o755)
    (tmp_path / "root" / "engine").mkdir(parents=True)

    def act(requirements: str = "supervisor==4.3.0", **more: t.Any) -> t.Dict[str, t.Any]:
        arguments = {"root": str(tmp_path / "root"), "python": str(python), "requirements": requirements, **more}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            engine_packages.main()
        return returns.checked("engine_packages", json.loads(capfd.readouterr().out))

    return act


def asked(tmp_path: Path) -> t.List[str]:
    path = tmp_path / "asked"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_it_is_made_once(tmp_path: Path, install: t.Callable[..., t.Dict[str, t.Any]]) -> None:
    assert install()["changed"]
    assert not install()["changed"]
    (line,) = asked(tmp_path)
    assert "--no-index" not in line
    assert install("supervisor==4.4.0")["changed"], "another list is installed"
    assert len(asked(tmp_path)) == 2


def test_check_mode_makes_nothing(tmp_path: Path, install: t.Callable[..., t.Dict[str, t.Any]]) -> None:
    assert install(_ansible_check_mode=True)["changed"]
    assert list((tmp_path / "root" / "engine").iterdir()) == []


def test_what_failed_is_said_and_done_again(tmp_path: Path, install: t.Callable[..., t.Dict[str, t.Any]]) -> None:
    assert install()["changed"]
    (tmp_path / "broken").write_text("ERROR: no such package\n")
    failed = install("supervisor==4.4.0")
    assert failed["failed"]
    assert failed["msg"].endswith("ended with exit code 7: ERROR: no such package")
    (tmp_path / "broken").unlink()
    assert install("supervisor==4.4.0")["changed"], "the environment is there, and what belongs into it is not"
    assert not install("supervisor==4.4.0")["changed"]


def test_what_pip_warns_of_again_and_again_is_told_once_with_its_cause(
    tmp_path: Path, install: t.Callable[..., t.Dict[str, t.Any]]
) -> None:
    tries = [
        f"WARNING: Retrying (total={number}): 'name resolution': /simple/{name}/" for name in "abc" for number in (4, 3)
    ]
    (tmp_path / "broken").write_text("\n".join([*tries, "ERROR: No matching distribution found for c"]))
    failed = install()
    assert failed["stderr"].splitlines() == [tries[0], "ERROR: No matching distribution found for c"]
    assert failed["error"]["evidence"]["stderr"] == failed["stderr"]


def test_what_pip_has_left_half_done_is_installed_again(
    tmp_path: Path, install: t.Callable[..., t.Dict[str, t.Any]]
) -> None:
    assert install()["changed"]
    (tmp_path / "root" / "engine" / "venv" / "bin" / "psutil").unlink()
    assert install()["changed"], "the list is what it was, and a package is gone"
    assert not install()["changed"]
    assert len(asked(tmp_path)) == 2, "in place, without another environment"


def test_an_environment_that_pip_cannot_mend_is_made_anew(
    tmp_path: Path, install: t.Callable[..., t.Dict[str, t.Any]]
) -> None:
    assert install()["changed"]
    python = tmp_path / "root" / "engine" / "venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nonexistent/python3.0")
    assert install()["changed"]
    assert not install()["changed"]
    assert not (tmp_path / "root" / "engine" / "venv.old").exists()


def test_what_cannot_be_made_anew_leaves_what_was_there(
    tmp_path: Path, install: t.Callable[..., t.Dict[str, t.Any]]
) -> None:
    assert install()["changed"]
    bin_directory = tmp_path / "root" / "engine" / "venv" / "bin"
    (bin_directory / "psutil").unlink()
    (bin_directory / "mine").touch()
    (tmp_path / "half").touch()
    failed = install()
    assert failed["failed"]
    assert failed["msg"].endswith("psutil: it is not there")
    assert (bin_directory / "mine").exists()


def test_wheels_come_as_one_archive_and_the_index_is_not_asked(
    tmp_path: Path, install: t.Callable[..., t.Dict[str, t.Any]]
) -> None:
    wheels, archive = tmp_path / "wheels", tmp_path / "archive"
    wheels.mkdir()
    (wheels / "supervisor-4.3.0-py3-none-any.whl").write_bytes(b"PK")
    archives.pack(str(wheels), archives.scan(str(wheels)), str(archive))
    old = tmp_path / "root" / "engine" / "wheels"
    old.mkdir()
    (old / "supervisor-4.2.0-py3-none-any.whl").touch()

    assert install(archive=str(archive))["changed"]

    assert [path.name for path in old.iterdir()] == ["supervisor-4.3.0-py3-none-any.whl"]
    assert f"--no-index --find-links {old}" in asked(tmp_path)[0]


def test_a_damaged_archive_is_told(tmp_path: Path, install: t.Callable[..., t.Dict[str, t.Any]]) -> None:
    (tmp_path / "archive").write_bytes(b"no archive")
    assert "is not an archive" in install(archive=str(tmp_path / "archive"))["msg"]
