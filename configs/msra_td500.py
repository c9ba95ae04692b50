"""MSRA-TD500: lines of English and Chinese text at any angle, as rotated boxes.

Paper: arXiv 1911.08947, table 3, at height 736, after pre-training on SynthText and with the photos of HUST-TR400.
Precision / recall / hmean:

    model            paper                 official weights, box threshold 0.5
    ResNet-18 dcn    90.4 / 76.3 / 82.8    86.5 / 79.4 / 82.8
    ResNet-50 dcn    91.5 / 79.2 / 84.9    91.1 / 80.8 / 85.6

Metric: the IoU protocol. Data: 300 training and 200 test photos from
http://www.iapr-tc11.org/mediawiki/index.php/MSRA_Text_Detection_500_Database_(MSRA-TD500), in these folders:

    train/IMG_0030.JPG  train/IMG_0030.gt …        test/IMG_0059.JPG  test/IMG_0059.gt …

    python run.py --config=configs/msra_td500.py --config.data.dir=DIR --workdir=runs/msra_td500

Every tenth training photo is held out for the evaluation. Variants: `:test` trains on all of them and evaluates on the
test set. `:cpu` is a narrow model on 384-pixel crops, which two CPU cores train in about an hour.
"""

from ml_collections import ConfigDict

from configs import common, icdar2015
from dbnet_jax.config.fields import apply_arg


def get_config(arg: str | None = None) -> ConfigDict:
    """Deformable ResNet-18 on 640-pixel crops, 1200 epochs."""
    config = common.get_config()
    config.data.name = "msra_td500"
    config.model.dcn = True
    config.predict.size = 736
    config.predict.box_threshold = 0.5
    config.predict.follow_exif = False
    return apply_arg(config, arg, {"cpu": cpu, "test": icdar2015.test})


def cpu(config: ConfigDict) -> None:
    """As for ICDAR2015; these photos are larger, and so is their text."""
    icdar2015.cpu(config)
    config.data.scale = (0.25, 0.75)
