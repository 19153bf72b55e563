# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The roll call and all else that is shown to people: data in, text out. Pure.

Whoever reads it may have been woken by it. So: one line a service; more only about what failed; the verdict after all
of it, where the eye is when the output stops; every ``next:`` a command that can be copied as it stands.
"""

from __future__ import annotations

import re
import shlex
import typing as t

from ..base.text import printable

WIDTH = 100
# How many names a sentence bears before it says how many more.
NAMES = 4
# A line of a log is shown up to here: one line of minified JSON must not push the verdict off the screen.
LINE = 400
# Below this a name says nothing any more; a narrower terminal wraps instead.
SHORTEST_NAME = 12

_COLOURS = {"good": "32", "bad": "31;1", "warn": "33", "quiet": "2"}
_VERDICTS = {"ok": "OK", "planned": "PLANNED", "degraded": "FAILED", "held": "HELD"}
_MODES = {
    "auto": "converge",
    "full": "full restart",
    "quick": "quick restart",
    "emergency": "emergency restart",
    "rollback": "rollback",
}
_KINDS = {"refused": "REFUSED", "unreachable": "UNREACHABLE"}
# Keys of an error's evidence that hold what another program said; the others are facts for machines.
_WORDS = ("output", "refusal", "stderr", "log")
_TRACEBACK = "Traceback (most recent call last):"
_COMMAND = re.compile(
    r"(?<![\w/.-])rollcall(?= (?:status|verify|start|stop|restart|flush|ports?|manifest|doctor|history|rollback)\b)"
)

Data = t.Mapping[str, t.Any]


# --- what is called from outside ----------------------------------------------------------------------------------


def terminal(stream: t.TextIO) -> t.Dict[str, t.Any]:
    """Return the keyword arguments ``width`` and ``colour`` that fit where ``stream`` goes.

    Colour only on a terminal, and not with NO_COLOR set (https://no-color.org) or TERM=dumb.
    """
    import os
    import shutil

    if not stream.isatty():
        return {"width": WIDTH, "colour": False}
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return {"width": shutil.get_terminal_size((WIDTH, 24)).columns, "colour": not plain}


def roll_call(report: Data, *, width: int = WIDTH, colour: bool = False) -> str:
    """Return the report of a status, verify or restart as text.

    Args:
        report: the report as the modules and ``--json`` give it.
        width: columns of the terminal; the table keeps to them, evidence and commands are never cut to fit.
        colour: whether to use ANSI colours; every colour stands beside a word that says the same.
    """
    paint = _painter(colour)
    root = report.get("root")
    if report.get("gone"):
        # Nothing that could be run next is there any more.
        report = {**report, "logs": None, "checks": [{**check, "next": None} for check in report["checks"]]}
    failing = _failing_by_subject(report)
    blocks = [_table(report, failing, width, paint), "\n".join(_changes(report, paint)), _unfinished(report)]
    blocks.append("\n".join(f"note: {printable(note)}" for note in report.get("notes") or ()))
    blocks += _went_back(report, paint)
    blocks += [_story(subjects, checks, root, paint) for subjects, checks in _stories(failing)]
    blocks.append("\n".join([_verdict(report, failing, paint), *_footer(report, failing, paint)]))
    return "\n\n".join(block for block in blocks if block)


def failure(report: Data) -> str:
    """Return only what failed and the verdict, for a task's message: the table stands in the roll call."""
    failing = _failing_by_subject(report)
    paint = _painter(False)
    stories = [_story(subjects, checks, report.get("root"), paint) for subjects, checks in _stories(failing)]
    return "\n\n".join([*_went_back(report, paint), *stories, summary(report)])


def problems(found: t.Sequence[Data], *, subject: str = "manifest", colour: bool = False) -> str:
    """Return the problems of a manifest, errors first, each with its place and cure, and how many there are.

    Args:
        found: problems as data: ``place``, ``message``, ``cure``, ``severity`` (error or warning).
        subject: what was checked, such as a file name.
        colour: whether to use ANSI colours.
    """
    paint = _painter(colour)
    ordered = sorted(found, key=lambda problem: problem["severity"] != "error")
    lines = []
    for problem in ordered:
        word = paint(f"{problem['severity']:8}", "bad" if problem["severity"] == "error" else "warn")
        lines.append(f"{word} {printable(problem['place'])}: {printable(problem['message'])}")
        if problem["cure"]:
            lines.append(f"         cure: {printable(problem['cure'])}")
    errors = sum(problem["severity"] == "error" for problem in ordered)
    warnings = len(ordered) - errors
    counts = [_count(number, word) for number, word in ((errors, "error"), (warnings, "warning")) if number]
    verdict = paint("FAILED", "bad") if errors else paint("OK", "good")
    lines.append(f"{printable(subject)}: {verdict}, {' and '.join(counts) or 'no problems'}")
    return "\n".join(lines)


def error(data: Data, *, subject: str = "", root: t.Optional[str] = None, colour: bool = False) -> str:
    """Return an error of the engine as text: what failed, what other programs said to it, and what to run next.

    Args:
        data: the error as data: ``message``, ``kind``, ``evidence``, ``remedies``.
        subject: where it happened, such as a host.
        root: the stack's root, so that its own ``rollcall`` is named in full; None leaves commands as they are.
        colour: whether to use ANSI colours.
    """
    paint = _painter(colour)
    word = paint(_KINDS.get(data.get("kind") or "", "FAILED"), "bad")
    message = printable(data["message"])
    lines = [f"{printable(subject)}: {word}, {message}" if subject else f"{word}: {message}"]
    lines += _said_by_others(data.get("evidence") or {}, message)
    lines += [f"  next: {_runnable(remedy, root)}" for remedy in data.get("remedies") or ()]
    return "\n".join(lines)


def summary(report: Data, *, colour: bool = False) -> str:
    """Return the verdict line alone: stack, host, how it ended, and who did not answer."""
    return _verdict(report, _failing_by_subject(report), _painter(colour))


def steps(found: t.Sequence[Data], *, colour: bool = False) -> str:
    """Return the steps of an install, a line each.

    Args:
        found: the steps as data: ``number``, ``name``, ``state``, ``seconds``, ``said``.
        colour: whether to use ANSI colours.
    """
    paint = _painter(colour)
    kinds = {"ok": "good", "changed": "warn", "FAILED": "bad", "HELD": "bad"}
    last = len(found)
    state_width, name_width = (max(len(step[key]) for step in found) for key in ("state", "name"))
    lines = []
    for step in found:
        said = printable(step["said"])
        seconds = "" if step["seconds"] is None else f"{step['seconds']:.1f} s"
        state = paint(f"{step['state']:{state_width}}", kinds.get(step["state"], "quiet"))
        line = f"{state}  {step['number']:2}/{last}  {step['name']:{name_width}}  {seconds:>7}  {said}"
        lines.append(line.rstrip())
    return "\n".join(lines)


# --- the table ----------------------------------------------------------------------------------------------------

Painter = t.Callable[[str, str], str]
Failing = t.Mapping[str, t.Sequence[Data]]


def _painter(colour: bool) -> Painter:
    def paint(text: str, kind: str) -> str:
        return f"\x1b[{_COLOURS[kind]}m{text}\x1b[0m" if colour and text.strip() else text

    return paint


def _table(report: Data, failing: Failing, width: int, paint: Painter) -> str:
    """Return one line a service under a line of headings; nothing when the run left nothing to tell of them."""
    services = report["services"]
    if not services or report.get("mode") in ("stop", "flush"):
        return ""
    judged = bool(report["checks"])
    heads = ["", "service", "state", "pid", "port", "health", "latency", "uptime"]
    rows = [_cells(service, _word(failing.get(service["name"]))) for service in services]
    shown = [number for number in range(len(heads)) if number or judged]
    widths = [max(len(row[number]) for row in [heads, *rows]) for number in range(len(heads))]
    # What is left out first on a narrow terminal is what is missed least: uptime, then latency.
    while _total(widths, shown) > width and shown[-1] > 5:
        shown.pop()
    over = _total(widths, shown) - width
    if over > 0:
        widths[1] = max(min(SHORTEST_NAME, widths[1]), widths[1] - over)
    lines = [paint(_line(heads, widths, shown, _plain), "quiet")]
    for service, row in zip(services, rows):
        lines.append(_line(row, widths, shown, _row_painter(service, service["name"] in failing, paint)))
    return "\n".join(lines)


def _total(widths: t.Sequence[int], shown: t.Sequence[int]) -> int:
    return sum(widths[number] for number in shown) + 2 * (len(shown) - 1)


def _line(
    cells: t.Sequence[str], widths: t.Sequence[int], shown: t.Sequence[int], dress: t.Callable[[str, int], str]
) -> str:
    # Padded before it is coloured: escape codes have a length and no width.
    parts = []
    for number in shown:
        text = _middle_cut(cells[number], widths[number])
        text = text.rjust(widths[number]) if number in (3, 4, 6, 7) else text.ljust(widths[number])
        parts.append(dress(text, number))
    return "  ".join(parts).rstrip()


def _plain(text: str, _column: int) -> str:
    return text


def _row_painter(service: Data, failed: bool, paint: Painter) -> t.Callable[[str, int], str]:
    def dress(text: str, column: int) -> str:
        if column == 0:
            return paint(text, "bad" if failed else "good")
        if column == 2 and service["state"] != "RUNNING":
            return paint(text, "bad" if failed else "warn")
        if column == 5 and service["health"] == "failed":
            return paint(text, "bad")
        return text

    return dress


def _word(failing: t.Optional[t.Sequence[Data]]) -> str:
    """Return how a subject is called for its failing checks: one that only waits for something has not failed."""
    if failing is None:
        return "ok"
    return "HELD" if failing and all(check["name"] == "held" for check in failing) else "FAILED"


def _cells(service: Data, word: str) -> t.List[str]:
    latency = service.get("latency_ms")
    return [
        word,
        printable(service["name"]),
        service["state"],
        _or_dash(service["pid"]),
        _or_dash(service["port"]),
        "-" if service["health"] == "none" else service["health"],
        "-" if latency is None else _seconds(latency / 1000),
        _age(service.get("uptime")),
    ]


def _or_dash(value: t.Optional[int]) -> str:
    return "-" if value is None else str(value)


def _middle_cut(text: str, width: int) -> str:
    """Return ``text`` within ``width``, cut in the middle: names of one family differ at their ends."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def _seconds(value: float) -> str:
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.1f} s"


def _age(seconds: t.Optional[float]) -> str:
    """Return an uptime in its two largest units."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    for size, unit, smaller, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {small_unit}"
    return f"{whole // 60} min" if whole >= 120 else f"{whole} s"


# --- what failed --------------------------------------------------------------------------------------------------


def _failing_by_subject(report: Data) -> t.Dict[str, t.List[Data]]:
    """Return the failing checks of each subject, without those that only repeat another in other words.

    The stack's own come first, then the services in the manifest's order, and last those that were not even started
    because of another: what failed first is read first.
    """
    found: t.Dict[str, t.List[Data]] = {}
    for check in report["checks"]:
        if not check["ok"]:
            found.setdefault(check["subject"], []).append(check)
    names = [service["name"] for service in report["services"]]

    def rank(subject: str) -> t.Tuple[bool, int]:
        follows = any(check["evidence"].startswith(("not started", "it depends on")) for check in found[subject])
        return follows, names.index(subject) if subject in names else -1

    explained = {check["name"] for subject in found if subject not in names for check in found[subject]}
    return {subject: _telling(found[subject], explained) for subject in sorted(found, key=rank)}


def _telling(checks: t.Sequence[Data], explained: t.Collection[str]) -> t.List[Data]:
    """Return the failing checks of one subject that say more than what is told elsewhere.

    Args:
        checks: the failing checks, in the verdict's order.
        explained: names of the stack's own failing checks.
    """
    down = any(check["name"] == "running" for check in checks)
    kept: t.List[Data] = []
    for check in checks:
        data = check.get("data") or {}
        if down and check["name"] in ("port", "health") and not data:
            continue  # nothing listens and nothing answers because nothing runs
        if check["name"] == "running" and not data and "supervisord" in explained:
            continue  # no service is known to a supervisord that is not there
        if check["name"] == "port" and data.get("provenance") == "orphan" and "orphans" in explained:
            continue
        if check["name"] == "port" and data.get("provenance") == "supervised" and "supervisord" in explained:
            continue  # it is on its own port, and only cannot be asked for
        kept.append(check)
    return [{**check, "evidence": _distinct(check["evidence"])} for check in _logs_once(kept)]


def _logs_once(checks: t.Sequence[Data]) -> t.List[Data]:
    """Show no line of a log twice: not among the critical ones when the tail has it, else not in the tail."""
    logs = next((check for check in checks if check["name"] == "logs"), None)
    tailed = next((check for check in checks if check["name"] in ("running", "stable")), None)
    if logs is None or tailed is None:
        return list(checks)
    critical = set(logs["evidence"].splitlines()[1:])
    first, *tail = tailed["evidence"].splitlines() or [""]
    if critical.issubset(tail):
        return [check for check in checks if check is not logs]
    heading, rest = tail[:1], [line for line in tail[1:] if line not in critical]
    shorter = {**tailed, "evidence": "\n".join([first, *(heading if rest else []), *rest])}
    return [shorter if check is tailed else check for check in checks]


def _distinct(evidence: str) -> str:
    """Return evidence with a traceback that a crash loop wrote again and again only once."""
    head, *blocks = evidence.split(_TRACEBACK)
    kept: t.List[str] = []
    for block in blocks:
        if not any(earlier.startswith(block.rstrip()) for earlier in kept):
            kept.append(block)
    text = _TRACEBACK.join([head, *kept])
    return f"{text.rstrip()}\n(and the same again)" if len(kept) < len(blocks) else text


def _stories(failing: Failing) -> t.List[t.Tuple[t.List[str], t.Sequence[Data]]]:
    """Return subjects with their failing checks; what happened to several in the same way is told once."""
    stories: t.Dict[t.Any, t.Tuple[t.List[str], t.Sequence[Data]]] = {}
    for subject, checks in failing.items():
        if not checks:
            continue
        key = tuple((check["name"], check["evidence"]) for check in checks)
        stories.setdefault(key, ([], checks))[0].append(subject)
    return list(stories.values())


def _story(subjects: t.Sequence[str], checks: t.Sequence[Data], root: t.Optional[str], paint: Painter) -> str:
    """Return what failed of one subject, or of several in the same way; each command once, after what it is for."""
    word = _word(checks)
    lines = [f"{paint(word, 'warn' if word == 'HELD' else 'bad')}  {printable(_names(subjects))}"]
    for number, check in enumerate(checks):
        evidence = printable(check["evidence"]).splitlines() or ["no evidence"]
        # What a service's state has said already, its last health answer say, need not be said again.
        if not any(check["evidence"] in earlier["evidence"] for earlier in checks[:number]):
            lines.append(f"  {check['name']}: {evidence[0]}")
            lines += _indented("\n".join(evidence[1:]), 4)
        command = check["next"]
        if command and all(command != later["next"] for later in checks[number + 1 :]):
            lines.append(f"  {paint('next:', 'warn')} {_runnable(command, root)}")
    return "\n".join(lines)


# --- what was done ------------------------------------------------------------------------------------------------


def _changes(report: Data, paint: Painter) -> t.List[str]:
    """Return what was, or would be, changed where the mode alone does not say it, and every process that was ended."""
    planned = report.get("result") == "planned"
    lines = _actions(report) if planned or report.get("mode") == "auto" else []
    lines += [f"end {_victim(entry)}" for entry in report.get("signals") or ()]
    if not lines:
        return []
    return [paint("Would change:" if planned else "Changes:", "quiet"), *(f"  {line}" for line in lines)]


def _went_back(report: Data, paint: Painter) -> t.List[str]:
    """Return what did not hold of the generation that was given up, before what runs in its place."""
    back = report.get("rolled_back")
    if not back:
        return []
    blocks = [paint("What the new generation failed by:", "bad")]
    failing = _failing_by_subject({**report, "checks": back["checks"]})
    blocks += [_story(subjects, checks, report.get("root"), paint) for subjects, checks in _stories(failing)]
    if back["error"]:
        blocks.append(error(back["error"], root=report.get("root")))
    return blocks


def _unfinished(report: Data) -> str:
    at_work = report.get("run_at_work")
    if at_work:
        who, verb, pid, since = (printable(at_work.get(key, "?")) for key in ("who", "verb", "pid", "since"))
        step = f", now at its step '{printable(at_work['step'])}'" if at_work.get("step") else ""
        return f"A run is at work: {who} runs '{verb}' as pid {pid} since {since}{step}. What is seen here will change."
    cut_off = report.get("unfinished_run")
    return f"An earlier run, {cut_off['run']}, was cut off at its step '{cut_off['step']}'." if cut_off else ""


def _actions(report: Data) -> t.List[str]:
    grouped: t.Dict[t.Tuple[str, str], t.List[str]] = {}
    for action in report.get("actions") or ():
        subjects = grouped.setdefault((action["action"], action["reason"]), [])
        # A run that went back has done some of it twice.
        if action["subject"] not in subjects:
            subjects.append(action["subject"])
    lines = []
    for (verb, reason), names in grouped.items():
        # Of what is to be ended nothing is left out.
        what = ", ".join(names) if verb == "end" else _names(_all_as_one(names, report["services"]))
        lines.append(f"{verb} {printable(what)}: {printable(reason)}")
    return lines


def _all_as_one(names: t.Sequence[str], services: t.Sequence[Data]) -> t.List[str]:
    """Return ``names`` with all services as one entry, when all of them are among them."""
    everything = {service["name"] for service in services}
    if len(everything) < 2 or not everything.issubset(names):
        return list(names)
    return [f"all {len(everything)} services", *(name for name in names if name not in everything)]


def _victim(entry: Data) -> str:
    text = f"pid {entry['pid']} '{_cut(printable(entry['command']))}' of user {printable(entry['user'])}"
    signals = ", then ".join(entry["signals"]) or "no signal"
    return f"{text}: {signals}; {entry['result']} after {_seconds(entry['seconds'])}"


# --- the verdict --------------------------------------------------------------------------------------------------


def _verdict(report: Data, failing: Failing, paint: Painter) -> str:
    result = report.get("result") or _judged(report)
    word = _VERDICTS.get(result, result.upper().replace("_", " "))
    if word == "OK" and report.get("mode") == "stop":
        word = "STOPPED"
    painted = paint(word, "good" if report["ok"] else "bad")
    host = report.get("host")
    where = f"{printable(report['stack'])} on {printable(host)}" if host else printable(report["stack"])
    said = _success(report, word) if report["ok"] else _failure(report, failing)
    run = ", ".join(_run(report))
    return f"{where}: {painted}, {said}" + (f" ({run})" if run else "")


def _judged(report: Data) -> str:
    """Return the result of a mere look."""
    names = {check["name"] for check in report["checks"] if not check["ok"]}
    return "ok" if report["ok"] else "held" if names == {"held"} else "failed"


def _run(report: Data) -> t.Iterator[str]:
    """Yield what is known of the run itself; nothing for a mere look."""
    mode = report.get("mode")
    if mode:
        yield _MODES.get(mode, str(mode))
    if report.get("seconds") is not None:
        yield f"{report['seconds']:.1f} s"
    if report.get("run"):
        yield f"run {report['run']}"


def _success(report: Data, word: str) -> str:
    if word == "PLANNED":
        return "nothing was touched" if report.get("actions") else "nothing to do"
    if word == "STOPPED":
        return "no supervisord, process or listener of it is left"
    if report.get("mode") == "flush":
        ended = len(report.get("signals") or ())
        return f"{_count(ended, 'process', 'processes')} ended on its ports" if ended else "nothing to end on its ports"
    services = report["services"]
    asked = [service for service in services if service["health"] != "none"]
    answered = sum(service["health"] == "ok" for service in asked)
    said = f"{len(services)} of {_count(len(services), 'service')} up"
    if asked:
        said += f", {answered} of {len(asked)} answered"
    return said + (", nothing changed" if report.get("changed") is False else "")


def _failure(report: Data, failing: Failing) -> str:
    back = report.get("rolled_back")
    if not back:
        return _failed_parts(report, failing)
    given_up = _failing_by_subject({**report, "checks": back["checks"]})
    why = "it came to no verdict" if back["error"] else _failed_parts(report, given_up)
    release = f" (release {back['release']})" if back.get("release") else ""
    ended = "runs again" if report.get("result") == "rolled_back" else f"fails too ({_failed_parts(report, failing)})"
    return f"the new generation failed ({why}); generation {back['to']}{release}, the last verified one, {ended}"


def _failed_parts(report: Data, failing: Failing) -> str:
    names = [service["name"] for service in report["services"]]
    down = [subject for subject in failing if subject in names]
    own = (check["name"] for subject in failing if subject not in names for check in failing[subject])
    parts = list(dict.fromkeys(own))
    if down:
        which = "" if len(down) == len(names) > NAMES else f": {_names(down)}"
        parts.append(f"{len(down)} of {_count(len(names), 'service')}{which}")
    *most, last = parts or ["no check says why"]
    return f"{', '.join(most)} and {last}" if most else last


def _footer(report: Data, failing: Failing, paint: Painter) -> t.List[str]:
    """Return where to go from here: the address while it is worth opening, the logs, and what to run next."""
    if report.get("result") == "planned" or report.get("gone"):
        return []
    lines = []
    if report.get("address") and report["ok"] and report.get("mode") != "stop":
        lines.append(("open", report["address"]))
    if report.get("logs"):
        lines.append(("logs", report["logs"]))
    commands = _commands(report, failing)
    labels = ["next", *["then"] * len(commands)]
    lines += [(label, _runnable(command, report.get("root"))) for label, command in zip(labels, commands)]
    return [f"  {paint(label, 'quiet')}  {text}" for label, text in lines]


def _commands(report: Data, failing: Failing) -> t.List[str]:
    """Return what to run next: the first cure, what the report adds to its checks', and how to judge again."""
    if report.get("run_at_work"):
        return ["rollcall status"]
    of_checks = {check["next"] for check in report["checks"]}
    cures = [check["next"] for checks in failing.values() for check in checks if check["next"]]
    commands = [*cures[:1], *(command for command in report.get("next") or () if command not in of_checks)]
    stopping = report.get("mode") == "stop"
    if not report["ok"] and not any(command.startswith("rollcall restart") for command in commands):
        # Whatever the cure was: start brings back what is down, leaves the rest alone, and judges again.
        names = {check["name"] for checks in failing.values() for check in checks}
        # Lines that are in a log stay there: only a start from anew judges a new log.
        again = "rollcall restart full" if names == {"logs"} else "rollcall start"
        commands.append("rollcall stop" if stopping else again)
    if not commands and report.get("mode"):
        commands.append("rollcall start" if stopping else "rollcall status")
    return commands


# --- words --------------------------------------------------------------------------------------------------------


def _runnable(command: str, root: t.Optional[str]) -> str:
    """Return a command that works when it is copied: the stack's own ``rollcall`` may not be on PATH."""
    command = " ".join(command.split("\n"))
    if root is None:
        return printable(command)
    return printable(_COMMAND.sub(lambda _: f"{shlex.quote(root)}/bin/rollcall", command))


def _names(names: t.Sequence[str]) -> str:
    if len(names) <= NAMES + 1:
        return ", ".join(names)
    return f"{', '.join(names[:NAMES])} and {len(names) - NAMES} more"


def _count(number: int, word: str, plural: str = "") -> str:
    return f"{number} {word if number == 1 else plural or word + 's'}"


def _indented(text: str, spaces: int) -> t.List[str]:
    return [" " * spaces + _cut(line) for line in text.splitlines()]


def _cut(line: str) -> str:
    return line if len(line) <= LINE else f"{line[:LINE]}… ({len(line) - LINE} more characters)"


def _said_by_others(evidence: Data, message: str) -> t.List[str]:
    """Return the words of the programs behind an error, which its message can only sum up; all else it has said."""
    lines: t.List[str] = []
    for key in _WORDS:
        value = evidence.get(key) or ""
        text = printable(value if isinstance(value, str) else "\n".join(map(str, value))).strip()
        if text and text not in message:
            lines += [f"  {key}:", *_indented(text, 4)]
    return lines
