# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cases of a test are tried in the ordinary run, and which only by ``make exhaustive``."""

from __future__ import annotations

import typing as t

import pytest


def ordinary(cases: t.Iterable[t.Any], *chosen: t.Any) -> t.List[t.Any]:
    """Return the cases as parameters, of which the ordinary run has those that differ in kind.

    Args:
        cases: all of them, as ``pytest.mark.parametrize`` takes them.
        chosen: those of the ordinary run.

    Raises:
        ValueError: something is chosen that is no case.
    """
    known = list(cases)
    unknown = [case for case in chosen if case not in known]
    if unknown:
        raise ValueError(f"no such case: {unknown}")
    return [
        # A tuple has one value for each of several parameters.
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            marks=() if case in chosen else pytest.mark.exhaustive,
        )
        for case in known
    ]
