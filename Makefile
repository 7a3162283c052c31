.DEFAULT_GOAL := help
.PHONY: help setup dev run test soak check format generate bench screenshots clients lock clean

help: ## Show the targets
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## Install what stoker needs
	@scripts/setup

dev:
	@scripts/setup --dev

run: ## Set up, start a server, and build examples/hello with it
	@scripts/run $(ARGS)

test: check ## Set up, check, and run all tests; ARGS="-k name" for some
	@.venv/bin/pytest -n $${STOKER_TEST_WORKERS:-2} --dist loadfile --no-loadscope-reorder \
		--reruns $${STOKER_TEST_RERUNS:-1} -r fER $(ARGS)

soak: dev ## Kill processes in the middle of builds, fill caches by gigabytes, and attack for an hour (see CONTRIBUTING.md)
	@STOKER_SOAK_ROUNDS=$${STOKER_SOAK_ROUNDS:-100} STOKER_CACHE_SCALE=$${STOKER_CACHE_SCALE:-17} \
		STOKER_ATTACK_SOAK_MINUTES=$${STOKER_ATTACK_SOAK_MINUTES:-60} STOKER_ATTACK_SOAK_BUILDS=$${STOKER_ATTACK_SOAK_BUILDS:-20} \
		.venv/bin/pytest tests/fault/test_cache_policy.py tests/fault/test_soak.py tests/attack/test_attack_soak.py $(ARGS)

check: dev ## Check format, lint, types, import rules and generated code
	@scripts/check

format: dev ## Format the code, and fix what the linter can
	@.venv/bin/ruff check --fix-only --quiet .
	@.venv/bin/ruff format .

generate: dev ## Write what is generated: src/stoker/_gen, docs/reference.md, docs/settings.md, the table of folders
	@scripts/generate

screenshots: dev ## Replace the screenshots in docs/screenshots with new ones
	@.venv/bin/python -m scripts.screenshots

bench: dev ## Run the benchmarks
	@.venv/bin/python -m bench $(ARGS)

clients: dev ## Look for newer releases of the clients that we test with, and compare them with what the server knows
	@.venv/bin/python -m scripts.clients

lock: dev ## Resolve dependencies and write the lock files; ARGS=--upgrade for newer versions
	@scripts/lock $(ARGS)

clean: ## Remove everything that was made here, but no server's data
	@rm -rf .venv .run/setup.* .pytest_cache .ruff_cache .import_linter_cache .hypothesis tests/clients/node/node_modules tests/clients/python/.venv examples/hello/rootfs
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
