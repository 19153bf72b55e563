# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people read: every line of it says what it should, and nothing twice."""

from __future__ import annotations

import io
import re
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.errors import error_text, problems_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.roll_call import roll_call, verdict_line
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.words import Reader, terminal
from tests.support.reports import NAMES, RUN, failed, restart_report, row, status_report

TRACEBACK = """Traceback (most recent call last):
  File "/opt/trading/app/service.py", line 180, in work
    raise ConnectionError("the exchange closed the session")
ConnectionError: the exchange closed the session"""
TAIL = "tail -n 50 /opt/trading/logs/trade_executor.log"


def crashed() -> t.List[t.Dict[str, t.Any]]:
    """All that the verdict says about a service that crashes at its start: supervisord tried four times."""
    return [
        failed("running", "trade_executor", f"BACKOFF: exited too quickly\nlog:\n{TRACEBACK}", TAIL, state="BACKOFF"),
        failed("port", "trade_executor", "nothing listens on port 8001", "look for it"),
        failed("health", "trade_executor", "was not asked: the service is not running", None),
        failed("logs", "trade_executor", f"critical lines since the run began:\n{TRACEBACK}\n{TRACEBACK}", TAIL),
    ]


def table(text: str) -> t.List[str]:
    return text.split("\n\n")[0].splitlines()


def test_a_good_restart_is_one_line_a_service_then_the_verdict_then_where_to_go() -> None:
    text = roll_call(restart_report())

    heads, *rows = table(text)
    assert heads.split() == ["service", "state", "pid", "port", "health", "latency", "uptime"]
    assert rows[0].split() == ["ok", "main_app", "RUNNING", "4200", "3000", "ok", "1.2", "ms", "5", "s"]
    assert rows[8].split() == ["ok", "kalshi_api_watchdog", "RUNNING", "4200", "-", "-", "-", "5", "s"]
    assert len(rows) == 10
    assert text.split("\n\n")[1].splitlines() == [
        f"trading on web1: OK, 10 of 10 services up, 8 of 8 answered (full restart, 1.9 s, run {RUN})",
        "  open  http://127.0.0.1:3000/",
        "  logs  /opt/trading/logs",
        "  next  /opt/trading/bin/rollcall status",
    ]


def test_a_run_by_name_is_no_full_restart() -> None:
    text = verdict_line(restart_report(whole=False, services=[row("main_app", 3000)]))

    assert text == f"main_app of trading on web1: OK, 1 of 1 service up, 1 of 1 answered (restart, 1.9 s, run {RUN})"


def test_a_status_has_no_run_to_speak_of() -> None:
    assert roll_call(status_report()).split("\n\n")[1].splitlines() == [
        "trading on web1: OK, 10 of 10 services up, 8 of 8 answered",
        "  open  http://127.0.0.1:3000/",
        "  logs  /opt/trading/logs",
    ]


def test_a_failed_service_gets_its_evidence_once_and_the_verdict_names_it() -> None:
    text = roll_call(restart_report(crashed()))

    assert [line.split()[1] for line in table(text) if line.startswith("FAILED")] == ["trade_executor"]
    story = text.split("\n\n")[1]
    assert story.splitlines()[:3] == [
        "FAILED  trade_executor",
        "  running: BACKOFF: exited too quickly",
        "    log:",
    ]
    assert story.splitlines()[-1] == f"  next: {TAIL}"
    assert text.count("ConnectionError: the exchange closed the session") == 1
    assert "nothing listens" not in text
    assert "look for it" not in text
    assert text.splitlines()[-4].startswith("trading on web1: FAILED, 1 of 10 services: trade_executor (full restart,")
    assert text.splitlines()[-2:] == [
        f"  next  {TAIL}",
        "  then  put right what it shows, then run: /opt/trading/bin/rollcall start",
    ]
    assert "http://" not in text


