# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the administrator's account with the password of the environment; run again, it changes nothing."""

import os

import django

django.setup()

from django.contrib.auth import get_user_model  # needs what setup() has loaded

password = os.environ["ADMIN_PASSWORD"]
user, made = get_user_model().objects.get_or_create(username="admin", defaults={"is_staff": True, "is_superuser": True})
if made or not user.check_password(password):
    user.set_password(password)
    user.save()
