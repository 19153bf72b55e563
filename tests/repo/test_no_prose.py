# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing is decided by the words of a message: decisions are on codes, types and fields, and words may change.

The names that values have tell what is a message. Words that others define as an interface are no messages: states of
supervisord, properties of systemd, fields of /proc, columns of a table.
"""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.repository import ROOT, tracked

PLACES = ("plugins", "roles", "playbooks", "molecule")
# What the places of messages are called, in Python and in Ansible.
MESSAGES = frozenset(
    [
        "cause",
        "detail",
        "evidence",
        "message",
        "msg",
        "module_stderr",
        "output",
        "reason",
        "said",
        "sentence",
        "statement",
        "stderr",
        "stdout",
        "warnings",
        "why",
    ]
)
WORD = re.compile(r"[A-Za-z]{2}")
PHRASE = re.compile(r"[A-Za-z]{2}[,.:;']? [A-Za-z{]")
LOOKING = frozenset(["startswith", "endswith", "find", "rfind", "index", "count", "removeprefix", "removesuffix"])
PATTERNS = frozenset(["compile", "search", "match", "fullmatch", "findall", "finditer", "split", "sub"])

# By file: how the code begins, and why nothing is decided there by words that may change.
KEY = "the evidence of an error is a mapping, and this is one of its keys"
PAGE = "a person reads this page of Django's admin; there is no other answer"
ALLOWED: dict[str, dict[str, str]] = {
    "playbooks/rollout.yml": {"selectattr('value', 'in', __rollout_now)": "whether a number is one of a list of ports"},
    "plugins/module_utils/doctor/judge_installed.py": {"'needed' not in facts.refusal.evidence": KEY},
    "plugins/module_utils/doctor/judge_supervisords.py": {"'needed' in facts.refusal.evidence": KEY},
    "plugins/module_utils/importing/commands.py": {
        "re.compile('://": "the first line of a private key in PEM (RFC 7468)"
    },
    "plugins/module_utils/run/removal.py": {
        "account.comment != f'Rollcall stack ": "by this comment bootstrap marks the accounts that it makes"
    },
    "plugins/module_utils/supervisord/life_log.py": {
        're.compile(b"^(': "the lines of supervisord's log, which have had one form in all versions"
    },
    "plugins/module_utils/show/errors.py": {"text not in message": "nothing is shown twice"},
    "plugins/module_utils/show/failures.py": {"check['evidence'] in earlier['evidence']": "nothing is shown twice"},
    "plugins/modules/engine_packages.py": {"lines == ['whole yes']": "the line that the program which looks prints"},
    "roles/bootstrap/vars/main.yml": {
        "| regex_findall('rollcall ": "the line that the role's own question prints",
        "| regex_findall('(?m)^lacks ": "the same",
        "| regex_findall('(?m)^shell ": "the same",
    },
    "roles/credentials/tasks/main.yml": {"is not match('/')": "a path"},
    "roles/database/tasks/postgresql.yml": {"is not search('[\\x00": "control characters in names and a password"},
    "roles/database/tasks/postgresql_clusters.yml": {"select('search', '^": "the columns of pg_lsclusters(1)"},
    "roles/database/tasks/postgresql_make.yml": {
        "select('in', __database_wanted": "the role's own words for what is to be made",
        "selectattr('item', 'in', __database_leading": "the same",
    },
    "roles/database/tasks/redis.yml": {"is not search('[\\x00": "control characters in a password"},
    "molecule/debian/side_effect_remove.yml": {"| regex_findall('changed=": "Ansible's recap has no other form"},
    "molecule/debian/tests/test_hosts.py": {"host.run(f'{expected.control} is-active": "a state of systemctl(1)"},
    "molecule/django/tests/test_site.py": {
        "'Log in' in browser.get('/')": PAGE,
        "'Log out' in page": PAGE,
        "'1 task was successfully run' in page": PAGE,
        "'1 task result' in shown": PAGE,
        "':root {' in browser.get(": "a style sheet",
        "'Please enter the correct username and password' in page": PAGE,
    },
    "molecule/shared/create.yml": {
        "create_system.stdout == 'running'": "a state of systemctl(1)",
        "| regex_findall('(?m)^([0-9]+)/tcp": "the lines of podman-port(1)",
    },
}

_MESSAGE = rf"(?:\w+\.|\w+\[[^\]]*\]\.?)*(?:{'|'.join(sorted({*MESSAGES, 'content'}))})\b(?!\()"
_FILTERS = r"(?:\s*\|\s*\w+(?:\([^()]*\))?)*"
IN_TEMPLATES = {
    "looks for words in a message": re.compile(rf"\bin\s+\(?{_MESSAGE}(?!\s*\|\s*from_json)"),
    "compares a message": re.compile(rf"{_MESSAGE}{_FILTERS}\)?\s*[!=]=\s*['\"][^'\"]*[A-Za-z]{{2}}"),
    "searches by a pattern": re.compile(
        r"\bis\s+(?:not\s+)?(?:search|match|regex)\b|\|\s*regex_(?:search|findall)\b"
        r"|\b(?:select|reject)(?:attr)?\([^)]*'(?:in|search|match|regex|contains)'"
    ),
}


def name_of(node: ast.AST) -> str:
    """Return what a value is called: its variable, its attribute, or its key; of a method's answer, the object's."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return "task.name" if node.attr == "name" and name_of(node.value) == "task" else node.attr
    if isinstance(node, ast.Subscript):
        key = node.slice
        return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else name_of(node.value)
    if isinstance(node, ast.BoolOp):
        return name_of(node.values[0])
    if isinstance(node, ast.Call):
        called, first = node.func, node.args[0] if node.args else None
        if isinstance(called, ast.Attribute):
            is_get = called.attr == "get" and isinstance(first, ast.Constant)
            return str(first.value) if is_get and isinstance(first, ast.Constant) else name_of(called.value)
        if first is not None and name_of(called) in ("str", "repr", "printable"):
            return name_of(first)
    return ""


