"""Every field of a recogniser's experiment that differs from those of a detector, and the checks of them."""

from ml_collections import ConfigDict, config_dict

from dbnet_jax.backends import BACKENDS
from dbnet_jax.characters import load_characters
from dbnet_jax.config.checks import check_common
from dbnet_jax.config.defaults import default_config
from dbnet_jax.images.decode import MAX_PIXELS
from dbnet_jax.messages import check_choice, check_least

DECODINGS = ("greedy", "beam")


def recognition_config() -> ConfigDict:
    """A CRNN for printable ASCII. `data`, `init` and `train` have the fields of a detector.

    **Returns:** a new config that takes further fields until `lock` is called.
    """
    config = default_config()
    config.task = "recognition"
    config.model = _model()
    config.loss = ConfigDict()
    config.predict = _predict()
    config.evaluate = ConfigDict({"page_pictures": 200})  # crops on the results page, the worst first
    config.data.name = "words"
    config.data.crop = (32, 160)  # (height, width) of a training crop in pixels; longer words are squeezed
    config.data.jitter = 0.3
    config.train.batch_size = 64
    config.train.optimizer = "adamw"
    config.train.learning_rate = 0.001
    config.train.warmup = 500
    config.train.ema_decay = 0.999
    return config


def _model() -> ConfigDict:
    """The network; `models/recognition/crnn.py` explains the fields."""
    model = ConfigDict()
    model.name = "crnn"
    model.backbone = "slim"  # or "vgg", the paper's; or "resnet"
    model.decoder = "ctc"  # or "attention"
    model.hidden = 256  # units of an LSTM in each direction
    model.characters = "latin"  # or "digits", "latin_extended", or a text file of characters
    model.max_length = 40  # characters of a text; longer ones are skipped and listed
    model.dtype = "float32"  # of the computation, or "bfloat16"; parameters and statistics stay float32
    return model


def _predict() -> ConfigDict:
    """How crops are read."""
    predict = ConfigDict()
    predict.checkpoint = "best"  # by accuracy, or "latest"
    predict.backend = "xla"  # as of a detector; an attention decoder runs in XLA alone
    predict.widths = (64, 96, 128, 160, 256, 384, 512)  # pixels; a crop is padded to the next one, or squeezed
    predict.batch_size = 32  # crops; on a CPU at most 4 for each device, which is as fast and pads less
    predict.decoding = "greedy"  # or "beam"; both for CTC
    predict.beam = 10  # prefixes that are kept
    predict.follow_exif = True  # turns pictures as viewers do; the labels of the benchmarks need False
    predict.max_pixels = config_dict.FieldReference(MAX_PIXELS, field_type=int)  # of a picture file; None: no limit
    predict.text_threshold = 0.2  # the least score of a word of a page; a score is the text's probability
    predict.lexicon = ""  # a file of words, one a line: only these are read
    return predict


def check_recognition(config: ConfigDict) -> None:
    """Refuses a config that cannot train. **Raises:** ValueError, which names the field and its value."""
    check_common(config)
    crop = tuple(config.data.crop)
    if len(crop) != 2 or crop[0] != 32 or crop[1] < 32 or crop[1] % 4:
        raise ValueError(f"`config.data.crop` (={crop}) must be (32, width), the width a multiple of 4")
    if config.data.pixels != "host" or config.data.source != "files":
        raise ValueError("`config.data.pixels` must be 'host' and `config.data.source` 'files' to train a recogniser")
    load_characters(config.model.characters)
    check_reading(config.predict)
    check_decoder(config)


def check_decoder(config: ConfigDict) -> None:
    """Refuses what an attention decoder cannot do. **Raises:** ValueError, which names the field and its value."""
    if config.model.decoder != "attention":
        return
    for field, plain in (("lexicon", ""), ("decoding", "greedy")):
        if (value := config.predict[field]) != plain:
            raise ValueError(f"`config.predict.{field}` (={value!r}) must be {plain!r}: the decoder is 'attention'")


def check_reading(predict: ConfigDict) -> None:
    """Refuses values of `config.predict` with which nothing could be read.

    **Raises:** ValueError, which names the field and its value.
    """
    check_choice("config.predict.checkpoint", predict.checkpoint, ("best", "latest"))
    check_choice("config.predict.backend", predict.backend, BACKENDS)
    check_choice("config.predict.decoding", predict.decoding, DECODINGS)
    for field in ("batch_size", "beam"):
        check_least(f"config.predict.{field}", predict[field], 1)
    least = predict.text_threshold
    if not isinstance(least, int | float) or not 0 <= least <= 1:
        raise ValueError(f"`config.predict.text_threshold` (={least!r}) must be in [0, 1]")
    widths = tuple(predict.widths)
    if not widths or list(widths) != sorted(set(widths)) or any(width < 8 or width % 4 for width in widths):
        raise ValueError(f"`config.predict.widths` (={widths}) must be multiples of 4, at least 8, in rising order")
