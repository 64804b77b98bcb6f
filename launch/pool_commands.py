"""The `pretrain` command that makes a pool, for those who need one first."""

from pathlib import Path

from stillhouse.launch.command_line import command_line
from stillhouse.launch.settings.pretrain import (
    PoolConfig,
    PretrainConfig,
    PretrainDataConfig,
    TrainingConfig,
)
from stillhouse.methods.network_options import NetworkOptions
from stillhouse.networks import NetworkSpec
from stillhouse.networks.pool import PoolInfo

_EVERY = 5
_SMALL = NetworkOptions("convnet", width=32, norm="instance")


def pretrain_command(
    info: PoolInfo | None,
    dataset: str,
    out: str | Path,
    *,
    networks: int | None = None,
    trajectories: bool = False,
    transform: str | None = None,
) -> str:
    """Return the command that trains a pool.

    Args:
        info: what its networks are; None for small ones.
        dataset: what they are trained on, as the command line names it.
        out: the pool's folder.
        networks: how many; None for the command's own number.
        trajectories: with weights along training, whatever `info` says.
        transform: through which they see images; None for that of `info`.
    """
    config = PretrainConfig(network=_SMALL)
    seed, every = config.pool.seed, config.training_spec.every
    if info is not None:
        training, objective = info.training, info.training.objective
        config = PretrainConfig(
            data=PretrainDataConfig(
                transform=info.transform,
                fraction=training.fraction,
                classes=tuple(info.dataset.class_names[number] for number in info.classes),
            ),
            network=_options(info.network),
            training=TrainingConfig(
                training.epochs,
                training.batch_size,
                objective.optimiser,
                training.learning_rate,
                training.schedule,
                objective.momentum if objective.optimiser == "sgd" else 0.9,
                objective.l2,
            ),
        )
        seed, every = info.seed, training.every
    if trajectories and every is None:
        every = _EVERY
    pool = PoolConfig(
        out=str(out),
        networks=networks or PoolConfig().networks,
        seed=seed,
        trajectories=every is not None,
        every=str(every) if every else PoolConfig().every,
    )
    data = PretrainDataConfig(
        dataset=dataset,
        transform=transform or config.data.transform,
        fraction=config.data.fraction,
        classes=config.data.classes,
    )
    return command_line(
        "pretrain",
        (),
        PretrainConfig(data=data, network=config.network, training=config.training, pool=pool),
    )


def _options(spec: NetworkSpec) -> NetworkOptions:
    """Return the flags of a network: what is its family's own is left out."""
    own = NetworkSpec(spec.family)

    def said(name: str) -> str | None:
        value: str | None = getattr(spec, name)
        return None if value == getattr(own, name) else value

    return NetworkOptions(
        spec.family,
        None if spec.width == own.width else spec.width,
        None if spec.depth == own.depth else spec.depth,
        spec.prepend is not False,
        spec.norm or "none",
        said("pooling"),
        said("activation"),
        said("initialisation"),
        spec.parameterisation,
    )
