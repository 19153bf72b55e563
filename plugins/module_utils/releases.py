# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Releases of the application's code: built beside each other, switched by the generation, pruned when not needed.

Below the stack's root are ``releases/<id>``, ``venvs/<hash>`` and ``shared/<name>``. A release is built in a directory
of another name and renamed when it is whole; a virtual environment, which cannot be moved, is built in its place and
marked when it is whole. What a killed run leaves behind is known by that and removed by the next one.

These directories are root's where root installs, and all that is within a release or a virtual environment is the
stack's user's: nothing in there is written, executed or followed with root's rights.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
import typing as t

from . import archives, commands, config, journal, processes, release_plan
from .clock import SYSTEM, Clock, Deadline
from .commands import Account
from .errors import RollcallError
from .manifest import RELEASE, Paths, current_release, release_directory
from .release_plan import Git, Kept, Sent, Wish

MARKER = ".rollcall-release.json"
ENVIRONMENT_MARKER = ".rollcall-venv.json"
# Names that no release, environment or shared directory has: what is being made, and what is on its way out.
MAKING = ".making-"
GOING = ".going-"
# A run that was killed holds the lock for the moment that its keeper takes to end the command it ran.
LOCK_PATIENCE = 3.0
INTERPRETER_TIMEOUT = 20.0
# Left free for the stack itself when an archive is unpacked.
RESERVE = 64 * 1024 * 1024
MARKER_BYTES = 65_536

# What must be equal for a virtual environment made with one Python to serve with another.
INTERPRETER = (
    "import sys, sysconfig; sys.exit('Python 3.6 or later is needed') if sys.version_info < (3, 6) else "
    "print(sys.implementation.cache_tag, sysconfig.get_platform(), sys.executable)"
)


class _Missing(Exception):
    """Something on the controller that is needed after all, by its name among the results."""


# --- before the switch --------------------------------------------------------------------------------------------


def ready(wish: Wish, *, dry_run: bool = False, clock: Clock = SYSTEM) -> t.Dict[str, t.Any]:
    """Have a release on this host, whole and built, and its ``before_switch`` commands run unless it is in place.

    Args:
        wish: what is wanted.
        dry_run: to say only what would be done.
        clock: where the time comes from.

    Returns:
        ``changed``, ``id``, ``path``, ``actions`` in words, ``ignored`` shared directories whose content in the release
        was left out, and ``missing``: ``code`` or ``wheels`` when these have to be sent first; then nothing was done.

    Raises:
        RollcallError: ``wrong_use`` and ``refused``: nothing was touched; ``failed``: it could not be built, or a
            command failed. What is in place stays there.
    """
    who = commands.account(wish.user)
    with _as_errors(wish.root), contextlib.ExitStack() as stack:
        if not dry_run:
            stack.enter_context(_locked(wish.root, clock))
            _sweep(wish.root)
        facts = _look(wish, who)
        actions = _actions(wish, facts)
        if dry_run or (facts.to_build and not isinstance(wish.source, Git) and not wish.code.archive):
            missing = [] if dry_run else ["code"]
            return _result(wish, facts.id, actions, missing=missing)
        try:
            ignored = _make(wish, who, facts, clock)
        except _Missing as what:
            return _result(wish, facts.id, actions, missing=[str(what)])
        if not facts.in_place:
            # Before the commands: what is on its way there is not pruned by another run.
            _note_pending(wish.root, facts.id)
            _run_all(wish, who, wish.before_switch, "before_switch", release_directory(wish.root, facts.id))
        return _result(wish, facts.id, actions, ignored=ignored)


class _Facts(t.NamedTuple):
    """What is on the host.

    Attributes:
        id: of the release that is wanted.
        code: the digest of its code, or its commit.
        recipe: the digest of how it is made.
        interpreter: which Python its environment is made with; empty without one.
        marker: what its own marker says; None when it is not there.
        environment: whether the virtual environment that it links to is there, or it needs none.
        in_place: whether it is the current one.
    """

    id: str
    code: str
    recipe: str
    interpreter: str
    marker: t.Optional[t.Mapping[str, t.Any]]
    environment: bool
    in_place: bool

    @property
    def to_build(self) -> bool:
        """Whether it has to be built."""
        return self.marker is None


