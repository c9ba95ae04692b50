"""SynthText: rendered words on photos, to pre-train on before a benchmark's own photos.

The paper's first stage (arXiv 1911.08947, section 4.2): 100,000 batches of 16. Data: 858,750 pictures from
https://www.robots.ox.ac.uk/~vgg/data/scenetext/; the layout is in `input_pipeline/datasets/synthtext.py`.

    python run.py --config=configs/synthtext.py --config.data.dir=DIR --workdir=runs/synthtext
    python run.py --config=configs/totaltext.py --config.data.dir=DIR --workdir=runs/totaltext \\
        --config.init.checkpoint=runs/synthtext

A thousandth of the pictures is held out to score on. Variant: `:cpu` is a narrow model on 384-pixel crops.
"""

from ml_collections import ConfigDict

from configs import common, icdar2015
from dbnet_jax.config.fields import apply_arg


def get_config(arg: str | None = None) -> ConfigDict:
    """Deformable ResNet-18 on 640-pixel crops, 100,000 batches."""
    config = common.get_config()
    config.data.name = "synthtext"
    config.model.dcn = True
    config.train.steps = 100_000
    config.train.evaluate_every = 20_000
    config.predict.size = 640
    config.predict.box_threshold = 0.6
    config.predict.checkpoint = "latest"
    return apply_arg(config, arg, {"cpu": cpu})


def cpu(config: ConfigDict) -> None:
    """About an hour on two cores; too many pictures to keep decoded."""
    icdar2015.cpu(config)
    config.data.cache = "none"
