"""The formats that one's own labels may have, by name; docs/own_data.md shows an example of each."""

from input_pipeline.datasets.own_data.coco import CocoText
from input_pipeline.datasets.own_data.hiertext import HierText
from input_pipeline.datasets.own_data.icdar_folder import IcdarFolder
from input_pipeline.datasets.own_data.labelme import LabelMe
from input_pipeline.datasets.own_data.mmocr import MmOcr
from input_pipeline.datasets.own_data.paddleocr import PaddleOcr
from input_pipeline.datasets.own_data.textocr import TextOcr
from input_pipeline.datasets.own_data.word_list import WordList
from input_pipeline.datasets.own_data.word_lmdb import WordLmdb
from input_pipeline.datasets.sample import Dataset

OWN_DATA: dict[str, type[Dataset]] = {
    "icdar_folder": IcdarFolder,
    "paddleocr": PaddleOcr,
    "mmocr": MmOcr,
    "coco_text": CocoText,
    "labelme": LabelMe,
    "textocr": TextOcr,
    "hiertext": HierText,
    "word_list": WordList,
    "word_lmdb": WordLmdb,
}
