# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A supervisord.conf as supervisor reads it: its sections, its values expanded and converted, and their lines.

The text goes through the standard library's ``configparser`` with supervisor's settings, so comments are cut where
supervisor cuts them. SectionValues are expanded with ``%`` as supervisor does it. No file is opened here.
"""

from __future__ import annotations

import configparser
import io
import re
import shlex
import signal
import typing as t

from ..base.conf_format import ConfParser, TooLarge
from ..manifest import corrections
from ..manifest.file import SIZE_LIMIT
from .draft import Draft

T = t.TypeVar("T")

FROM_HERE = "host_node_name"

_POSITIONAL = re.compile(r"%(?![(])")
# A width makes gigabytes of a few signs, and within two parentheses it is not seen.
_WIDE = re.compile(r"%\([^()]*\([^%]|%\([^()]*\)[-#0 +]*[0-9]*\.?[0-9]{4}")
_NAMES = re.compile(r"%\(([^()]*)\)")
_HERE = "%(here)s"
_BYTE_ORDER_MARK = "\ufeff"
# Characters of a name. Thousands of processes and notes repeat it.
_LONGEST_NAME = 255
_NOTHING = ("", "0", "0b", "0kb", "0mb", "0gb", "false", "no", "off", "auto", "none")


class ExpansionNames(t.Dict[str, t.Any]):
    """The names that ``%(...)s`` may have. Those that differ from machine to machine are remembered when used."""

    def __init__(self, environment: t.Mapping[str, str]) -> None:
        super().__init__({f"ENV_{name}": value for name, value in environment.items()})
        self._foreign = {*self, FROM_HERE, "here"}
        self.used: t.Set[str] = set()

    def __getitem__(self, name: str) -> t.Any:
        value = super().__getitem__(name)
        if name in self._foreign:
            self.used.add(name)
        return value

    def size_of(self, text: str) -> int:
        """Return about how many characters a text comes to when it is expanded."""
        sizes = (len(str(self.get(name, ""))) for name in _NAMES.findall(text))
        return len(text) + sum(sizes)

    def put_variables(self, variables: t.Mapping[str, str]) -> None:
        """Put variables of the config over those of the environment."""
        for name, value in variables.items():
            self[f"ENV_{name}"] = value
            self._foreign.discard(f"ENV_{name}")

    def take(self, other: ExpansionNames) -> None:
        """Put the names of another one over these."""
        self.update(other)
        self._foreign |= other._foreign


class ConfSections:
    """The sections of a config and of the files that it includes, and where each key is written."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._parser = ConfParser()
        self._places: t.Dict[t.Tuple[str, str], str] = {}
        self._size = 0

    def add(self, text: str, file: str) -> None:
        """Read one more file over the sections.

        Raises:
            RollcallError: ``wrong_use`` with every line that cannot be in a config.
        """
        self._size += len(text)
        if self._size > SIZE_LIMIT:
            self._draft.problem(file or "the file", "makes it larger than a manifest can be", corrections.SMALLER)
            self._draft.refuse()
        if text.startswith(_BYTE_ORDER_MARK):
            self._draft.problem(_line(file, 1), "begins with a byte order mark", corrections.NO_BYTE_ORDER_MARK)
            self._draft.refuse()
        self._remember_places(text, file)
        try:
            self._parser.check(text)
            self._parser.read_file(io.StringIO(text, newline=None), file or "<config>")
        except TooLarge as exc:
            self._draft.problem(file or "the file", str(exc), corrections.SMALLER)
        except configparser.MissingSectionHeaderError as exc:
            self._draft.problem(
                _line(file, exc.lineno), "stands before the first section", corrections.SUPERVISORD_CONF
            )
        except configparser.ParsingError as exc:
            for number, _line_text in exc.errors:
                self._draft.problem(
                    _line(file, number), "is neither a section nor key=value", corrections.CORRECT_OR_REMOVE
                )
        self._draft.refuse()

    def _remember_places(self, text: str, file: str) -> None:
        section = ""
        for number, line in enumerate(io.StringIO(text, newline=None), 1):
            if not line.strip() or line[0].isspace() or line[0] in "#;":  # the last but one: a value goes on
                continue
            header = self._parser.SECTCRE.match(line)
            key = self._parser.OPTCRE.match(line)
            if header:
                section = header.group("header")
                self._places[(section, "")] = _line(file, number)
            elif key:
                self._places[(section, self._parser.optionxform(key.group("option").rstrip()))] = _line(file, number)

    def place(self, section: str, key: str = "") -> str:
        """Return the place of a section or a key in words."""
        where = self._places.get((section, key)) or self._places.get((section, ""), "")
        shown = section if len(section) <= _LONGEST_NAME else f"{section[:_LONGEST_NAME]}…"
        return f"[{shown}]{' ' if key else ''}{key}" + (f" ({where})" if where else "")

    def written_in(self, section: str, file: str) -> bool:
        """Return whether the last place of a section is in that file."""
        return self._places.get((section, ""), "").startswith(f"{file} line ")

    def has(self, section: str) -> bool:
        """Return whether there is such a section."""
        return self._parser.has_section(section)

    def sections(self, kind: str = "") -> t.List[str]:
        """Return the sections whose names begin with ``kind``."""
        return [section for section in self._parser.sections() if section.startswith(kind)]

    def keys(self, section: str) -> t.List[str]:
        """Return the keys of a section, those of [DEFAULT] included."""
        return self._parser.options(section)

    def raw(self, section: str, key: str) -> t.Optional[str]:
        """Return a value as it is written; None when there is none."""
        return self._parser.get(section, key, fallback=None)

    def expand_here(self, directory: t.Optional[str]) -> None:
        """Replace ``%(here)s`` in all values. With an [include], supervisor does so after each file."""
        if directory is None:
            return
        for section in self._parser.sections():
            for key, value in self._parser.items(section):
                if _HERE in value:
                    self._parser.set(section, key, value.replace(_HERE, directory))
                    if section.startswith("program:") or key in ("directory", "environment"):
                        note_foreign(self._draft, self.place(section, key), key, "here", directory)


