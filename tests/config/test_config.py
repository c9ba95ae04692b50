"""Configs: variants, fields behind the colon, and errors that say what is there."""

import importlib
import json
import re

import pytest

from configs import common, ctw1500, icdar2015, mlt2017, msra_td500, own_data, quickstart, synthtext, totaltext
from dbnet_jax.config.checks import check_training
from dbnet_jax.config.fields import find_field, read_config
from dbnet_jax.config.saved import changes_since, config_from_json
from dbnet_jax.models.from_config import model_from_config
from dbnet_jax.train import train_and_evaluate
from dbnet_jax.training.task import task_of
from dbnet_jax.weights.initial import initial_variables
from dbnet_jax.weights.run_folder import load_config
from dbnet_jax.weights.shipped import pretrained_path
from tests.helpers.paths import ROOT


@pytest.mark.parametrize(
    "module", [quickstart, icdar2015, msra_td500, totaltext, ctw1500, mlt2017, synthtext, own_data]
)
def test_every_config_gives_the_fields_of_common_and_no_others(module):
    config, fields = module.get_config(), common.get_config()
    assert config.keys() == fields.keys()
    for section in fields:
        if section not in ("seed", "task"):
            assert config[section].keys() == fields[section].keys()


def test_the_commands_of_the_reproduction_page_are_configs_that_can_train():
    page = (ROOT / "docs/reproduce.md").read_text()
    commands = re.findall(r"configs/(\w+)\.py(?::([\w.,=]+))?", page)
    assert len(commands) >= 11
    for name, arg in commands:
        check_training(importlib.import_module(f"configs.{name}").get_config(arg or None))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("train.batch_size=0", r"`config.train.batch_size` \(=0\) must be 1 or more"),
        ("accumulate=0", r"`config.train.accumulate` \(=0\) must be 1 or more"),
        ("keep_checkpoints=0", r"`config.train.keep_checkpoints` \(=0\) must be 1 or more"),
        ("cache=disk", r"`config.data.cache` \(='disk'\) must be one of 'none', 'host', 'device'"),
        ("steps=-1", r"`config.train.steps` \(=-1\) must be 0 or more"),
        ("profile_steps=15:10", r"`config.train.profile_steps` \(='15:10'\) must be START:END as in 10:15"),
        ("steps=0,epochs=0", r"`config.train.epochs` \(=0.0\) must be positive"),
    ],
)
def test_numbers_that_could_train_nothing_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        check_training(quickstart.get_config(fields))


def test_words_are_variants_and_pairs_set_fields():
    config = icdar2015.get_config("cpu,backbone=resnet50,steps=10,crop=(64,96),learning_rate=1,train.batch_size=4")
    assert (config.model.width, config.model.backbone, config.data.crop) == (16, "resnet50", (64, 96))
    assert (config.train.steps, config.train.batch_size, config.train.learning_rate) == (10, 4, 1.0)


def test_true_and_false_are_written_in_either_way():
    for text, value in (("dcn=false,scale_fusion=true", False), ("dcn=True,scale_fusion=False", True)):
        model = totaltext.get_config(text).model
        assert (model.dcn, model.scale_fusion) == (value, not value)


@pytest.mark.parametrize(
    ("arg", "words"),
    [
        ("dcn=1", "model.dcn.*bool"),
        ("inner_channels=256.5", "inner_channels.*int"),
        ("tpu", "cpu"),
        ("depth=3", "depth"),
        ("batch_size=4", "predict.batch_size"),
        ("k=x", "k"),
    ],
)
def test_what_is_unknown_or_unclear_is_refused(arg, words):
    with pytest.raises(ValueError, match=words):
        icdar2015.get_config(arg)