def is_message(node: ast.AST) -> bool:
    """Return whether a value is a message, or the name of a task, by what it is called."""
    return name_of(node).lstrip("_") in MESSAGES or name_of(node) == "task.name"


def texts_of(node: ast.AST) -> list[str]:
    """Return the texts that are written out in a value."""
    if isinstance(node, ast.Constant):
        value = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
        return [value] if isinstance(value, str) else []
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)]
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return [text for element in node.elts for text in texts_of(element)]
    return []


def decides_on_words(node: ast.AST) -> bool:
    """Return whether an expression looks for words in a message, or anywhere for more than one word."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        texts = [text for side in sides for text in texts_of(side)]
        if any(PHRASE.search(text) for text in texts):
            return True
        if isinstance(node.ops[0], (ast.In, ast.NotIn)):
            # Also words that a variable has.
            return is_message(node.comparators[0]) and (not texts or any(WORD.search(text) for text in texts))
        is_equality = isinstance(node.ops[0], (ast.Eq, ast.NotEq))
        return is_equality and any(map(is_message, sides)) and any(WORD.search(text) for text in texts)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        texts = [text for argument in node.args for text in texts_of(argument)]
        if node.func.attr in LOOKING:
            looks = not texts or any(WORD.search(text) for text in texts)
            return any(PHRASE.search(text) for text in texts) or (is_message(node.func.value) and looks)
        if node.func.attr in PATTERNS and name_of(node.func.value) == "re":
            return any(PHRASE.search(text) for text in texts[:1]) or any(map(is_message, node.args[1:]))
    return False


def in_python(source: str) -> list[tuple[int, str]]:
    """Return line and code of each decision on words."""
    return [
        (node.lineno, ast.unparse(node))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Compare, ast.Call)) and decides_on_words(node)
    ]


def in_templates(source: str) -> list[tuple[int, str]]:
    """Return line and code of each decision on words in YAML or a template."""
    return [
        (source.count("\n", 0, found.start()) + 1, source[found.start() :].partition("\n")[0])
        for pattern in IN_TEMPLATES.values()
        for found in pattern.finditer(source)
    ]


def decisions() -> list[tuple[str, int, str]]:
    """Return file, line and code of each decision on words in the collection."""
    found = []
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if name.partition("/")[0] in PLACES and path.suffix in (".py", ".yml", ".j2"):
            look = in_python if path.suffix == ".py" else in_templates
            found += [(name, line, code) for line, code in look(path.read_text(encoding="utf-8"))]
    return found


def is_allowed(name: str, code: str) -> bool:
    return any(code.startswith(beginning) for beginning in ALLOWED.get(name, ()))


def test_nothing_is_decided_by_the_words_of_a_message() -> None:
    found = [f"{name}:{line}: {code}" for name, line, code in decisions() if not is_allowed(name, code)]

    assert found == []


def test_what_is_allowed_is_still_there() -> None:
    found = decisions()

    assert [
        f"{name}: {beginning}"
        for name, codes in ALLOWED.items()
        for beginning in codes
        if not any(name == other and code.startswith(beginning) for other, _line, code in found)
    ] == []


@pytest.mark.parametrize(
    "code",
    [
        "'moved: ' in result.stdout",
        "'moved' in done['stdout']",
        "evidence.startswith('not started')",
        "check['evidence'].startswith('not started')",
        "reason == 'orphan'",
        "'refused' not in str(error.message)",
        "any(words in said for words in NO_PROGRAM)",
        'any(words in done.get("stderr", "") for words in WORDS)',
        "str(result.task.name).startswith(ENDING)",
        "task.name.startswith('Failed | ')",
        "re.search('denied', exc.detail)",
        "re.compile('could not be made')",
        "'No matching distribution' in line",
        "line.startswith('Could not find')",
        "b'unknown process state' in data",
        "text == f'Rollcall stack {name}'",
        "detail.find('too long') >= 0",
        "(result.msg or '').endswith('refused')",
    ],
)
def test_a_decision_on_words_is_found_in_python(code: str) -> None:
    assert in_python(code) != []


@pytest.mark.parametrize(
    "code",
    [
        "report['result'] == 'rolled_back'",
        "check['code'] == 'not_started'",
        "error.kind == 'refused'",
        "exc.errno == errno.EACCES",
        "state in ('RUNNING', 'STARTING')",
        "reason is None",
        "name.startswith('rollcall-')",
        "line.startswith('#')",
        "'\\n' in message",
        "message == ''",
        "len(done.stdout.splitlines()) == 1",
        "json.loads(done.stdout)['changed']",
        "re.compile(r'[0-9]+ [a-f]+')",
    ],
)
def test_a_decision_on_a_code_or_on_what_is_no_message_is_left_alone(code: str) -> None:
    assert in_python(code) == []


@pytest.mark.parametrize(
    "code",
    [
        "changed_when: \"'moved: ' in result.stdout\"",
        "when: \"'refused' not in answer.msg\"",
        "when: \"'down' in (one.results[0].stderr | default(''))\"",
        "failed_when: done.rc != 0 and 'no such' not in\n  done.module_stderr",
        "that: said is search('pid 5')",
        "when: said is not regex('x')",
        "when: done.stdout | trim == 'nothing to do'",
        "when: words | reject('in', done.stdout) | length > 0",
        "who: \"{{ done.stdout | regex_search('pid ([0-9]+)') }}\"",
    ],
)
def test_a_decision_on_words_is_found_in_yaml_and_templates(code: str) -> None:
    assert in_templates(code) != []


@pytest.mark.parametrize(
    "code",
    [
        "changed_when: done.rc == 0",
        "when: uid.stdout == '0'",
        "when: \"'role' in found.stdout_lines\"",
        "when: \"'moved' in done.stdout | from_json\"",
        "failed_when: (done.stdout | from_json).unfinished_run is not mapping",
        'msg: "{{ answer.msg }}"',
        "when: answer.report.result == 'held'",
    ],
)
def test_a_decision_on_a_field_of_a_result_is_left_alone(code: str) -> None:
    assert in_templates(code) == []
