import pytest

from stillhouse.launch.settings.given import check_given
from stillhouse.launch.settings.run import DistillConfig, MethodConfig


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"ipc", "support_size"}, "support_size"),
        ({"ensemble", "depth"}, "depth"),
        ({"architecture", "ensemble"}, "architecture"),
        ({"flip"}, "without --augment"),
    ],
)
def test_flags_that_exclude_each_other(given, says):
    with pytest.raises(ValueError, match=says):
        check_given(DistillConfig(), frozenset(given))


@pytest.mark.parametrize(
    "name", ["steps", "learning_rate", "decay", "learn_labels", "augment", "ensemble"]
)
def test_a_flag_that_would_be_ignored_is_refused(name):
    config = DistillConfig(method=MethodConfig(method="label_solve"))
    with pytest.raises(ValueError, match=f"--{name}"):
        check_given(config, frozenset({name, "method"}))
    check_given(DistillConfig(), frozenset({name}))
