# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of what applies a manifest, besides those of every run."""

    DOCUMENTATION = r"""
options:
  release:
    description:
      - The id of the release of the application's code that the services are to run, as M(rollcall.supervisor.release)
        returns it. Without it they run none.
    type: str
  home:
    description:
      - Whether services that have moved to a fallback port get their own ports again, where these are free. Otherwise a
        service keeps the port that it has.
    type: bool
    default: false
  start_stopped:
    description:
      - Whether services that somebody has stopped by name are started, too. Otherwise they stay stopped.
    type: bool
    default: false
  standing:
    description:
      - Commands that have run before and whose changes no way back takes back, such as a migration of a database. They
        are named when the run goes back, and in check mode.
    type: list
    elements: str
    default: []
  delivered:
    description:
      - In check mode the files, relative to the stack's root, that a real run finds written, such as those which
        M(rollcall.supervisor.stack_credentials) would write. So the plan names the services that read them anew.
    type: list
    elements: str
    default: []
  boot:
    description:
      - What is to start the stack after a boot, once it is verified. The host notes it, and tells when it is not there.
        The role P(rollcall.supervisor.services#role) installs it. Without a word nothing is noted.
    type: str
    choices: ["", auto, systemd, user, launchd, none]
    default: ""
  boot_after:
    description:
      - Units of the system that what starts the stack is to wait for.
    type: list
    elements: str
    default: []
  boot_templates:
    description:
      - Directory on the controller of the templates of what starts a stack after a boot. With O(boot), the host is
        asked after the run whether that is there.
    type: path
  rollout:
    description:
      - RV(rollcall.supervisor.rollout_plan#module:order) of the rollout that is done with this host when every check
        has passed and nothing is left to do. The host writes that down then, as M(rollcall.supervisor.rollout_step)
        does.
    type: dict
    default: {}
  begin:
    description:
      - Has O(rollout) begin here in the same task. A host that is as P(rollcall.supervisor.bootstrap#role) has prepared
        it writes that down, as M(rollcall.supervisor.rollout_step) does, before anything else is done. On another one
        nothing is done.
    type: dict
    suboptions:
      gate:
        description:
          - As O(rollcall.supervisor.rollout_step#module:gate).
        type: dict
        default: {}
      python:
        description:
          - The Python of the host that it is to be prepared with.
        type: str
        default: python3
      on_path:
        description:
          - Whether the command is to be on the PATH.
        type: bool
        default: true
  template:
    description:
      - Path on the controller of the Jinja template of C(supervisord.conf). Its one variable is C(stack), the
        normalised manifest, and it has the filters of this collection.
    type: path
    required: true
  mode:
    description:
      - What is restarted, as in M(rollcall.supervisor.stack_restart).
    type: str
    choices: [auto, full, quick, emergency, master, force]
    default: auto
"""
