"""Plugins: discovery of entry points, the registry of names, and the protocols that components follow."""

from __future__ import annotations

from tokframe.plugins.discovery import Host, PluginRecord, host, list_components, refresh

__all__ = ["Host", "PluginRecord", "host", "list_components", "refresh"]
