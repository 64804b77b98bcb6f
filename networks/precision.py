"""Products of matrices and convolutions in all of float32."""

from contextlib import AbstractContextManager

import jax


def full_precision() -> AbstractContextManager[None]:
    """Have what is traced inside, and its gradients, multiply in all of float32.

    A GPU would else round the factors to TF32, ten bits in place of 23: enough to train with, and
    too little for what is compared to three digits, such as gradients that are to match.
    """
    # Not the setting of the process: who calls may want it otherwise for networks of his own.
    # By a name that every JAX knows; `Precision.HIGHEST` is meant.
    return jax.default_matmul_precision("float32")
