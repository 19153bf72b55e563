#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# screenshots.sh: writes docs/images of a stack that runs on this machine meanwhile; see screenshots.py.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

tests/tools/browser.sh install
need pngquant=pngquant
.venv/bin/python -m tests.tools.screenshots docs/images
# A page has few colours: an eighth of the bytes, and nobody sees it.
pngquant --force --ext .png --speed 1 --strip 64 docs/images/*.png
