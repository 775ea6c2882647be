"""XML from strangers: no entities, no external files, broken input is an error of ours."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, ParseError, XMLParser

from wellfed.errors import BadInput
from wellfed.message import sentence


def parse_xml(text: str, root: str) -> Element:
    """The element `root` of a text, with anything before and after it ignored. Raises BadInput."""
    start = text.find(f"<{root}")
    end = text.rfind(f"</{root}>")
    if start < 0:
        raise BadInput(sentence("xml.no-element", "no <{root}> element", root=root))
    body = text[start : end + len(root) + 3 if end >= 0 else len(text)]
    body = re.sub(r"<!DOCTYPE[^>]*>|<!ENTITY[^>]*>", "", body)
    parser = XMLParser()
    try:
        parser.feed(body)
        return parser.close()
    except (ParseError, ValueError) as error:
        raise BadInput(
            sentence("xml.broken-xml", "broken XML: {error}", error=error),
            sentence("xml.file-complete", "is the file complete?"),
        ) from error
