# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults. Each begins a rollout, strikes in the midst of it, and has the same command finish it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from tests.chaos.fleet.judge import BUSY, Told
from tests.chaos.fleet.play import PATIENCE, SHOCK, Play, Untrue

Fault = Callable[[Play], None]
FULL = "full"


def lost(moment: str) -> Fault:
    """Return the fault that a host is lost at a moment of its rollout."""

    def strike(play: Play) -> None:
        host = play.pick()
        way = play.dice.choice(("network", "power"))
        blip = play.dice.choice((0.0, 0.0, play.dice.uniform(1.0, 12.0)))
        without = play.dice.random() < 0.5
        running = play.begin()
        play.reach(running, host, moment)
        play.lose(host, way)
        if blip:
            running.wait(blip)
            play.record.what.append(f"back after {blip:.0f} s")
            play.bring_back(host, way)
            play.end(running)
        else:
            said = play.end(running)
            if without and said.code != 0:
                _leave_out(play, host)
            play.bring_back(host, way)
        play.finish()

    return strike


def _leave_out(play: Play, host: str) -> None:
    """Give the same command while a host is away, and leave it out as it is printed."""
    said = play.end(play.begin())
    if said.code == 0:
        raise Untrue(f"FALSE OK: it ended with 0 while {host} was away, after a rollout that had not finished")
    cure = said.cure("unreachable=skip")
    if not cure:
        raise Untrue(f"{host} is away, and no line says that it can be left out")
    extra = ["-e", cure]
    repair = said.cure("unhealthy_before=repair")
    extra += ["-e", repair] if repair else []
    play.record.what.append(f"with {' '.join(extra[1::2])}")
    left_out = play.end(play.begin("", *extra))
    if left_out.code == 0:
        raise Untrue(f"FALSE OK: {host} was left out, and it ended with 0")


def severed(play: Play) -> None:
    """Kill the sessions of SSH of a host, and nothing else."""
    host = play.pick()
    running = play.begin()
    if play.reach(running, host, play.dice.choice(("begun", "out", "changed", "back"))):
        play.world.sever(host)
    play.end(running)
    play.finish()


def controller_killed(play: Play) -> None:
    """Kill the controller, of which this machine can see that it is dead."""
    _kill_controller(play, apart=False)


def other_controller_killed(play: Play) -> None:
    """Kill a controller of which nobody here can see whether it lives."""
    _kill_controller(play, apart=True)


def _kill_controller(play: Play, *, apart: bool) -> None:
    running = play.begin(apart=apart)
    if play.reach(running, play.pick(), play.dice.choice(("begun", "out", "changed", "back"))):
        play.kill(running)
        if play.dice.random() < 0.3:
            play.record.what.append("and the connections with it")
            play.world.forget_connections()
    else:
        play.end(running)
    play.finish()


def killed_on_its_way_back(play: Play) -> None:
    """Kill the controller while it takes hosts back: the same command goes on with that, the next one forth."""
    first, middle, last = play.world.names[0], play.world.names[-2], play.world.names[-1]
    bad = f"{play.version}-broken"
    running = play.begin(bad, "-e", "rollout_on_failure=revert", broken=[last])
    for moment in ("back", play.dice.choice(("out", "changed"))):
        # The second time it is out because it goes back; the first host goes back after it.
        play.reach(running, middle, moment, before=play.before if moment == "back" else bad)
    if running.code is None:
        play.kill(running)
        on = play.end(play.begin(bad, broken=[last]), bad)
        _has_failed(on, bad)
        if BUSY not in on.text.lower():
            play.hold(
                lambda: [
                    f"{host} has not gone back, and answers with {play.world.version(host)}"
                    for host in (first, middle, last)
                    if play.world.version(host) != play.before
                ]
            )
    else:
        play.end(running, bad)
    play.finish()


def balancer_killed(play: Play) -> None:
    """Kill the balancer, and start it again: it has forgotten what it was told."""
    host, pause = play.pick(), play.dice.choice((0.0, 2.0, 8.0))
    running = play.begin()
    play.reach(running, host, play.dice.choice(("begun", "out", "changed", "back")))
    play.excuse(pause + SHOCK)
    play.world.balancer.kill()
    running.wait(pause)
    play.world.balancer.start()
    play.record.what.append(f"the balancer away for {pause:g} s")
    # What it has forgotten is out no more, though it was to be: it gives requests to a host that is being changed.
    play.excuse(SHOCK + SHOCK)
    play.end(running)
    play.finish()


