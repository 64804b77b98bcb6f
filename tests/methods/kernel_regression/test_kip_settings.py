import numpy as np
import pytest

from stillhouse.data.dataset import dataset_from_arrays
from stillhouse.methods.kernel_regression.kip_settings import KipSettings


def of_classes(images_of_each):
    labels = np.arange(2 * images_of_each) % 2
    images = np.random.default_rng(0).normal(size=(len(labels), 2, 2)).astype(np.float32)
    return dataset_from_arrays(images, labels, images[:2], labels[:2])


def test_runs_of_before_which_did_not_say_their_loss_go_on_as_squared_error():
    assert "loss" not in KipSettings(loss="mse").identity()
    assert KipSettings().identity()["loss"] == "cross_entropy"


@pytest.mark.parametrize(("support", "targets"), [(2, 100), (30, 300), (500, 1000)])
def test_a_step_has_ten_targets_for_each_image_of_the_set(support, targets):
    assert KipSettings().batch_size(of_classes(700), support) == targets
    assert KipSettings(target_batch=50).batch_size(of_classes(700), support) == 50


def test_a_step_has_no_more_targets_than_the_rarest_class_allows():
    assert KipSettings().batch_size(of_classes(20), 4) == 40
