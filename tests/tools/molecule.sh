#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# molecule.sh [SCENARIO...]: the named scenarios, or all of them, from create to destroy.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"
PATH=$ROOT/.venv/bin:$PATH
export MOLECULE_COMMAND_BORDERS=${MOLECULE_COMMAND_BORDERS:-false}

need podman=podman runc=runc netavark=netavark aardvark-dns=aardvark-dns iptables=iptables \
  debootstrap=debootstrap ssh=openssh-client haproxy=haproxy

if [ $# = 0 ]; then
  for file in molecule/*/molecule.yml; do
    set -- "$@" "$(basename "${file%/*}")"
  done
fi
failed=()
for scenario in "$@"; do
  molecule test --scenario-name "$scenario" || failed+=("$scenario")
done
[ ${#failed[@]} = 0 ] || die "failed: ${failed[*]}"
