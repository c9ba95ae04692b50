"""The small word detector that ships with the package: photographs of ICDAR2015 among rendered scenes.

A narrow ResNet-18 that two CPU cores train in pieces of one or two hours, each from the weights of the one before
(`config.init.checkpoint`). docs/training_the_weights.md has the commands, and what they gave. Data: the training photos
of ICDAR2015 (configs/icdar2015.py says where from), every tenth held out to score on; rendered scenes; photographs
without text to render them on, as BSDS500's; layouts to fill, as Total-Text's annotations. The last two may be left
out.

    python run.py --config=configs/small_word.py --config.data.dir=ICDAR2015 --config.data.backgrounds=PHOTOS \\
        --config.data.layouts=TOTAL_TEXT_ANNOTATIONS --workdir=runs/small_word_1

Pieces after the first: `--config=configs/small_word.py:next,seed=2`, from the shipped weights unless
`config.init.checkpoint` names others; each with a seed of its own, or it would see the first one's pictures again.
`:resnet18` is the network of full width, for an accelerator.
"""

from ml_collections import ConfigDict

from configs import common
from dbnet_jax.config.fields import apply_arg


def get_config(arg: str | None = None) -> ConfigDict:
    """The first piece of training."""
    config = common.get_config()
    config.data.name = "icdar2015"
    config.data.mix = "scenes*3@0.9"
    config.data.train_pictures = 1_000_000  # more than any run will see: none comes twice
    config.data.picture_size = (512, 512)
    config.data.crop = (384, 384)
    config.data.scale = (0.6, 1.8)
    config.data.jitter = 0.3
    config.predict.follow_exif = False
    config.predict.shape = "polygon"
    prediction_settings(small(config))
    return apply_arg(config, arg, {"next": continued, "resnet18": resnet18})


def prediction_settings(config: ConfigDict) -> None:
    """How the shipped word detector looks at pictures."""
    config.predict.size = None  # by the text of the picture
    config.predict.threshold = 0.5
    config.predict.box_threshold = 0.7
    config.predict.unclip_ratio = 2.3


def continued(config: ConfigDict) -> None:
    """Later ones: seven of ten pictures are photographs; text is larger and more of it is seen at once."""
    config.init.checkpoint = "small-word"
    config.data.mix = "scenes*0.4@0.9"
    config.data.jitter = 0.4
    config.data.scale = (0.8, 2.6)
    large_crops(config)
    config.data.picture_size = (720, 720)
    config.train.steps = 6000
    config.train.learning_rate = 0.001


def large_crops(config: ConfigDict) -> None:
    """As many pixels a batch in fewer crops, which hold long words and lines."""
    config.data.picture_size = (640, 640)
    config.data.crop = (640, 640)
    config.train.batch_size = 3


def resnet18(config: ConfigDict) -> None:
    """The whole network, for an accelerator that draws its own label maps and cores that render for it."""
    config.model.width = 64
    config.model.inner_channels = 256
    config.model.dtype = "bfloat16"
    config.data.pixels = "device"
    config.data.render_processes = 12
    config.data.picture_size = (720, 720)
    config.data.crop = (640, 640)
    config.train.batch_size = 32
    config.train.steps = 12_000


def small(config: ConfigDict) -> ConfigDict:
    """The network of the small detectors and how it is trained."""
    config.model.width = 24
    config.model.inner_channels = 64
    config.train.steps = 9000
    config.train.batch_size = 8
    config.train.optimizer = "adamw"  # the weights of the first piece start at random
    config.train.learning_rate = 0.002
    config.train.warmup = 200
    config.train.ema_decay = 0.999
    config.train.checkpoint_every = 500
    config.train.evaluate_every = 3000
    return config