def _look(wish: Wish, who: Account) -> _Facts:
    interpreter = _interpreter(wish, who) if wish.python else ""
    code = _commit(wish, wish.source, who) if isinstance(wish.source, Git) else wish.code.digest
    recipe = release_plan.recipe(wish, interpreter)
    name = release_plan.release_id(wish, code, recipe)
    marker = _release_marker(wish.root, name, who)
    if marker is None and os.path.lexists(release_directory(wish.root, name)):
        path = release_directory(wish.root, name)
        raise RollcallError(
            f"{path} is there and has no marker of Rollcall's, so it is left alone.",
            kind="refused",
            remedies=[f"look at it and move it away: mv {path} {path}.saved", "give the release another id"],
        )
    if marker is not None and (marker.get("code"), marker.get("recipe")) != (code, recipe):
        what = "other code" if marker.get("code") != code else "the same code in another way"
        raise RollcallError(
            f"Release {name} is on this host and was made of {what}. A release never changes.",
            kind="wrong_use",
            evidence={"id": name, "there": dict(marker), "wanted": {"code": code, "recipe": recipe}},
            remedies=["give it another id", "or none: then it is made from the content"],
        )
    environment = str(marker["venv"]) if marker else ""
    whole = not environment or _environment_whole(wish.root, environment, who)
    return _Facts(name, code, recipe, interpreter, marker, whole, in_place(wish.root) == name)


def _actions(wish: Wish, facts: _Facts) -> t.List[str]:
    """Return what is to be done, in words."""
    actions = []
    if facts.to_build:
        actions.append(f"build release {facts.id} from {wish.origin}")
    elif not facts.environment:
        actions.append(f"build the virtual environment of release {facts.id} anew")
    if not facts.in_place:
        actions += [f"run before the switch: {_shown(command)}" for command in wish.before_switch]
    return actions


def _make(wish: Wish, who: Account, facts: _Facts, clock: Clock) -> t.List[str]:
    """Build what is not there; return the shared directories whose content in the release was left out."""
    final = release_directory(wish.root, facts.id)
    if not facts.to_build:
        if not facts.environment:
            with _workshop(wish.root, who) as place:
                _environment(wish, who, facts.interpreter, final, place)
        return []
    with _workshop(wish.root, who) as place:
        tree = os.path.join(place, "tree")
        _fetch(wish, who, facts.code, place, tree)
        environment = ""
        if wish.python is not None:
            environment = _environment(wish, who, facts.interpreter, tree, place)
        ignored = [name for name in wish.shared if _share(wish.root, who, tree, name)]
        if environment:
            _link_environment(wish, who, tree, environment)
        _run_all(wish, who, wish.build, "build", tree, place)
        marker = {
            "id": facts.id,
            "source": wish.origin,
            "code": facts.code,
            "recipe": facts.recipe,
            "venv": environment,
            "made": clock.wall(),
            "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock.wall())),
        }
        with commands.acting_as(who):
            journal.write_atomically(os.path.join(tree, MARKER), json.dumps(marker, indent=2) + "\n", 0o644)
            os.chmod(tree, 0o755)
        # A rename can reach the disk before the content of the files does.
        os.sync()
        os.rename(tree, final)
        return ignored


# --- after the switch ---------------------------------------------------------------------------------------------


def switched(wish: Wish, *, dry_run: bool = False, clock: Clock = SYSTEM) -> t.Dict[str, t.Any]:
    """Run the ``after_switch`` commands of a release that has just been put in place and verified, and prune old ones.

    Args:
        wish: with the ``id`` of the release.
        dry_run: to say only what would be done.
        clock: where the time comes from.

    Returns:
        The same as :func:`ready`, with the releases and virtual environments that went in ``pruned``.

    Raises:
        RollcallError: another release is in place; or a command failed: the release is in place all the same.
    """
    who = commands.account(wish.user)
    with _as_errors(wish.root), contextlib.ExitStack() as stack:
        if not dry_run:
            stack.enter_context(_locked(wish.root, clock))
            _sweep(wish.root)
        there = in_place(wish.root)
        if not dry_run and there != wish.id:
            raise RollcallError(
                f"Release {wish.id} is not in place, {there or 'none'} is.",
                evidence={"wanted": wish.id, "in_place": there},
                remedies=["ansible-playbook site.yml"],
            )
        # In a dry run the release need not be there yet.
        due = there != wish.id or _pending(wish.root) == wish.id
        to_run = wish.after_switch if due else ()
        releases, environments = _prunable(wish, who)
        actions = [f"run after the switch: {_shown(command)}" for command in to_run]
        actions += [f"remove release {name}" for name in releases]
        actions += [f"remove virtual environment {name}" for name in environments]
        if not dry_run:
            _run_all(wish, who, to_run, "after_switch", release_directory(wish.root, wish.id))
            _note_pending(wish.root, None)
            for path in [
                *(release_directory(wish.root, name) for name in releases),
                *(os.path.join(_environments(wish.root), name) for name in environments),
            ]:
                _discard(path)
        return _result(wish, wish.id, actions, pruned=[*releases, *environments])


