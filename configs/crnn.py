"""A CRNN that reads words of printable ASCII: rendered words, mixed with word crops of the data sets at hand.

The paper's network and recipe are for millions of words on a GPU; `:cpu` is the shipped recogniser's. Metric: word
accuracy, case-insensitive, of letters and digits. Data: rendered words need none; `config.data.mix` adds others.

    python run.py --config=configs/crnn.py:cpu --workdir=runs/crnn --config.data.name=word_list \\
        --config.data.dir=IIIT5K --config.data.mix=words*8,icdar2015=ICDAR2015*2

Variants: `:cpu`, the slim network for two cores, as the shipped `small-latin`, whose card has its command;
`:attention`, an attention decoder instead of CTC; `:slim`, the slim network with the recipe for an accelerator.
"""

from ml_collections import ConfigDict

from dbnet_jax.config.fields import apply_arg
from dbnet_jax.config.recognition import recognition_config


def get_config(arg: str | None = None) -> ConfigDict:
    """The paper's network."""
    config = recognition_config()
    config.model.backbone = "vgg"
    config.data.train_pictures = 10_000_000  # more than a run draws: no word repeats
    config.data.eval_pictures = 1000
    config.train.batch_size = 256
    config.train.steps = 200_000
    return apply_arg(config, arg, {"cpu": cpu, "slim": slim, "attention": attention})


def slim(config: ConfigDict) -> None:
    """A narrow residual encoder and LSTMs of 192: 2.7 million parameters."""
    config.model.backbone = "slim"
    config.model.hidden = 192


def cpu(config: ConfigDict) -> None:
    """The slim network in three to four hours on two cores."""
    slim(config)
    config.train.batch_size = 64
    config.train.steps = 8000
    config.train.learning_rate = 0.002
    config.train.evaluate_every = 2000
    config.train.picture_every = 0
    config.train.checkpoint_every = 250


def attention(config: ConfigDict) -> None:
    """An attention decoder in the place of CTC."""
    config.model.decoder = "attention"
    config.model.max_length = 25
