"""The page of detected pictures, as one of the outputs of `predict_files`."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from dbnet_jax.detection.picture import DetectedPicture
from dbnet_jax.pages.results import ResultPicture, ResultsPage


class PageWriter:
    """Writes `index.html` and `pictures/`; see `dbnet_jax.detection.outputs.Writer`.

    The page of a run that an error ended shows the pictures up to there, and says how many are missing.
    """

    def __init__(self, output: Path, title: str, pictures: Sequence[PurePath]) -> None:
        self._page = ResultsPage(output, title)
        self._total, self._shown = len(pictures), 0
        self.files = self._page.files

    def add(self, name: str, found: DetectedPicture) -> None:
        """Writes the drawn picture and its maps."""
        detections = found.detections
        self._page.add(ResultPicture(name, found.image, detections.polygons, detections.scores, **found.maps))
        self._shown += 1

    def close(self, skipped: Mapping[str, str]) -> None:
        """Writes the page."""
        summary: dict[str, object] = {"pictures": self._shown}
        if skipped:
            summary["skipped"] = "; ".join(skipped.values())
        if missing := self._total - self._shown - len(skipped):
            summary["not looked at"] = f"{missing}: an error ended the run"
        self._page.close(summary)