def broken(play: Play) -> None:
    """Bring a version that does not start, on one host or on all."""
    where = play.dice.choice(("all", *play.world.names))
    play.record.what.append(f"on {where}")
    hosts = play.world.names if where == "all" else [where]
    bad = f"{play.version}-broken"
    said = play.end(play.begin(bad, broken=hosts), bad)
    _has_failed(said, bad)
    play.finish()


def sick_canary(play: Play) -> None:
    """Bring a version that gets sick on the first host when it has its users."""
    _sicken(play, play.world.names[0])


def sick_later(play: Play) -> None:
    """Bring a version that gets sick on a later host when it has its users."""
    _sicken(play, play.dice.choice(play.world.names[1:]))


def _sicken(play: Play, host: str) -> None:
    word = play.dice.choice(("sick", "crash"))
    bad = f"{play.version}-{word}"
    sickness = play.world.sickness(host)
    running = play.begin(bad, "-e", "soak=8")
    try:
        if play.reach(running, host, "back"):
            sickness.write_text(f"{bad} {word}", encoding="ascii")
            play.record.what.append(word)
            if word == "crash":
                # Who asks a process that ends has no answer, each time that it is started again.
                play.excuse(60)
        said = play.end(running, bad)
        _has_failed(said, bad)
    finally:
        sickness.unlink(missing_ok=True)
    play.finish()


def _has_failed(said: Told, version: str) -> None:
    if said.code == 0:
        raise Untrue(f"FALSE OK: {version} cannot hold, and its rollout ended with 0")


def disk_full(play: Play) -> None:
    """Fill the disk of a host to its last byte."""
    host = play.pick()
    place = play.world.host(host).directory / FULL
    early = play.dice.random() < 0.3
    if early:
        fill(place)
    running = play.begin()
    try:
        if not early and play.reach(running, host, play.dice.choice(("begun", "out", "changed", "back"))):
            fill(place)
        play.record.what.append(f"the disk of {host} is full" + (" before" if early else ""))
        play.end(running)
    finally:
        place.unlink(missing_ok=True)
    play.finish()


def fill(place: Path) -> None:
    """Write a file until there is not one byte left."""
    with open(place, "wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError as exc:
                if exc.errno != errno.ENOSPC:
                    raise
        os.fsync(file.fileno())


def second_rollout(play: Play) -> None:
    """Begin another rollout, of another version, while one is at work."""
    other = f"{play.version}-other"
    first = play.begin()
    play.reach(first, play.pick(), play.dice.choice(("begun", "out", "changed", "back")))
    is_at_work = first.code is None
    second = play.begin(other)
    # Judged when both have ended: until then either may be at it.
    for running in (first, second):
        running.wait(PATIENCE)
    codes = (first.code, second.code)
    play.record.what.append(f"they ended with {codes[0]} and {codes[1]}")
    if codes[0] == 0 and codes[1] != 0:
        play.end(first)
        play.keep(second, str(codes[1]))
    elif codes[1] == 0:
        play.end(second, other)
        play.keep(first, str(codes[0]))
    else:
        play.keep(first, str(codes[0]))
        play.keep(second, str(codes[1]))
    if is_at_work and 0 not in codes:
        raise Untrue("two rollouts have ended each other")
    play.record.what.append("refused" if BUSY in second.output.lower() else "not refused")
    play.finish()


FAULTS: dict[str, Fault] = {
    "host lost before its drain": lost("begun"),
    "host lost in its drain": lost("out"),
    "host lost in its restart": lost("changed"),
    "host lost after its drain": lost("back"),
    "connection lost": severed,
    "controller killed": controller_killed,
    "controller killed elsewhere": other_controller_killed,
    "controller killed on its way back": killed_on_its_way_back,
    "balancer killed": balancer_killed,
    "version that does not start": broken,
    "canary sick in its soak": sick_canary,
    "later host sick in its soak": sick_later,
    "disk full": disk_full,
    "second rollout": second_rollout,
}