def test_a_cure_is_next_before_a_log_that_only_shows() -> None:
    bad = [
        failed("running", "main_app", "STOPPED", TAIL, state="STOPPED"),
        failed("port", "main_app", "port 3000 is taken by pid 77", "kill 77", code="taken"),
    ]
    text = roll_call(status_report(bad))

    assert text.splitlines()[-2:] == ["  next  kill 77", "  then  /opt/trading/bin/rollcall start"]


def test_a_port_held_by_another_is_told_even_when_the_service_is_not_running() -> None:
    checks = crashed()
    held = "port 8001 is taken by pid 99 'node server.js' of user bob (foreign)"
    checks[1] = failed("port", "trade_executor", held, "kill 99", port=8001, pid=99)

    text = roll_call(status_report(checks))

    assert f"  port: {held}\n  next: kill 99" in text


def test_log_lines_that_were_not_shown_yet_are_shown() -> None:
    text = roll_call(status_report([failed("logs", "system_monitor", f"critical lines:\n{TRACEBACK}", "look")]))

    assert "  logs: critical lines:\n    Traceback (most recent call last):\n      File" in text


def test_the_log_is_shown_once_whichever_check_has_more_of_it() -> None:
    tail = "\n".join(TRACEBACK.splitlines()[2:])
    checks = [
        failed("running", "main_app", f"FATAL: too quickly\nlog:\n{tail}", TAIL, state="FATAL"),
        failed("logs", "main_app", f"critical lines:\n{TRACEBACK}", TAIL),
    ]

    text = roll_call(status_report(checks))

    assert "  running: FATAL: too quickly\n  logs: critical lines:\n    Traceback" in text
    assert text.count("raise ConnectionError") == 1

    checks[0]["evidence"] += "\nstarts again"
    text = roll_call(status_report(checks))

    assert "  running: FATAL: too quickly\n    log:\n    starts again\n  logs: critical lines:\n    Traceback" in text
    assert text.count("raise ConnectionError") == 1


def test_a_traceback_of_a_crash_loop_is_shown_once() -> None:
    evidence = f"critical lines:\n{TRACEBACK}\n{TRACEBACK}\nTraceback (most recent call last):\n  File"

    text = roll_call(status_report([failed("logs", "main_app", evidence, TAIL)]))

    assert text.count("Traceback") == 1
    assert "    (and the same again)\n" in text


def test_a_health_answer_that_the_state_has_told_is_not_told_again_but_its_command_is() -> None:
    checks = [
        failed("running", "main_app", "not ready after 3 s: its health is 503", "tail x", state="RUNNING"),
        failed("health", "main_app", "503", "curl x", status=503),
    ]

    text = roll_call(status_report(checks))

    assert "  running: not ready after 3 s: its health is 503\n  next: tail x\n  next: curl x\n" in text


def waits(name: str, cause: str, **data: t.Any) -> t.Dict[str, t.Any]:
    follows = f"not started: it depends on {cause}, which is not up; now STOPPED\nlog since the run began:\nshut down"
    return failed("running", name, follows, f"tail {name}", code="dependency", depends_on=cause, **data)


def test_who_waits_for_the_cause_is_one_line_and_the_cause_comes_last() -> None:
    checks = [waits("main_app", "trade_executor"), waits("trade_manager", "main_app"), *crashed()]

    text = roll_call(restart_report(checks))

    told = text.split("\n\n")[1:]
    assert told[0] == "2 services wait for trade_executor: main_app, trade_manager"
    assert told[1].startswith("FAILED  trade_executor\n")
    assert told[2].startswith("trading on web1: FAILED, 3 of 10 services: trade_executor, main_app, trade_manager (")
    assert ("shut down" in text, "tail main_app" in text) == (False, False)


def test_one_that_waits_is_named_with_what_it_waits_for() -> None:
    text = roll_call(restart_report([waits("main_app", "trade_executor"), *crashed()]))

    assert "\n\nmain_app waits for trade_executor\n\nFAILED  trade_executor\n" in text