def _prunable(wish: Wish, who: Account) -> t.Tuple[t.List[str], t.List[str]]:
    needed = {name for name in (wish.id, in_place(wish.root), _pending(wish.root)) if name}
    needed |= _of_generations(wish.root)
    kept = []
    for name in _names(_releases(wish.root)):
        marker = _release_marker(wish.root, name, who)
        if marker is not None:
            kept.append(Kept(name, float(marker["made"]), str(marker["venv"])))
    environments = [
        name for name in _names(_environments(wish.root)) if _environment_marker(wish.root, name, who) is not None
    ]
    return release_plan.to_prune(kept, environments, needed, wish.keep)


def _of_generations(root: str) -> t.Set[str]:
    """Return the releases that any generation on the host belongs to, unfinished ones included."""
    found = set()
    for name in _names(journal.store(root)):
        with contextlib.suppress(FileNotFoundError):  # a generation without a release
            found.add(os.path.basename(os.readlink(os.path.join(journal.store(root), name, RELEASE))))
    return found


def in_place(root: str) -> t.Optional[str]:
    """Return the id of the release that is current; None when none is."""
    directory, name = os.path.split(os.path.realpath(current_release(root)))
    return name if directory == os.path.realpath(_releases(root)) else None


# --- the code -----------------------------------------------------------------------------------------------------


def _fetch(wish: Wish, who: Account, code: str, place: str, tree: str) -> None:
    """Put the code into the empty directory ``tree``."""
    if isinstance(wish.source, Git):
        packed = _exported(wish, wish.source, who, code, place)
        # In a directory of the user's, who could have put anything there.
        with commands.acting_as(who):
            _unpack(wish, packed, who, tree)
    else:
        _verify(wish.code)
        _unpack(wish, wish.code.archive, who, tree, wish.strip)


def _unpack(wish: Wish, packed: str, who: Account, tree: str, strip: int = 0) -> None:
    with archives.opened(packed, strip, name=wish.origin) as members:
        needed = sum(entry.size for entry, _opener in members)
        numbers = os.statvfs(tree)
        free = numbers.f_bavail * numbers.f_frsize - RESERVE
        if needed > free:
            raise RollcallError(
                f"The release needs {needed // 1024} KiB, and {wish.root} has {max(0, free) // 1024} KiB for it.",
                evidence={"needed": needed, "free": free},
                remedies=[f"df -h {wish.root}; df -i {wish.root}"],
            )
        with commands.acting_as(who):
            archives.unpack(members, tree)


def _verify(sent: Sent) -> None:
    if archives.file_digest(sent.archive) != sent.sha256:
        raise RollcallError(
            f"{sent.archive} is not what the controller has sent.", remedies=["run the same command again"]
        )


def _commit(wish: Wish, git: Git, who: Account) -> str:
    """Return the commit that a branch, tag or commit is now."""
    if release_plan.COMMIT.fullmatch(git.version):
        return git.version
    names = [f"refs/tags/{git.version}^{{}}", f"refs/tags/{git.version}", f"refs/heads/{git.version}", git.version]
    lines = _git(wish, who, ["ls-remote", "--", git.url, *names], "/")
    found = {words[1]: words[0] for words in (line.split() for line in lines) if len(words) == 2}
    for name in names:
        if release_plan.COMMIT.fullmatch(found.get(name, "")):
            return found[name]
    raise RollcallError(
        f"{git.url} has no branch and no tag {git.version}.",
        kind="wrong_use",
        evidence={"output": lines},
        remedies=[f"git ls-remote {git.url}"],
    )


