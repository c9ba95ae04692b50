"""SCUT-CTW1500: lines of text, most of them curved, as polygons.

Paper (arXiv 1911.08947, section 4): ResNet-18 dcn 81.0 hmean, ResNet-50 dcn 83.4, after
pre-training on SynthText. Metric: the IoU protocol on polygons. Data: 1000 training and 500 test photos from
https://github.com/Yuliang-Liu/Curve-Text-Detector; the layout is in `input_pipeline/datasets/ctw1500.py`.

    python run.py --config=configs/ctw1500.py --config.data.dir=DIR --workdir=runs/ctw1500

Every tenth training photo is held out to score on. Variants: `:test` trains on all of them and scores on the test set,
`:cpu` is a narrow model on 384-pixel crops for two CPU cores.
"""

from ml_collections import ConfigDict

from configs import common, icdar2015
from dbnet_jax.config.fields import apply_arg


def get_config(arg: str | None = None) -> ConfigDict:
    """Deformable ResNet-18 on 640-pixel crops, 1200 epochs."""
    config = common.get_config()
    config.data.name = "ctw1500"
    config.model.dcn = True
    config.predict.shape = "polygon"
    config.predict.size = 800
    config.predict.box_threshold = 0.6
    config.predict.follow_exif = False
    return apply_arg(config, arg, {"cpu": icdar2015.cpu, "test": icdar2015.test})
