"""HTML and SVG as a tree of elements, so that every text is escaped by whoever writes the tree out, not by us."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, tostring

__all__ = ["document", "node"]

# What HTML cannot hold as text, and the newline of old Macs, which a browser would turn into another one.
_NOT_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def node(tag: str, *children: Element | str, **attributes: object) -> Element:
    """Return an element; `class_` and `text_anchor` are the attributes class and text-anchor, None leaves one out."""
    element = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            element.set(name.rstrip("_").replace("_", "-"), _NOT_TEXT.sub("\ufffd", shown))
    for child in children:
        if isinstance(child, Element):
            element.append(child)
            continue
        text = _NOT_TEXT.sub("\ufffd", child)
        if len(element):
            element[-1].tail = (element[-1].tail or "") + text
        else:
            element.text = (element.text or "") + text
    return element


def document(root: Element) -> bytes:
    """Return a whole HTML document as UTF-8."""
    return b"<!doctype html>\n" + tostring(root, encoding="unicode", method="html").encode() + b"\n"
