#!/bin/sh
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Gives the config of Redis the lines requirepass that it had, from standard input, and restarts Redis. All else in it stays.
# Arguments: the config, the port of Redis, and the command that restarts it.
set -eu
config=$(readlink -f "$1") port=$2
shift 2
new=$(mktemp "$config.XXXXXX")
cp -p "$config" "$new"
{
  grep -v '^[[:space:]]*requirepass[[:space:]]' "$config" || [ $? = 1 ]
  cat
} >"$new"
mv -f "$new" "$config"
"$@"
# Where systemd does not say so, a server is started a moment before it listens. What it answers does not matter.
for _look in 1 2 3 4 5 6 7 8 9 10; do
  ! redis-cli -p "$port" ping >/dev/null 2>&1 || break
  sleep 0.1
done
