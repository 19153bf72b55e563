# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of what looks at a host's servers in its balancers."""

    DOCUMENTATION = r"""
options:
  host:
    description:
      - The host whose servers are meant. The module itself runs on the host of the balancer, by C(delegate_to).
      - What was taken out is remembered under this name.
    type: str
    required: true
  sockets:
    description:
      - The runtime sockets of the HAProxys on this host, C(stats socket) with C(level admin) in their configuration.
      - The path of a unix socket, or an address of this host such as V(127.0.0.1:9999).
    type: list
    elements: str
    default: [/run/haproxy/admin.sock]
  servers:
    description:
      - The servers of O(host), as patterns of C(BACKEND/SERVER), such as V(web/app1), V(*/app1) or V(*/app1-*).
      - Without this and O(addresses), those of its name in every backend, V(*/HOST), and of its instances, V(*/HOST:N).
    type: list
    elements: str
    default: []
  addresses:
    description:
      - IP addresses of O(host). Every server with one of them is meant, too.
    type: list
    elements: str
    default: []
  record_directory:
    description:
      - Directory on the balancer's host. A file in it says which servers of O(host) this module has taken out, since
        when and for whom. What is out and not in it is the maintenance of somebody else.
    type: path
    default: /var/lib/rollcall/drained
"""
