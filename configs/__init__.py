"""One file for each experiment: `python run.py --config=configs/NAME.py[:variant,key=value…]`."""
