"""The ReLU's dual functions of a correlation c, sixteen at a time.

With theta = acos c and s = sqrt(1 - c^2), section 2 of the recursion needs

    k0 = (pi - theta) / (2 pi)            k1 = (s + (pi - theta) c) / (2 pi)

so that n' = sqrt(P Q) k1 and t' = t k0. For a = |c| the function acos(a) / (2 pi sqrt(1 - a)) is
smooth, and so is k1(-a) / (1 - a)^(3/2): polynomials of degree 7 and 5 give both with errors of
2e-9 and 4e-9 (weighted by the root they are multiplied with), below float32 rounding. The other
half follows from k0(a) = 1/2 - k0(-a) and k1(a) = k1(-a) + a / 2, which spares the second root.

The polynomials are minimax fits of the formulas above on [0, 1] (iteratively reweighted least
squares in float64); a test holds them against `math.acos`.
"""

import numpy as np

from stillhouse.kernels.fused.compile_cache import inlined
from stillhouse.kernels.fused.lanes import (
    absolute,
    broadcast,
    larger,
    smaller,
    square_root,
    where_negative,
)

_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)

# acos(a) / (2 pi sqrt(1 - a))
_A0 = np.float32(2.4999999801e-01)
_A1 = np.float32(-3.4154633669e-02)
_A2 = np.float32(1.4164672936e-02)
_A3 = np.float32(-8.0075283766e-03)
_A4 = np.float32(4.9871951264e-03)
_A5 = np.float32(-2.8343881068e-03)
_A6 = np.float32(1.1531490741e-03)
_A7 = np.float32(-2.2941871433e-04)

# (sqrt(1 - a^2) - a acos(a)) / (2 pi (1 - a)^(3/2))
_B0 = np.float32(1.5915493910e-01)
_B1 = np.float32(-1.1267123119e-02)
_B2 = np.float32(2.9846461845e-03)
_B3 = np.float32(-1.1779226992e-03)
_B4 = np.float32(4.6924365055e-04)
_B5 = np.float32(-1.1181557046e-04)


# Where rounding leaves 1 - |c| no correct digit, the two singular terms of the vjp, which cancel
# for equal images, are taken to have done so.
_SMALLEST_GAP = np.float32(3e-8)
_4_PI_SQUARED = np.float32(4 * np.pi**2)


@inlined
def _half_duals(c):  # type: ignore[no-untyped-def]
    """Return a = |c|, 1 - a, k0(-a) and k1(-a); what rounding puts beyond 1 counts as 1."""
    a = smaller(absolute(c), broadcast(_ONE))
    gap = _ONE - a
    root = square_root(gap)
    angle = _A7 * a + _A6
    angle = angle * a + _A5
    angle = angle * a + _A4
    angle = angle * a + _A3
    angle = angle * a + _A2
    angle = angle * a + _A1
    angle = (angle * a + _A0) * root
    rest = _B5 * a + _B4
    rest = rest * a + _B3
    rest = rest * a + _B2
    rest = rest * a + _B1
    rest = (rest * a + _B0) * (root * gap)
    return a, gap, angle, rest


@inlined
def dual_relu(c):  # type: ignore[no-untyped-def]
    """Return (k0, k1) of the correlation `c`."""
    _, _, angle, rest = _half_duals(c)
    k0 = where_negative(c, angle, _HALF - angle)
    k1 = larger(c, broadcast(_ZERO)) * _HALF + rest
    return k0, k1


@inlined
def dual_relu_gradient(c):  # type: ignore[no-untyped-def]
    """Return k0, s / (2 pi) and 1 / (2 pi s) of the correlation `c`.

    They are the derivatives: dk1/dc = k0, k1 - c k0 = s / (2 pi) and dk0/dc = 1 / (2 pi s).
    """
    a, gap, angle, rest = _half_duals(c)
    k0 = where_negative(c, angle, _HALF - angle)
    s = angle * a + rest
    singular = _ONE / (s * _4_PI_SQUARED)
    return k0, s, where_negative(gap - _SMALLEST_GAP, broadcast(_ZERO), singular)
