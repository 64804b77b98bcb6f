"""Distribution matching: synthetic images whose mean features are those of real ones.

    minimise  E_theta sum_c || mean phi(A(B_c); theta) - mean phi(A(S_c); theta) ||^2

Networks are fresh at every step, and never trained.
"""

from stillhouse.methods.matching.algorithm import Found, MatchingState
from stillhouse.methods.matching.by_class import ClassMatching
from stillhouse.methods.programs import DistributionMatch


class DistributionMatching(ClassMatching):
    """DM as an `Algorithm`.

    References:
        Zhao, Bilen. Dataset Condensation with Distribution Matching. WACV 2023,
        https://arxiv.org/abs/2110.04181
    """

    def program(self, classes: tuple[int, ...]) -> DistributionMatch:
        """Return what compares the features of some classes."""
        num_classes = self.problem.dataset.num_classes
        return DistributionMatch(self.settings.spec, num_classes, classes, self.settings.siamese)

    def find(self, state: MatchingState, step: int) -> Found:
        """Return the distance in random networks."""
        samples = range(self.settings.networks)
        return self.match(state, step, [(self.number("network", step, n), ()) for n in samples])
