"""The formats that one's own labels may have, by name; docs/own_data.md shows an example of each."""

from input_pipeline.datasets.own_data.base import LabelledPictures
from input_pipeline.datasets.own_data.coco import CocoText
from input_pipeline.datasets.own_data.hiertext import HierText
from input_pipeline.datasets.own_data.icdar_folder import IcdarFolder
from input_pipeline.datasets.own_data.label_studio import LabelStudio
from input_pipeline.datasets.own_data.labelme import LabelMe
from input_pipeline.datasets.own_data.mmocr import MmOcr
from input_pipeline.datasets.own_data.paddleocr import PaddleOcr
from input_pipeline.datasets.own_data.pascal_voc import PascalVoc
from input_pipeline.datasets.own_data.textocr import TextOcr
from input_pipeline.datasets.own_data.via import Via

OWN_DATA: dict[str, type[LabelledPictures]] = {
    "icdar_folder": IcdarFolder,
    "paddleocr": PaddleOcr,
    "mmocr": MmOcr,
    "coco_text": CocoText,
    "labelme": LabelMe,
    "label_studio": LabelStudio,
    "via": Via,
    "pascal_voc": PascalVoc,
    "textocr": TextOcr,
    "hiertext": HierText,
}
