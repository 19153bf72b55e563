#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# build-image.sh SUITE [bare]: prints the name of a container image of that Debian release with systemd and sshd, making
# it first when there is none. Made from this machine's own package mirror, so no image registry is needed; the tarball
# is kept in the cache under a hash of this file. A bare one has no Python. A ready image is named instead by
# ROLLCALL_BASE_IMAGE for the whole one of bookworm, and by ROLLCALL_BASE_IMAGE_BULLSEYE, _BOOKWORM and _TRIXIE for bare ones.
set -euo pipefail
. "$(dirname "$0")/../../tests/tools/lib.sh"

suite=${1:?the Debian release, as bookworm}
# What every managed host has before Ansible first comes: init and sshd. iproute2 and procps are for the tests' eyes.
packages=systemd,systemd-sysv,libpam-systemd,dbus,openssh-server,sudo,iproute2,procps
if [ "${2:-}" = bare ]; then
  name=$suite-bare
  variable=ROLLCALL_BASE_IMAGE_${suite^^}
else
  name=$suite
  variable=ROLLCALL_BASE_IMAGE
  # redis-server is the application of a host of the default scenario, as Debian ships it.
  packages+=,python3,python3-venv,redis-server
fi

if [ -n "${!variable:-}" ]; then
  podman image exists "${!variable}" || podman pull --quiet "${!variable}" >&2
  echo "${!variable}"
  exit
fi

version=$(sha256sum "$0" | cut -c1-12)
image=localhost/rollcall-$name:$version
tarball=$ROLLCALL_CACHE/images/$name-$version.tar
if podman image exists "$image"; then
  echo "$image"
  exit
fi

build() {
  local mirror
  [ "$(id -u)" = 0 ] || die "debootstrap needs root; run as root, or name a ready image of $name in $variable"
  need debootstrap=debootstrap >&2
  # The mirror and the proxy this machine's apt uses, where it is a Debian; debootstrap knows a default.
  # shellcheck disable=SC2016 # the placeholders are apt's
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN)' 'Created-By: Packages' 2>/dev/null |
    awk '$2 == "Debian" && !/security/ { print $1; exit }') || mirror=
  eval "$(apt-config shell http_proxy Acquire::http::Proxy https_proxy Acquire::https::Proxy)"
  export http_proxy https_proxy
  tree=$(mktemp -d "$ROLLCALL_CACHE/images/$name.XXXXXX")
  trap 'rm -rf "$tree"' EXIT
  echo "making a $name image with debootstrap, once" >&2
  debootstrap --variant=minbase --include="$packages" "$suite" "$tree" ${mirror:+"$mirror"} >"$tree.log" 2>&1 || {
    tail -n 30 "$tree.log" >&2
    die "debootstrap failed; its whole log is $tree.log"
  }
  rm -f "$tree.log"
  # No service but sshd runs by itself, and what only a real machine needs is out of the way.
  case $packages in *redis-server*) chroot "$tree" systemctl --quiet disable redis-server.service ;; esac
  chroot "$tree" systemctl --quiet mask systemd-firstboot.service systemd-resolved.service getty.target
  rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/* "$tree"/usr/share/{doc,man,locale}/*
  tar -C "$tree" -cf "$tarball.new" .
  rm -f "$ROLLCALL_CACHE/images/$name"-????????????.tar # of earlier versions of this file
  mv "$tarball.new" "$tarball"
}

mkdir -p "$ROLLCALL_CACHE/images"
# Another scenario, which runs beside this one, may be at it.
exec 8>"$ROLLCALL_CACHE/images/$name.lock"
flock 8
[ -e "$tarball" ] || build
podman image exists "$image" || podman import --quiet "$tarball" "$image" >/dev/null
echo "$image"
