# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of modules held against their RETURN, and against the schema where they have a document of it.

`recording` has every playbook that a test runs write down what the modules return; `recorded` checks that.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import tempfile
import typing as t
from pathlib import Path

import yaml

from tests.support.documents import validated
from tests.support.repository import ROOT

Data = t.Mapping[str, t.Any]

MODULES = ROOT / "plugins" / "modules"
# What Ansible itself puts into a result, or documents as common to all modules.
COMMON = {
    "_ansible_delegated_vars",
    *("ansible_facts", "changed", "deprecations", "diff", "exception", "failed", "invocation", "msg", "rc", "skipped"),
    *("stderr", "stderr_lines", "stdout", "stdout_lines", "warnings"),
    *(
        "_ansible_delegated_vars",
        "attempts",
        "changed_when_result",
        "failed_when_result",
        "module_stderr",
        "module_stdout",
        "retries",
    ),
}
# What Ansible adds to a result with a `path` that exists.
OF_PATH = {"gid", "group", "mode", "owner", "secontext", "size", "state", "uid"}
TYPES: t.Mapping[str, t.Tuple[type, ...]] = {
    "bool": (bool,),
    "dict": (dict,),
    "float": (float, int),
    "int": (int,),
    "list": (list,),
    "str": (str,),
}
PROBLEMS, ERROR, REPORT = {"problems": "Problem"}, {"error": "Error"}, {"report": "Report", "error": "Error"}
# The documents of docs/reference/report.schema.json that each module returns, by key. A list has one in each place.
DOCUMENTS: t.Mapping[str, t.Mapping[str, str]] = {
    "boot_info": ERROR,
    "bootstrap_info": {**PROBLEMS, **ERROR},
    "database_info": {},
    "edge_info": PROBLEMS,
    "edge_plan": PROBLEMS,
    "discovery_file": ERROR,
    "discovery_table": {},
    "engine": ERROR,
    "engine_packages": ERROR,
    "haproxy_config": ERROR,
    "haproxy_server": ERROR,
    "haproxy_server_info": ERROR,
    "fleet_table": {},
    "manifest_edit": {**PROBLEMS, **ERROR},
    "manifest_info": PROBLEMS,
    "port_assign": ERROR,
    "port_flush": {"ended": "Signalled", "kept": "Holder", "holders": "Holder", **ERROR},
    "port_info": {"ports": "PortState", **ERROR},
    "release": ERROR,
    "report_info": {"host": "HostTold"},
    "report_page": ERROR,
    "rollout_info": {**PROBLEMS, "endpoints": "Endpoint"},
    "rollout_judge": {},
    "rollout_plan": ERROR,
    "rollout_result": {},
    "rollout_gate": {},
    "rollout_up_info": {},
    "rollout_way_back": {},
    "rollout_step": {"rollout": "Rollout", **ERROR},
    "stack_acknowledge": {"report": "AcknowledgeDocument", **ERROR},
    "stack_apply": {**PROBLEMS, **REPORT},
    "stack_credentials": ERROR,
    "stack_doctor": {"report": "DoctorDocument", **ERROR},
    "stack_info": REPORT,
    "stack_remove": ERROR,
    "stack_restart": REPORT,
    "stack_root": ERROR,
    "stack_verify": REPORT,
    "supervisor_program": ERROR,
}


@functools.cache
def returned_by(module: str) -> t.Dict[str, t.Any]:
    """Return the RETURN of a module."""
    text = (MODULES / f"{module}.py").read_text(encoding="utf-8")
    (found,) = re.findall(r'^RETURN = r"""\n(.*?)^"""$', text, re.MULTILINE | re.DOTALL)
    return dict(yaml.safe_load(found))


def checked(module: str, result: t.Dict[str, t.Any], *, failed: bool = False) -> t.Dict[str, t.Any]:
    """Return a result of a module that is as its RETURN says.

    Args:
        module: its name.
        result: what it returned.
        failed: whether it failed; a result with the key `failed` says so itself.

    Raises:
        AssertionError: it is not; the message names every place.
    """
    failed = failed or bool(result.get("failed"))
    documented, documents = returned_by(module), DOCUMENTS[module]
    common = COMMON | OF_PATH if "path" in result else COMMON
    own = {key: value for key, value in result.items() if key not in common or key in documented}
    # A task that failed before its module had an answer, for its options say, has the message only.
    unanswered = failed and not set(own) - {"msg"}
    wanted = () if unanswered else ("always",) if failed or "failed_when_result" in result else ("always", "success")
    faults = list(_faults(documented, own, "", wanted, documents))
    if faults:
        raise AssertionError(f"{module} returned what its RETURN does not say: {'; '.join(faults)}")
    for key in set(documents) & set(own):
        for document in own[key] if isinstance(own[key], list) else [own[key]]:
            validated(document, documents[key])
    return result


def _faults(
    documented: Data, found: Data, place: str, wanted: t.Container[str], documents: t.Container[str] = ()
) -> t.Iterator[str]:
    """Say what is not as documented in a mapping.

    Args:
        documented: its keys, as RETURN has them.
        found: what it is.
        place: where it is, for the message.
        wanted: what `returned` says of keys that must be there.
        documents: keys whose value the schema says more of than RETURN.
    """
    for key, told in documented.items():
        if key not in found and told["returned"] in wanted:
            yield f"{place}{key} is missing"
    for key, value in found.items():
        if key in documented:
            yield from _value_faults(documented[key], value, f"{place}{key}", whole=key not in documents)
        else:
            yield f"{place}{key} is not documented"


def _value_faults(told: Data, value: t.Any, place: str, *, whole: bool) -> t.Iterator[str]:
    if value is None and "null" in str(told["description"]):
        return
    values, kind = [(place, value)], told["type"]
    if kind == "list" and isinstance(value, list):
        values, kind = [(f"{place}[{number}]", each) for number, each in enumerate(value)], told["elements"]
    for where, each in values:
        if type(each) not in TYPES[kind]:
            yield f"{where} is {each!r} and no {kind}"
        elif kind == "dict" and "contains" in told:
            keys = each if whole else {key: each[key] for key in told["contains"] if key in each}
            yield from _faults(told["contains"], keys, f"{where}.", ("always", "success"))


@contextlib.contextmanager
def recording(payloads: Path) -> t.Iterator[None]:
    """Have playbooks that are started meanwhile write down what the collection's modules return.

    Args:
        payloads: a directory, in which they keep what they have packed of modules.
    """
    with tempfile.TemporaryDirectory(prefix="rc-results-") as directory:
        os.environ["MODULE_RESULTS"] = str(Path(directory, "results"))
        os.environ["MODULE_PAYLOADS"] = str(payloads)
        os.environ["ANSIBLE_CALLBACK_PLUGINS"] = str(ROOT / "tests" / "support" / "callbacks")
        try:
            yield
        finally:
            for name in ("MODULE_RESULTS", "MODULE_PAYLOADS", "ANSIBLE_CALLBACK_PLUGINS"):
                del os.environ[name]


def recorded() -> t.List[t.Tuple[str, bool]]:
    """Check what was written down since the last call; return each module with whether it failed.

    Raises:
        AssertionError: a result is not as its module's RETURN says.
    """
    path = Path(os.environ["MODULE_RESULTS"])
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    path.unlink()
    results = [json.loads(line) for line in lines]
    for module, ending, result in results:
        checked(module, result, failed=ending == "failed")
    return [(module, ending == "failed") for module, ending, _result in results]
