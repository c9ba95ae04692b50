"""Total-Text: words in any shape, curved ones too, as polygons.

Paper (arXiv 1911.08947, table 2), precision / recall / hmean at 800 after pre-training on SynthText: ResNet-18 dcn
88.3 / 77.9 / 82.8, ResNet-50 dcn 87.1 / 82.5 / 84.7 (the official weights: 88.9 / 77.6 / 82.9 at box threshold 0.7,
88.0 / 81.5 / 84.6 at 0.6). Metric: DetEval with Total-Text's 0.7 and 0.6. Data: 1255 training and 300 test photos from
https://github.com/cs-chan/Total-Text-Dataset (photos: totaltext.zip, labels: txt_format.zip), unpacked as

    Images/Train/img11.jpg …      txt_format/Train/poly_gt_img11.txt …
    Images/Test/img1.jpg …        txt_format/Test/poly_gt_img1.txt …

    python run.py --config=configs/totaltext.py --config.data.dir=DIR --workdir=runs/totaltext

Every tenth training photo is held out to score on. Variants: `:test` trains on all of them and scores on the test set,
`:cpu` is a narrow model on 384-pixel crops for two CPU cores.
"""

from ml_collections import ConfigDict

from configs import common, icdar2015
from dbnet_jax.config.fields import apply_arg


def get_config(arg: str | None = None) -> ConfigDict:
    """Deformable ResNet-18 on 640-pixel crops, 1200 epochs."""
    config = common.get_config()
    config.data.name = "total_text"
    config.model.dcn = True
    config.predict.shape = "polygon"
    config.predict.size = 800
    config.predict.box_threshold = 0.7
    config.predict.follow_exif = False
    config.evaluate.protocol = "deteval"
    return apply_arg(config, arg, {"cpu": icdar2015.cpu, "test": icdar2015.test})
