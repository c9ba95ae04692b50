"""The model card of a weights file."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CardScore:
    """A measurement.

    **Arguments:**

    - `data`: the pictures; `protocol`: how they were scored; `images`: how many they are.
    - `metrics`: numbers in [0, 1] by their names, such as "hmean".
    """

    data: str
    protocol: str
    images: int
    metrics: Mapping[str, float]

    @classmethod
    def from_dict(cls, values: Any) -> "CardScore":
        """The score of `as_dict`. **Raises:** ValueError for a field that is missing or of another type."""
        if not isinstance(values, Mapping):
            raise ValueError(f"a score (={values!r}) must be an object with fields")
        own = [field.name for field in dataclasses.fields(cls) if field.name != "metrics"]
        numbers = {name: value for name, value in values.items() if name not in own}
        for name, value in numbers.items():
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
                raise ValueError(f"a score: {name!r} (={value!r}) must be a number in [0, 1]")
        if not numbers:
            raise ValueError(f"a score (={values!r}) must have a metric, such as 'hmean'")
        given = {name: values[name] for name in own if name in values}
        return cls(
            **_checked(cls, given | {"metrics": {name: float(value) for name, value in numbers.items()}}, "a score")
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values; the metrics stand beside the other fields."""
        return {"data": self.data, "protocol": self.protocol, "images": self.images, **self.metrics}


@dataclass(frozen=True)
class ModelCard:
    """The origin of weights, their measured scores and their limits.

    **Arguments:**

    - `name`: for example "small-word".
    - `data`: the training data.
    - `command`: the training command.
    - `date`, `commit`: the day, and the version of the code.
    - `scores`: the measured scores.
    - `limits`: known weaknesses.
    - `licences`: the terms of the training data.
    """

    name: str
    data: str = ""
    command: str = ""
    date: str = ""
    commit: str = ""
    scores: tuple[CardScore, ...] = ()
    limits: str = ""
    licences: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModelCard":
        """The card from the values of `as_dict`. **Raises:** ValueError for an unknown field or a wrong type."""
        checked = _checked(cls, values, "the card")
        if "scores" in checked:
            checked["scores"] = tuple(CardScore.from_dict(row) for row in checked["scores"])
        return cls(**checked)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self) | {"scores": [score.as_dict() for score in self.scores]}

    def extended(self, values: Mapping[str, Any]) -> "ModelCard":
        """The card with the fields of `values` replaced. Scores of `values` are added to the card's own scores."""
        merged = ModelCard.from_dict(self.as_dict() | dict(values))
        return dataclasses.replace(merged, scores=self.scores + merged.scores) if "scores" in values else merged

    def as_markdown(self, facts: Iterable[str]) -> str:
        """The card as text; `facts` are lines about the network and the file."""
        lines = [f"# {self.name}", "", *(f"- {fact}" for fact in facts), "", "## Measured", ""]
        names = list(dict.fromkeys(name for score in self.scores for name in score.metrics))
        if self.scores:
            lines += [f"| data | protocol | pictures | {' | '.join(names)} |", "|---" * (3 + len(names)) + "|"]
        for score in self.scores:
            shares = " | ".join(f"{score.metrics[name]:.3f}" if name in score.metrics else "" for name in names)
            lines.append(f"| {_cell(score.data)} | {_cell(score.protocol)} | {score.images} | {shares} |")
        if not self.scores:
            lines.append("Not measured.")
        lines += ["", "## Training", "", self.data or "Data: not stated.", ""]
        if self.command:
            lines += ["```sh", self.command, "```", ""]
        lines += [f"Date: {self.date or 'not stated'}. Code: {self.commit or 'not stated'}.", ""]
        lines += ["## Limits", "", self.limits or "Not stated.", ""]
        lines += ["## Licences of the training data", "", self.licences or "Not stated: ask their owners.", ""]
        return "\n".join(lines)


def _cell(text: str) -> str:
    """The text for a table's cell: one line, without a bar that would end the cell."""
    return " ".join(text.split()).replace("|", "\\|")


def _checked(kind: type, values: Any, what: str) -> dict[str, Any]:
    """The values. **Raises:** ValueError if a field of `kind` is missing, unknown or of a wrong type."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{what} (={values!r}) must be an object with fields")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := values.keys() - fields:
        raise ValueError(f"{what} has unknown fields {sorted(unknown)}; there are {sorted(fields)}")
    needed = {name for name, field in fields.items() if field.default is dataclasses.MISSING}
    if missing := needed - values.keys():
        raise ValueError(f"{what} has no {sorted(missing)}")
    types: dict[Any, tuple[type, ...]] = {str: (str,), int: (int,), Mapping[str, float]: (dict,)}
    checked: dict[str, Any] = dict(values)
    for name, value in checked.items():
        allowed = types.get(fields[name].type, (list, tuple))
        if not isinstance(value, allowed) or isinstance(value, bool):
            raise ValueError(f"{what}: {name!r} (={value!r}) must be of type {allowed[-1].__name__}")
        if fields[name].type is int and checked[name] < 0:
            raise ValueError(f"{what}: {name!r} (={value}) must not be negative")
    return checked
