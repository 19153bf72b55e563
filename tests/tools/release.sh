#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# release.sh [ARGUMENT...]: makes a release of the commit that is checked out, and proves it; see tests/release.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

need git=git podman=podman runc=runc netavark=netavark aardvark-dns=aardvark-dns iptables=iptables \
  debootstrap=debootstrap ssh=openssh-client
# Root may release the checkout of another user: git would not list its files then.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=$ROOT
exec .venv/bin/python -m tests.release "$@"
