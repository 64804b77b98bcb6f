"""What was probably meant by a name that does not exist."""

import difflib
from collections.abc import Collection

# What other programs call these settings; no likeness of letters finds them.
_ELSEWHERE = {
    "architecture": ("arch", "model", "net", "network"),
    "backend": ("device", "gpu", "gpus"),
    "batch_size": ("bs", "train_batch"),
    "dataset": ("data", "data_dir", "data_path", "root", "input"),
    "eval_every": ("eval_it", "eval_interval", "eval_freq", "test_every"),
    "image_size": ("size", "img_size", "im_size", "resolution", "resize"),
    "ipc": ("images_per_class", "num_per_class", "per_class", "n_per_class"),
    "l2": ("weight_decay", "wd"),
    "learning_rate": ("lr", "lr_img", "step_size"),
    "network": ("arch", "architecture", "model", "net"),
    "out": ("output", "output_dir", "out_dir", "outdir", "save_dir", "save_path", "logdir", "dir"),
    "regularisation": ("reg", "ridge", "regularization", "lambda", "weight_decay", "l2"),
    "seeds": ("num_seeds", "repeats", "trials", "num_eval"),
    "steps": ("iterations", "iteration", "iters", "niter", "num_steps", "epochs", "num_epochs"),
    "support_size": ("ssize", "num_images"),
    "target_batch": ("batch_size", "batch", "batch_real", "bs"),
    "test_fraction": ("test_size", "test_split", "holdout", "val_fraction"),
    "threads": ("num_threads", "cpus", "jobs", "n_jobs"),
    "transform": ("preprocess", "normalise", "normalize", "normalisation", "whitening", "zca"),
    "workers": ("num_workers", "nproc", "processes"),
}


def nearest(name: str, names: Collection[str]) -> str | None:
    """Return the one of `names` that a wrong one probably means; None where none is near.

    It is the one that other programs call so, or else the one that is spelled most alike.
    """
    for known, others in _ELSEWHERE.items():
        if known in names and name.lower().replace("-", "_") in others:
            return known
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return near[0] if near else None
