"""A CRNN on MJSynth or SynthText's word crops, as the field trains it, in an LMDB.

Metric: word accuracy. The published CRNN, trained on both, reads 82.9 % of IIIT5K and 64.2 % of ICDAR2015
(arXiv 1904.01906). It has not been trained here: no such set is at hand. Time: a day on an accelerator.

    python run.py --config=configs/crnn_synth.py --config.data.dir=MJSYNTH --workdir=runs/crnn_synth

Variants: those of configs/crnn.py.
"""

from ml_collections import ConfigDict

from configs import crnn
from dbnet_jax.config.fields import apply_arg


def get_config(arg: str | None = None) -> ConfigDict:
    """The paper's network, 300,000 batches of 192."""
    config = crnn.get_config()
    config.data.name = "word_lmdb"
    config.data.crop = (32, 128)
    config.data.jitter = 0.0  # these crops are distorted already
    config.train.batch_size = 192
    config.train.steps = 300_000
    return apply_arg(config, arg, {"cpu": crnn.cpu, "slim": crnn.slim, "attention": crnn.attention})
