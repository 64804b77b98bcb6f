import pytest

from stillhouse.launch.settings.given import check_given
from stillhouse.launch.settings.run import DistillConfig, EngineConfig, MethodConfig


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"ipc", "support_size"}, "support_size"),
        ({"ensemble", "depth"}, "depth"),
        ({"architecture", "ensemble"}, "architecture"),
        ({"flip"}, "without --augment"),
        ({"workers"}, "only with launchpad or ray"),
    ],
)
def test_flags_that_exclude_each_other(given, says):
    with pytest.raises(ValueError, match=says):
        check_given(DistillConfig(), frozenset(given))


def test_loaders_are_for_methods_that_learn_from_batches():
    engine = EngineConfig("launchpad", loaders=1)
    check_given(DistillConfig(engine=engine), frozenset({"loaders"}))
    config = DistillConfig(method=MethodConfig("label_solve"), engine=engine)
    with pytest.raises(ValueError, match="`--loaders` has no meaning for --method=label_solve"):
        check_given(config, frozenset({"loaders"}))
