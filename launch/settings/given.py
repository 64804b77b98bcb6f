"""Flags of a run that make no sense beside each other."""

from stillhouse.launch.settings.run import DistillConfig, PlanConfig, ServeConfig

# Flags that take each other's place, and flags that only one method reads.
_EXCLUSIVE = (("ipc", "support_size"), ("architecture", "ensemble"), ("depth", "ensemble"))
_ENGINE_ONLY = {
    "workers": ("launchpad", "ray"),
    "loaders": ("launchpad",),
    "ray_address": ("ray",),
    "heartbeat": ("launchpad", "ray"),
}
_KIP_ONLY = ("steps", "learning_rate", "decay", "learn_labels", "augment", "ensemble", "keep")


def check_given(config: DistillConfig, given: frozenset[str]) -> None:
    """Check that the flags which were given make sense beside each other.

    Raises:
        ValueError: if two take each other's place, or one would be ignored.
    """
    for first, second in _EXCLUSIVE:
        if first in given and second in given:
            raise ValueError(f"`--{first}` and `--{second}` take each other's place; give one")
    if config.method.method == "label_solve":
        for name in _KIP_ONLY:
            if name in given:
                raise ValueError(f"`--{name}` has no meaning for --method=label_solve; drop it")
    if "flip" in given and not config.data.augment:
        raise ValueError("`--flip` has no meaning without --augment; drop it, or augment")
    _check_engine(config, given)


def _check_engine(config: DistillConfig, given: frozenset[str]) -> None:
    if isinstance(config, ServeConfig):
        for name in sorted(given & {"engine", *_ENGINE_ONLY} - {"heartbeat"}):
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
    if config.engine.loaders and config.method.method == "label_solve":
        raise ValueError("`--loaders` has no meaning for --method=label_solve; drop it")
