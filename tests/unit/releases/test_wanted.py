# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wanted of a release, and what it and its virtual environment are called."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.releases import identity, wanted
from ansible_collections.rollcall.supervisor.plugins.module_utils.releases.wanted import (
    GitSource,
    PythonEnvironment,
    SentFile,
    WantedRelease,
)
from ansible_collections.rollcall.supervisor.plugins.modules.release import ARGUMENT_SPEC

CODE = "0123456789abcdef" * 4


def wish(**more: t.Any) -> WantedRelease:
    return WantedRelease(root="/srv", source="/code", **more)


def test_the_id_is_of_the_code_and_of_how_it_is_built() -> None:
    plain = identity.recipe(wish(), "")
    others = {
        identity.recipe(made, interpreter)
        for made, interpreter in (
            (wish(shared=("data",)), ""),
            (wish(build=(("make",),)), ""),
            (wish(strip=1), ""),
            (wish(environment={"A": "1"}), ""),
            (wish(python=PythonEnvironment()), "3.11"),
            (wish(python=PythonEnvironment()), "3.13"),
            (wish(python=PythonEnvironment(), wheels=SentFile("a")), "3.11"),
        )
    }
    assert len(others - {plain}) == 7
    assert identity.release_id(wish(), CODE, plain) == f"0123456789ab-{plain}"
    assert identity.release_id(wish(id="v1"), CODE, plain) == "v1"


@pytest.mark.parametrize(
    "more", [{"before_switch": (("a",),)}, {"after_switch": (("a",),)}, {"keep": 2}, {"timeout": 5.0}, {"user": "u"}]
)
def test_what_does_not_make_the_release_does_not_make_another_one(more: t.Dict[str, t.Any]) -> None:
    assert identity.recipe(wish(**more), "") == identity.recipe(wish(), "")


def test_an_environment_is_of_its_lists_its_wheels_and_its_python() -> None:
    names = {
        identity.environment_id(["a"], "", "3.11"),
        identity.environment_id(["b"], "", "3.11"),
        identity.environment_id(["a", "b"], "", "3.11"),
        identity.environment_id(["a"], "w", "3.11"),
        identity.environment_id(["a"], "", "3.13"),
    }
    assert len(names) == 5


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"id": "../x"}, "no name of a directory"),
        ({"id": ".hidden"}, "no name of a directory"),
        ({"id": "a" * 65}, "no name of a directory"),
        ({"shared": ("../data",)}, "'../data' is no path"),
        ({"shared": ("/data",)}, "'/data' is no path"),
        ({"shared": ("data/",)}, "'data/' is no path"),
        ({"shared": ("venv/lib",)}, "'venv/lib' is no path"),
        ({"shared": ("data", "data/x")}, "'data/x' is within 'data'"),
        ({"shared": ("data", "data")}, "'data' is there twice"),
        ({"build": ((),)}, "build: each command"),
        ({"after_switch": (("",),)}, "after_switch: each command"),
        ({"python": PythonEnvironment(requirements="/etc/passwd")}, "no path within the release"),
        ({"keep": 0}, "would keep nothing"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_touched(more: t.Dict[str, t.Any], said: str) -> None:
    with pytest.raises(RollcallError) as told:
        wanted.check(wish(**more))
    assert (told.value.kind, said in told.value.message) == ("wrong_use", True)


@pytest.mark.parametrize(
    ("git", "said"),
    [
        (GitSource("--upload-pack=evil"), "no address"),
        (GitSource(""), "no address"),
        (GitSource("https://x/y.git", "-x"), "no branch"),
        (GitSource("https://user:token@x/y.git"), "a password"),
        (GitSource("ssh://user:planted@x/y.git"), "a password"),
        (GitSource("https://planted@x/y.git"), "or token"),
    ],
)
def test_an_address_that_cannot_be_meant_is_said(git: GitSource, said: str) -> None:
    with pytest.raises(RollcallError, match=said) as told:
        wanted.check(WantedRelease(root="/srv", source=git))
    assert "planted" not in str(told.value.as_dict())


def test_an_address_with_a_user_is_fine() -> None:
    wanted.check(WantedRelease(root="/srv", source=GitSource("ssh://git@x:2222/y.git", "v1")))


def test_the_options_of_the_module_come_to_a_wish() -> None:
    params = {name: option.get("default") for name, option in ARGUMENT_SPEC.items()}
    params.update(root="/srv", source={"git": "https://x/y.git"}, build=[["make", 1]], environment={"A": 2})
    params["received"] = {"code": {"digest": "d"}}
    made = wanted.wanted_release(params)
    assert made.source == GitSource("https://x/y.git", "HEAD")
    assert (made.build, made.environment, made.code) == ((("make", "1"),), {"A": "2"}, SentFile("d"))
    for source, said in (
        ({"git": "https://ada:planted@x/y.git", "branch": "y"}, "source has git, branch, and must be"),
        (
            ["https://ada:planted@x/y.git"],
            "source is a list, and must be a path, or a mapping with `git` and",
        ),
    ):
        params["source"] = source
        with pytest.raises(RollcallError, match=said) as told:
            wanted.wanted_release(params)
        assert "planted" not in str(told.value.as_dict())


def test_lists_that_a_list_includes_are_found() -> None:
    text = "-r base.txt\n--constraint=c.txt\n -c d.txt  # why\nflask\n# -r not.txt\n--requirement e.txt\n"
    assert identity.included(text) == ["base.txt", "c.txt", "d.txt", "e.txt"]


@pytest.mark.parametrize(
    ("line", "local"),
    [
        ("-e .", True),
        ("--editable=lib", True),
        (".", True),
        ("./lib", True),
        ("../lib", True),
        ("/srv/lib", True),
        ("lib @ file:///srv/lib", True),
        ("flask", False),
        ("flask @ https://x/y.whl", False),
        ("# -e .", False),
        ("--extra-index-url https://x", False),
    ],
)
def test_what_installs_from_a_directory_is_found(line: str, local: bool) -> None:
    assert bool(identity.local_requirements(line)) is local
