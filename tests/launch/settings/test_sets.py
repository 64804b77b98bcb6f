import pytest

from stillhouse.launch.settings.sets import SetConfig


@pytest.mark.parametrize("name", ["depth", "W_std", "b_std", "global_pool"])
def test_parts_of_a_network_need_the_network(name):
    # Zero is a value too.
    value = {"depth": 3, "W_std": 1.0, "b_std": 0.0, "global_pool": True}[name]
    with pytest.raises(ValueError, match=f"--{name}"):
        SetConfig(**{name: value})
    SetConfig(architecture="convnet", **{name: value})
