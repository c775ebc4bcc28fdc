"""XML from strangers: no entities, no network, no parser limits lifted."""

from typing import Any

from lxml import etree

from kb_service.loaders import LoadFault


def parse_xml(raw: bytes) -> Any:
    """The root element. Raises LoadFault."""
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise LoadFault(f"XML 格式错误。Bad XML: {error}") from None


def local_name(element: Any) -> str:
    """Without its namespace; of an entity, which is no element, nothing."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
