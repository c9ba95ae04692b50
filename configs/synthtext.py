"""SynthText: rendered words on photos, for pre-training before a benchmark.

Paper: arXiv 1911.08947, section 4.2, the first stage: 100,000 batches of 16. Metric: the IoU protocol. Data: 858,750
pictures from https://www.robots.ox.ac.uk/~vgg/data/scenetext/; `input_pipeline/datasets/benchmarks/synthtext.py`
documents the folders.

    python run.py --config=configs/synthtext.py --config.data.dir=DIR --workdir=runs/synthtext
    python run.py --config=configs/totaltext.py --config.data.dir=DIR --workdir=runs/totaltext \\
        --config.init.checkpoint=runs/synthtext

One of a thousand pictures is held out for the evaluation. Variant: `:cpu` is a narrow model on 384-pixel crops, which
two CPU cores train in about an hour.
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
    """As for ICDAR2015, without a cache: there are too many pictures."""
    icdar2015.cpu(config)
    config.data.cache = "none"
