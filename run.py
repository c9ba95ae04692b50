"""Train, score and run text detectors, from a checkout: `dbnet-jax` is the same program where the package is installed.

    python run.py --mode=inspect --config=configs/quickstart.py --output=out/
    python run.py --config=configs/quickstart.py --workdir=runs/quickstart
    python run.py --mode=evaluate --workdir=runs/quickstart
    python run.py --mode=predict --workdir=runs/quickstart --input=photos/ --output=out/
    python run.py --mode=predict --input=photo.jpg
    python run.py --mode=export --workdir=runs/quickstart --output=quickstart.safetensors
    python run.py --mode=score --detections=submission.zip --truth=gt.zip --protocol=iou
    python run.py --mode=convert --input=official.pth --workdir=runs/official --config=configs/icdar2015.py

`--config.train.batch_size=32` sets a field; dbnet_jax/config/defaults.py documents every one. `evaluate`, `predict`,
`inspect` and `export` use the config that the run left in its workdir. `convert` makes a workdir of a PyTorch
checkpoint: the weights decide the model, `--config` all else. `--weights` names a file that `export` wrote, or shipped
weights. They contain the model and the prediction settings; `evaluate` takes the data from `--config`.
"""

import pathlib
import sys

from dbnet_jax.commands.main import run

if __name__ == "__main__":
    run(sys.argv[1:], pathlib.Path(__file__).resolve().parent / "runs")
