#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# demo_fleet.sh up|down: five hosts in containers and a HAProxy before them, and a rollout with users who ask all the time.
# The containers are made and removed as the scenarios of Molecule have theirs.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"
PATH=$ROOT/.venv/bin:$PATH:/usr/sbin
place=$ROOT/.demo-fleet
inventory=(--inventory inventories/fleet --inventory "$place/inventory")

# step WORDS PLAYBOOK [ARGUMENT...]: a playbook that is not ours to show, its words and seconds in a line.
step() {
  local words=$1 began=$SECONDS
  shift
  printf '%-60s' "$words"
  ANSIBLE_STDOUT_CALLBACK=default \
    ansible-playbook "${inventory[@]}" --extra-vars "molecule_ephemeral_directory=$place" \
    --extra-vars "molecule_scenario_directory=$ROOT/molecule/fleet" "$@" >"$place/log" 2>&1 || {
    printf 'FAILED\n'
    tail -n 30 "$place/log" >&2
    die "the whole log is $place/log"
  }
  printf '%4d s\n' $((SECONDS - began))
}

up() {
  need podman=podman runc=runc netavark=netavark aardvark-dns=aardvark-dns iptables=iptables \
    debootstrap=debootstrap ssh=openssh-client haproxy=haproxy
  mkdir -p "$place/inventory"
  step 'five hosts: Debian with systemd and sshd, in containers' molecule/shared/create.yml
  step 'what they need: wheels, the application' molecule/shared/prepare.yml
  step 'a HAProxy before them' molecule/shared/balancer.yml
  step 'version 1, installed on all of them: site' playbooks/site.yml
  port=$(cat "$place/balancer/port")
  printf '\nversion 2, while users ask: rollout\n'
  python -m tests.tools.under_load "$port" ansible-playbook "${inventory[@]}" playbooks/rollout.yml \
    --extra-vars fleet_version=2 --extra-vars soak=1
  cat <<TEXT

The page is http://127.0.0.1:$port/health. To go on:
  .venv/bin/ansible-playbook ${inventory[*]} playbooks/rollout.yml -e fleet_version=3
  .venv/bin/ansible-playbook ${inventory[*]} playbooks/rollout.yml -e fleet_version=4 -e fleet_health_status=500
  .venv/bin/ansible-playbook ${inventory[*]} playbooks/fleet.yml
  make demo-fleet-down
TEXT
}

down() {
  [ -e "$place" ] || return 0
  step 'the HAProxy' molecule/shared/balancer.yml --extra-vars balancer_state=absent
  step 'the hosts' molecule/shared/destroy.yml
  rm -rf "$place"
}

case ${1-} in
  up | down) "$1" ;;
  *) die 'up or down' ;;
esac