def note_foreign(draft: Draft, place: str, key: str, name: str, directory: str = "") -> None:
    """Note that a value has become what it is where the import ran, if it is carried over."""
    if key.endswith("logfile"):
        return
    if name == "here":
        draft.changed(
            place,
            f"%(here)s was replaced by {directory}, where the file is",
            "write the directory that it has on the host; the root is best",
        )
    else:
        draft.changed(
            place,
            f"%({name})s was replaced by what it is where the import ran",
            "see that it is right for the host; a secret has its place below secrets",
        )


def _line(file: str, number: int) -> str:
    return f"{file} line {number}".lstrip()


class SectionValues:
    """The values of one section, expanded and converted. A value that supervisor refuses is a problem of the draft."""

    def __init__(self, draft: Draft, config: ConfSections, section: str, names: ExpansionNames) -> None:
        self._draft = draft
        self._config = config
        self._section = section
        self.names = names

    def place(self, key: str = "") -> str:
        """Return the place of a key in words."""
        return self._config.place(self._section, key)

    def raw(self, key: str) -> t.Optional[str]:
        """Return a value as it is written; None when there is none."""
        return self._config.raw(self._section, key)

    def text(self, key: str) -> t.Optional[str]:
        """Return a value, expanded; None when there is none or it has a problem."""
        raw = self.raw(key)
        return None if raw is None else self.expand(key, raw)

    def expand(self, key: str, text: str) -> t.Optional[str]:
        """Return ``text`` with ``%`` expanded; None, and a problem of the draft, when it cannot be expanded."""
        self.names.used.clear()
        try:
            bare = text.replace("%%", "")
            if _POSITIONAL.search(bare) or _WIDE.search(bare):  # Python would put in every name with its value
                raise ValueError(text)
            self._draft.count_text(self.place(key), self.names.size_of(bare))
            expanded = text % self.names
        except KeyError:
            self._missing(key, bare)
            return None
        except (TypeError, ValueError, OverflowError):
            self._draft.problem(self.place(key), "has a % that stands for nothing", corrections.PLAIN_PERCENT)
            return None
        for name in sorted(self.names.used):
            note_foreign(self._draft, self.place(key), key, name, str(self.names.get("here", "")))
        return expanded

    def _missing(self, key: str, text: str) -> None:
        """Add a problem for the names in a text that stand for nothing: one for all variables, one for each other."""
        missing = [name for name in dict.fromkeys(_NAMES.findall(text)) if name not in self.names]
        variables = [name for name in missing if name.startswith("ENV_")]
        if variables:
            told = ", ".join(f"%({name})s" for name in variables)
            cure = corrections.export([name[4:] for name in variables])
            self._draft.problem(self.place(key), f"names {told}, which stands for nothing here", cure)
        for name in (name for name in missing if name not in variables):
            cure = corrections.FILE_NOT_TEXT if name == "here" else corrections.NO_PERCENT
            self._draft.problem(self.place(key), f"names %({name})s, which stands for nothing here", cure)

    def read(self, key: str, default: T, convert: t.Callable[[str], T], wanted: str) -> T:
        """Return a value, converted; the default when there is none or it has a problem.

        Args:
            key: the key.
            default: the default of supervisor.
            convert: converts the text; raises ValueError when supervisor would refuse it.
            wanted: what the value should be, in words.
        """
        text = self.text(key)
        return default if text is None else self.convert(key, text, default, convert, wanted)

    def convert(self, key: str, text: str, default: T, convert: t.Callable[[str], T], wanted: str) -> T:
        """Return ``text``, converted as :meth:`read` converts a value."""
        try:
            return convert(text)
        except ValueError:
            self._draft.problem(self.place(key), f"is not {wanted}", corrections.supervisord_wants(wanted))
            return default

    def variables(self, text: str) -> t.Dict[str, str]:
        """Return the variables in the expanded text of ``environment``; none, and a problem, when it is wrong."""
        nothing: t.Dict[str, str] = {}
        self._draft.require_short(text, self.place("environment"))
        return self.convert("environment", text, nothing, read_pairs, "KEY='value',KEY='value'")

    def name(self, key: str, text: str) -> str:
        """Return the name of a program, group or process; '' and a problem when it is none."""
        return self.convert(key, text, "", read_name, "a name without spaces, : and /")

    def whole(self, key: str, default: int) -> int:
        """Return a whole number."""
        return self.read(key, default, int, "a whole number")

    def truth(self, key: str, default: bool) -> bool:
        """Return a truth value."""
        return self.read(key, default, read_truth, "true or false")

    def within(
        self,
        key: str,
        default: int,
        most: int,
        convert: t.Callable[[str], int] = int,
        cure: str = "see that it will do",
    ) -> int:
        """Return a whole number that a manifest can have, the nearest one otherwise, with what to do about it."""
        value = self.read(key, default, convert, "a whole number")
        return int(self._draft.within(self.place(key), value, most, cure))

    def is_set(self, key: str) -> bool:
        """Return whether there is a value, and it is not a word for none."""
        return (self.raw(key) or "").strip().lower() not in _NOTHING


