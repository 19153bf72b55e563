# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random liars: many small stacks whose services misbehave, and Rollcall's word against that of an observer.

No OK over a service that the observer calls dead, and no FAILED over one that it calls healthy. Exit code 1 when there
was one. Each stack takes about two minutes, nearly all of them waiting.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import json
import secrets
import socket
import subprocess
import sys
import typing as t

from tests.liars.draw import KINDS, draw
from tests.liars.judge import Lie, lies, words_of

# Ports of the stacks, below the range that the kernel gives out by itself.
FIRST_PORT, LAST_PORT = 30_001, 32_700
BOUND = 400.0


def _free_ports() -> t.Iterator[int]:
    for port in range(FIRST_PORT, LAST_PORT):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port
    raise RuntimeError("no free port is left")


def _try(number: int, seed: int, ports: t.Sequence[int]) -> tuple[dict[str, str], dict[str, t.Any], list[Lie]]:
    services = draw(number, seed)
    wanted = json.dumps({"services": services, "ports": ports})
    done = subprocess.run(
        [sys.executable, "-m", "tests.liars.one", wanted], capture_output=True, text=True, timeout=BOUND, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"stack {number} of seed {seed}: {done.stderr[-2000:]}")
    told = json.loads(done.stdout)
    kinds = {name: str(behaviour["kind"]) for name, behaviour in services.items()}
    return kinds, told, lies(kinds, told)


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.liars", description=__doc__)
    options.add_argument("--stacks", type=int, default=12, help="how many")
    options.add_argument("--together", type=int, default=12, help="how many at a time")
    options.add_argument("--seed", type=int, default=None, help="of all that is random; a new one by default")
    options.add_argument("--only", type=int, default=None, help="the number of one stack, to play it again")
    chosen = options.parse_args()
    seed = secrets.randbelow(1_000_000) if chosen.seed is None else chosen.seed
    numbers = range(chosen.stacks) if chosen.only is None else [chosen.only]
    ports = _free_ports()
    tried: collections.Counter[str] = collections.Counter()
    words: collections.Counter[str] = collections.Counter()
    found: list[tuple[int, Lie]] = []
    with concurrent.futures.ThreadPoolExecutor(chosen.together) as pool:
        running = {pool.submit(_try, number, seed, [next(ports) for _each in range(3)]): number for number in numbers}
        for future in concurrent.futures.as_completed(running):
            kinds, told, contradicted = future.result()
            tried.update(kinds.values())
            words.update("OK" if word.ok else "FAILED" for word in words_of(told))
            found += [(running[future], lie) for lie in contradicted]
            for lie in contradicted:
                print(f"stack {running[future]}: {lie.text}", flush=True)
    print(f"seed {seed}: {len(numbers)} stacks, {tried.total()} services")
    print(", ".join(f"{kind} {tried[kind]}" for kind in KINDS if tried[kind]))
    false_ok = sum(lie.said_ok for _number, lie in found)
    print(f"words: {words['OK']} OK, {words['FAILED']} FAILED")
    print(f"false OK: {false_ok}, false FAILED: {len(found) - false_ok}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
