"""Recognition networks by name."""

from typing import Any

from dbnet_jax.messages import check_choice, check_least
from dbnet_jax.models.recognition.crnn import DECODERS, Crnn
from dbnet_jax.models.recognition.encoders import ENCODERS

__all__ = ["ENCODERS", "Crnn", "create_recognizer"]


def create_recognizer(name: str = "crnn", **options: Any) -> Crnn:
    """A network that reads a word, as a Linen module.

    **Arguments:**

    - `name`: "crnn": convolutions, two bidirectional LSTMs and a decoder (arXiv 1507.05717).
    - `options`: fields of `Crnn`, which explains them: `decoder` ("ctc" or "attention"), `backbone` (a name in
        `ENCODERS`), `classes`, `hidden`, `max_length`, `dtype`.

    **Returns:** a module with `init(rng, images)` and `apply(variables, images, widths, train=False)`. Images are
    float32 [batch, 32, width, 1], grey in [−1, 1]; the width is a multiple of 4.

    **Raises:** ValueError if the name, an option or an option's value is not possible.
    """
    check_choice("name", name, ("crnn",))
    fields = set(Crnn.__dataclass_fields__) - {"parent", "name"}
    if unknown := sorted(set(options) - fields):
        raise ValueError(f"`options` {unknown} are unknown; {name} takes {sorted(fields)}")
    model = Crnn(**options)
    check_choice("decoder", model.decoder, DECODERS)
    check_choice("backbone", model.backbone, ENCODERS)
    for field in ("classes", "hidden", "max_length"):
        check_least(field, getattr(model, field), 2)
    return model