@pytest.mark.parametrize(
    ("arg", "words"),
    [
        ("crop=(100,64)", r"`config.data.crop` \(=\(100, 64\)\).*multiples of 32"),
        ("normalization=foo", r"`config.data.normalization` \(='foo'\).*official"),
        ("threshold_distance=far", "threshold_distance"),
        ("binary_loss=bce", "`config.loss.binary_loss`.*cross_entropy"),
        ("schedule=cosine", "`config.train.schedule`"),
        ("threshold_weight=-1", r"`config.loss.threshold_weight` \(=-1.0\)"),
        ("cache=device", r"`config\.data\.cache` \(='device'\) needs `config\.data\.pixels`"),
        ("pixels=device,threshold_distance=official", r"threshold_distance.*pixels"),
        ("pixels=gpu", r"`config\.data\.pixels` \(='gpu'\)"),
        ("predict.checkpoint=bset", "bset"),
        ("shape=oval", "oval"),
    ],
)
def test_what_could_not_train_is_refused_before_anything_is_read(arg, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        train_and_evaluate(icdar2015.get_config(f"dir=nowhere,{arg}"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_misspelt_word_is_answered_with_what_is_near():
    with pytest.raises(ValueError, match=r"is it model\.backbone"):
        icdar2015.get_config("model.bakbone=resnet50")
    with pytest.raises(ValueError, match=r"'standart' is unknown; there are \['cpu', 'test'\], and fields: key=value"):
        icdar2015.get_config("standart")
    assert icdar2015.get_config("cpu, steps=7").train.steps == 7


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("trian.batch_size", "train.batch_size"),
        ("predict.threshhold", "predict.threshold"),
        ("box_treshold", "predict.box_threshold"),
        ("train.box_threshold", "predict.box_threshold"),
        ("unclip", "predict.unclip_ratio"),
        ("backbon", "init.backbone or model.backbone"),
        ("sede", "seed"),
    ],
)
def test_a_wrong_field_is_answered_with_the_whole_names_of_the_nearest(key, near):
    with pytest.raises(ValueError, match=rf"^config field '{key}' is unknown; is it {near}\?$"):
        find_field(quickstart.get_config(), key)


def test_a_field_that_is_like_no_other_is_answered_with_the_list_of_all():
    with pytest.raises(ValueError, match=r"'train\.lr' is unknown; dbnet_jax/config/defaults\.py lists every field$"):
        find_field(quickstart.get_config(), "train.lr")


def test_a_misspelt_field_is_refused():
    config = quickstart.get_config()
    with pytest.raises(AttributeError, match="learning_rate"):
        config.train.learning_rat = 1.0


@pytest.mark.parametrize(("variant", "name"), [("finetune", "small-word"), ("finetune_lines", "small-line")])
def test_shipped_weights_fit_the_config_that_trains_them_on(variant, name):
    config = own_data.get_config(f"quad,{variant}")
    assert config.predict.shape == "quad"
    shipped = load_config(pretrained_path(name))
    assert config.model.to_dict() == shipped.model.to_dict()
    assert config.data.normalization == shipped.data.normalization
    for field in ("size", "first_size", "sizes", "text_height", "threshold", "box_threshold", "unclip_ratio"):
        assert config.predict[field] == shipped.predict[field]
    assert initial_variables(config, model_from_config(config)) is not None


def test_a_field_holds_wherever_it_stands_beside_variants():
    one, other = (own_data.get_config(arg) for arg in ("steps=20,cpu,width=24", "cpu,width=24,steps=20"))
    assert one.to_json() == other.to_json()
    assert (one.train.steps, one.model.width) == (20, 24)


def test_values_as_people_write_them():
    config = common.get_config("sizes=[512, 736],size=1024.0,crop=(64,96),unclip_ratio=2")
    assert (config.predict.sizes, config.data.crop) == ((512, 736), (64, 96))
    assert (config.predict.size, type(config.predict.size)) == (1024, int)
    assert (config.predict.unclip_ratio, type(config.predict.unclip_ratio)) == (2.0, float)
    with pytest.raises(ValueError, match=r"`config.predict.stretch_width` \(='wide'\) must be of type int"):
        common.get_config("stretch_width=wide")


def test_a_config_file_of_ones_own_needs_no_folder_of_configs(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("from dbnet_jax.config.defaults import default_config as get_config")
    assert read_config(str(file)).to_dict() == common.get_config().to_dict()
    assert read_config(f"{ROOT}/configs/icdar2015.py:cpu").model.width == 16
    file.write_text("")
    with pytest.raises(ValueError, match=r"mine\.py has no function get_config"):
        read_config(str(file))


def test_a_saved_config_may_have_names_of_earlier_versions():
    assert config_from_json('{"data": {"render": "device"}}').data.pixels == "device"
    # The limit of earlier versions was a default and nobody's choice.
    for saved, today in ((1000, 10_000), (2000, 2000)):
        text = json.dumps({"predict": {"max_candidates": saved}})
        assert config_from_json(text).predict.max_candidates == today


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b'{"seed": 1', bytes(200), b"[1]", b"null", b"\xff\xfe", b'{"a":' * 100_000),
        *(b'{"task": {}}', b'{"model": 3}', b'{"seed": NaN}', b'{"train": {"epochs": 1e999}}'),
        *(b'{"loss": {"a": -Infinity}}', b'{"seed": %s}' % (b"9" * 5000)),
    ],
    ids=lambda content: content[:20],
)
def test_a_damaged_config_is_named_in_one_sentence_and_does_not_stop_a_run_that_has_its_own(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"^\S+config\.json is damaged \([^\n]+\): bring back a copy, or give "):
        load_config(tmp_path)
    changes = changes_since(common.get_config(), tmp_path)
    assert re.fullmatch(r"\S+config\.json is damaged .* and is written anew", changes)


def test_a_network_that_is_too_large_for_numbers_is_refused():
    config = config_from_json('{"model": {"width": 1%s}}' % ("0" * 30))
    with pytest.raises(ValueError, match=r"a number of `config\.model` is too large"):
        task_of(config).shapes(config)