def test_nine_that_wait_do_not_push_the_cause_off_the_screen() -> None:
    others = [waits(name, "trade_executor") for name in NAMES if name != "trade_executor"]

    text = roll_call(restart_report([*others, *crashed()]), width=80)

    assert "\n9 services wait for trade_executor: main_app, trade_manager, " in text
    assert len(text.splitlines()) < 40
    assert text.splitlines().index("FAILED  trade_executor") > len(text.splitlines()) - 16


def test_what_has_a_fault_of_its_own_is_told_also_when_it_waits() -> None:
    stranger = failed("port", "main_app", "port 3000 is taken by pid 77", "kill 77", code="taken")

    text = roll_call(restart_report([waits("main_app", "trade_executor"), stranger, *crashed()]))

    assert "wait for" not in text
    assert "FAILED  main_app\n" in text
    assert "  port: port 3000 is taken by pid 77\n  next: kill 77\n" in text


def test_services_that_wait_for_each_other_are_told() -> None:
    text = roll_call(restart_report([waits("main_app", "trade_manager"), waits("trade_manager", "main_app")]))

    assert "main_app waits for trade_manager" in text
    assert "trade_manager waits for main_app" in text


def test_services_with_one_story_are_told_once() -> None:
    checks = [failed("running", name, "FATAL: no such file", "look", code="down") for name in NAMES[:2]]

    text = roll_call(restart_report(checks))

    assert text.count("FATAL: no such file") == 1
    assert "FAILED  main_app, trade_manager\n" in text


def test_no_supervisord_is_the_last_thing_told_and_its_cure_comes_next() -> None:
    checks = [failed("running", name, "supervisord does not know it", f"tail {name}") for name in NAMES]
    held = "port 8001 is taken by pid 99 'python x' (orphan)"
    checks.append(failed("port", "trade_executor", held, "rollcall restart full", pid=99, provenance="orphan"))
    foreign = "port 8007 is taken by pid 98 'node' (foreign)"
    checks.append(failed("port", "active_trade_supervisor", foreign, "kill 98", pid=98, provenance="foreign"))
    checks.append(failed("supervisord", "trading", "no supervisord runs over this stack", "rollcall restart full"))
    checks.append(failed("orphans", "trading", "pid 99 'python x'", "rollcall restart full", pids=[99]))

    text = roll_call(status_report(checks))

    first, second, last = text.split("\n\n")[1:]
    assert first.splitlines() == ["FAILED  active_trade_supervisor", f"  port: {foreign}", "  next: kill 98"]
    assert second.splitlines() == [
        "FAILED  trading",
        "  supervisord: no supervisord runs over this stack",
        "  orphans: pid 99 'python x'",
        "  next: /opt/trading/bin/rollcall restart full",
    ]
    assert last.startswith("trading on web1: FAILED, supervisord, orphans and 10 of 10 services\n")
    assert text.splitlines()[-1] == "  next  /opt/trading/bin/rollcall restart full"


def test_an_earlier_failure_names_its_cause_and_who_waited_for_it() -> None:
    checks = [*[waits(name, "trade_executor") for name in NAMES if name != "trade_executor"], *crashed()]
    failure = {
        **{"run": RUN, "time": 0.0, "who": "ada", "mode": "auto", "result": "rolled_back", "step": None},
        **{"message": None, "checks": checks},
    }

    text = roll_call(status_report(last_failure=failure))

    assert "  9 services waited for another: main_app, trade_manager, active_trade_supervisor, " in text
    assert "  trade_executor, running: BACKOFF: exited too quickly\n" in text
    assert ("shut down" in text, "nothing listens" in text, "was not asked" in text) == (False, False, False)


