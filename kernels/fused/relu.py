"""The ReLU's dual functions of a correlation c, sixteen at a time.

With c = n / sqrt(P Q) and theta = acos c, section 2 of the recursion needs

    k0 = (pi - theta) / (2 pi)        n' = sqrt(P Q) (sin theta + (pi - theta) c) / (2 pi)

Everything here starts from h = sqrt(P Q - n^2), which is sqrt(P Q) sin theta. It is taken from the
products themselves, of which no digit is lost: where two patches are equal, so are n, P and Q to
the bit, and h is 0; 1 - c would be the rounding of c, and the angle the root of that.

For a = |c| and g = 1 - a the function acos(a) / sin(acos a) = 1 + g p(g) is smooth, and p a
polynomial of degree 8 gives k0 with an error of 3e-9, below float32 rounding. The polynomial is a
minimax fit of that formula on [0, 1] (iteratively reweighted least squares in float64); a test
holds it against `math.acos`. The negative half follows from acos(-a) = pi - acos(a).
"""

import numpy as np

from stillhouse.kernels.fused.compile_cache import inlined
from stillhouse.kernels.fused.lanes import (
    absolute,
    larger,
    product_gap,
    square_root,
    where_positive,
)

_ZERO, _QUARTER, _HALF, _ONE = map(np.float32, (0, 0.25, 0.5, 1))
_OVER_2PI = np.float32(1 / (2 * np.pi))

# 1 + g p(g), by rising powers of g.
ANGLE_OVER_SINE = (
    *(1.0, 0.33333771, 0.13320071, 0.05862599, 0.01699128, 0.0388232),
    *(-0.04786662, 0.06467831, -0.03969921, 0.01270494),
)
# p / (2 pi), a constant each, which the loops need.
_P0, _P1, _P2, _P3, _P4, _P5, _P6, _P7, _P8 = (
    np.float32(coefficient / (2 * np.pi)) for coefficient in ANGLE_OVER_SINE[1:]
)


@inlined
def _angle(n, p, q, inverse):  # type: ignore[no-untyped-def]
    """Return c, |c|, h, and acos |c| and the same over its sine, both over 2 pi."""
    h = square_root(larger(product_gap(p, q, n), _ZERO))
    c = n * inverse
    a = absolute(c)
    g = _ONE - a
    ratio = _P8 * g + _P7
    ratio = ratio * g + _P6
    ratio = ratio * g + _P5
    ratio = ratio * g + _P4
    ratio = ratio * g + _P3
    ratio = ratio * g + _P2
    ratio = ratio * g + _P1
    ratio = ratio * g + _P0
    ratio = ratio * g + _OVER_2PI
    return c, a, h, h * inverse * ratio, ratio


@inlined
def dual_relu(n, p, q, inverse):  # type: ignore[no-untyped-def]
    """Return k0 and n' of the covariance n, the variances p and q, and 1 / sqrt(p q).

    Without variance n and `inverse` are 0: then n' is 0, and so is t, whatever k0.
    """
    c, a, h, angle, ratio = _angle(n, p, q, inverse)
    k0 = where_positive(c, _HALF - angle, angle)
    return k0, larger(n, _ZERO) * _HALF + h * (_OVER_2PI - a * ratio)


@inlined
def dual_relu_gradient(n, p, q, inverse):  # type: ignore[no-untyped-def]
    """Return k0, h / (2 pi) and 1 / (2 pi h) of the same.

    They are the derivatives: dn'/dn = k0, dk0/dn = 1 / (2 pi h), and n' - n k0 = h / (2 pi).
    Where h is 0, equal patches or opposite ones meet: the singular terms, which cancel, are left
    out. Without variance c counts as 0, so k0 is 1/4: the mean of both slopes of the kink there.
    """
    c, _, h, angle, _ = _angle(n, p, q, inverse)
    k0 = where_positive(c, _HALF - angle, angle)
    k0 = where_positive(inverse, k0, _QUARTER)
    return k0, h * _OVER_2PI, where_positive(h, _OVER_2PI / h, _ZERO)
