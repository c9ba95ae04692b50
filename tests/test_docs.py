"""The tables of settings in the docs contain the values of the code."""

import ast
from collections.abc import Iterator

from dbnet_jax.config.defaults import default_config
from dbnet_jax.weights.run_folder import load_config
from dbnet_jax.weights.shipped import pretrained_names, pretrained_path
from tests.helpers.paths import ROOT


def table(file: str, header: str) -> Iterator[list[str]]:
    """The rows of the table that begins with `header`: its cells without quotation marks."""
    lines = (ROOT / file).read_text().splitlines()
    for line in lines[lines.index(header) :]:
        if not line.startswith("|"):
            return
        if not line.startswith("|---"):
            yield [cell.strip().strip("`") for cell in line.strip("|").split("|")]


def test_the_docs_list_every_field_of_prediction_with_its_default():
    predict = default_config().predict
    [_, *rows] = table("docs/predict.md", "| field | default | meaning |")
    assert {field: ast.literal_eval(default) for field, default, _ in rows} == dict(predict)


def test_the_docs_list_where_the_shipped_weights_differ_from_the_defaults():
    header = "| weights | `shape` | `threshold` | `box_threshold` | `unclip_ratio` | `size` |"
    [[_, *fields], *rows] = table("docs/predict.md", header)
    assert {name for name, *_ in rows} == set(pretrained_names())
    defaults = dict(default_config().predict)
    for name, *values in rows:
        listed = dict(zip(fields, map(ast.literal_eval, values), strict=True))
        assert dict(load_config(pretrained_path(name)).predict) == defaults | listed
