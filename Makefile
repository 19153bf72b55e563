# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

stages := .venv/bin/python tests/tools/stages.py

.PHONY: help setup check lock sbom audit generate test release long exhaustive lint sanity integration versions molecule container browser screenshots chaos fleet-chaos liars fuzz demo demo-down demo-fleet demo-fleet-down bench coverage docs recordings diagrams changelog clean

help: ## say all of this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## make .venv with everything the developer needs
	@tests/tools/setup.sh dev

check: setup ## the quick part of the tests: linters, types, units, the repository itself
	@$(stages) ruff mypy unit repo

test: setup ## the tests; `make long` and `make exhaustive` have what takes longer
	@tests/tools/servers.sh
	@$(stages)

release: long ## make what is given away, in OUTPUT or dist, and prove it: installed without a network, upgraded, in an image; takes long
	@tests/tools/release.sh $(OUTPUT) $(ARGUMENTS)

long: setup ## tests and hosts that take minutes each: other systems, a fleet, repairs, ways back of databases; `make release` begins with them
	@tests/tools/servers.sh
	@$(stages) long molecule-debian molecule-fleet

exhaustive: setup ## what the ordinary run leaves out: every step, mode and order at which a run can be cut off
	.venv/bin/pytest -q -n 2 -m exhaustive tests

lint: setup ## the linters alone: Python, types, roles and playbooks, changelog
	@$(stages) ruff mypy ansible-lint changelog

sanity: setup ## ansible-test sanity, without ignores
	@$(stages) sanity

integration: setup ## ansible-test integration: the modules, on this machine
	@$(stages) integration

versions: setup ## units, playbooks and sanity with every supported ansible-core, under each of its Pythons; ARGUMENTS="-s core-2.20-3.13 -- sanity" for some
	.venv/bin/nox $(ARGUMENTS)

molecule: setup ## the scenarios on real hosts, in podman containers
	@$(stages) molecule

container: setup ## the image of examples/container, built with podman, and its life with `rollcall run`
	@$(stages) container

chaos: setup ## 200 random faults against the demo in a container; ARGUMENTS="--seed 7 --only 12" plays one again
	@tests/tools/chaos.sh $(ARGUMENTS)

fleet-chaos: setup ## 50 random faults in rollouts over hosts behind a balancer, as root; ARGUMENTS="--seed 7 --only 12" plays one again
	@tests/tools/fleet_chaos.sh $(ARGUMENTS)

liars: setup ## random services that misbehave, and Rollcall's word against an observer's; ARGUMENTS="--stacks 300 --together 40"
	.venv/bin/python -m tests.liars $(ARGUMENTS)

fuzz: setup ## hostile input: 20,000 cases of each property of tests/unit/hostile; ARGUMENTS="-k archive" for some
	FUZZ_EXAMPLES=20000 .venv/bin/pytest -q -n 2 --timeout 0 $(ARGUMENTS) tests/unit/hostile

browser: setup ## the page in headless Chromium: for everybody to use, narrow and wide, light and dark, without script
	@$(stages) browser

screenshots: setup ## write docs/images: the page of 1, 5 and 100 hosts, of a real stack that is well and of one in trouble
	@tests/tools/screenshots.sh

demo: ## ten services on this machine, under .demo/: install, start, verify
	@tests/tools/setup.sh run
	.venv/bin/ansible-playbook site.yml

demo-down: ## stop the demo and leave nothing behind
	@if [ -e .demo/engine ]; then tests/tools/setup.sh run && .venv/bin/ansible-playbook playbooks/remove.yml -e confirm=demo; fi
	rm -rf .demo

demo-fleet: ## five hosts in containers and a balancer before them: a rollout while users ask, and how many requests failed
	@tests/tools/setup.sh run
	@tests/tools/demo_fleet.sh up

demo-fleet-down: ## remove the fleet of the demo
	@tests/tools/demo_fleet.sh down

bench: setup ## measure against what people use instead; writes docs/reference/benchmarks.md and docs/reference/benchmarks-ports.md
	.venv/bin/python -m tests.benchmark

coverage: setup ## how much of each room of the engine its tests run; ARGUMENTS="tests/unit/run" for some
	.venv/bin/python tests/tools/coverage_by_room.py $(ARGUMENTS)

lock: setup ## write the digests of what is installed on hosts, after a change of requirements/host.txt
	@tests/tools/lock.sh

sbom: setup ## write the bill of materials of what is installed on hosts (CycloneDX), for a release
	@tests/tools/sbom.sh $(OUTPUT)

audit: setup ## compare the pinned packages with published advisories: ADVISORIES=PATH in the OSV format; needs no network
	@.venv/bin/python -m tests.tools.audit $(ADVISORIES)

generate: setup ## write the parts of files that derive from the code, such as tables of the reference
	.venv/bin/python -m tests.tools.generate

docs: setup ## build the documentation site in build/site, to be read and searched without a network
	PATH=$(CURDIR)/.venv/bin:$$PATH python tests/tools/site/build.py build/site

recordings: setup ## run the demo, a failure and a rollout on a terminal, and draw them into docs/images
	.venv/bin/python -m tests.tools.recordings docs/images

diagrams: setup ## draw the diagrams of the pages into docs/images, for the site, after a change of one; needs chromium and npm
	.venv/bin/python -m tests.tools.diagrams

changelog: setup ## write the fragments of changelogs/fragments into CHANGELOG.md, for a release
	PATH=$(CURDIR)/.venv/bin:$$PATH antsibull-changelog release --update-existing --reload-plugins

clean: demo-down ## remove all that make has made here; the cache outside of the checkout stays
	rm -rf .venv .nox .cache .ansible .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
