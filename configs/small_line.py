"""The shipped line detector: photos of MSRA-TD500, mixed with rendered scenes.

It is trained as configs/small_word.py, and starts from the weights of that detector. Data: the training photos of
MSRA-TD500 (see configs/msra_td500.py); every tenth photo is held out for the evaluation. Metric: hmean of the IoU
protocol. docs/training_the_weights.md has the commands, and CHANGELOG.md the results. Time: one to two hours on two CPU
cores.

    python run.py --config=configs/small_line.py --config.data.dir=TD500 --config.data.backgrounds=PHOTOS \\
        --config.init.checkpoint=small-word --workdir=runs/small_line_1

Variants: `:next,seed=2` continues, each time with another seed. `:base,seed=2` trains a wider network, from the weights
of the small one. `:resnet18` is the network of full width, for an accelerator. The photos of ICDAR2015 may be added,
with words joined to lines: `--config.data.mix=scenes*0.7@1.6,icdar2015=ICDAR2015@1.6`.
"""

from ml_collections import ConfigDict

from configs import common, small_word
from dbnet_jax.config.fields import apply_arg


def get_config(arg: str | None = None) -> ConfigDict:
    """The first run."""
    config = common.get_config()
    config.data.name = "msra_td500"
    config.data.granularity = "line"
    config.data.mix = "scenes*2@1.6"
    config.data.train_pictures = 1_000_000  # more than a run draws: no picture repeats
    config.data.picture_size = (512, 512)
    config.data.crop = (384, 384)
    config.data.scale = (0.25, 0.9)
    config.data.rotation = 20.0
    config.data.jitter = 0.3
    config.predict.follow_exif = False
    config.predict.shape = "polygon"
    prediction_settings(small_word.small(config))
    config.train.steps = 3000
    config.train.learning_rate = 0.001
    return apply_arg(config, arg, {"next": continued, "base": base, "resnet18": resnet18})


def prediction_settings(config: ConfigDict) -> None:
    """The prediction settings of the shipped line detector."""
    config.predict.size = None  # the text of the picture decides the sizes
    config.predict.first_size = 800
    config.predict.sizes = (416, 800, 1152)
    config.predict.text_height = 24.0
    config.predict.threshold = 0.4
    config.predict.box_threshold = 0.65
    config.predict.unclip_ratio = 2.3


def resnet18(config: ConfigDict) -> None:
    """The network of full width; it starts from the word detector of the same width."""
    small_word.resnet18(config)
    config.data.picture_size = (640, 640)
    config.train.steps = 4000


def continued(config: ConfigDict) -> None:
    """Later runs, from the shipped weights unless `config.init.checkpoint` names others."""
    config.init.checkpoint = "small-line"
    small_word.large_crops(config)
    config.data.scale = (0.3, 1.0)
    config.data.jitter = 0.4
    config.train.steps = 4800


def base(config: ConfigDict) -> None:
    """The network of the base detectors, from the weights of the small one."""
    continued(config)
    small_word.base_network(config)
