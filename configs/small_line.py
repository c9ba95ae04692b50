"""The small line detector that ships with the package: photographs of MSRA-TD500 among rendered scenes.

As configs/small_word.py, from whose weights it starts, with whole lines for instances. Data: the training photos of
MSRA-TD500 (configs/msra_td500.py says where from), every tenth held out to score on.

    python run.py --config=configs/small_line.py --config.data.dir=TD500 --config.data.backgrounds=PHOTOS \\
        --config.init.checkpoint=small-word --workdir=runs/small_line_1

Pieces after the first: `--config=configs/small_line.py:next,seed=2`; who has ICDAR2015's photos adds them, their words
joined to lines: `--config.data.mix=scenes*0.7@1.6,icdar2015=ICDAR2015@1.6`. `:resnet18` is for an accelerator. See
configs/small_word.py.
"""

from ml_collections import ConfigDict

from configs import common, small_word
from dbnet_jax.config.fields import apply_arg


def get_config(arg: str | None = None) -> ConfigDict:
    """The first piece of training."""
    config = common.get_config()
    config.data.name = "msra_td500"
    config.data.granularity = "line"
    config.data.mix = "scenes*2@1.6"
    config.data.train_pictures = 1_000_000  # more than any run will see: none comes twice
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
    return apply_arg(config, arg, {"next": continued, "resnet18": resnet18})


def prediction_settings(config: ConfigDict) -> None:
    """How the shipped line detector looks at pictures."""
    config.predict.size = 800
    config.predict.threshold = 0.4
    config.predict.box_threshold = 0.65
    config.predict.unclip_ratio = 2.3


def resnet18(config: ConfigDict) -> None:
    """The whole network, from the word detector of its size."""
    small_word.resnet18(config)
    config.data.picture_size = (640, 640)
    config.train.steps = 4000


def continued(config: ConfigDict) -> None:
    """Later ones, beside which `config.data.mix` may have ICDAR2015's photos too, by lines."""
    config.init.checkpoint = "small-line"
    small_word.large_crops(config)
    config.data.scale = (0.3, 1.0)
    config.data.jitter = 0.4
    config.train.steps = 4800
