"""What a step of KIP takes by the exact kernel, and by random features in its place."""

import dataclasses

from stillhouse.launch.calibration import Calibration, StepCalibration, step_seconds
from stillhouse.launch.job import Job
from stillhouse.launch.settings.run import MethodConfig
from stillhouse.methods.costs import step_elements
from stillhouse.methods.kernel_regression.feature_layers import feature_layers
from stillhouse.methods.kernel_regression.kip_settings import KipSettings
from stillhouse.methods.kernel_regression.rfad_settings import RfadSettings

# With so many networks of the default width, steps were worth those of the exact kernel: the noise
# of the features is no more than that of the target batch.
_NETWORKS = 16


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Seconds of a step of about as good a gradient.

    Attributes:
        exact: by the exact kernel.
        features: by random features.
        networks: how many networks these are of.
    """

    exact: float
    features: float
    networks: int


def compare_features(job: Job, calibration: Calibration | StepCalibration) -> Comparison | None:
    """Return what a step of KIP takes either way; None for another method or an ensemble.

    Args:
        job: the run.
        calibration: what its parts take.
    """
    own = job.config.own
    if not isinstance(own, KipSettings) or own.ensemble or isinstance(calibration, StepCalibration):
        return None
    settings = RfadSettings(
        **{name: getattr(own, name) for name in ("architecture", "depth", "W_std", "b_std")},
        global_pool=own.global_pool,
        target_batch=job.targets,
        networks=_NETWORKS,
    )
    (spec,) = settings.kernels().values()
    layers = feature_layers(spec.architecture, settings.width, job.dataset.image_shape)
    networks = max(_NETWORKS, -(-job.support_size // layers.size))
    settings = dataclasses.replace(settings, networks=networks)
    method = MethodConfig("rfad", job.config.method.seed)
    config = dataclasses.replace(job.config, method=method, own=settings)
    each = calibration.forward + calibration.backward
    exact = calibration.step + each * step_elements(job.support_size, job.targets)
    features = step_seconds(dataclasses.replace(job, config=config))
    return Comparison(exact, features, networks)