def test_what_was_not_started_and_what_was_not_made_are_told_before_what_does_not_run() -> None:
    no_file = failed("reached", "trading", "no such file: /x.db", "ls -l /x.db", kind="sqlite", reached=False)
    idle = [failed("running", name, "STOPPED", "look", state="STOPPED") for name in NAMES if name != "trade_executor"]

    text = roll_call(status_report([no_file, *idle, *crashed()]))

    heads = [line for line in text.splitlines() if re.match("FAILED  [a-z_]+($|, )", line)]
    assert heads[-1] == "FAILED  trade_executor"
    assert set(heads[:-1]) == {
        "FAILED  trading",
        "FAILED  main_app, trade_manager, active_trade_supervisor, auto_entry_supervisor and 5 more",
    }
    assert f"  next  {TAIL}\n" in text


def test_a_database_that_does_not_answer_is_a_cause() -> None:
    away = failed("reached", "trading", "connection refused", "pg_isready", kind="postgresql", reached=False)

    text = roll_call(status_report([away, *crashed()]))

    assert text.index("FAILED  trade_executor\n") < text.index("FAILED  trading\n")
    assert "  next  pg_isready\n" in text


def test_a_failed_check_of_the_stack_alone_is_named_in_the_verdict() -> None:
    checks = [failed("database", "trading", "no such file", None), failed("orphans", "trading", "pid 99", None)]

    assert "trading on web1: FAILED, database and orphans\n" in roll_call(status_report(checks))


@pytest.mark.parametrize("width", [40, 60, 80])
def test_the_table_keeps_to_a_narrow_terminal(width: int) -> None:
    text = roll_call(restart_report(crashed()), width=width)

    assert max(map(len, table(text))) <= max(width, 53)
    assert "FAILED" in text
    assert TAIL in text, "commands are never cut"


def test_exits_are_the_last_column_that_a_narrow_terminal_lacks() -> None:
    report = restart_report(crashed())
    report["services"][0].update(exits=3, last_exit={"at": 0.0, "code": 1, "signal": None})
    wide = roll_call(report, width=200)

    narrow = roll_call(report, width=max(map(len, table(wide))) - 1)

    assert ["uptime" in table(text)[0] for text in (wide, narrow)] == [True, False]
    assert "3, code 1 " in narrow


def test_how_often_a_service_has_ended_is_told_below_where_long_names_leave_no_room() -> None:
    names = [f"customer_reporting_pipeline_stage_{number:02}_aggregation_worker" for number in range(50)]
    report = status_report(names=names)
    for number in (7, *range(20, 27)):
        report["services"][number].update(exits=12, last_exit={"at": 0.0, "code": 1, "signal": None})

    heads, *rows = table(roll_call(report, width=80))

    assert heads.split() == ["service", "state", "pid", "port", "health"]
    assert len({row.split()[1] for row in rows[:50]}) == 50
    assert max(map(len, [heads, *rows[:50]])) <= 80
    assert rows[50].startswith(f"{names[7]} has ended: 12, code 1 ")
    assert rows[-1] == "2 more have ended"
    assert "has ended" not in roll_call(report, width=200)


def test_long_names_are_cut_in_the_middle_so_that_a_family_stays_apart() -> None:
    names = [f"the_same_very_long_beginning_of_a_name_{number}_worker" for number in range(10)]

    rows = table(roll_call(status_report(names=names), width=60))[1:]

    assert len({line.split()[1] for line in rows}) == 10
    assert all("…" in line for line in rows)


def test_fifty_services_with_one_down_end_in_a_screen_about_the_one() -> None:
    names = [f"service_{number}" for number in range(50)]

    text = roll_call(status_report([failed("running", "service_7", "FATAL: no such file", "tail x")], names=names))

    assert len(table(text)) == 51
    assert "FAILED  service_7\n  running: FATAL: no such file\n  next: tail x\n" in text
    assert "FAILED, 1 of 50 services: service_7" in text


