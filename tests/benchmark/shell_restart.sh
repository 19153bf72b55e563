#!/usr/bin/env bash
# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The "master restart" that the benchmark compares with: the pile of shell that people use today, no better and no
# worse. It is given in the environment: CONFIG, PORTS, SERVICES, APPLICATION (a path in the command line of all that
# belongs to it), and `supervisord` and `supervisorctl` on the PATH. It says SUCCESS whatever happened.

echo "Flushing ports"
for port in $PORTS; do
  lsof -ti ":$port" | xargs -r kill -9
done

echo "Stopping supervisord"
supervisorctl -c "$CONFIG" shutdown
# Where those scripts say `pkill -f python`: each process of this one application, by its pid, and no other Python.
pgrep -f -- "$APPLICATION" | xargs -r kill

echo "Starting supervisord"
supervisord -c "$CONFIG"
sleep 5

echo "Restarting the services"
for service in $SERVICES; do
  supervisorctl -c "$CONFIG" restart "$service"
done
sleep 3

echo "SUCCESS"
