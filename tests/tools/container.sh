#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# container.sh: builds the image of examples/container with podman, as docs/how-to/container.md has it, and lets it live:
# it is up, reaps, stops in order within its time, ends by itself when a service does, and runs with a read-only image.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"
PATH=$ROOT/.venv/bin:$PATH

need podman=podman runc=runc netavark=netavark aardvark-dns=aardvark-dns iptables=iptables debootstrap=debootstrap
# Control groups of version 1 or mixed need settings of their own; see containers.conf.
[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || export CONTAINERS_CONF=${CONTAINERS_CONF:-$ROOT/molecule/shared/containers.conf}

base=$(molecule/shared/build-image.sh bookworm)
place=$(mktemp -d)
name=rollcall-container-$$
trap 'podman rm --force --ignore --time=0 "$name" >/dev/null; podman volume rm --force "$name" >/dev/null;
  podman rmi --force --ignore "localhost/$name" >/dev/null; rm -rf "$place"' EXIT

cp -r examples/demo examples/container "$place"
ansible-galaxy collection build --output-path "$place/container" >/dev/null
# Without a package index: all that pip installs comes along.
tests/tools/wheels.sh roles/bootstrap/files/requirements.txt 3.11 "$place/wheels"
mkdir "$place/container/wheels"
cp "$place/wheels"/* "$place/container/wheels"
pip download --quiet --only-binary :all: --python-version 3.11 --dest "$place/container/wheels" "ansible-core~=2.19.0"
echo 'bootstrap_wheels: /build/wheels' >>"$place/container/inventory/group_vars/all.yml"
podman build --tag "localhost/$name" --build-arg "BASE=$base" --env PIP_NO_INDEX=1 --env PIP_FIND_LINKS=/build/wheels \
  --file "$place/container/Containerfile" "$place" >"$place/log" 2>&1 || { tail -n 60 "$place/log" >&2; die "the image was not built"; }

started() { # options...: the container, once it is up
  podman run --detach --name "$name" --volume "$name:/opt/shop" "$@" "localhost/$name" >/dev/null
  for _ in $(seq 1500); do
    [[ $(podman logs "$name" 2>&1) = *'OK, 3 of 3 services up'* ]] && return
    sleep 0.2
  done
  podman logs "$name" >&2
  die "it did not come up"
}
ended() { # code: waits for its end
  local code
  code=$(timeout 300 podman wait "$name")
  [ "$code" = "$1" ] || { podman logs "$name" >&2; die "it ended with $code, and not with $1"; }
  podman rm "$name" >/dev/null
}

started --read-only
podman exec "$name" sh -c 'sleep 0.1 & exec true'
podman exec "$name" /opt/shop/bin/rollcall status >/dev/null || die "status is not ok"
for _ in $(seq 300); do
  [[ $(podman top "$name" state) = *Z* ]] || break
  sleep 0.2
done
[[ $(podman top "$name" state) != *Z* ]] || die "a zombie is left"
began=$(date +%s)
podman stop --time 200 "$name" >/dev/null
[ $(($(date +%s) - began)) -lt 180 ] || die "it did not stop in time"
[[ $(podman logs "$name" 2>&1) = *'stops in order'* ]] || die "it was killed"
[[ $(podman logs "$name" 2>/dev/null) = *'web | '* ]] || { podman logs "$name" >&2; die "the services' logs are not shown"; }
ended 0

started
podman exec "$name" sh -c 'kill -KILL $(cat /opt/shop/run/supervisord.pid)'
ended 1
