"""The shipped word detector: photos of ICDAR2015, mixed with rendered scenes.

A narrow ResNet-18. Two CPU cores train it in runs of one or two hours; each run starts from the weights of the run
before (`config.init.checkpoint`). docs/training_the_weights.md has the commands, and CHANGELOG.md the results. Metric:
hmean of the IoU protocol. Data: the training photos of ICDAR2015 (see configs/icdar2015.py), of which every tenth is
held out for the evaluation; rendered scenes; photos without text as their backgrounds, such as BSDS500; and layouts of
text, such as the annotations of Total-Text. Backgrounds and layouts are optional.

    python run.py --config=configs/small_word.py --config.data.dir=ICDAR2015 --config.data.backgrounds=PHOTOS \\
        --config.data.layouts=TOTAL_TEXT_ANNOTATIONS --workdir=runs/small_word_1

Variants: `:next,seed=2` continues from the shipped weights, unless `config.init.checkpoint` names others. Each run
needs another seed: with the same seed it draws the same pictures again. `:base,seed=2` trains a wider network, from the
weights of the small one, or continues it from `config.init.checkpoint`. `:resnet18` is the network of full width, for
an accelerator.
"""

from ml_collections import ConfigDict

from configs import common
from dbnet_jax.config.fields import apply_arg


def get_config(arg: str | None = None) -> ConfigDict:
    """The first run."""
    config = common.get_config()
    config.data.name = "icdar2015"
    config.data.mix = "scenes*3@0.9"
    config.data.train_pictures = 1_000_000  # more than a run draws: no picture repeats
    config.data.picture_size = (512, 512)
    config.data.crop = (384, 384)
    config.data.scale = (0.6, 1.8)
    config.data.jitter = 0.3
    config.predict.follow_exif = False
    config.predict.shape = "polygon"
    prediction_settings(small(config))
    return apply_arg(config, arg, {"next": continued, "base": base, "resnet18": resnet18})


def prediction_settings(config: ConfigDict) -> None:
    """The prediction settings of the shipped word detector."""
    config.predict.size = None  # the text of the picture decides the sizes
    config.predict.threshold = 0.5
    config.predict.box_threshold = 0.72
    config.predict.unclip_ratio = 2.3


def continued(config: ConfigDict) -> None:
    """Later runs: seven of ten pictures are photos; text is larger, and crops are too."""
    config.init.checkpoint = "small-word"
    config.data.mix = "scenes*0.4@0.9"
    config.data.jitter = 0.4
    config.data.scale = (0.8, 2.6)
    large_crops(config)
    config.data.picture_size = (720, 720)
    config.train.steps = 6000
    config.train.learning_rate = 0.001


def base(config: ConfigDict) -> None:
    """The network of the base detectors, from the weights of the small one."""
    continued(config)
    base_network(config)


def base_network(config: ConfigDict) -> None:
    """The network of the base detectors, and its training."""
    config.model.width = 32
    config.model.inner_channels = 96
    config.init.widen = True
    config.train.steps = 9000
    config.train.learning_rate = 0.001
    config.train.warmup = 100  # the new channels are random
    config.train.ema_decay = 0.9995
    config.train.checkpoint_every = 250


def large_crops(config: ConfigDict) -> None:
    """As many pixels a batch, in fewer crops: long words and lines fit into a crop."""
    config.data.picture_size = (640, 640)
    config.data.crop = (640, 640)
    config.train.batch_size = 3


def resnet18(config: ConfigDict) -> None:
    """The network of full width, for an accelerator that draws label maps, and for CPU cores that render scenes."""
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
    """The network of the small detectors, and its training."""
    config.model.width = 24
    config.model.inner_channels = 64
    config.train.steps = 9000
    config.train.batch_size = 8
    config.train.optimizer = "adamw"  # the first run starts from random weights
    config.train.learning_rate = 0.002
    config.train.warmup = 200
    config.train.ema_decay = 0.999
    config.train.checkpoint_every = 500
    config.train.evaluate_every = 3000
    return config
