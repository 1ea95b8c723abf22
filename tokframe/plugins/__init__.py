"""Entry points to status records to a registry of names: how plugins are found and what they declare."""

from __future__ import annotations

from tokframe.plugins.discovery import Host, PluginRecord, host, list_components, refresh

__all__ = ["Host", "PluginRecord", "host", "list_components", "refresh"]
