#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# ansible-test.sh sanity|integration [ARGUMENTS]: ansible-test on a copy of what git would commit now. It insists on a
# path that ends in ansible_collections/rollcall/supervisor, and would walk through .venv otherwise.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
command=${1:?sanity or integration}
shift

# The environment that is active, such as one of the matrix, or the checkout's own.
bin=${VIRTUAL_ENV:-$ROOT/.venv}/bin
python=$("$bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
core=$("$bin/python" -c 'from ansible.release import __version__; print(__version__)')
PATH=$bin:$PATH

# Several versions may run at once.
copy=$ROLLCALL_CACHE/ansible-test/$command-$core-$python/ansible_collections/rollcall/supervisor
rm -rf "$copy"
copy_checkout "$copy"

# For each kind of test ansible-test makes a virtual environment of its own and fetches a script that puts pip into it.
# Where that script cannot be fetched, the pip that comes with Python does as well.
if [ "$command" = sanity ]; then
  # The tests are no part of the collection that is built, and half of all Python: ruff and mypy read them.
  find "$copy/tests" -name '*.py' -not -path "$copy/tests/integration/*" -delete
  "$bin/python" "$ROOT/tests/tools/pip_bootstrap.py"
fi
# It copies the targets elsewhere and keeps the environment from them, and so any setting of a package index.
if [ "$command" = integration ]; then
  "$ROOT/tests/tools/wheels.sh" "$ROOT/roles/bootstrap/files/requirements.txt" "$python" "$copy/.cache/wheels"
  cat >"$copy/tests/integration/integration_config.yml" <<CONFIG
stack_wheels: $copy/.cache/wheels
stack_service: $copy/examples/demo/service.py
CONFIG
fi

cd "$copy"
exec ansible-test "$command" --color no --python "$python" "$@"
