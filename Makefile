# The commands are explained by `make help` and in README.md.
PYTHON ?= python3
ONLY ?=
RUN = $(PYTHON) env/run.py

.PHONY: help env demo up test proof lint bench i18n clean

help:
	@$(RUN) help

env demo up lint bench i18n:
	@$(RUN) $@

test proof:
	@ONLY="$(ONLY)" $(RUN) $@

clean: # the environment and all its databases
	rm -rf .odoo .venv .run node_modules
