#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# chaos.sh [ARGUMENT...]: random faults against the demo in a container; see tests/chaos.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

need podman=podman runc=runc netavark=netavark aardvark-dns=aardvark-dns iptables=iptables \
  debootstrap=debootstrap ssh=openssh-client
exec .venv/bin/python -m tests.chaos "$@"
