"""MSRA-TD500: lines of English and Chinese text at any angle, as rotated boxes.

Paper (arXiv 1911.08947, table 3), precision / recall / hmean at 736 after pre-training on SynthText and with the photos
of HUST-TR400 beside: ResNet-18 dcn 90.4 / 76.3 / 82.8, ResNet-50 dcn 91.5 / 79.2 / 84.9 (the official weights: 86.5 /
79.4 / 82.8 and 91.1 / 80.8 / 85.6 at box threshold 0.5). Metric: the IoU protocol. Data: 300 training and 200 test
photos from http://www.iapr-tc11.org/mediawiki/index.php/MSRA_Text_Detection_500_Database_(MSRA-TD500), unpacked as

    train/IMG_0030.JPG  train/IMG_0030.gt …        test/IMG_0059.JPG  test/IMG_0059.gt …

    python run.py --config=configs/msra_td500.py --config.data.dir=DIR --workdir=runs/msra_td500

Every tenth training photo is held out to score on. Variants: `:test` trains on all of them and scores on the test set,
`:cpu` is a narrow model on 384-pixel crops for two CPU cores.
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
    """About an hour on two cores; these photos are large and their text too."""
    icdar2015.cpu(config)
    config.data.scale = (0.25, 0.75)
