#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# lock.sh: writes what is installed, with the digests of every file that the package index has of each version:
# requirements/host.txt for the role `bootstrap`, requirements/apprise.txt for the role `monitor`, requirements/run.txt
# for the controllers of a release's bundle, and requirements/peers.txt for the benchmarks.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

# lock LIST PYTHON FILE: PYTHON is the oldest that has to run it.
lock() {
  {
    echo "# Written by \`make lock\` from $1: the reasons stand there. pip refuses what has another digest."
    .venv/bin/uv pip compile --quiet --universal --python-version "$2" --generate-hashes --no-annotate --no-header "$1"
  } >"$3.new"
  mv "$3.new" "$3"
}

lock requirements/host.txt 3.9 roles/bootstrap/files/requirements.txt
lock requirements/run.txt 3.11 requirements/controller.txt
lock requirements/apprise.txt 3.9 roles/monitor/files/apprise.txt
lock requirements/peers.txt 3.11 tests/benchmark/peers.txt
