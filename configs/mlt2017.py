"""ICDAR2017 MLT: words of nine languages in six scripts, as quads.

Paper (arXiv 1911.08947, section 4): ResNet-18 dcn 71.7 hmean, ResNet-50 dcn 74.7, after pre-training on SynthText,
scored on the 9,000 test photos by the competition's server: their labels are not public. Metric: the IoU protocol.
Data: 7,200 training and 1,800 validation photos from https://rrc.cvc.uab.es/?ch=8 (a free account); the layout is in
`input_pipeline/datasets/mlt2017.py`.

    python run.py --config=configs/mlt2017.py --config.data.dir=DIR --workdir=runs/mlt2017

The official validation photos are held out to score on. Variant: `:cpu` is a narrow model on 384-pixel crops.
"""

from ml_collections import ConfigDict

from configs import common, icdar2015
from dbnet_jax.config.fields import apply_arg


def get_config(arg: str | None = None) -> ConfigDict:
    """Deformable ResNet-18 on 640-pixel crops, the paper's 1200 epochs, which are 540,000 batches here."""
    config = common.get_config()
    config.data.name = "mlt2017"
    config.model.dcn = True
    config.predict.size = 768
    config.predict.box_threshold = 0.5
    config.predict.follow_exif = False
    return apply_arg(config, arg, {"cpu": icdar2015.cpu})
