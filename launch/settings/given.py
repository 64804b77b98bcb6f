"""Flags of a run that make no sense beside each other."""

from stillhouse.launch.settings.run import DistillConfig, PlanConfig, ServeConfig

_ENGINE_ONLY = {
    "workers": ("launchpad", "ray"),
    "loaders": ("launchpad",),
    "ray_address": ("ray",),
    "heartbeat": ("launchpad", "ray"),
    "metrics_port": ("launchpad", "ray"),
    "metrics_address": ("launchpad", "ray"),
}
# Those that `serve` has too.
_SERVED = {"heartbeat", "metrics_port", "metrics_address"}


def check_given(config: DistillConfig, given: frozenset[str]) -> None:
    """Check that the flags which were given make sense beside each other.

    Raises:
        ValueError: if two take each other's place, or one would be ignored.
    """
    if {"ipc", "support_size"} <= given:
        raise ValueError("`--ipc` and `--support_size` take each other's place; give one")
    config.own.check_given(given)
    _check_engine(config, given)


def _check_engine(config: DistillConfig, given: frozenset[str]) -> None:
    if isinstance(config, ServeConfig):
        for name in sorted(given & {"engine", *_ENGINE_ONLY} - _SERVED):
            raise ValueError(
                f"`--{name}` has no meaning for serve, whose workers come by themselves"
            )
        return
    for name, engines in _ENGINE_ONLY.items():
        if isinstance(config, PlanConfig) and name == "workers":
            continue  # It plans for as many, whatever starts them.
        if name in given and config.engine.engine not in engines:
            raise ValueError(
                f"`--{name}` has no meaning with --engine={config.engine.engine}, only with "
                f"{' or '.join(engines)}; drop it, or give that engine"
            )
    if config.engine.loaders and not config.own.from_batches:
        raise ValueError(f"`--loaders` has no meaning for --method={config.method.method}; drop it")
