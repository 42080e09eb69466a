# make demo: install, run the blog's seven rows on real digits, show the table.   make test: the tests.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo

.PHONY: demo install test lint slurm-test clean

demo: install
	$(BIN)/sweep --root $(DEMO)/sweep-runs --db $(DEMO)/results.db launch sweeps/norm_ablation.yaml --profile quick --table mlp_norm --executor local
	$(BIN)/sweep --root $(DEMO)/sweep-runs --db $(DEMO)/results.db status
	$(BIN)/sweep --root $(DEMO)/sweep-runs --db $(DEMO)/results.db report --table mlp_norm
