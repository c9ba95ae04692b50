"""The public benchmarks by name, in their owners' layouts."""

from input_pipeline.datasets.benchmarks.base import Benchmark
from input_pipeline.datasets.benchmarks.ctw1500 import Ctw1500
from input_pipeline.datasets.benchmarks.hust_tr400 import HustTr400
from input_pipeline.datasets.benchmarks.icdar2015 import Icdar2015
from input_pipeline.datasets.benchmarks.mlt2017 import Mlt2017
from input_pipeline.datasets.benchmarks.msra_td500 import MsraTd500
from input_pipeline.datasets.benchmarks.synthtext import SynthText
from input_pipeline.datasets.benchmarks.total_text import TotalText

__all__ = ["BENCHMARKS"]

BENCHMARKS: dict[str, type[Benchmark]] = {
    "icdar2015": Icdar2015,
    "msra_td500": MsraTd500,
    "total_text": TotalText,
    "ctw1500": Ctw1500,
    "mlt2017": Mlt2017,
    "hust_tr400": HustTr400,
    "synthtext": SynthText,
}
