#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# lock.sh: writes what the role `bootstrap` installs on hosts, requirements/host.txt with the digests of every file that
# the package index has of each version.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

lock=roles/bootstrap/files/requirements.txt
{
  echo "# Written by \`make lock\` from requirements/host.txt: the reasons stand there. pip refuses what has another digest."
  .venv/bin/uv pip compile --quiet --universal --python-version 3.9 --generate-hashes --no-annotate --no-header \
    requirements/host.txt
} >"$lock.new"
mv "$lock.new" "$lock"
