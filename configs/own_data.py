"""Pictures and labels of one's own, in one of the common formats; docs/own_data.md shows each of them.

Metric: hmean of the IoU protocol. Data: `config.data.name` is the format (icdar_folder, paddleocr, mmocr, coco_text,
labelme, textocr, hiertext), `config.data.dir` the folder; `--mode=inspect` shows what training will see of it:

    python run.py --config=configs/own_data.py --config.data.name=paddleocr --config.data.dir=DIR --workdir=runs/mine

Where the labels name no pictures to score on, every tenth picture is held out. Some hundreds of pictures want weights
to start from: `--config.init.backbone=resnet18.pth`, or a whole detector, `--config.init.checkpoint=`. Variants:
`:quad` finds boxes of four corners where polygons are the default; `:cpu` is a narrow model on 384-pixel crops that
two CPU cores train in about an hour.
"""

from ml_collections import ConfigDict

from configs import common, icdar2015


def get_config(arg: str | None = None) -> ConfigDict:
    """ResNet-18 on 640-pixel crops, 20,000 batches of 16."""
    config = common.get_config()
    config.train.steps = 20_000  # a length that does not depend on the number of pictures
    # A hundred of these, and of a try-out's few steps none: it follows `steps` however that is set.
    config.train.warmup = config.train.get_ref("steps") // 200
    config.train.evaluate_every = 2000
    config.predict.shape = "polygon"
    config.predict.box_threshold = 0.6
    return common.apply_arg(config, arg, {"cpu": cpu, "quad": quad})


def cpu(config: ConfigDict) -> None:
    """A narrow model on 384-pixel crops, 7,000 batches of 8."""
    icdar2015.cpu(config)
    config.train.warmup = config.train.get_ref("steps") // 70


def quad(config: ConfigDict) -> None:
    """Words and lines without a bend."""
    config.predict.shape = "quad"
