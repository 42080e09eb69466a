# make demo   install, then the blog's seven rows on real handwritten digits, and the table (DEMO_OPTIONS: more for its launch)
# make test   the tests      make slow-test   those of half a minute      make lint   ruff and mypy      make style   how dense the code is
# make bench  training beside lightly, on this machine: within 10 minutes (BENCH_OPTIONS: more; docs/performance.md)
# make tables  the quick profile of every table's spec, and docs/results from it (TABLES_OPTIONS: --root, --db, --out)
# make reference   docs/keys.md and the specs' JSON Schema, made from the program
# make crash-test   every place to fail
# make postgres-test   against a PostgreSQL server of its own
# make slurm-test   against a real one-node SLURM, in three configurations (root)
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
VENV ?= .venv
DEMO_OPTIONS ?=
TABLES_OPTIONS ?=
BENCH_OPTIONS ?=
BIN := $(VENV)/bin

# The first Python that is new enough and can make virtual environments.
define FIND_PYTHON
for python in python3.14 python3.13 python3.12 python3.11 python3; do \
  "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break || python=; \
done; \
[ -n "$$python" ] || { echo "missing: python3.11 or newer with venv (Debian, Ubuntu: apt-get install python3 python3-venv)" >&2; exit 1; }; \
command -v git >/dev/null || { echo "missing: git (Debian, Ubuntu: apt-get install git)" >&2; exit 1; }
endef

.PHONY: demo bench tables install test slow-test crash-test lint style reference postgres-test slurm-test clean

demo: $(VENV)/installed
	@$(BIN)/sweep launch sweeps/norm_ablation.yaml --profile light --table mlp_norm --executor local $(DEMO_OPTIONS)
	@$(BIN)/sweep status
	@$(BIN)/sweep report --table mlp_norm
	@printf '\nNext:\n'
	@printf '  %s\n' \
	  '$(BIN)/sweep report --table norm                         the same runs in Table 1 of arXiv 2010.10241' \
	  '$(BIN)/sweep launch sweeps/norm_ablation.yaml --profile light --table mlp_norm --seeds 3 --executor local    one more seed' \
	  '$(BIN)/sweep status --state any                          every run; then: $(BIN)/sweep show RUN, $(BIN)/sweep logs RUN' \
	  '$(BIN)/sweep --help                                      everything else; docs/ is the manual'

tables: $(VENV)/installed
	@$(BIN)/python tools/tables.py $(TABLES_OPTIONS)

bench: $(VENV)/installed-rivals
	@$(BIN)/python benchmarks/throughput.py --cases digits-tiny,r18-32-7x7,r18-96 --rivals lightly --seconds 1 --minutes 8 $(BENCH_OPTIONS)

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml setup.py
	@$(FIND_PYTHON); "$$python" -m venv $(VENV)
	@echo "installing into $(VENV) (torch is large: a few minutes)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(VENV)/installed-rivals: $(VENV)/installed
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[rivals]'
	@touch $@

test: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal -m "not slurm and not slow and not exhaustive"

slow-test: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal -m "slow and not exhaustive"

crash-test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m exhaustive -n 2

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

style: $(VENV)/installed-dev
	@$(BIN)/python tools/style.py

reference: $(VENV)/installed-dev
	@$(BIN)/python tools/reference.py

postgres-test: $(VENV)/installed-dev
	@ls -d /usr/lib/postgresql/*/bin >/dev/null || { echo "missing: PostgreSQL (Debian, Ubuntu: apt-get install postgresql)" >&2; exit 1; }
	$(BIN)/python -m pytest tests/test_postgres.py

slurm-test: $(VENV)/installed-dev
	@trap tests/slurm/stop.sh EXIT; \
	for options in "" --no-accounting --bare; do \
	  tests/slurm/start.sh --install $$options; \
	  $(BIN)/python -m pytest -m slurm; \
	done

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
