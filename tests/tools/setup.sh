#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# setup.sh run|dev: makes .venv with requirements/run.txt or requirements/dev.txt, the collection importable by its
# name, and .venv/bin/rollcall. Does nothing when that has been done with these very requirements.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

level=${1:?run or dev}
[ -f "requirements/$level.txt" ] || die "there is no requirements/$level.txt"
stamp=.venv/.rollcall-$level-$(cat requirements/*.txt tests/tools/setup.sh tests/tools/lib.sh | cksum | tr ' ' -)
[ ! -e "$stamp" ] || exit 0

# The newest ansible-core for Python 3.11 is the one that is pinned; it runs on 3.11 to 3.13.
suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }

complete() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

find_python() {
  local candidate
  # The system's own is built with more optimization than one that a version manager has compiled here.
  if [ -z "${PYTHON:-}" ] && suits /usr/bin/python3 && complete /usr/bin/python3; then
    echo /usr/bin/python3
    return
  fi
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null && suits "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  die "found no Python 3.11, 3.12 or 3.13; install one (Debian 12: apt-get install python3) or name it: make PYTHON=/path/to/python3.11"
}

if ! { [ -x .venv/bin/python ] && suits .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }; then
  python=$(find_python)
  complete "$python" || install_packages python3-venv
  "$python" -m venv --clear .venv
fi

echo "installing requirements/$level.txt into .venv"
.venv/bin/python -m pip install -qq -r "requirements/$level.txt"

make_importable "$ROOT"

rm -f ".venv/.rollcall-$level-"*
touch "$stamp"
