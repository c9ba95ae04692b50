"""The model card: its words, and how it reads."""

import dataclasses
import json

import pytest

from dbnet_jax.weights.model_card import CardScore, ModelCard

CARD = ModelCard(
    "tiny-word",
    data="rendered pictures",
    scores=(CardScore("icdar2015, validation", "iou", 100, {"precision": 0.7, "recall": 0.5, "hmean": 0.583}),),
    limits="Words are too short.",
)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"limit": "x"}, r"unknown fields \['limit'\]; there are .*'limits'"),
        ({"limits": 3}, r"'limits' \(=3\) must be of type str"),
        ({"scores": "0.5"}, r"'scores' \(='0.5'\) must be of type tuple"),
        ({"scores": [3]}, r"a score \(=3\) must be an object"),
        (
            {"scores": [{"data": "x", "protocol": "iou", "images": 1}]},
            r"a score .* must have a metric, such as 'hmean'",
        ),
        ({"scores": [CARD.as_dict()["scores"][0] | {"hmean": True}]}, r"'hmean' \(=True\) must be a number in"),
        ({"scores": [CARD.as_dict()["scores"][0] | {"hmean": 58.3}]}, r"'hmean' \(=58.3\) must be a number in"),
        ({"scores": [CARD.as_dict()["scores"][0] | {"images": -5}]}, r"'images' \(=-5\) must not be negative"),
    ],
)
def test_words_for_a_card_that_are_none(words, text):
    with pytest.raises(ValueError, match=text):
        CARD.extended(words)


def test_words_replace_and_scores_are_added():
    more = {"limits": "none", "scores": [{**CARD.as_dict()["scores"][0], "data": "msra_td500"}]}
    card = CARD.extended(more)
    assert (card.limits, card.data) == ("none", CARD.data)
    assert [score.data for score in card.scores] == ["icdar2015, validation", "msra_td500"]
    assert ModelCard.from_dict(json.loads(json.dumps(card.as_dict()))) == card


def test_no_word_breaks_the_table_of_scores():
    score = dataclasses.replace(CARD.scores[0], data="a | b\n\n# not a title\r\n")
    lines = dataclasses.replace(CARD, scores=(score,)).as_markdown([]).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert rows[2:] == [r"| a \| b # not a title | iou | 100 | 0.700 | 0.500 | 0.583 |"]
    assert "# not a title" not in lines
