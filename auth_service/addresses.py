"""Internet addresses as they are counted: one IPv6 host owns its whole /64."""

from ipaddress import IPv6Address, IPv6Network, ip_address


def address_group(address: str) -> str:
    """What counts as one address; text that is none is `unknown`."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Network((int(parsed), 64), strict=False))
    return str(parsed)