def _exported(wish: Wish, git: Git, who: Account, commit: str, place: str) -> str:
    """Return an archive of a commit, in a directory of the user's."""
    repository, packed = os.path.join(place, "tmp", "git"), os.path.join(place, "tmp", "code.tar")
    _git(wish, who, ["init", "--quiet", "--bare", repository], place)
    try:
        _git(wish, who, ["fetch", "--quiet", "--depth=1", "--", git.url, commit], repository)
    except RollcallError:
        # Not every server gives a single commit.
        everything = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
        _git(wish, who, ["fetch", "--quiet", "--", git.url, *everything], repository)
    _git(wish, who, ["archive", "--format=tar", f"--output={packed}", commit], repository)
    return packed


def _git(wish: Wish, who: Account, arguments: t.Sequence[str], cwd: str) -> t.Sequence[str]:
    """Run git as the stack's user, whose keys are in its home, and return the lines it printed. It asks nothing."""
    program = shutil.which("git", path=wish.environment.get("PATH", config.DEFAULT_PATH))
    if program is None:
        raise RollcallError(
            "The release comes from git, and git is not installed on this host.",
            kind="wrong_use",
            remedies=["apt install git", "take the code from a directory on the controller"],
        )
    own = {"HOME": who.home, "GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    environment = {**_variables(who, ""), **own, **wish.environment}
    done = commands.run([program, *arguments], who, cwd=cwd, environment=environment, timeout=wish.timeout)
    if not done.ok:
        raise _failure(f"git {arguments[0]}", done, ["look at the address, the version and the user's key"])
    return done.output


# --- shared directories -------------------------------------------------------------------------------------------


def _share(root: str, who: Account, tree: str, name: str) -> bool:
    """Link a directory that all releases share into a release; return whether content in the release was left out.

    What the first release that has a directory of that name brings is its initial content.
    """
    shared = os.path.join(root, "shared", name)
    brought = os.path.join(tree, name)
    with commands.acting_as(who):
        brings = os.path.isdir(brought) and not os.path.islink(brought)
        if os.path.lexists(brought) and not brings:
            raise RollcallError(
                f"The release has {name}, which is not a directory, and is to have the shared directory there.",
                kind="wrong_use",
                remedies=[f"take '{name}' out of `shared`, or out of the release with `exclude`"],
            )
    fresh = not os.path.isdir(shared)
    if fresh:
        _make_shared(root, who, name, brought if brings else None)
    with commands.acting_as(who):
        if brings:
            shutil.rmtree(brought)
        os.makedirs(os.path.dirname(brought), exist_ok=True)
        os.symlink(shared, brought)
    return brings and not fresh


def _make_shared(root: str, who: Account, name: str, content: t.Optional[str]) -> None:
    """Make a shared directory with its content, whole or not at all."""
    top = os.path.join(root, "shared")
    above = top
    _directory(top)
    for part in os.path.dirname(name).split("/"):
        if part:
            above = os.path.join(above, part)
            _directory(above)
    fresh = tempfile.mkdtemp(prefix=MAKING, dir=top)
    try:
        os.chown(fresh, who.uid, who.gid)
        with commands.acting_as(who):
            if content is not None:
                shutil.copytree(content, fresh, symlinks=True, dirs_exist_ok=True)
            os.chmod(fresh, 0o750)
        os.rename(fresh, os.path.join(top, name))
    except BaseException:
        _remove(fresh)
        raise


# --- the virtual environment --------------------------------------------------------------------------------------


def _interpreter(wish: Wish, who: Account) -> str:
    """Return which Python the virtual environment is made with, as far as that makes a difference."""
    python = _python(wish)
    done = commands.run(
        [python, "-I", "-c", INTERPRETER],
        who,
        cwd="/",
        environment={**_variables(who, ""), **wish.environment},
        timeout=INTERPRETER_TIMEOUT,
    )
    if not done.ok or not done.output:
        raise _failure(python, done, ["name another Python of this host with python.python"])
    return done.output[-1]


def _python(wish: Wish) -> str:
    return "python3" if wish.python is None else wish.python.python


def _environment(wish: Wish, who: Account, interpreter: str, tree: str, place: str) -> str:
    """Return the name of the virtual environment for the requirements in ``tree``, built when it is not whole."""
    with commands.acting_as(who):
        texts = _requirements(wish, tree)
    name = release_plan.environment_id(texts, wish.wheels.digest, interpreter)
    if not _environment_whole(wish.root, name, who):
        if wish.python is not None and wish.python.wheels and not wish.wheels.archive:
            raise _Missing("wheels")
        _build_environment(wish, who, name, tree, place)
    return name


def _requirements(wish: Wish, tree: str) -> t.List[str]:
    """Return the texts of the list of requirements and of all that it includes."""
    first = "" if wish.python is None else wish.python.requirements
    texts: t.Dict[str, str] = {}
    waiting = [first]
    while waiting:
        name = waiting.pop()
        try:
            with open(os.path.join(tree, name), encoding="utf-8") as stream:
                texts[name] = stream.read()
        except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError) as exc:
            raise RollcallError(
                f"The release has no list of requirements {name} that can be read.",
                kind="wrong_use",
                evidence={"cause": str(exc)},
                remedies=["name it with python.requirements", "leave `python` out when there is nothing to install"],
            ) from exc
        local = release_plan.local_requirements(texts[name])
        if local:
            raise RollcallError(
                f"{name} installs from a directory of the release: {local[0]}. A virtual environment serves all "
                "releases with the same list, so it cannot hold the code of one.",
                kind="wrong_use",
                evidence={"lines": local},
                remedies=["set PYTHONPATH in the service's env", "put a wheel of it into python.wheels"],
            )
        for inner in release_plan.included(texts[name]):
            path = os.path.normpath(os.path.join(os.path.dirname(name), inner))
            if path not in texts and "://" not in inner and not path.startswith(("/", "..")):
                waiting.append(path)
    return [text for _name, text in sorted(texts.items())]


