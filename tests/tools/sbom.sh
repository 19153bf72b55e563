#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# sbom.sh [FILE]: writes the bill of materials of what the role `bootstrap` installs on hosts, as CycloneDX JSON: every
# package with its version and the digests of its files. The same list gives the same bytes.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

version=$(sed -n 's/^version: *//p' galaxy.yml)
output=${1:-rollcall-supervisor-$version.cdx.json}
.venv/bin/cyclonedx-py requirements --output-reproducible --of JSON --output-file "$output" \
  roles/bootstrap/files/requirements.txt
echo "wrote $output"
