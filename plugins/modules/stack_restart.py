#!/usr/bin/python
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_restart
short_description: Bring a stack to what its manifest says, and prove it
version_added: 0.1.0
description:
  - Validates the config on the host and plans the smallest change. Then stops services, ends what is left over, frees
    ports, installs, starts and verifies, in one critical section under the stack's lock.
  - The critical section runs in a worker of its own on the host. When the connection is lost it goes on to its end,
    and a rerun converges from there.
  - Succeeds only when every check of the verdict passes.
requirements:
  - The role P(rollcall.supervisor.bootstrap#role) has prepared the host. The engine that it installed does the work.
extends_documentation_fragment:
  - rollcall.supervisor.attributes
  - rollcall.supervisor.flush
  - rollcall.supervisor.run
  - rollcall.supervisor.services
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - Idempotent with O(mode=auto), O(mode=flush) and O(mode=stop).
author:
  - Rollcall authors (@rollcall)
options:
  root:
    description:
      - Directory of the stack on the host, an absolute path.
    type: str
    required: true
  # begin generated mode
  mode:
    description:
      - "V(full): stop supervisord and all services, free every port of the manifest, end what is left over from earlier
        runs, start the services in order, verify."
      - "V(master) is another word for V(full)."
      - "V(quick): stop supervisord and all services, start the services in order, verify; no port is freed."
      - "V(emergency): as full, for when something hangs: kill what does not end within a few seconds, and end every
        supervisord of the stack, also one that does not answer, a second one, and one without its socket; a run that
        has locked the stack and hangs is ended first."
      - "V(force) is another word for V(emergency)."
      - "V(auto): start what is new, changed, not running or not healthy, and what depends on it; leave the rest alone."
      - "V(flush): free the assigned ports of what is left over; restart nothing."
      - "V(reload): have services read their files anew without a restart, those that are named or all with `reload` in
        the manifest; prove that each has the same process and answers."
      - "V(stop): stop all services and their supervisord; end what is left over from earlier ones."
      - "V(rollback): go back to the last verified generation before this one, or to another that is kept: manifest,
        config, private files and release together."
      - "V(rerun): run the oneshots that are named again, such as a migration, and prove that they end well; all else is
        left alone."
    type: str
    choices: [full, master, quick, emergency, force, auto, flush, reload, stop, rollback, rerun]
    default: auto
  # end generated mode
  manifest:
    description:
      - The normalised manifest, as M(rollcall.supervisor.manifest_info) returns it.
      - Without it the manifest that is installed is used, unchanged.
    type: dict
  config:
    description:
      - The text of C(supervisord.conf) rendered from O(manifest).
    type: str
  secrets:
    description:
      - The secrets of each service, by service and name of the variable.
      - They reach the process through a file that only its user can read.
    type: dict
    default: {}
  dependents:
    description:
      - With O(services), whether what depends on them is stopped and started, too.
      - O(services) goes with the modes V(auto), V(full), V(quick) and V(stop). supervisord and all other services are
        left alone. A service that was stopped by name stays stopped until it is started by name, or by a restart of all
        services.
    type: bool
    default: true
  generation:
    description:
      - For O(mode=rollback) the id of the generation to go back to; empty for the last verified one before this.
    type: str
    default: ""
  delivered:
    description:
      - In check mode the files, relative to O(root), that a real run finds written, such as those which
        M(rollcall.supervisor.stack_credentials) would write. So the plan names the services that read them anew.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Restart everything
  rollcall.supervisor.stack_restart:
    root: /opt/trading
    mode: full
"""

RETURN = r"""
ok:
  description: Whether the run came to a verdict and every check of it passed; in check mode, whether it is planned.
  returned: always
  type: bool
msg:
  description: Why it is not, in a few words.
  returned: when RV(ok) is false
  type: str
report:
  description: The verdict, with everything that was seen and done.
  returned: when the run came to a verdict, or in check mode
  type: dict
  contains:
    stack:
      description: Name of the stack.
      returned: always
      type: str
    ok:
      description: Whether every check of the verdict passed.
      returned: always
      type: bool
    result:
      description:
        - V(ok), V(held), V(degraded), V(rolled_back) or V(rollback_failed), or V(planned) in check mode.
        - Only V(ok) is success.
      returned: always
      type: str
    mode:
      description: The mode of the run.
      returned: always
      type: str
    services:
      description: State, pid, port, health and listener of each service.
      returned: always
      type: list
      elements: dict
    checks:
      description: Each condition of the verdict with its evidence and the next command.
      returned: always
      type: list
      elements: dict
    actions:
      description: What was done, or would be in check mode, and why.
      returned: always
      type: list
      elements: dict
    generation:
      description: Which generation is in place, by its C(id), and whether it is C(verified); null when there is none.
      returned: always
      type: dict
    held:
      description: Services that stay down because something they require is missing, with the reason.
      returned: always
      type: dict
    limit:
      description: Seconds that the run could have taken at the longest.
      returned: always
      type: float
    manifest_digest:
      description: What tells this manifest, with its config and private files, from others.
      returned: always
      type: str
    notes:
      description: What did not answer or refused on the way, where the run went on anyway.
      returned: always
      type: list
      elements: str
    signals:
      description: Processes outside of supervisord that were ended.
      returned: always
      type: list
      elements: dict
    timings:
      description:
        - Seconds of each phase; C(running) and C(healthy) are those from the start of the services until the last of
          them was RUNNING, and had answered.
      returned: always
      type: dict
    run:
      description: Id of the run, the name of its record on the host; null in check mode.
      returned: always
      type: str
error:
  description:
    - Why the run was refused or could not come to a verdict, with C(message), C(kind), C(evidence) and C(remedies).
    - C(standing) says how the stack is now. Its C(state) is C(as_it_was), C(up), C(down) or C(unknown); C(running) of
      C(services) run; C(since) is when it went down, in seconds since the epoch, and C(next) the command to run next.
  returned: on such a failure
  type: dict
"""
