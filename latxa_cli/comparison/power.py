"""How large a difference must be, or how many items there must be, so that a test would show it.

Both are of the normal test that estimates the power of McNemar's and of t: Miller, 2024, "Adding error bars to evals",
arXiv 2411.00640, section 5; for proportions, Connor, 1987, "Sample size for testing differences in proportions for the
paired-sample design", Biometrics 43.
"""

from __future__ import annotations

import math

POWER = 0.8
POINT = 0.01  # of a share


def detectable(stderr: float, freedom: float, alpha: float) -> float:
    """Return the true difference that a two-sided test at level `alpha` shows with a probability of `POWER`."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1 - alpha / 2) + stdtrit(freedom, POWER)) * stderr


def items_for(variance: float, alpha: float, difference: float = POINT) -> int:
    """Return how many items show a true `difference` with a probability of `POWER`.

    variance: of the difference of one item, with what clusters add to it.
    """
    from scipy.special import ndtri

    reach = float(ndtri(1 - alpha / 2) + ndtri(POWER))
    return max(1, math.ceil(reach**2 * variance / difference**2))