def _build_environment(wish: Wish, who: Account, name: str, tree: str, place: str) -> None:
    directory = os.path.join(_environments(wish.root), name)
    if os.path.lexists(directory):
        if _environment_marker(wish.root, name, who) is None and os.listdir(directory):
            raise RollcallError(
                f"{directory} is there and has no marker of Rollcall's, so it is left alone.",
                kind="refused",
                remedies=[f"look at it and move it away: mv {directory} {directory}.saved"],
            )
        _discard(directory)
    _directory(_environments(wish.root))
    os.mkdir(directory, 0o700)
    os.chmod(directory, 0o755)
    os.chown(directory, who.uid, who.gid)
    _mark_environment(directory, who, whole=False)
    links = []
    if wish.wheels.archive:
        _verify(wish.wheels)
        wheels = os.path.join(place, "wheels")
        _unpack(wish, wish.wheels.archive, who, wheels)
        links = ["--no-index", "--find-links", wheels]
    # -I: the working directory is the release's, and what is in it would be taken for modules of Python and of pip.
    pip = [os.path.join(directory, "bin", "python"), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]
    requirements = "" if wish.python is None else wish.python.requirements
    for what, command in (
        ("making the virtual environment", [_python(wish), "-I", "-m", "venv", directory]),
        ("installing what the release requires", [*pip, "install", "--quiet", "-r", requirements, *links]),
        ("pip check", [*pip, "check"]),
    ):
        done = _run(wish, who, command, tree, place)
        if not done.ok:
            raise _failure(f"{what} ({_shown(command)})", done, _cures(wish, what, done.output))
    os.sync()
    _mark_environment(directory, who, whole=True)


def _cures(wish: Wish, what: str, output: t.Sequence[str]) -> t.List[str]:
    """Return what helps, by what was tried and what it said."""
    said = "\n".join(output)
    if "ensurepip" in said:
        return [f"apt install python3-venv, or the package of {_python(wish)} with venv"]
    if "No matching distribution" in said or "Could not find a version" in said:
        if wish.wheels.archive:
            return ["pip download --only-binary :all: -d WHEELS -r REQUIREMENTS, with the Python of this host"]
        return ["correct the list, or take everything from the controller with python.wheels"]
    if what == "pip check":
        return ["make the versions in the list agree; a lock file does"]
    return ["correct the list; what has to be compiled needs a compiler on the host, or a wheel"]


def _mark_environment(directory: str, who: Account, *, whole: bool) -> None:
    with commands.acting_as(who):
        text = json.dumps({"whole": whole}) + "\n"
        journal.write_atomically(os.path.join(directory, ENVIRONMENT_MARKER), text, 0o644)


def _environment_marker(root: str, name: str, who: Account) -> t.Optional[t.Dict[str, t.Any]]:
    return _marker(os.path.join(_environments(root), name, ENVIRONMENT_MARKER), who)


def _environment_whole(root: str, name: str, who: Account) -> bool:
    marker = _environment_marker(root, name, who)
    python = os.path.join(_environments(root), name, "bin", "python")
    return marker is not None and bool(marker.get("whole")) and os.path.exists(python)


