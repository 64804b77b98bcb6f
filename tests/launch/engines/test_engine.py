import sys

import pytest

from stillhouse.launch.engines.engine import engine_for
from stillhouse.launch.engines.in_process import InProcessEngine
from stillhouse.launch.settings.run import DistillConfig, EngineConfig


def test_by_default_it_is_this_process():
    assert isinstance(engine_for(DistillConfig()), InProcessEngine)


def test_launchpad_on_a_later_python_is_refused_before_any_work(refused, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 11, 4, "final", 0))
    line = refused("distill", "--engine=launchpad", "--out=run")
    assert "Python 3.10" in line and "this is 3.11" in line and "--engine=ray" in line


def test_launchpad_that_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install"):
        engine_for(DistillConfig(engine=EngineConfig(engine="launchpad")))