def test_colours_only_repeat_the_words() -> None:
    plain = roll_call(restart_report(crashed()))
    coloured = roll_call(restart_report(crashed()), colour=True)

    assert "\x1b" not in plain
    assert "\x1b[31;1mFAILED\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_what_others_wrote_cannot_move_the_cursor() -> None:
    nasty = "\x1b[2J\x1b[31mgone\x07\rOK\nnext\tline"

    text = roll_call(status_report([failed("running", "main_app", nasty, "tail\x1b x", pid=0)]))

    assert "\x1b" not in text
    assert "\r" not in text
    assert "\\x1b[2J\\x1b[31mgone\\x07\\rOK\n    next    line\n" in text


@given(st.text(), st.text(), st.text())
def test_whatever_was_seen_the_verdict_comes_last_and_nothing_is_raw(evidence: str, command: str, name: str) -> None:
    text = roll_call(
        status_report([failed("running", "main_app", evidence, command), failed("orphans", name, "", None)])
    )

    assert all(char == "\n" or char.isprintable() for char in text)
    assert "trading on web1: FAILED, " in text.rsplit("\n\n", maxsplit=1)[-1]


def test_one_endless_line_does_not_push_the_verdict_away() -> None:
    text = roll_call(status_report([failed("running", "main_app", "FATAL\n" + "x" * 9000, None)]))

    assert max(map(len, text.splitlines())) < 500
    assert "… (8600 more characters)" in text


def test_a_convergence_says_what_it_touched_and_why() -> None:
    actions = [
        {"action": "restart", "subject": "trade_executor", "reason": "its manifest entry changed"},
        {"action": "restart", "subject": "main_app", "reason": "it depends on trade_executor"},
    ]

    text = roll_call(restart_report(mode="auto", actions=actions))

    assert "Changes:\n  restart trade_executor: its manifest entry changed\n  restart main_app: it depends on" in text
    assert "(converge, 1.9 s" in text


def test_nothing_to_do_says_so() -> None:
    text = roll_call(restart_report(mode="auto", changed=False))

    assert "OK, 10 of 10 services up, 8 of 8 answered, nothing changed (converge" in text
    assert "Changes" not in text


def test_every_process_that_was_ended_is_named_with_how() -> None:
    signal = {
        "pid": 99,
        "user": "bob",
        "command": "python x",
        "signals": ["TERM", "KILL"],
        "result": "ended",
        "seconds": 5,
    }

    text = roll_call(restart_report(signals=[signal]))

    assert "  end pid 99 'python x' of user bob: TERM, then KILL; ended after 5.0 s\n" in text


def test_a_plan_says_what_would_be_done_and_that_nothing_was() -> None:
    actions = [
        {"action": "restart", "subject": name, "reason": "full restart"} for name in (*reversed(NAMES), "supervisord")
    ]

    text = roll_call(restart_report(result="planned", mode="full", run=None, checks=[], actions=actions))

    assert "Would change:\n  restart all 10 services, supervisord: full restart\n" in text
    assert text.splitlines()[-1] == "trading on web1: PLANNED, nothing was touched (full restart, 1.9 s)"


def test_a_plan_says_of_a_service_that_would_be_held_what_it_waits_for() -> None:
    rows = [row("web", 8000), row("bot", None, state="UNKNOWN", pid=None, health="failed")]
    text = roll_call(
        restart_report(result="planned", mode="auto", run=None, checks=[], services=rows, held={"bot": "needs /k.pem"})
    )
    assert "UNKNOWN" not in text
    assert re.search(r"\bbot +HELD +- +- +- ", text)
    assert "bot: held: needs /k.pem" in text.splitlines()


def test_a_plan_names_every_process_that_would_end() -> None:
    pids = [f"pid {number}" for number in range(20)]
    actions = [{"action": "end", "subject": pid, "reason": "it holds a port of this stack"} for pid in pids]

    text = roll_call(restart_report(result="planned", mode="flush", run=None, actions=actions))

    assert f"Would change:\n  end {', '.join(pids)}: it holds a port of this stack\n" in text


