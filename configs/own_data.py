"""Your own pictures and labels, in one of the common formats (docs/own_data.md).

Metric: hmean of the IoU protocol. Data: `config.data.name` is the format (icdar_folder, paddleocr, mmocr, coco_text,
labelme, label_studio, via, pascal_voc, textocr, hiertext), `config.data.dir` the folder. `--mode=inspect` draws the
training examples:

    python run.py --config=configs/own_data.py --config.data.name=paddleocr --config.data.dir=DIR --workdir=runs/mine

Every tenth picture is held out for the evaluation if the labels define no evaluation set. A few hundred pictures need
trained weights to start from. Variants:

- `:finetune` continues from the shipped word detector, `:finetune_lines` from the line detector. This takes a quarter
  of an hour on two CPU cores.
- `:cpu` is a narrow model on 384-pixel crops, which two CPU cores train in about an hour.
- `:quad` detects boxes of four corners. The default is polygons.

Without `:finetune`, `--config.init.backbone=resnet18.pth` names the weights of a backbone, or
`--config.init.checkpoint=` a whole detector.
"""

from ml_collections import ConfigDict

from configs import common, icdar2015, small_line, small_word
from dbnet_jax.config.fields import apply_arg


def get_config(arg: str | None = None) -> ConfigDict:
    """ResNet-18 on 640-pixel crops, 20,000 batches of 16."""
    config = common.get_config()
    config.data.short_side = 736  # of pictures from any camera, as the detector resizes them
    config.train.steps = 20_000  # not epochs: the length does not depend on the number of pictures
    # 100 of these steps, and none of the few steps of a trial: the warm-up follows every change of `steps`.
    config.train.warmup = config.train.get_ref("steps") // 200
    config.train.evaluate_every = 2000
    config.predict.shape = "polygon"
    config.predict.box_threshold = 0.6
    return apply_arg(config, arg, VARIANTS)


def finetune(config: ConfigDict) -> None:
    """Continues from the shipped word detector: 600 batches of three 640-pixel crops."""
    small_word.prediction_settings(small_word.small(config))
    small_word.large_crops(config)
    config.init.checkpoint = "small-word"
    config.data.scale = (0.6, 2.4)
    config.data.jitter = 0.3
    config.data.cache = "host"
    config.train.steps = 600  # with a few hundred pictures, 1,800 batches scored lower on other pictures
    config.train.learning_rate = 0.001
    config.train.warmup = config.train.get_ref("steps") // 10
    config.train.evaluate_every = 200


def finetune_lines(config: ConfigDict) -> None:
    """Continues from the shipped line detector; lines are larger than words."""
    finetune(config)
    small_line.prediction_settings(config)
    config.init.checkpoint = "small-line"
    config.data.scale = (0.5, 1.8)


def cpu(config: ConfigDict) -> None:
    """A narrow model on 384-pixel crops, 7,000 batches of 8."""
    icdar2015.cpu(config)
    config.train.warmup = config.train.get_ref("steps") // 70


def quad(config: ConfigDict) -> None:
    """Boxes of four corners, for straight words and lines."""
    config.predict.shape = "quad"


VARIANTS = {"finetune": finetune, "finetune_lines": finetune_lines, "cpu": cpu, "quad": quad}