# --- values ------------------------------------------------------------------------------------------------------


def read_truth(text: str) -> bool:
    word = text.lower()
    if word in ("yes", "true", "on", "1"):
        return True
    if word in ("no", "false", "off", "0"):
        return False
    raise ValueError(text)


def read_restart(text: str) -> str:
    if text.lower() == "unexpected":
        return "unexpected"
    return "always" if read_truth(text) else "never"


def read_exit_codes(text: str) -> t.List[int]:
    codes = [int(code) for code in text.split(",")] if text else []
    if any(not 0 <= code <= 255 for code in codes):
        raise ValueError(text)
    return codes


def read_size(text: str) -> int:
    unit = {"kb": 1024, "mb": 1024**2, "gb": 1024**3}.get(text[-2:].lower())
    return int(text) if unit is None else int(text[:-2]) * unit


def read_signal(text: str) -> str:
    """Return the name of a signal without SIG, given by name or number."""
    try:
        return signal.Signals(int(text)).name[3:]
    except ValueError:
        name = text.strip().upper()
        found = getattr(signal, name if name.startswith("SIG") else f"SIG{name}", None)
        if not isinstance(found, signal.Signals):
            raise
        return found.name[3:]


def read_umask(text: str) -> t.Optional[str]:
    umask = int(text, 8)
    if not 0 <= umask <= 0o777:
        raise ValueError(text)
    return f"{umask:03o}"


def read_pairs(text: str) -> t.Dict[str, str]:
    """Return the variables in the value of ``environment``.

    Raises:
        ValueError: the text is not KEY=value,KEY=value.
    """
    lexer = shlex.shlex(text)
    lexer.wordchars += "/.+-():"
    tokens = list(lexer)
    found = {}
    # As in supervisor, any token in the place of the comma separates two of them.
    for start in range(0, len(tokens), 4):
        name, *rest = tokens[start : start + 3]
        if len(rest) != 2 or rest[0] != "=":
            raise ValueError(text)
        found[name] = rest[1].strip("'\"")
    return found


def read_name(text: str) -> str:
    name = text.strip()
    if re.search("[ :/]", name) or len(name) > _LONGEST_NAME:
        raise ValueError(text)
    return name
