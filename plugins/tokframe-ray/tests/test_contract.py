"""tokframe-ray as a distribution: found, light to import, bounded in what it requires."""

import warnings

import pytest

from tokframe.testing import PluginContract

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of calls of Python's that are on their way out
    pytest.importorskip("ray", reason="ray is not installed")
pytest.importorskip("tokframe_ray", reason="tokframe-ray is not installed")


class TestDistribution(PluginContract):
    distribution = "tokframe-ray"
