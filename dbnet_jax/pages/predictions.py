"""The page of detected pictures, as one of the outputs of `predict_files`."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from dbnet_jax.detection.outputs import Writer
from dbnet_jax.detection.picture import DetectedPicture
from dbnet_jax.pages.page import PAGE
from dbnet_jax.pages.results import ResultPicture, ResultsPage


class PageWriter(Writer):
    """Writes `index.html` and `pictures/`.

    The page of a run that an error ended shows the pictures before the error and the number of the others.
    """

    def __init__(self, output: Path, title: str, pictures: Sequence[PurePath]) -> None:
        super().__init__(output, title, pictures)
        self._page = ResultsPage(output, title)
        self._total, self._shown = len(pictures), 0
        self._notes: list[str] = []
        self.files = self._page.files

    @classmethod
    def planned(cls, pictures: Sequence[PurePath]) -> list[str]:
        return [PAGE]

    def add(self, name: str, found: DetectedPicture) -> None:
        detections = found.detections
        self._page.add(ResultPicture(name, found.image, detections.polygons, detections.scores, **found.maps))
        self._shown += 1
        self._notes += [f"{name}: {note}" for note in detections.notes]

    def close(self, skipped: Mapping[str, str]) -> None:
        summary: dict[str, object] = {"pictures": self._shown}
        if skipped:
            summary["skipped"] = "; ".join(skipped.values())
        if self._notes:
            summary["notes"] = "; ".join(self._notes)
        if missing := self._total - self._shown - len(skipped):
            summary["not looked at"] = f"{missing}: an error ended the run"
        self._page.close(summary)
