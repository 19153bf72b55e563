# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with SELinux, played: the kernel's file, and a restorecon for which a file is wrong until it has seen it."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

# As the real one: `-n` changes nothing, `-v` prints what is or would be changed, `-R` goes into directories.
RESTORECON = """\
#!/bin/sh
echo "$*" >> '{state}/calls'
dry= all=
while :; do
  case "$1" in
  -n) dry=yes ;;
  -R) all=yes ;;
  -v) ;;
  *) break ;;
  esac
  shift
done
for path; do
  [ -e "$path" ] || exit 255
  [ "$all" ] || limit="-maxdepth 0"
  find "$path" $limit -type f | while read -r file; do
    grep -qxF "$file" '{state}/right' && continue
    echo "Relabeled $file from unconfined_u:object_r:user_tmp_t:s0 to system_u:object_r:bin_t:s0"
    [ "$dry" ] || echo "$file" >> '{state}/right'
  done
done
"""


@dataclasses.dataclass(frozen=True)
class SELinux:
    """What is played.

    Attributes:
        bin: the directory of its command.
        enforce: the file that says whether it enforces.
    """

    bin: Path
    enforce: Path

    def calls(self) -> t.List[str]:
        """Return what the command was called with."""
        path = self.bin / "calls"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def is_right(self, path: Path) -> bool:
        """Return whether a file has the label of the policy."""
        return str(path) in (self.bin / "right").read_text(encoding="utf-8").splitlines()


def play(directory: Path) -> SELinux:
    """Make it in a directory; it enforces."""
    made = SELinux(directory / "selinux-bin", directory / "enforce")
    made.bin.mkdir()
    (made.bin / "right").touch()
    made.enforce.write_text("1", encoding="ascii")
    command = made.bin / "restorecon"
    command.write_text(RESTORECON.format(state=made.bin), encoding="utf-8")
    command.chmod(0o755)
    return made
