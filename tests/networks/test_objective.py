import pytest

from stillhouse.networks.objective import Objective


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"loss": "l1"}, "`loss` must be one of mse, xent, got 'l1'"),
        ({"optimiser": "lbfgs"}, "`optimiser` must be one of sgd, adam, got 'lbfgs'"),
        ({"momentum": 1.0}, r"`momentum` must be in \[0, 1\), got 1.0"),
        ({"l2": float("nan")}, "`l2` must not be negative, got nan"),
    ],
)
def test_settings_are_checked(settings, says):
    with pytest.raises(ValueError, match=says):
        Objective(**settings)
