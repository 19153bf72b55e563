#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# versions.sh [--few]: runs tests/unit and tests/playbooks with every supported version of ansible-core, under every
# Python for it that is found here. --few: each version under one Python, without the version that all other stages run
# with; the units that touch Ansible and a few playbooks. Each pair has a copy of the checkout with its own .venv under
# .cache/versions, which is kept.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT" || exit

# ansible-core and its Python. Of each version --few takes the first that is found: so it has both newer Pythons.
PAIRS=(2.19:3.11 2.19:3.12 2.19:3.13 2.20:3.12 2.20:3.13 2.21:3.13 2.21:3.12)
TESTS=(tests/unit tests/playbooks)
FEW=(tests/playbooks/test_site_batches.py tests/playbooks/test_release_to_come.py)
# What runs within Ansible, and what the engine asks of Python itself more than others.
FEW+=(tests/unit/plugins tests/unit/supervisord tests/unit/host tests/unit/base)

few=
[ "${1:-}" != --few ] || few=yes
usual=2.19 # as requirements/run.txt has it

# find_python VERSION: prints an interpreter of that version that can make virtual environments.
find_python() {
  local candidate pyenv uv
  pyenv=$(pyenv root 2>/dev/null) uv=$(uv python dir 2>/dev/null) # where they keep their interpreters
  for candidate in "python$1" "$pyenv"/versions/"$1".*/bin/"python$1" "$uv"/*-"$1".*/bin/"python$1"; do
    if "$candidate" -c "import ensurepip, sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

closing=() failed="" done=" "
for pair in "${PAIRS[@]}"; do
  core=${pair%:*} version=${pair#*:} what="ansible-core ${pair%:*} under Python ${pair#*:}"
  if [ -n "$few" ] && { [ "$core" = "$usual" ] || [[ $done == *" $core "* ]]; }; then
    continue
  fi
  if ! python=$(find_python "$version"); then
    closing+=("left out: $what: no Python $version found")
    continue
  fi
  done+="$core "
  copy=.cache/versions/$core-$version
  # All but the environment is copied anew: no file stays that is gone here.
  [ ! -d "$copy" ] || find "$copy" -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +
  copy_checkout "$copy"
  tests=("${TESTS[@]}")
  [ -z "$few" ] || tests=("${FEW[@]}")
  # The stage `unit` tries all examples of a property.
  [ -z "$few" ] || export FEW_EXAMPLES=yes
  echo "--- $what"
  if (cd "$copy" && PYTHON=$python tests/tools/setup.sh "core-$core" &&
    PATH=$PWD/.venv/bin:$PATH VIRTUAL_ENV=$PWD/.venv pytest -q -n 4 --dist worksteal "${tests[@]}"); then
    closing+=("ok: $what")
  else
    closing+=("FAILED: $what")
    failed=yes
  fi
done
printf '%s\n' "${closing[@]}"
[ -z "$failed" ]
