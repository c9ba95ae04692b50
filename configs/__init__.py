"""Experiments, a file each: `python run.py --config=configs/NAME.py[:variant,key=value…]`."""
