"""The plugin tokframe-ray: declares the engine "ray". Its code, and Ray, are imported when it is used."""

from __future__ import annotations

from tokframe import ComponentSpec, hookimpl

__all__ = ["tokframe_components"]

__version__ = "0.1.0"


@hookimpl
def tokframe_components() -> list[ComponentSpec]:
    """Add the engine `ray`."""
    return [
        ComponentSpec(
            kind="engine",
            name="ray",
            target="tokframe_ray.engine:run",
            summary="worker processes on a Ray cluster, by Ray Data",
        )
    ]
