"""A host of plugins that are made up, the source of one, and one on disk as if it were installed."""

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


def put_distribution(folder, name, module, *, requires="tokframe>=0.1,<0.2", extra="", version="1.0"):
    """Write the metadata pip would write for a distribution with one entry point."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requires}"] if requires else []
    lines += [f"Provides-Extra: {extra}"] if extra else []
    (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[tokframe]\n{name} = {module}\n", encoding="utf-8")
