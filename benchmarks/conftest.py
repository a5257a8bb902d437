"""One thread for the linear-algebra library, set before it loads: ratios are those of one core."""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"
