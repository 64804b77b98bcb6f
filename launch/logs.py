"""What of the logs is for the user."""

import logging as standard_logging

from absl import flags, logging


def start_logging() -> None:
    """Let this process log what is ours, and of all others their warnings, to standard error."""
    if not flags.FLAGS.is_parsed():  # Those of absl itself, which its logging reads.
        flags.FLAGS.mark_as_parsed()
    logging.use_absl_handler()
    standard_logging.getLogger().setLevel(standard_logging.WARNING)
    logging.get_absl_logger().setLevel(standard_logging.INFO)
    # That there is no GPU is no news to who has none.
    standard_logging.getLogger("jax._src.xla_bridge").addFilter(
        lambda record: not record.getMessage().startswith("No GPU/TPU found")
    )
