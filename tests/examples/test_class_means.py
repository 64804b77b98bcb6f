"""The method of one's own is run as its first lines say, and by two workers."""

import importlib.util
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import stillhouse as sh
from stillhouse.methods.registry import METHODS

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "class_means.py"
SETTINGS = ("--method=class_means", "--dataset=digits", "--architecture=fc", "--steps=8")
PATIENCE = 300


def start(*arguments):
    command = [sys.executable, str(EXAMPLE), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    return out


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The set of a run in one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    said = finish(start("distill", *SETTINGS, f"--out={folder}"))
    assert "8,000 images averaged" in said and "distilled set:" in said
    return sh.load(folder)


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("class_means", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del METHODS["class_means"]  # Other tests of this process count the methods.


def test_images_become_the_means_of_their_classes(alone):
    digits = sh.load_dataset("digits")
    shown = alone.transform(digits.x_train)
    for image, label in zip(alone.images, alone.labels, strict=True):
        mean = shown[digits.y_train == label.argmax()].mean(axis=0)
        assert np.abs(image - mean).mean() < 0.3 * np.abs(shown - mean).mean()
    assert alone.card.scores["test_accuracy"] > 0.8
    assert alone.card.recipe.kind == "krr"


def test_two_workers_give_the_same_bits(alone, example, tmp_path):
    """The loop of real workers, on a service in this process."""
    from stillhouse.launch.engines.serving import opened_service
    from stillhouse.launch.prepare import prepare
    from stillhouse.launch.running import learn
    from stillhouse.launch.settings.flags import parse
    from stillhouse.launch.settings.run import DistillConfig
    from stillhouse.workers.loop import work

    job = prepare(parse(DistillConfig, [*SETTINGS, f"--out={tmp_path / 'run'}"])[0])
    done = []
    with opened_service(job, lambda: False) as (pool, service):
        crew = [
            threading.Thread(target=lambda: done.append(work(service, threads=1))) for _ in "ab"
        ]
        for worker in crew:
            worker.start()
        served = example.dataclasses.replace(job, runner=pool)
        with job.folder.opened(job.identity, job.settings):
            learn(
                *(served, job.fit_transform(), lambda: False, lambda _: None, lambda b: b),
                kinds=service.kinds,
            )
        pool.close()
        for worker in crew:
            worker.join(PATIENCE)
    assert sum(each.work.get("images averaged", 0) for each in done) == 8 * 1000
    served = sh.load(tmp_path / "run")
    assert served.images.tobytes() == alone.images.tobytes()


def test_two_processes_that_connect_give_them_too(alone, port, tmp_path):
    address = f"localhost:{port}"
    serve = ("serve", *SETTINGS, f"--address={address}", f"--out={tmp_path / 'run'}")
    server = start(*serve)
    token = f"--token_file={tmp_path / 'run' / 'token'}"
    workers = [start("worker", f"--server={address}", token, "--threads=1") for _ in "ab"]
    try:
        finish(server)
        outcomes = [(worker.communicate(timeout=PATIENCE)[1], worker.returncode)
                    for worker in workers]  # fmt: skip
    finally:
        for process in (server, *workers):
            process.kill()
            process.communicate()
    # One may be so late that the other has done all, and nobody is left to answer it.
    assert 0 in [code for _, code in outcomes], outcomes
    assert all(code == 0 or "no answer from the server" in errors for errors, code in outcomes)
    assert sh.load(tmp_path / "run").images.tobytes() == alone.images.tobytes()


def test_the_documentation_shows_its_code():
    text = (EXAMPLE.parents[1] / "docs" / "design.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 2
    assert all(block.strip() in EXAMPLE.read_text() for block in blocks)


def test_a_flag_of_another_method_is_refused_with_its_methods():
    process = start("distill", *SETTINGS, "--learn_labels")
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "`--learn_labels` has no meaning for --method=class_means, only for kip" in errors


def test_from_python_it_is_a_method_like_any_other(alone, example):
    digits = sh.load_dataset("digits")
    arrays = (digits.x_train, digits.y_train, digits.x_test, digits.y_test)
    distilled = sh.distill(*arrays, method="class_means", architecture="fc", steps=8)
    assert distilled.images.tobytes() == alone.images.tobytes()
    with pytest.raises(ValueError, match="`decay` has no meaning for method=class_means"):
        sh.distill(*arrays, method="class_means", decay=True)
