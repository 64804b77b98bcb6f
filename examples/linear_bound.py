"""How many distilled points does one gradient step of linear regression need?

Weights theta [D] fit N real points by the quadratic loss |X theta - y|^2 / (2 N), whose Hessian is
H. A distilled set of M points and one step on it make

    theta_1 = (I - A) theta_0 + b,   A = X_s^T X_s,   b = X_s^T y_s   (its step size is in X_s, y_s)

of initial weights theta_0, so A has the rank M at most. Where theta_0 may lie anywhere, the step
ends at the optimum only if A = I: M = D points are needed, and D orthonormal ones are enough. With
fewer, D - M directions stay as they began, and the excess loss is no less than half the sum of the
D - M smallest eigenvalues of H. Where theta_0 lies in a subspace of dimension r, r + 1 points do.

    python examples/linear_bound.py --out=linear_bound.png

learns the best sets of every size by gradient descent, and draws their excess loss.

References:
    Wang, Zhu, Torralba, Efros. Dataset Distillation. 2018, https://arxiv.org/abs/1811.10959
    (section 3.2)
"""

import argparse
import dataclasses

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import minimize

FEATURES, POINTS = 8, 200
SUBSPACES = (0, 2, 4, FEATURES)
_RESTARTS = 4


@dataclasses.dataclass(frozen=True)
class Regression:
    """A quadratic loss, and where initial weights come from.

    Attributes:
        hessian: H `[D, D]`.
        optimum: the weights of the least loss `[D]`.
        basis: B `[D, r]`; initial weights are B z, with z standard normal `[r]`.
    """

    hessian: np.ndarray
    optimum: np.ndarray
    basis: np.ndarray

    def excess(self, points: np.ndarray, labels: np.ndarray) -> float:
        """Return the expected loss after one step on a set, above that of the optimum."""
        return self._excess(points, labels)[0]

    def best_set(self, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return points `[M, D]` and labels `[M]` of the least excess that descent finds."""
        features = len(self.optimum)
        rng = np.random.default_rng(seed)

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            points, labels = flat[: size * features].reshape(size, features), flat[-size:]
            value, by_points, by_labels = self._excess(points, labels)
            return value, np.concatenate([by_points.ravel(), by_labels])

        options = {"maxiter": 5000, "ftol": 0.0, "gtol": 1e-12}
        starts = [rng.standard_normal(size * (features + 1)) for _ in range(_RESTARTS)]
        found = [
            minimize(objective, x, jac=True, method="L-BFGS-B", options=options) for x in starts
        ]
        best = min(found, key=lambda one: one.fun).x
        return best[: size * features].reshape(size, features), best[-size:]

    def bound(self, size: int) -> float:
        """Return what no set of so many points falls below from anywhere: B must be square."""
        return float(0.5 * np.linalg.eigvalsh(self.hessian)[: len(self.optimum) - size].sum())

    def _excess(
        self, points: np.ndarray, labels: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Return the excess, and its derivatives by points and labels."""
        rest = self.basis - points.T @ (points @ self.basis)  # (I - A) B
        error = points.T @ labels - self.optimum
        weighed, pull = self.hessian @ rest, self.hessian @ error
        value = 0.5 * (np.sum(rest * weighed) + error @ pull)
        by_a = -weighed @ self.basis.T
        by_points = points @ (by_a + by_a.T) + np.outer(labels, pull)
        return float(value), by_points, points @ pull


def exact_set(regression: Regression) -> tuple[np.ndarray, np.ndarray]:
    """Return D orthonormal points, and the labels with which one step is exact from anywhere."""
    features = len(regression.optimum)
    points, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((features, features)))
    return points, points @ regression.optimum


def regression(subspace: int = FEATURES, seed: int = 0) -> Regression:
    """Return a regression whose initial weights lie in a subspace of that dimension."""
    rng = np.random.default_rng(seed)
    scales = np.linspace(1.0, 0.4, FEATURES)
    x = rng.standard_normal((POINTS, FEATURES)) * scales
    y = x @ rng.standard_normal(FEATURES) + 0.1 * rng.standard_normal(POINTS)
    basis, _ = np.linalg.qr(rng.standard_normal((FEATURES, FEATURES)))
    optimum = np.linalg.lstsq(x, y, rcond=None)[0]
    return Regression(x.T @ x / POINTS, optimum, basis[:, :subspace])


def curves() -> dict[int, list[float]]:
    """Return the excess of the best sets of 1 to D points, by the dimension of the subspace."""
    found: dict[int, list[float]] = {}
    for subspace in SUBSPACES:
        problem = regression(subspace)
        sets = (problem.best_set(size) for size in range(1, FEATURES + 1))
        found[subspace] = [problem.excess(*one) for one in sets]
    return found


def draw(found: dict[int, list[float]], path: str) -> None:
    """Draw the excess against the number of points."""
    sizes = np.arange(1, FEATURES + 1)
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for (subspace, values), marker in zip(found.items(), "osD^", strict=True):
        where = "one point" if subspace == 0 else f"a subspace of {subspace}"
        label = "anywhere" if subspace == FEATURES else where
        # What is exact would have no place on the scale.
        axes.plot(sizes, np.maximum(values, 1e-16), marker=marker, label=f"from {label}")
    whole = regression()
    bounds = [whole.bound(size) for size in sizes[:-1]]
    axes.plot(sizes[:-1], bounds, "k--", label="bound, from anywhere")
    axes.set(xlabel="distilled points", ylabel="excess loss after one step", yscale="log")
    axes.axvline(FEATURES, color="0.8", zorder=0)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Learn, say and draw."""
    parser = argparse.ArgumentParser(description="How many points does a gradient step need?")
    parser.add_argument("--out", default="linear_bound.png", help="the picture to write")
    out = parser.parse_args().out
    found = curves()
    print("points           " + "".join(f"{size:>9}" for size in range(1, FEATURES + 1)))
    for subspace, values in found.items():
        print(f"subspace of {subspace:<5}" + "".join(f"{value:9.1e}" for value in values))
    whole = regression()
    print("bound            " + "".join(f"{whole.bound(m):9.1e}" for m in range(1, FEATURES + 1)))
    print(f"{FEATURES} orthonormal points: {whole.excess(*exact_set(whole)):.1e}")
    draw(found, out)
    print(out)


if __name__ == "__main__":
    main()
