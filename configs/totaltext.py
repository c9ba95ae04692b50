"""Total-Text: words of any shape, also curved ones, as polygons.

Paper: arXiv 1911.08947, table 2, at size 800, after pre-training on SynthText. Precision / recall / hmean:

    model            paper                 official weights, box threshold
    ResNet-18 dcn    88.3 / 77.9 / 82.8    88.9 / 77.6 / 82.9, 0.7
    ResNet-50 dcn    87.1 / 82.5 / 84.7    88.0 / 81.5 / 84.6, 0.6

Metric: DetEval, with the 0.7 and 0.6 of Total-Text. Data: 1255 training and 300 test photos from
https://github.com/cs-chan/Total-Text-Dataset (photos: totaltext.zip, labels: txt_format.zip), in these folders:

    Images/Train/img11.jpg …      txt_format/Train/poly_gt_img11.txt …
    Images/Test/img1.jpg …        txt_format/Test/poly_gt_img1.txt …

    python run.py --config=configs/totaltext.py --config.data.dir=DIR --workdir=runs/totaltext

Every tenth training photo is held out for the evaluation. Variants: `:test` trains on all of them and evaluates on the
test set. `:cpu` is a narrow model on 384-pixel crops, which two CPU cores train in about an hour.
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
