# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a removal takes away, what it leaves, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures, removing
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.accounts import Account
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Label
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import removal
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.removal import RemovalFacts
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import before


@pytest.fixture
def place() -> t.Iterator[Path]:
    """A host with one stack of root's, as bootstrap and some runs leave it, at a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="rc-") as name:
        yield furnished(Path(name).resolve())


def furnished(tmp_path: Path) -> Path:
    root = tmp_path / "trading"
    before.make_engine_directory(str(root))
    for directory in ("engine/rollcall", "bin", "logs", "shared/data", "generations/1"):
        (root / directory).mkdir(parents=True)
    for file in ("engine/prepared", "engine/rollcall/cli.py", "bin/rollcall", "logs/web.log", "shared/data/it.db"):
        (root / file).write_text("x", encoding="utf-8")
    (root / "etc").symlink_to("generations/1")
    for directory in ("names", "stacks", "shared"):
        (tmp_path / directory).mkdir()
    (tmp_path / "names" / "trading").symlink_to(root)
    (tmp_path / "stacks" / "1234").symlink_to(root)
    (tmp_path / "stacks" / ".lock").touch()
    (tmp_path / "shared" / "command").touch()
    return tmp_path


def stack(place: Path, **more: t.Any) -> Stack:
    data = {
        "name": "trading",
        "user": "trading",
        "root": str(place / "trading"),
        "services": {"web": {"command": ["/x"]}},
    }
    checked = check_manifest({**data, **more})
    assert checked.stack is not None, checked.problems
    return checked.stack


def host(place: Path, *accounts: Account, mounts: t.Sequence[str] = ("/",)) -> RemovalFacts:
    made = Account("trading", 990, 990, str(place / "trading"), "Rollcall stack trading")
    return RemovalFacts(
        accounts=[Account("root", 0, 0, "/root", "root"), *(accounts or (made,))],
        mounts=mounts,
        names=str(place / "names"),
        stacks=str(place / "stacks"),
        shared=[str(place / "shared" / "command")],
        emptied=[str(place / name) for name in ("names", "stacks", "shared")],
    )


def everything(place: Path) -> t.Set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*")}


def remove(place: Path, *keep: str, of: t.Optional[RemovalFacts] = None) -> removal.Removal:
    seen = of or host(place)
    decided = removal.decide(stack(place), keep, seen)
    removal.carry_out(decided, seen)
    return decided


def test_the_last_stack_takes_everything_with_it(place: Path) -> None:
    decided = remove(place)
    assert everything(place) == set()
    assert decided.account == "trading"
    assert decided.removed[-1] == "account trading"


def test_a_second_time_there_is_nothing_to_do(place: Path) -> None:
    remove(place)
    again = removal.decide(stack(place), [], host(place, Account("root", 0, 0, "/root", "")))
    assert again.removed == []


def test_deciding_touches_nothing(place: Path) -> None:
    there = everything(place)
    assert str(place / "trading") in removal.decide(stack(place), [], host(place)).removed
    assert everything(place) == there


def test_what_is_kept_stays_and_so_does_its_owner(place: Path) -> None:
    decided = remove(place, "shared", "logs")
    assert everything(place) == {
        "trading",
        "trading/logs",
        "trading/logs/web.log",
        "trading/shared",
        "trading/shared/data",
        "trading/shared/data/it.db",
    }
    assert decided.account is None
    assert decided.left == ("account trading: what is kept is its own",)
    assert remove(place, "shared", "logs").removed == []


def test_what_was_there_before_rollcall_stays_and_what_rollcall_put_into_it_goes(place: Path) -> None:
    root = place / "trading"
    (root / "app").mkdir()
    (root / "app" / "main.py").touch()
    (root / "bin" / "theirs").touch()
    (root / "engine" / "before").write_text("# what\napp\nbin\n", encoding="utf-8")

    decided = remove(place)

    assert everything(place) == {"trading", "trading/app", "trading/app/main.py", "trading/bin", "trading/bin/theirs"}
    assert f"{root}/app: it was there before" in decided.left
    assert f"{root}/bin: it was there before" in decided.left
    assert remove(place).removed == []


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("theirs", encoding="utf-8")


def test_what_others_have_put_into_the_root_since_stays_and_is_named(place: Path) -> None:
    root = place / "trading"
    put(root, "backup.sql", "data/it.db", "bin/theirs", "releases/theirs/app.py", "releases/1/.rollcall-release.json")
    put(root, "releases/.making-x/a", "venvs/1/.rollcall-venv.json", ".ansible/tmp/x", ".rollcall-making-x/before")
    (root / "lib").mkdir()
    (root / "link").symlink_to(place)

    decided = remove(place)

    stays = ["backup.sql", "bin/theirs", "data", "link", "releases/theirs"]
    assert {name for name in everything(root) if not (root / name).is_dir() or (root / name).is_symlink()} == {
        "backup.sql", "data/it.db", "bin/theirs", "releases/theirs/app.py", "link"
    }  # fmt: skip
    assert [one for one in decided.left if "account" not in one] == [
        f"{root}/{name}: Rollcall has not made it" for name in stays
    ]
    assert (decided.account, decided.root, decided.with_it) == (None, None, (f"{root}/shared/data",))
    assert remove(place).removed == []


def test_what_rollcall_has_delivered_goes_and_what_lies_beside_it_or_behind_a_link_stays(place: Path) -> None:
    root = place / "trading"
    (root / "state" / "delivered").mkdir(parents=True)
    (root / "credentials").mkdir()
    (place / "elsewhere").mkdir()
    (root / "linked").symlink_to(place / "elsewhere")
    files = [root / "credentials" / "feed.pem", root / "credentials" / "own.pem", place / "elsewhere" / "key"]
    for file in files:
        file.write_text("x", encoding="utf-8")
    for number, name in enumerate(("credentials/feed.pem", "linked/key", "../elsewhere/key", "credentials", "gone/x")):
        (root / "state" / "delivered" / str(number)).write_text(name, encoding="utf-8")

    decided = removal.decide(stack(place), [], host(place))

    assert [path for path in decided.inside if "credentials" in path or "elsewhere" in path or "linked" in path] == [
        str(files[0])
    ]
    assert any(line.startswith(str(files[1])) for line in decided.left)


def test_what_the_way_back_takes_between_the_decision_and_the_removal_is_no_failure(place: Path) -> None:
    root = place / "trading"
    (root / "state" / "delivered").mkdir(parents=True)
    (root / "credentials").mkdir()
    (root / "credentials" / "feed.pem").write_text("x", encoding="utf-8")
    (root / "state" / "delivered" / "1").write_text("credentials/feed.pem", encoding="utf-8")
    decided = removal.decide(stack(place), [], host(place))
    (root / "credentials" / "feed.pem").unlink()

    removal.carry_out(decided, host(place))

    assert not root.exists()


def test_what_others_have_put_into_directories_of_rollcall_is_named_before_it_goes_with_them(place: Path) -> None:
    root = place / "trading"
    theirs = [
        "logs/notes.txt",
        "logs/old.log",
        "shared/data",
        "shared/media",
        "state/theirs",
        "run/mine",
        "engine/mine",
        "generations/notes.txt",
        "generations/1/supervisord.conf.bak",
        "generations/1/env/web.json.bak",
        "generations/theirs/x",
    ]
    ours = ["manifest.json", "supervisord.conf", "ports.json", "meta.json", "env/web.json", "env/web.json.4711.new"]
    put(root, *(f"generations/2/{name}" for name in ours))
    put(root, *(f"{name}/x" if name.startswith("shared") else name for name in theirs))
    put(root, "logs/web.log.1", "logs/supervisord.out", "state/lives.json", "state/runs/1", "run/supervisord.pid")
    put(root, "run/web.sock")
    made = stack(place, services={"web": {"command": ["/x"], "socket": "run/web.sock"}})

    decided = removal.decide(made, [], host(place))

    assert sorted(decided.with_it) == sorted(f"{root}/{name}" for name in theirs)
    assert f"With it went what Rollcall has not made: {decided.with_it[0]}" in removal.statement(
        stack(place), decided, taken_back=True
    )
    assert remove(place).root == str(root)
    assert everything(place) == set()
    assert removal.decide(stack(place), ["shared"], host(place)).with_it == ()


def test_directories_that_the_manifest_has_elsewhere_in_the_root_go_as_well(place: Path) -> None:
    root = place / "trading"
    put(root, "var/log/web.log", "var/log/theirs", "var/run/supervisor.sock")
    wanted = stack(place, paths={"logs": "var/log", "run": "var/run"})

    decided = removal.decide(wanted, [], host(place))
    removal.carry_out(decided, host(place))

    assert decided.with_it == (f"{root}/shared/data", f"{root}/var/log/theirs")
    assert everything(place) == set()


@pytest.mark.parametrize("lost", ["gone", "columns"])
def test_where_nothing_tells_what_was_there_before_only_what_is_rollcalls_by_itself_goes(
    place: Path, lost: str
) -> None:
    """Over SSH a note of 0.1.0 held one line, ``app  data``, for two names; cut off, it was never written."""
    root = place / "trading"
    for theirs in ("app/main.py", "data/it.db", "releases/theirs/app.py", "bin/theirs", "engine/theirs"):
        (root / theirs).parent.mkdir(parents=True, exist_ok=True)
        (root / theirs).touch()
    note = root / "engine" / "before"
    note.unlink()
    if lost == "columns":
        note.write_text("# What was here before Rollcall came:\napp  data\n", encoding="utf-8")

    decided = remove(place)

    left = {"app", "data", "releases", "bin", "logs", "shared", "engine"}
    assert {path.name for path in root.iterdir()} == left
    assert not (root / "engine" / "rollcall").exists()
    for theirs in ("app/main.py", "data/it.db", "releases/theirs/app.py", "bin/theirs", "engine/theirs"):
        assert (root / theirs).exists()
    assert f"{root}/data: nothing tells whether it was there before" in decided.left
    assert decided.account is None


@pytest.mark.parametrize(
    "names", [["app", "data"], ["two\nlines", '"quoted"', " blank ", "caf\u00e9", "back\\slash"], []]
)
def test_every_name_that_was_there_before_stays_whatever_it_is_called(tmp_path: Path, names: t.List[str]) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name in names:
        (root / name).touch()
    assert before.make_engine_directory(str(root))
    assert sorted(before.names_before(str(root)) or []) == sorted(names)
    assert not before.make_engine_directory(str(root))


def test_an_engine_is_never_there_without_its_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    (root / "app").mkdir(parents=True)

    def cut_off(*_arguments: t.Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.rename", cut_off)
        with pytest.raises(KeyboardInterrupt):
            before.make_engine_directory(str(root))
    assert not (root / "engine").exists()
    assert before.make_engine_directory(str(root))
    assert before.names_before(str(root)) == ["app"]
    assert sorted(path.name for path in root.iterdir()) == ["app", "engine"]


def test_an_install_that_is_taken_back_leaves_what_came_before_it_began_but_for_what_rollcall_makes(
    place: Path,
) -> None:
    root = place / "trading"
    (root / "app").mkdir()
    seen = host(place)

    decided = removal.decide(stack(place), [], seen, ["app", "bin", "engine", "logs"])
    removal.carry_out(decided, seen)

    assert everything(place) == {"trading", "trading/app"}
    assert decided.root is None


@pytest.mark.parametrize("taken_back", [True, False])
def test_what_became_of_a_first_install_is_said_with_what_it_made(place: Path, taken_back: bool) -> None:
    (place / "trading" / "app").mkdir()
    decided = removal.decide(stack(place), [], host(place), ["app"])

    said = removal.statement(stack(place), decided, taken_back=taken_back)

    assert f"{place}/trading/bin" in said
    if taken_back:
        assert "is taken back" in said
        assert f"{place}/trading/app: it was there before" in said.partition(" Left: ")[2]
    else:
        assert "this takes it off: ansible-playbook rollcall.supervisor.remove -e confirm=trading" in said


def test_another_stack_keeps_what_all_have_together(place: Path) -> None:
    other = place / "shop"
    (other / "etc").mkdir(parents=True)
    (other / "etc" / "manifest.json").write_text(json.dumps({"user": "trading"}), encoding="utf-8")
    (place / "names" / "shop").symlink_to(other)
    decided = remove(place)
    assert (place / "shared" / "command").exists()
    assert (place / "names" / "shop").is_symlink()
    assert decided.left == (f"account trading: the stack at {other} runs as it",)


def test_a_stack_that_the_command_does_not_find_leaves_the_command(place: Path) -> None:
    (place / "names" / "trading").unlink()
    remove(place)
    assert (place / "shared" / "command").exists()


def test_an_account_that_was_there_before_stays(place: Path) -> None:
    theirs = host(place, Account("trading", 990, 990, str(place / "trading"), "made by hand"))
    assert remove(place, of=theirs).account is None


def test_a_removal_that_was_cut_off_goes_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: str, *, missing_ok: bool = False) -> None:
        if path.endswith("engine/rollcall"):
            raise OSError("the host goes down")
        removing.remove(path, missing_ok=missing_ok)

    monkeypatch.setattr(f"{removal.__name__}.remove", failing)
    with pytest.raises(OSError, match="goes down"):
        remove(place)
    monkeypatch.undo()
    remove(place)
    assert not (place / "trading").exists()


def test_directories_outside_of_the_root_are_left_and_named(place: Path) -> None:
    (place / "elsewhere").mkdir()
    made = dataclasses.replace(
        stack(place), paths=dataclasses.replace(stack(place).paths, logs=str(place / "elsewhere"))
    )
    decided = removal.decide(made, [], host(place))
    assert decided.left == (f"{place}/elsewhere: the manifest has it outside of {place}/trading",)


def test_nothing_is_followed_out_of_the_root(place: Path) -> None:
    (place / "precious").mkdir()
    (place / "precious" / "file").touch()
    (place / "trading" / "shared" / "out").symlink_to(place / "precious")
    (place / "trading" / "way").symlink_to(place / "precious")
    remove(place)
    assert (place / "precious" / "file").exists()


@pytest.mark.parametrize(
    ("account", "why"),
    [
        (Account("ada", 1000, 1000, "{root}", ""), "the home of ada"),
        (Account("ada", 1000, 1000, "{root}/homes/ada", ""), "the home of ada"),
        (Account("trading", 1000, 1000, "{root}", ""), "the home of trading"),
    ],
)
def test_a_home_is_refused(place: Path, account: Account, why: str) -> None:
    there = everything(place)
    one = account._replace(home=account.home.format(root=place / "trading"))
    with pytest.raises(RollcallError, match=why) as caught:
        removal.decide(stack(place), [], host(place, one))
    assert caught.value.kind == "refused"
    assert everything(place) == there


def test_what_rollcall_has_not_made_is_refused(place: Path) -> None:
    for file in ("before", "prepared", "rollcall/cli.py"):
        (place / "trading" / "engine" / file).unlink()
    (place / "trading" / "engine" / "rollcall").rmdir()
    with pytest.raises(RollcallError, match="nothing in it says that Rollcall has made it"):
        removal.decide(stack(place), [], host(place))


def test_a_mount_in_it_is_refused_unless_it_is_kept(place: Path) -> None:
    mounted = host(place, mounts=["/", str(place / "trading" / "shared" / "data")])
    with pytest.raises(RollcallError, match="something is mounted in it"):
        removal.decide(stack(place), [], mounted)
    assert removal.decide(stack(place), ["shared"], mounted).root is None


def test_a_link_is_refused(place: Path) -> None:
    (place / "trading").rename(place / "real")
    (place / "trading").symlink_to(place / "real")
    with pytest.raises(RollcallError, match="it is a link to"):
        removal.decide(stack(place), [], host(place))


def test_the_root_of_the_host_is_refused(place: Path) -> None:
    made = dataclasses.replace(stack(place), root="/")
    with pytest.raises(RollcallError, match="it is the root of the host"):
        removal.decide(made, [], host(place))


@pytest.mark.parametrize("which", ["root", "logs"])
def test_nothing_goes_in_which_another_stack_lives(place: Path, which: str) -> None:
    inner = place / "trading" / "shared" / "inner"
    other = inner if which == "root" else place / "other"
    made = stack(place, name="other", root=str(other))
    if which == "logs":
        made = dataclasses.replace(made, paths=dataclasses.replace(made.paths, logs=str(inner)))
    (other / "generations" / "1").mkdir(parents=True)
    inner.mkdir(exist_ok=True)
    (other / "generations" / "1" / "manifest.json").write_text(json.dumps(made.to_dict()), encoding="utf-8")
    (other / "etc").symlink_to("generations/1")
    (place / "stacks" / "5678").symlink_to(other)
    before_it = everything(place)
    with pytest.raises(
        RollcallError, match=f"of the stack at {other}" if which == "logs" else f"holds the stack at {other}"
    ):
        remove(place)
    assert everything(place) == before_it


@pytest.mark.parametrize("where", ["inner", "shared/inner", "run/inner"])
@pytest.mark.parametrize("known", ["named", "listed", "alive"])
def test_a_stack_in_it_is_removed_first_wherever_it_is_and_whoever_knows_of_it(
    place: Path, where: str, known: str
) -> None:
    inner = place / "trading" / where
    before.make_engine_directory(str(inner))
    seen = host(place)
    if known == "alive":
        seen = dataclasses.replace(seen, alive=[Label("inside", str(inner), "", "")])
    else:
        (place / ("names" if known == "named" else "stacks") / "inner").symlink_to(inner)
    there = everything(place)

    with pytest.raises(RollcallError, match=f"it holds the stack at {inner}") as told:
        remove(place, of=seen)

    assert (told.value.kind, everything(place)) == ("refused", there)
    assert told.value.remedies[0] == cures.take_off("inside" if known == "alive" else "inner")


def test_a_mount_is_seen_before_anything_goes_by_whatever_link_the_root_is_reached(place: Path) -> None:
    link = place / "link"
    link.symlink_to(place, target_is_directory=True)
    (place / "trading" / "shared" / "media").mkdir()
    seen = host(place, mounts=["/", str(place / "trading" / "shared" / "media")])
    before_it = everything(place)
    with pytest.raises(RollcallError, match="something is mounted in it"):
        removal.decide(stack(place, root=str(link / "trading")), (), seen)
    assert everything(place) == before_it
