"""ICDAR2017 MLT: words of nine languages in six scripts, as quads.

Paper: arXiv 1911.08947, section 4; hmean 71.7 with ResNet-18 dcn, 74.7 with ResNet-50 dcn, after pre-training on
SynthText. The server of the competition scored the 9,000 test photos, whose labels are not public. Metric: the IoU
protocol. Data: 7,200 training and 1,800 validation photos from https://rrc.cvc.uab.es/?ch=8 (a free account);
`input_pipeline/datasets/benchmarks/mlt2017.py` documents the folders.

    python run.py --config=configs/mlt2017.py --config.data.dir=DIR --workdir=runs/mlt2017

The official validation photos are the evaluation set. Variant: `:cpu` is a narrow model on 384-pixel crops, which two
CPU cores train in about an hour.
"""

from ml_collections import ConfigDict

from configs import common, icdar2015
from dbnet_jax.config.fields import apply_arg


def get_config(arg: str | None = None) -> ConfigDict:
    """Deformable ResNet-18 on 640-pixel crops, 1200 epochs as in the paper: 540,000 batches."""
    config = common.get_config()
    config.data.name = "mlt2017"
    config.model.dcn = True
    config.predict.size = 768
    config.predict.box_threshold = 0.5
    config.predict.follow_exif = False
    return apply_arg(config, arg, {"cpu": icdar2015.cpu})
