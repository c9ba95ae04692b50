"""Pictures and labels of one's own, in one of the common formats; docs/own_data.md shows each of them.

Metric: hmean of the IoU protocol. Data: `config.data.name` is the format (icdar_folder, paddleocr, mmocr, coco_text,
labelme, textocr, hiertext), `config.data.dir` the folder; `--mode=inspect` shows what training will see of it:

    python run.py --config=configs/own_data.py --config.data.name=paddleocr --config.data.dir=DIR --workdir=runs/mine

Where the labels name no pictures to score on, every tenth picture is held out. Some hundreds of pictures want weights
to start from. Variants: `:finetune` trains the shipped word detector on, `:finetune_lines` the line detector, in a
quarter of an hour on two CPU cores; the others want `--config.init.backbone=resnet18.pth`, or a whole detector,
`--config.init.checkpoint=`. `:cpu` is a narrow model on 384-pixel crops that two CPU cores train in about an hour.
`:quad` finds boxes of four corners where polygons are the default.
"""

from ml_collections import ConfigDict

from configs import common, icdar2015, small_line, small_word
from dbnet_jax.config.fields import apply_arg


def get_config(arg: str | None = None) -> ConfigDict:
    """ResNet-18 on 640-pixel crops, 20,000 batches of 16."""
    config = common.get_config()
    config.data.short_side = 736  # whatever camera they are from, as the detector will look at them
    config.train.steps = 20_000  # a length that does not depend on the number of pictures
    # A hundred of these, and of a try-out's few steps none: it follows `steps` however that is set.
    config.train.warmup = config.train.get_ref("steps") // 200
    config.train.evaluate_every = 2000
    config.predict.shape = "polygon"
    config.predict.box_threshold = 0.6
    return apply_arg(config, arg, VARIANTS)


def finetune(config: ConfigDict) -> None:
    """The shipped word detector, trained on: 600 batches of three 640-pixel crops."""
    small_word.prediction_settings(small_word.small(config))
    small_word.large_crops(config)
    config.init.checkpoint = "small-word"
    config.data.scale = (0.6, 2.4)
    config.data.jitter = 0.3
    config.data.cache = "host"
    config.train.steps = 600  # of some hundreds of pictures three times as many found less of others
    config.train.learning_rate = 0.001
    config.train.warmup = config.train.get_ref("steps") // 10
    config.train.evaluate_every = 200


def finetune_lines(config: ConfigDict) -> None:
    """The shipped line detector, trained on in the same way: lines are large beside words."""
    finetune(config)
    small_line.prediction_settings(config)
    config.init.checkpoint = "small-line"
    config.data.scale = (0.5, 1.8)


def cpu(config: ConfigDict) -> None:
    """A narrow model on 384-pixel crops, 7,000 batches of 8."""
    icdar2015.cpu(config)
    config.train.warmup = config.train.get_ref("steps") // 70


def quad(config: ConfigDict) -> None:
    """Words and lines without a bend."""
    config.predict.shape = "quad"


VARIANTS = {"finetune": finetune, "finetune_lines": finetune_lines, "cpu": cpu, "quad": quad}