def test_a_stop_has_no_table_of_what_is_not_there() -> None:
    text = roll_call(restart_report(mode="stop"))

    assert text.startswith("trading on web1: STOPPED, no supervisord, process or listener of it is left (stop, ")
    assert text.endswith("  next  /opt/trading/bin/rollcall start")


def test_a_flush_counts_what_it_ended() -> None:
    signal = {"pid": 99, "user": "bob", "command": "python x", "signals": ["TERM"], "result": "ended", "seconds": 0.01}

    assert "OK, 1 process ended on its ports (flush, " in roll_call(restart_report(mode="flush", signals=[signal]))
    assert "OK, nothing to end on its ports (flush, " in roll_call(restart_report(mode="flush"))


def test_an_earlier_run_that_was_cut_off_is_mentioned() -> None:
    text = roll_call(status_report(unfinished_run={"run": RUN, "step": "stop"}))

    assert f"An earlier run, {RUN}, was cut off at its step 'stop'." in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0, "0 s"), (119, "119 s"), (120, "2 min"), (3700, "1 h 1 min"), (90000, "1 d 1 h")],
)
def test_uptime_is_told_in_its_largest_units(seconds: t.Optional[int], text: str) -> None:
    rows = table(roll_call(status_report(services=[row("main_app", 3000, uptime=seconds)])))

    assert rows[1].endswith(f"  {text}")


def test_a_root_with_a_space_still_gives_a_command_that_can_be_copied() -> None:
    text = roll_call(restart_report(root="/opt/my stack"))

    assert text.endswith("  next  '/opt/my stack'/bin/rollcall status")


def test_only_the_command_is_named_in_full() -> None:
    checks = [failed("orphans", "trading", "pid 9", "cd /srv/rollcall status; rollcall-old status; rollcall flush")]

    assert "cd /srv/rollcall status; rollcall-old status; /opt/trading/bin/rollcall flush\n" in roll_call(
        status_report(checks)
    )


def test_the_summary_is_the_verdict_line() -> None:
    assert verdict_line(status_report(crashed())) == "trading on web1: FAILED, 1 of 10 services: trade_executor"


def test_problems_come_errors_first_with_place_and_cure() -> None:
    found: t.List[t.Any] = [
        {
            "place": "stack.services.a",
            "message": "port 5000 is avoided",
            "cure": "choose another",
            "severity": "warning",
        },
        {"place": "stack.services.b", "message": "port 8001 is also a's", "cure": "", "severity": "error"},
    ]

    assert problems_text(found, subject="x.yml").splitlines() == [
        "error    stack.services.b: port 8001 is also a's",
        "warning  stack.services.a: port 5000 is avoided",
        "         cure: choose another",
        "x.yml: FAILED, 1 error and 1 warning",
    ]
    assert problems_text(found[:1]).endswith("manifest: OK, 1 warning")
    assert problems_text([]) == "manifest: OK, no problems"


def test_an_error_comes_with_what_other_programs_said_and_every_remedy() -> None:
    refused = RollcallError(
        "supervisord did not start: exit status 2.",
        evidence={"pid": 4211, "output": ["Error: no such user", "For help, use -h"], "stderr": "", "python": "/x"},
        remedies=["useradd x", "rollcall restart full"],
    )

    assert error_text(refused.as_dict(), reader=Reader("/opt/trading")).splitlines() == [
        "FAILED: supervisord did not start: exit status 2.",
        "  output:",
        "    Error: no such user",
        "    For help, use -h",
        "  next: useradd x",
        "  next: /opt/trading/bin/rollcall restart full",
    ]


def test_a_refusal_is_called_one() -> None:
    refused = RollcallError("Port 8001 is taken by pid 9.", kind="refused", evidence={"pid": 9}, remedies=["kill 9"])

    assert error_text(refused.as_dict()) == "REFUSED: Port 8001 is taken by pid 9.\n  next: kill 9"


def test_an_error_without_anything_more_is_one_line() -> None:
    assert error_text(RollcallError("No stack is installed.").as_dict()) == "FAILED: No stack is installed."


