import numpy as np
import pytest

from stillhouse.networks.training_spec import TrainingSpec


def test_steps_meet_each_image_as_often_as_there_are_epochs():
    training = TrainingSpec(batch_size=4, epochs=3)
    assert training.steps(10) == 8  # 30 images, 4 at a time.
    assert training.steps_per_epoch(10) == 3
    assert (training.steps(2), training.steps_per_epoch(2)) == (3, 1)  # All at once.


def test_snapshots_go_from_the_start_to_the_last_step():
    def due(every, images=10):
        return TrainingSpec(batch_size=4, epochs=3, every=every).snapshot_steps(images)

    assert due(None) == ()
    assert due(0) == (0, 3, 5, 8)  # After 0, 10, 20 and 30 images.
    assert due(3) == (0, 3, 6, 8)
    assert due(4) == (0, 4, 8)


def test_rates_fall_along_a_cosine_or_stay():
    rates = TrainingSpec(learning_rate=0.2).rates(100)
    assert (rates.dtype, rates[0], rates[50]) == (np.float32, np.float32(0.2), np.float32(0.1))
    assert np.all(np.diff(rates) < 0) and rates[-1] < 1e-3
    assert set(TrainingSpec(learning_rate=0.2, schedule="constant").rates(9)) == {np.float32(0.2)}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"schedule": "steps"}, "`schedule` must be one of cosine, constant, got 'steps'"),
        ({"batch_size": 0}, "`batch_size` must be positive, got 0"),
        ({"epochs": 0}, "`epochs` must be positive"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be positive, got nan"),
        ({"fraction": 0.0}, "`fraction` must be above 0 and up to 1, got 0.0"),
        ({"every": -1}, "`every` must not be negative"),
    ],
)
def test_settings_are_checked(settings, says):
    with pytest.raises(ValueError, match=says):
        TrainingSpec(**settings)
