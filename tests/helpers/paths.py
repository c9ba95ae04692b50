"""Where the tests find the repository, their own data and the folder of real data beside the repository."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data"
SHARED = ROOT.parent / "shared"
