"""What every page of a site repeats around its text: menus, side bars, footers."""

from selectolax.lexbor import LexborHTMLParser, LexborNode

_MARKS = (
    "nav",
    "navbar",
    "navigation",
    "footer",
    "sidebar",
    "breadcrumb",
    "breadcrumbs",
    "copyright",
)
_ROLES = ("navigation", "banner", "contentinfo", "complementary", "search")
_FURNITURE = ", ".join(
    (
        *("nav", "aside", "footer", "header"),
        *(f"[role={role}]" for role in _ROLES),
        *(f".{mark}, #{mark}" for mark in _MARKS),
    )
)
_CONTENT = frozenset(("main", "article"))
_IN_A_HEADER = "nav, form, ul, ol, [role=navigation]"


def furniture(tree: LexborHTMLParser) -> set[int]:
    """Ids of nodes that are not of the page's own text; whatever is in its article is.

    A header with the title of the page stays, without its menus.
    """
    found: set[int] = set()
    for node in tree.css(_FURNITURE):
        if _is_content(node):
            continue
        if node.tag == "header" and node.css_first("h1"):
            found.update(menu.mem_id for menu in node.css(_IN_A_HEADER))
        else:
            found.add(node.mem_id)
    return found


def _is_content(node: LexborNode) -> bool:
    """It is in the article, or has it in itself."""
    if node.css_first("main, article, [role=main]"):
        return True
    parent = node.parent
    while parent is not None:
        if parent.tag in _CONTENT or parent.attributes.get("role") == "main":
            return True
        parent = parent.parent
    return False
