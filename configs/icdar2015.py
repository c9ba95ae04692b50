"""ICDAR2015 Incidental Scene Text: words as quads, in photos that were not taken for their text.

Paper: arXiv 1911.08947, table 4, after pre-training on SynthText. Precision / recall / hmean:

    model, height            paper                 official weights, box threshold
    ResNet-18 dcn, 736       86.8 / 78.4 / 82.3    87.7 / 77.5 / 82.3, 0.55
    ResNet-50 dcn, 736       88.2 / 82.7 / 85.4    91.3 / 80.3 / 85.4, 0.6
    ResNet-50 dcn, 1152      91.8 / 83.2 / 87.3    90.7 / 84.0 / 87.2, 0.6

Metric: the IoU protocol. Data: 1000 training and 500 test photos from https://rrc.cvc.uab.es/?ch=4 (a free account), in
these folders:

    ch4_training_images/img_1.jpg …                ch4_training_localization_transcription_gt/gt_img_1.txt …
    ch4_test_images/img_1.jpg …                    Challenge4_Test_Task1_GT/gt_img_1.txt …

    python run.py --config=configs/icdar2015.py --config.data.dir=DIR --workdir=runs/icdar2015

Every tenth training photo is held out for the evaluation. Training needs no test set. Variants: `:test` trains on all
training photos and evaluates on the test set, for the number to report. `:cpu` is a narrow model on 384-pixel crops,
which two CPU cores train in about an hour.
"""

from ml_collections import ConfigDict

from configs import common
from dbnet_jax.config.fields import apply_arg


def get_config(arg: str | None = None) -> ConfigDict:
    """Deformable ResNet-18 on 640-pixel crops, 1200 epochs."""
    config = common.get_config()
    config.data.name = "icdar2015"
    config.model.dcn = True
    config.data.canvas = (720, 1280)
    config.predict.resize = "height"
    config.predict.size = 736
    config.predict.box_threshold = 0.55
    config.predict.follow_exif = False
    return apply_arg(config, arg, {"cpu": cpu, "test": test})


def test(config: ConfigDict) -> None:
    """Trains on every training photo. The test set scores the last checkpoint, and selects nothing."""
    config.data.train_split = "trainval"
    config.data.eval_split = "test"
    config.predict.checkpoint = "latest"


def cpu(config: ConfigDict) -> None:
    """A narrow model; training takes about an hour on two cores."""
    config.model.dcn = False
    config.model.width = 16
    config.model.inner_channels = 64
    config.data.crop = (384, 384)
    config.data.scale = (0.6, 1.8)
    config.data.cache = "host"
    config.train.steps = 7000
    config.train.batch_size = 8
    config.train.optimizer = "adamw"  # the initial weights are random
    config.train.learning_rate = 0.002
    config.train.warmup = 100
    config.train.ema_decay = 0.999
    config.train.evaluate_every = 3500
