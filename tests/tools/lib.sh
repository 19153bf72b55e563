# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# shellcheck shell=bash
#
# Shared by the scripts beside it; sourced, never run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export ROOT

# Downloads and images that are worth keeping between checkouts. Nothing in it is needed: it may be removed at any time.
export ROLLCALL_CACHE=${ROLLCALL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rollcall}
export PIP_CACHE_DIR=${PIP_CACHE_DIR:-$ROLLCALL_CACHE/pip}
export PIP_DISABLE_PIP_VERSION_CHECK=1

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# install_packages PACKAGE...: with apt, as root; otherwise one sentence that says what to do.
install_packages() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    die "needs $*; install them with this system's package manager (Debian: sudo apt-get install $*), then run it again"
  fi
  printf 'installing with apt: %s\n' "$*"
  # Another stage, which runs beside this one, may be at it, and apt does not wait for everything.
  (
    flock 9
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
  ) 9>"${TMPDIR:-/tmp}/rollcall-apt.lock"
}

# need COMMAND=PACKAGE...: install the packages whose command is missing.
need() {
  local pair missing=()
  for pair in "$@"; do
    PATH=$PATH:/usr/sbin:/sbin:/usr/lib/podman command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
}

# copy_checkout DIRECTORY: copies what git would commit now.
copy_checkout() {
  mkdir -p "$1"
  # A file that is deleted and not yet committed is still listed: only what is there can be copied.
  (cd "$ROOT" && git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
    tar --null --files-from=- -cf -) | tar -xf - -C "$1"
}

# make_importable DIRECTORY: Ansible and Python of DIRECTORY/.venv find the checkout in DIRECTORY under the collection's
# name, without a path to set anywhere; and .venv/bin/rollcall is made.
make_importable() {
  local packages link target
  packages=$("$1/.venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  link=$packages/ansible_collections/rollcall/supervisor
  mkdir -p "${link%/*}"
  target=$("$1/.venv/bin/python" -c 'import os, sys; print(os.path.relpath(*map(os.path.realpath, sys.argv[1:])))' "$1" "${link%/*}")
  ln -sfn "$target" "$link"
  touch "${link%/*}/py.typed" # for mypy: what is under that name has types
  cat >"$1/.venv/bin/rollcall" <<'SHIM'
#!/bin/sh
exec "$(dirname "$0")/python" -P -m ansible_collections.rollcall.supervisor.plugins.module_utils.cli.command "$@"
SHIM
  chmod 755 "$1/.venv/bin/rollcall"
}
