"""SCUT-CTW1500: lines of text as polygons; most of them are curved.

Paper: arXiv 1911.08947, section 4; hmean 81.0 with ResNet-18 dcn, 83.4 with ResNet-50 dcn, after pre-training on
SynthText. Metric: the IoU protocol on polygons. Data: 1000 training and 500 test photos from
https://github.com/Yuliang-Liu/Curve-Text-Detector, in the folders that `input_pipeline/datasets/benchmarks/ctw1500.py`
documents.

    python run.py --config=configs/ctw1500.py --config.data.dir=DIR --workdir=runs/ctw1500

Every tenth training photo is held out for the evaluation. Variants: `:test` trains on all of them and evaluates on the
test set. `:cpu` is a narrow model on 384-pixel crops, which two CPU cores train in about an hour.
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