def _link_environment(wish: Wish, who: Account, tree: str, name: str) -> None:
    with commands.acting_as(who):
        link = os.path.join(tree, "venv")
        if os.path.lexists(link):
            raise RollcallError(
                "The release has something called venv, where the link to its virtual environment has to be.",
                kind="wrong_use",
                remedies=["leave it out with `exclude`, or take it out of the repository"],
            )
        os.symlink(os.path.join(_environments(wish.root), name), link)


# --- commands -----------------------------------------------------------------------------------------------------


def _run_all(
    wish: Wish,
    who: Account,
    argvs: t.Sequence[t.Sequence[str]],
    what: str,
    directory: str,
    place: t.Optional[str] = None,
) -> None:
    """Run commands one after the other in a release.

    Raises:
        RollcallError: one of them failed, and what that means by ``what`` it was.
    """
    means = {
        "build": "Nothing was stopped, and the release that is in place stays.",
        "before_switch": "Nothing was stopped, and the release that is in place stays.",
        "after_switch": f"Release {wish.id} is in place and its services were verified.",
    }[what]
    with contextlib.ExitStack() as stack:
        workshop = place or (stack.enter_context(_workshop(wish.root, who)) if argvs else "")
        for argv in argvs:
            done = _run(wish, who, argv, directory, workshop)
            if not done.ok:
                raise _failure(f"{what}: {_shown(argv)}", done, ["correct it, then run the same command again"], means)


def _run(wish: Wish, who: Account, argv: t.Sequence[str], directory: str, place: str) -> commands.Outcome:
    """Run a command in a release, with a home and a place for temporary files that are gone afterwards."""
    environment = {**_variables(who, os.path.join(directory, "venv", "bin")), **wish.environment}
    environment.update(HOME=os.path.join(place, "home"), TMPDIR=os.path.join(place, "tmp"))
    return commands.run(argv, who, cwd=directory, environment=environment, timeout=wish.timeout)


def _variables(who: Account, first: str) -> t.Dict[str, str]:
    """Return the environment of a command: nothing of the caller's own is in it."""
    return {
        "PATH": f"{first}:{config.DEFAULT_PATH}" if first else config.DEFAULT_PATH,
        "USER": who.name,
        "LOGNAME": who.name,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONUTF8": "1",
    }


def _shown(argv: t.Sequence[str]) -> str:
    line = " ".join(argv)
    return line if len(line) <= processes.SHOWN else f"{line[: processes.SHOWN]}…"


def _failure(what: str, done: commands.Outcome, remedies: t.Sequence[str], means: str = "") -> RollcallError:
    said = "".join(f"\n  {line}" for line in done.output) or "\n  it printed nothing"
    return RollcallError(
        f"{what} {done.how}.{f' {means}' if means else ''} The last it said:{said}",
        evidence={"exit_code": done.exit_code, "output": list(done.output)},
        remedies=remedies,
    )


# --- directories and markers --------------------------------------------------------------------------------------


def _releases(root: str) -> str:
    return os.path.dirname(release_directory(root, "any"))


def _environments(root: str) -> str:
    return os.path.join(root, "venvs")


def _names(directory: str) -> t.List[str]:
    """Return what is in a directory of ours, in order; nothing when it does not exist."""
    try:
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except FileNotFoundError:
        return []


def _directory(path: str) -> None:
    """Have a directory that everyone may read, and nobody but us may write.

    Raises:
        RollcallError: it is another user's, who could lead root astray in it.
    """
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
        # Not when it is made: the umask of a careful root would close it.
        os.chmod(path, 0o755)
    owner = os.stat(path).st_uid
    if owner not in (0, os.geteuid()):
        raise RollcallError(
            f"{path} belongs to {processes.user_name(owner)}, and must be of the user who runs this, "
            f"{processes.user_name(os.geteuid())}.",
            kind="refused",
            remedies=[f"chown {processes.user_name(os.geteuid())} {path}", "run as the user who installed the stack"],
        )


@contextlib.contextmanager
def _workshop(root: str, who: Account) -> t.Iterator[str]:
    """Yield a directory in which a release is built, with ``tree``, ``wheels``, ``home`` and ``tmp`` of the user's."""
    _directory(_releases(root))
    place = tempfile.mkdtemp(prefix=MAKING, dir=_releases(root))
    try:
        os.chmod(place, 0o711)
        for name in ("tree", "wheels", "home", "tmp"):
            os.mkdir(os.path.join(place, name), 0o700)
            os.chown(os.path.join(place, name), who.uid, who.gid)
        yield place
    finally:
        _remove(place)


