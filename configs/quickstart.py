"""A text detector in a few minutes on two CPU cores, from rendered pictures.

Data: `input_pipeline/datasets/rendered/synthetic/`, words and lines on drawn backgrounds, rendered during training. The
test pictures have other words. Metric: hmean of the IoU protocol with polygons, on 200 test pictures.

    python run.py --config=configs/quickstart.py --workdir=runs/quickstart
"""

from ml_collections import ConfigDict

from configs import common
from dbnet_jax.config.fields import apply_arg


def get_config(arg: str | None = None) -> ConfigDict:
    """The narrow ResNet-18 on synthetic pictures."""
    config = common.get_config()
    config.model.width = 16
    config.model.inner_channels = 64

    config.data.name = "synthetic"
    config.data.canvas = (256, 256)
    config.data.eval_split = "test"
    config.data.crop = (256, 256)
    config.data.picture_size = (256, 256)
    config.data.scale = (0.8, 1.25)

    config.train.steps = 1000
    config.train.batch_size = 8
    # The initial weights are random. In 1,000 steps, SGD does not leave the first plateau of the probability map, and
    # AdamW reaches a lower hmean than Muon.
    config.train.optimizer = "muon"
    config.train.learning_rate = 0.003
    config.train.warmup = 50
    config.train.ema_decay = 0.99
    config.train.checkpoint_every = 250
    config.train.evaluate_every = 500
    config.train.picture_every = 200

    config.predict.checkpoint = "latest"  # the test pictures select nothing
    config.predict.shape = "polygon"
    config.predict.box_threshold = 0.5
    config.predict.resize = "none"
    config.predict.batch_size = 8
    return apply_arg(config, arg, {})
