"""The defaults of every experiment; the other files here change some of them.

`dbnet_jax/config/defaults.py` documents every field, `dbnet_jax/config/fields.py` how the command line sets one.
"""

from ml_collections import ConfigDict

from dbnet_jax.config.defaults import default_config
from dbnet_jax.config.fields import apply_arg


def get_config(arg: str | None = None) -> ConfigDict:
    """ResNet-18, the paper's recipe with the official code's losses."""
    config = default_config()
    return config if arg is None else apply_arg(config, arg, {})
