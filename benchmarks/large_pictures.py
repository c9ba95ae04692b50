"""Large pictures on a CPU: one look as a whole, and looks through windows.

    python benchmarks/large_pictures.py --td500=TD500 --sroie=SROIE --json=FILE
    python benchmarks/large_pictures.py --memory

benchmarks/README.md says how to read the numbers.
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from parts import measuring

# Before the folder of this file, where other packages' names are.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

PACKAGES = ("jax", "jaxlib", "numpy", "opencv-python-headless")
PANORAMA_HEIGHT = 1200
SCREENSHOT, LARGE = (15_000, 600), (3000, 20_000)  # (height, width)
TILES = 1024
# Fields of `config.predict`.
SETTINGS: dict[str, dict[str, Any]] = {
    "one look": {},
    "tiles": {"tiles": TILES},
    "tiles, own size": {"tiles": TILES, "resize": "none"},
}
WEIGHTS = "small-line"


def main() -> None:
    """Measures, prints and writes."""
    options = parse_options()
    if options.peak is not None:
        print(json.dumps(peak(json.loads(options.peak))))
        return
    result = measuring.environment(PACKAGES)
    measuring.show_environment(result)
    if options.memory:
        result["memory"] = {}
        for name, predict in SETTINGS.items():
            one = result["memory"][name] = memory(predict)
            print(
                f"{name:<18}{one['megabytes']:>8} MB  {one['cpu_seconds']:.1f} CPU s  {one['found']} lines found",
                flush=True,
            )
    else:
        result["scores"] = score(options)
    measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--td500", help="the folder of MSRA-TD500: its held-out photos, alone and as panoramas")
    parser.add_argument("--sroie", help="the folder of SROIE's scans: its held-out scans, six on a sheet")
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=tuple(SETTINGS))
    parser.add_argument("--memory", action="store_true", help="the memory and time of a picture of 20000×3000 instead")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


def picture_sets(options: argparse.Namespace) -> dict[str, Sequence[Any]]:
    """The samples of each set."""
    from parts import large

    from input_pipeline.datasets import open_dataset

    def held_out(name: str, folder: str) -> list[Any]:
        dataset = open_dataset(name, folder, "validation")
        return [dataset[index] for index in range(len(dataset))]

    sets: dict[str, Sequence[Any]] = {"screenshot": [large.screenshot(SCREENSHOT)]}
    if options.td500:
        photos = held_out("msra_td500", options.td500)
        equal = [large.of_height(photo, PANORAMA_HEIGHT) for photo in photos]
        sets["photos"] = photos
        sets["panoramas"] = [large.joined(f"{first}", [equal[first : first + 6]]) for first in range(0, len(equal), 6)]
    if options.sroie:
        scans = held_out("icdar_folder", options.sroie)
        sheets = [scans[first : first + 6] for first in range(0, len(scans), 6)]
        sets["sheets"] = [large.joined(f"{index}", [six[:3], six[3:]]) for index, six in enumerate(sheets) if six[3:]]
    return sets


def score(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Precision, recall and hmean of each set with each setting, and the seconds of a picture."""
    from dbnet_jax import Detector
    from dbnet_jax.evaluation.evaluator import Evaluator

    detector, rows = Detector.from_pretrained(WEIGHTS), []
    for name, samples in picture_sets(options).items():
        for setting in options.settings:
            one = detector.with_options(**SETTINGS[setting])
            one.detect(samples[0].image)  # compiles
            start = time.process_time()
            found = Evaluator(samples).run(one)
            row = {"set": name, "pictures": len(samples), "setting": setting} | found.metrics
            row["cpu_seconds"] = (time.process_time() - start) / len(samples)
            row["small"] = found.report.by_size["small"]
            rows.append(row)
            print(
                f"{name:<12}{setting:<18}precision {row['precision']:.3f}  recall {row['recall']:.3f}  "
                f"hmean {row['hmean']:.3f}  small {row['small']}  {row['cpu_seconds']:.2f} CPU s",
                flush=True,
            )
    return rows


def memory(predict: dict[str, Any]) -> dict[str, Any]:
    """`peak` in a process of its own."""
    command = [sys.executable, __file__, "--peak", json.dumps(predict)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def peak(predict: dict[str, Any]) -> dict[str, Any]:
    """The megabytes that detection needs beside the picture, its CPU seconds, and the lines that it found."""
    import numpy as np
    from parts import large

    from dbnet_jax import Detector

    height, width = LARGE
    image = np.tile(large.screenshot((height, width // 20)).image, (1, 20, 1))
    detector = Detector.from_pretrained(WEIGHTS, **predict)
    detector.detect(image[:64, :64])
    before, start = megabytes(), time.process_time()
    found = detector.detect(image)
    seconds = time.process_time() - start
    return {"megabytes": megabytes() - before, "cpu_seconds": seconds, "found": len(found.polygons)}


def megabytes() -> int:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
