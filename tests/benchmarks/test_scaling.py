import argparse
import json


def test_a_step_is_the_median_of_what_lies_between_two_records(script, tmp_path):
    records = [{"step": 0, "test_accuracy": 0.5, "seconds": 1.0}]
    records += [{"step": i, "loss": 1.0, "seconds": s} for i, s in enumerate((9.0, 10, 12, 19), 1)]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert script.median_step(path) == 2


def test_efficiency_is_one_scaling_over_the_other(script):
    options = argparse.Namespace(
        engine="launchpad", architecture="fc", dataset="digits", ipc=1, target_batch=100
    )
    best = {(0, 1): 8.0, (0, 2): 5.0, (1, 1): 8.4, (2, 1): 5.6, (1, 2): 5.2}
    lines = "\n".join(script.table(best, options))
    assert "| the kernel's scaling, 1 to 2 threads | 1.600 | |" in lines
    assert "| workers' efficiency against the kernel's | 0.938 | 0.9 |" in lines
    assert "| overhead of one worker over local | 4.0% | 5 % |" in lines


def test_a_small_run_is_timed(script):
    options = argparse.Namespace(
        engine="launchpad",
        architecture="fc",
        dataset="digits",
        ipc=1,
        target_batch=100,
        steps=4,
    )
    assert script.seconds_of_a_step((0, 1), options) > 0
