# make quickstart   a text detector from nothing, with a page of pictures
# make demo         the shipped detector and reader on four sample pictures
# make test         the tests;  make lint: ruff, mypy and the order of the rooms
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart demo test lint format clean

quickstart: .venv/ready
	$(BIN)/python run.py --config=configs/quickstart.py --workdir=runs/quickstart

demo: .venv/ready
	$(BIN)/python run.py --mode=predict --input=docs/images/samples --output=runs/demo
	$(BIN)/python run.py --mode=read --input=docs/images/samples --output=runs/demo_read

test: .venv/ready-dev
	$(BIN)/pytest -n 2 --dist worksteal

lint: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/ready: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 13), "Python 3.11 or 3.12 is needed: make PYTHON=python3.12"'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/ready-dev: .venv/ready
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev,onnx,openvino]'
	touch $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache
