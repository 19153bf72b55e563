#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bootstrap_info
short_description: Check a manifest and see whether a host is prepared for it
version_added: 0.2.0
description:
  - Checks the whole manifest on the controller, as M(rollcall.supervisor.manifest_info) does, and asks the host, by one
    command of its shell, what it was prepared with. Changes nothing, and needs no Python on the host.
  - Fails where the engine on the host is newer than this collection.
  - Used by the roles P(rollcall.supervisor.bootstrap#role), P(rollcall.supervisor.release#role) and
    P(rollcall.supervisor.database#role).
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
  downgrade:
    description:
      - Whether an engine that is newer than this collection may be replaced by the collection's own.
    type: bool
    default: false
  python:
    description:
      - The Python that the engine's environment is made with. A host that was prepared with another one is not
        prepared.
    type: str
    default: python3
  on_path:
    description:
      - Whether a host on which root installs is to have the command on its PATH.
    type: bool
    default: false
  on_failure:
    description:
      - What a first install that fails is to do.
      - It is asked for here so that another word is refused before anything is done.
    type: str
    choices: [leave, rollback]
    default: leave
"""

EXAMPLES = r"""
- name: Check the manifest and look at the host
  rollcall.supervisor.bootstrap_info:
    manifest: "{{ rollcall_stack }}"
  register: host
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
  description: A digest of everything the host has to be prepared with.
  returned: success
  type: str
prepared:
  description: Whether the host was prepared with exactly that, and all of it is still there.
  returned: success
  type: bool
broken:
  description: What is no longer as it was prepared, as sentences. Empty as well where nothing could be asked.
  returned: success
  type: list
  elements: str
version:
  description: Version of the engine on the host; null where there is none.
  returned: success
  type: str
found:
  description: The names of all files and directories in the directory of the stack.
  returned: success
  type: list
  elements: str
error:
  description:
    - Why the host has not answered, with C(message), C(kind), C(evidence) and C(remedies). A task with
      C(ignore_unreachable) fails with it, so that its rescue comes; for any other the host is unreachable.
  returned: when the host is lost and that is ignored
  type: dict
"""
