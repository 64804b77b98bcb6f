"""What the methods share that learn a support set by gradient descent and score it by KRR."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from stillhouse.methods.algorithm import Support
from stillhouse.methods.kernel_regression.evaluation import KrrScoring
from stillhouse.methods.kernel_regression.support_set import (
    RegressionConfig,
    SupportState,
    restore_support,
    softmax_scale,
)


class LearnedSupport:
    """The part of an `Algorithm` that looks at a `SupportState`; add `begin` and `advance`."""

    config: RegressionConfig
    scoring: KrrScoring

    def support(self, state: SupportState) -> Support:
        """Return the images and labels as they are now, labels in the scale of one-hot ones."""
        return state.images, state.one_hot_labels

    def score(self, state: SupportState) -> dict[str, float]:
        """Return the scores of KRR by the exact kernel on all test images."""
        return self.scoring.test(*self.support(state))

    def final_scores(self, state: SupportState, scores: Mapping[str, float]) -> dict[str, Any]:
        """Return the scores on training images, those by other kernels, a softmax's scale."""
        found = self.scoring.final(*self.support(state), state.step, scores)
        return {**found, **softmax_scale(self.config, state)}

    def save(self, state: SupportState) -> dict[str, np.ndarray]:
        """Return the state as arrays."""
        return state.to_arrays()

    def restore(self, arrays: Mapping[str, np.ndarray]) -> SupportState:
        """Return the state that `save` gave.

        Raises:
            ValueError: if it is not one of these settings.
        """
        return restore_support(self.config, arrays)
