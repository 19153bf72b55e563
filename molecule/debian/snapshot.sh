#!/bin/sh
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What is on a host, a line each: files, accounts, units, processes. Needs no Python.
find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \) -prune -o -print | sed 's/^/file /'
sed 's/^/account /' /etc/passwd
sed 's/^/group /' /etc/group
# Not those of a login: Ansible's own is still there.
systemctl list-unit-files --no-legend --no-pager | awk '$1 !~ /\.scope$/ { print "unit-file", $1 }'
systemctl list-units --type=service --state=running --plain --no-legend --no-pager | awk '$1 !~ /^user@/ { print "unit", $1 }'
find /var/lib/systemd/linger -mindepth 1 | sed 's/^/linger /'
# By user and name: numbers differ. Not what a login brings, nor what this is.
ps -e -o ppid=,user=,comm= | awk '$1 != 2 { print "process", $2, $3 }' |
  grep -v -E ' (sh|sed|awk|ps|sort|find|grep|sshd|sshd-session|sshd-auth|systemd|\(sd-pam\)|dbus-daemon)$'
# What packages brought, the caches of their tools left out.
cat /var/lib/dpkg/info/*.list | sed 's/^/packaged /'
