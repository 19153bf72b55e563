#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Errors and style, then layout: both are said, either fails.
code=0
ruff check . || code=1
ruff format --check . || code=1
exit $code
