# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The query of a database check: several statements are refused where that is certain, one is never refused."""

from __future__ import annotations

import time

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest import sql


def is_good(query: str) -> bool:
    return sql.why_not(query) is None


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "select 1;",
        "SELECT 1 ; ; -- that is all; COMMIT",
        "; SELECT 1",
        "(SELECT 1) UNION (SELECT 2)",
        "/* a /* nested; */ COMMIT; */ TABLE orders",
        "SELECT ';', \";\", 'it''s; ', E'\\'; x', $$;$$, $a$ $$; $a$",
        "SELECT a$$b FROM c$; -- $$ in names begins no text",
        "SELECT id FROM orders WHERE note = U&'\\0041; x'",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "SHOW server_version",
    ],
)
def test_one_statement_that_reads_is_good(query: str) -> None:
    assert is_good(query)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1; COMMIT; DROP TABLE x; COMMIT",
        "SELECT ';';COMMIT",
        "SELECT 1;/* ; */DROP TABLE x",
        "SELECT $a$'$a$; DROP TABLE x; --'",
        "SELECT E'\\\\'; DROP TABLE x",
        "; ; SELECT 1; SELECT 2",
        "DO $$ BEGIN COMMIT; END $$",
        "COPY (SELECT 1) TO PROGRAM 'sh'",
        "/**/CALL drop_it()",
        "SET TRANSACTION READ WRITE",
        "'SELECT'",
    ],
)
def test_several_statements_and_what_does_not_read_are_refused(query: str) -> None:
    assert not is_good(query)


@pytest.mark.parametrize("query", ["SELECT '\\'; COMMIT; --'", "SELECT $1; COMMIT", "SELECT 'x; COMMIT"])
def test_what_only_the_server_can_read_is_left_to_it(query: str) -> None:
    assert is_good(query)


@pytest.mark.parametrize("part", ["$a$", "''", "'", "/*", "\\'", "E'\\", "a$", "; ", "("])
def test_a_long_query_is_read_in_time_that_grows_with_its_length(part: str) -> None:
    began = time.process_time()
    is_good("SELECT " + part * 100_000)
    assert time.process_time() - began < 5
