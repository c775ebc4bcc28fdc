"""Whether the service of this container is ready; the standard library is all it loads."""

import os
import sys
from http.client import HTTPConnection

PORTS = {
    "gateway": 7861,
    "auth_service": 7862,
    "chat_service": 7863,
    "kb_service": 7864,
    "session_service": 7865,
}


def main() -> int:
    service = os.environ["SERVICE"]
    port = os.environ.get(f"{service.removesuffix('_service').upper()}_PORT") or PORTS[service]
    connection = HTTPConnection("127.0.0.1", int(port), timeout=4)
    try:
        connection.request("GET", "/readyz")
        return int(connection.getresponse().status != 200)
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