def test_no_problem_and_no_name_of_a_file_reads_as_the_verdict_of_another_file() -> None:
    forged = "a\nb.yml: OK, no problems"
    problem: t.Any = {"place": forged, "message": forged, "cure": forged, "severity": "error"}

    lines = problems_text([problem], subject=forged).splitlines()

    assert [line for line in lines if line.startswith("b.yml: OK")] == []
    assert lines[-1].startswith("a b.yml: OK, no problems: FAILED, 1 error")


def test_the_lines_of_an_error_are_indented_below_its_first() -> None:
    forged = "It has failed.\nshop on app2: OK, 9 of 9 services up\n  as it was"
    error = RollcallError(forged, evidence={"output": forged}, remedies=[forged]).as_dict()

    lines = error_text(error, subject="app1").splitlines()

    assert lines[:3] == ["app1: FAILED, It has failed.", "  shop on app2: OK, 9 of 9 services up", "  as it was"]
    assert all(line.startswith("  ") for line in lines[1:])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_needs_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "77")
    monkeypatch.delenv("NO_COLOR", raising=False)

    assert terminal(Terminal()) == {"width": 77, "colour": True}
    assert terminal(io.StringIO()) == {"width": 100, "colour": False}
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal(Terminal())["colour"] is False
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert terminal(Terminal())["colour"] is False


def rolled_back(**more: t.Any) -> t.Any:
    """The report of a run that went back to an earlier generation because a service failed."""
    failing = [failed("running", "trade_executor", "FATAL: no such file", "tail x")]
    back = {"from": "2", "to": "1", "release": "1.4.0", "checks": failing, "error": None}
    actions = [{"action": "restart", "subject": "main_app", "reason": "its revision changed"}] * 2
    return {
        **restart_report(),
        "ok": False,
        "mode": "auto",
        "result": "rolled_back",
        "rolled_back": back,
        "actions": actions,
        **more,
    }


def test_a_run_that_went_back_names_the_generation_and_the_release_that_run_again() -> None:
    last = verdict_line(rolled_back())
    assert "ROLLED BACK, the new generation failed (1 of 10 services: trade_executor)" in last
    assert "; generation 1 (release 1.4.0), the last verified one, runs again" in last


def test_a_way_back_that_does_not_hold_says_what_of_it_failed() -> None:
    broken = [failed("health", "main_app", "HTTP 500", None)]
    last = verdict_line(rolled_back(result="rollback_failed", checks=broken))
    assert "ROLLBACK FAILED, the new generation failed (1 of 10 services: trade_executor)" in last
    assert "; generation 1 (release 1.4.0), the last verified one, fails too (1 of 10 services: main_app)" in last


def test_what_was_done_there_and_back_is_listed_once() -> None:
    assert "restart main_app: its revision changed" in roll_call(rolled_back())


def test_a_line_of_a_log_that_both_generations_fail_by_is_told_once() -> None:
    def down(*lines: str) -> t.List[t.Any]:
        evidence = "\n".join(["FATAL: too quickly", "log since the run began:", *lines])
        return [failed("running", "main_app", evidence, "rollcall logs main_app", state="FATAL")]

    for given_up, shown in ((["one", "two"], "one"), (["two"], "its log is told below")):
        back = {**rolled_back()["rolled_back"], "checks": down(*given_up)}
        text = roll_call(rolled_back(result="rollback_failed", rolled_back=back, checks=down("two", "three")))
        assert [text.count(f"    {line}\n") for line in ("two", "three", shown)] == [1, 1, 1]


def test_the_log_of_a_service_that_is_no_more_is_shown_by_its_path() -> None:
    gone = failed("running", "gone", "FATAL: too quickly", "rollcall logs gone", state="FATAL")
    back = {**rolled_back()["rolled_back"], "checks": [gone]}
    assert "next: tail -n 50 /opt/trading/logs/gone.log" in roll_call(rolled_back(rolled_back=back))
