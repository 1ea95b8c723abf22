"""A host of plugins that are made up, and the source of one."""

from __future__ import annotations

from tokframe.plugins.discovery import Host

GOOD = """
@tokframe.hookimpl
def tokframe_components():
    return [tokframe.ComponentSpec(kind="quantizer", name="good", target="good_target:Good")]
"""


def declares(name, kind="quantizer"):
    return GOOD.replace('"good"', repr(name)).replace('"quantizer"', repr(kind))


def host(*points, **options):
    return Host(entry_points=points, **{"allow": None, "deny": (), "strict": False} | options)


def by_name(found: Host):
    return {record.distribution: record for record in found.records}
