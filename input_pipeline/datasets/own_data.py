"""The formats that one's own labels may have, by name; docs/own_data.md shows an example of each."""

from input_pipeline.datasets.coco import CocoText
from input_pipeline.datasets.hiertext import HierText
from input_pipeline.datasets.icdar_folder import IcdarFolder
from input_pipeline.datasets.labelled import LabelledPictures
from input_pipeline.datasets.labelme import LabelMe
from input_pipeline.datasets.mmocr import MmOcr
from input_pipeline.datasets.paddleocr import PaddleOcr
from input_pipeline.datasets.textocr import TextOcr

OWN_DATA: dict[str, type[LabelledPictures]] = {
    "icdar_folder": IcdarFolder,
    "paddleocr": PaddleOcr,
    "mmocr": MmOcr,
    "coco_text": CocoText,
    "labelme": LabelMe,
    "textocr": TextOcr,
    "hiertext": HierText,
}
