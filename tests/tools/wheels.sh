#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# wheels.sh REQUIREMENTS PYTHON LINK [MACHINE]: makes LINK point at a directory with the wheels of that requirements
# file, and of all it needs, for that version of Python on Linux, on that kind of machine, such as aarch64; by default on
# this kind. The hosts install from it and need no package index.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
requirements=$1 version=$2 link=$3

machine=${4:-$(uname -m)}
wheels=$ROLLCALL_CACHE/wheels/$(basename "$requirements" .txt)-$version-$machine-$(cksum <"$requirements" | tr ' ' -)
mkdir -p "$ROLLCALL_CACHE/wheels"
# Another stage, which runs beside this one, may be at it.
exec 8>"$ROLLCALL_CACHE/wheels/lock"
flock 8
if [ ! -d "$wheels" ]; then
  new=$(mktemp -d "$wheels.XXXXXX")
  chmod 755 "$new"
  "$ROOT/.venv/bin/python" -m pip download --quiet --requirement "$requirements" --dest "$new" --only-binary :all: \
    --python-version "$version" --platform "manylinux_2_28_$machine" --platform "manylinux2014_$machine"
  mv "$new" "$wheels"
fi
mkdir -p "$(dirname "$link")"
ln -sfn "$wheels" "$link"
