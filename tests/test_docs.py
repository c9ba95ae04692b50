"""The docs agree with the code: the tables of settings, and the flags and fields of all commands."""

import ast
import itertools
import pathlib
import re
import shlex
from collections.abc import Iterator

import pytest

from dbnet_jax.commands.options import parse
from dbnet_jax.config.defaults import default_config
from dbnet_jax.config.fields import find_field
from dbnet_jax.weights.run_folder import load_config
from dbnet_jax.weights.shipped import pretrained_names, pretrained_path
from tests.helpers.paths import ROOT


def table(file: str, header: str) -> Iterator[list[str]]:
    """The rows of the table whose header begins so: their cells without quotation marks, those of the header first."""
    lines = (ROOT / file).read_text().splitlines()
    for line in itertools.dropwhile(lambda line: not line.startswith(header), lines):
        if not line.startswith("|"):
            return
        if not line.startswith("|---"):
            yield [cell.strip().strip("`") for cell in line.strip("|").split("|")]


def test_the_docs_list_every_field_of_prediction_with_its_default():
    predict = default_config().predict
    [_, *rows] = table("docs/predict.md", "| field | default | meaning |")
    assert {field: ast.literal_eval(default) for field, default, _ in rows} == dict(predict)


def test_the_docs_list_where_the_shipped_weights_differ_from_the_defaults():
    [[_, *fields], *rows] = table("docs/predict.md", "| weights | `shape` |")
    detectors = {name for name in pretrained_names() if load_config(pretrained_path(name)).task == "detection"}
    assert {name for name, *_ in rows} == detectors
    defaults = dict(default_config().predict)
    for name, *values in rows:
        listed = dict(zip(fields, map(ast.literal_eval, values), strict=True))
        assert dict(load_config(pretrained_path(name)).predict) == defaults | listed


PAGES = sorted([ROOT / "README.md", ROOT / "run.py", *ROOT.glob("docs/*.md"), *ROOT.glob("configs/*.py")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_the_docs_has_flags_and_fields_that_exist(page):
    text = re.sub(r"\\+\n", " ", page.read_text())  # one command in several lines
    for line in re.findall(r"^ *(?:python run\.py|dbnet-jax) (.*)", text, re.MULTILINE):
        options = parse(shlex.split(line, comments=True), pathlib.Path())
        for key, _ in options.fields:
            find_field(default_config(), key)