def _sweep(root: str) -> None:
    """Remove what an earlier run was making or removing when it was killed."""
    for directory in (_releases(root), _environments(root), os.path.join(root, "shared")):
        if os.path.isdir(directory):
            for name in os.listdir(directory):
                if name.startswith((MAKING, GOING)):
                    _remove(os.path.join(directory, name))


def _discard(path: str) -> None:
    """Remove a directory of ours: first its name, so that it never counts when it is half gone."""
    going = os.path.join(os.path.dirname(path), f"{GOING}{os.path.basename(path)}")
    os.rename(path, going)
    _remove(going)


def _remove(path: str) -> None:
    """Remove a tree, also where its owner may not write to the directories in it, as caches of some tools have them."""
    if os.geteuid() != 0:
        for folder, folders, _files in os.walk(path):
            for name in folders:
                inner = os.path.join(folder, name)
                if not os.path.islink(inner):
                    os.chmod(inner, 0o700)
    shutil.rmtree(path)


def _release_marker(root: str, name: str, who: Account) -> t.Optional[t.Dict[str, t.Any]]:
    marker = _marker(os.path.join(release_directory(root, name), MARKER), who)
    if marker is None or not {"id", "code", "recipe"} <= set(marker):
        return None
    return marker if isinstance(marker.get("made"), (int, float)) and isinstance(marker.get("venv"), str) else None


def _marker(path: str, who: Account) -> t.Optional[t.Dict[str, t.Any]]:
    """Return what a marker says; None where there is none. It is in a directory of the user's."""
    try:
        with commands.acting_as(who):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, encoding="utf-8") as stream:
            marker = json.loads(stream.read(MARKER_BYTES))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return marker if isinstance(marker, dict) else None


# --- the lock, and what is on its way -----------------------------------------------------------------------------


def _memory(root: str) -> str:
    return os.path.join(Paths.of(root).state, "release")


@contextlib.contextmanager
def _locked(root: str, clock: Clock) -> t.Iterator[None]:
    """Hold the lock of this stack's releases; it is not the one of its runs, which do not wait for a build."""
    os.makedirs(_memory(root), mode=0o700, exist_ok=True)
    lock = journal.Lock(_memory(root))
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(clock.wall()))
    note = {"who": processes.user_name(os.geteuid()), "verb": "release", "since": since}
    deadline = Deadline(LOCK_PATIENCE, clock)
    while True:
        try:
            lock.acquire(note)
            break
        except RollcallError:
            if deadline.expired:
                raise
            clock.sleep(0.05)
    try:
        yield
    finally:
        lock.release()


def _pending_path(root: str) -> str:
    return os.path.join(_memory(root), "pending.json")


def _pending(root: str) -> t.Optional[str]:
    """Return the release that was made ready and whose ``after_switch`` commands have not ended well since."""
    try:
        with open(_pending_path(root), encoding="utf-8") as stream:
            return str(json.load(stream)["id"])
    except FileNotFoundError:
        return None


def _note_pending(root: str, name: t.Optional[str]) -> None:
    if name is not None:
        journal.write_atomically(_pending_path(root), json.dumps({"id": name}) + "\n", 0o600)
    elif os.path.exists(_pending_path(root)):
        os.unlink(_pending_path(root))


@contextlib.contextmanager
def _as_errors(root: str) -> t.Iterator[None]:
    """Have what the system refuses told as an error of ours."""
    try:
        yield
    except OSError as exc:
        raise RollcallError(
            f"The release could not be made: {exc}. What is in place stays, and what was begun does not count.",
            evidence={"cause": str(exc)},
            remedies=[f"df -h {root}; df -i {root}; ls -ld {root}", "run the same command again"],
        ) from exc


def _result(
    wish: Wish,
    name: str,
    actions: t.Sequence[str],
    *,
    missing: t.Sequence[str] = (),
    ignored: t.Sequence[str] = (),
    pruned: t.Sequence[str] = (),
) -> t.Dict[str, t.Any]:
    return {
        "changed": bool(actions),
        "id": name,
        "path": release_directory(wish.root, name),
        "actions": list(actions),
        "missing": list(missing),
        "ignored": list(ignored),
        "pruned": list(pruned),
        "diff": {"prepared": "".join(f"{action}\n" for action in actions)},
    }
