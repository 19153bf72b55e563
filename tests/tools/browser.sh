#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# browser.sh install: has Chromium on this machine, what its driver needs that Chromium does not, and axe-core.
# browser.sh [ARGUMENT...]: the same, then the tests of the page in it; arguments are pytest's.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

missing=()
{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null || missing+=(chromium)
# The driver is a program of Node.js.
[ "$(uname)" != Linux ] || PATH=$PATH:/usr/sbin:/sbin ldconfig -p | grep 'libatomic\.so\.1' >/dev/null || missing+=(libatomic1)
[ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
.venv/bin/python -m tests.tools.axe_core

[ "${1:-}" = install ] || exec .venv/bin/pytest -q --durations=10 "$@" tests/browser
