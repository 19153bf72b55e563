#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# fleet_chaos.sh [ARGUMENT...]: random faults in rollouts; see tests/chaos/fleet.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

need sshd=openssh-server ssh=openssh-client haproxy=haproxy ip=iproute2 unshare=util-linux
PATH=$PATH:/usr/sbin exec .venv/bin/python -m tests.chaos.fleet "$@"
