import jax
import pytest

from stillhouse.kernels import device_memory
from stillhouse.kernels.device_memory import given_bytes, model_bytes


class Device:
    def __init__(self, stats):
        self.memory_stats = lambda: stats


@pytest.fixture
def of(monkeypatch):
    """What a model has where JAX has so many bytes, or does not say."""

    def bytes_of(limit=None, **variables):
        for name in device_memory.FRACTIONS:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        stats = None if limit is None else {"bytes_limit": int(limit)}
        monkeypatch.setattr(jax, "local_devices", lambda: [Device(stats)])
        assert given_bytes() == (int(limit) if limit else None)
        return model_bytes()

    return bytes_of


def test_cards_of_a_model_have_the_same_memory(of):
    assert of(0.75 * 15.8 * 2**30) == 2**33
    assert of(0.75 * 79.2 * 2**30) == of(0.75 * 79.6 * 2**30) == 2**36
    assert of() is of(0) is None


@pytest.mark.parametrize("name", device_memory.FRACTIONS)
def test_what_share_of_it_jax_was_given_changes_no_bits(of, name):
    assert {of(float(f) * 15.8 * 2**30, **{name: f}) for f in ("0.3", "0.75", "0.95")} == {2**33}
