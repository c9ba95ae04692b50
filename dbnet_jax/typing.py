"""The arrays that everything here is made of; each has one definition.

`Polygon`  vertices as (x, y) in pixels, pixel centres at integers
`Image`    RGB in [0, 255]
`Map`      one value a pixel, in [0, 1] unless said
"""

import numpy as np
from jaxtyping import Float32, Num, UInt8

Polygon = Num[np.ndarray, "_ 2"]
Image = UInt8[np.ndarray, "_ _ 3"]
Map = Float32[np.ndarray, "height width"]
