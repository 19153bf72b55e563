#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: manifest_info
short_description: Check a manifest and return it normalised
version_added: 0.1.0
description:
  - Checks the whole manifest on the controller and reports all problems at once, each with its place and its cure.
  - Takes our own form and the older JSON shape of a port manifest, from a variable, from a file, or from both.
  - Changes nothing and runs nothing on the host.
extends_documentation_fragment:
  - rollcall.supervisor.attributes
  - rollcall.supervisor.manifest
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
author:
  - Rollcall authors (@rollcall)
options:
  ports:
    description:
      - Ports that services have got on the host, by the name of the service, as M(rollcall.supervisor.port_assign)
        returns them. They replace the services' own ports everywhere in the normalised manifest.
    type: dict
    default: {}
  release:
    description:
      - The id of the release of the application's code that the services are to run, as M(rollcall.supervisor.release)
        returns it. Without it they run none.
    type: str
"""

EXAMPLES = r"""
- name: Check the manifest
  rollcall.supervisor.manifest_info:
    manifest: "{{ rollcall_stack }}"
  register: checked
"""

RETURN = r"""
manifest:
  description: The normalised manifest, with digests in the place of secrets.
  returned: success
  type: dict
problems:
  description: What was found, with C(place), C(message), C(cure) and C(severity).
  returned: always
  type: list
  elements: dict
fingerprint:
  description: A digest of everything the host has to be prepared with. It changes when the host must be prepared again.
  returned: success
  type: str
"""
