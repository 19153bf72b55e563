# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# What newer Pythons write in another way.
# ruff: noqa: UP032, RUF005
"""What the host's Python can do, for the role's first question: ``python -c TEXT USER ROOT``. For any Python 3.

It prints ``rollcall UID RECENT VENV USABLE``: who asks; whether it is recent enough and can make virtual environments;
and whether the stack's user can execute it and can get to the stack. A user that is yet to be made has the rights of
nobody. Before that line it says what that user could not do, and which shell an account has that nobody logs in to.
"""

import importlib.util
import os
import subprocess
import sys

ANOTHER = "Name a Python that every user can execute, such as /usr/bin/python3, with bootstrap_python"

# Of most Linux, of older ones and Alpine, of macOS.
SHELLS = "/usr/sbin/nologin", "/sbin/nologin", "/usr/bin/false"


def as_user(user, root):
    """Return what the user cannot do; empty when all is well. For good, this process has that user's rights then."""
    import pwd

    try:
        who = pwd.getpwnam(user)
        uid, gid, groups = who.pw_uid, who.pw_gid, os.getgrouplist(user, who.pw_gid)
    except KeyError:
        uid, gid, groups = 65534, 65534, []
    os.setgroups(groups)
    os.setgid(gid)
    os.setuid(uid)
    os.chdir("/")
    try:
        code = subprocess.call([sys.executable, "-I", "-c", "import encodings"], stderr=subprocess.DEVNULL)
    except OSError as exc:
        return "may not execute {}: {}. {}".format(os.path.realpath(sys.executable), exc.strerror, ANOTHER)
    if code:
        return "cannot run {}: it ends with {}. {}".format(sys.executable, code, ANOTHER)
    place = ""
    for name in [""] + os.path.dirname(root).strip("/").split("/"):
        place = os.path.join(place + "/", name) if name else "/"
        if os.path.isdir(place) and not os.access(place, os.X_OK):
            return "may not go through {}, where the stack is to be. Give the stack another root".format(place)
    return ""


def main():
    user, root = sys.argv[1:]
    is_root = os.geteuid() == 0
    for shell in [shell for shell in SHELLS if os.path.exists(shell)][:1]:
        print("shell {}".format(shell))
    said = [os.geteuid(), sys.version_info >= (3, 9), importlib.util.find_spec("ensurepip") is not None]
    lacks = as_user(user, root) if is_root and user not in ("", "root") else ""
    if lacks:
        print("lacks user {} {}".format(user, lacks))
    print("rollcall", *(said + [not lacks]))


main()
