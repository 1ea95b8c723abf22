"""tokframe-huggingface as a distribution: found, light to import, bounded in what it requires."""

from tokframe.testing import PluginContract


class TestDistribution(PluginContract):
    distribution = "tokframe-huggingface"
