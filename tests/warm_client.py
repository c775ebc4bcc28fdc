"""Has a warm interpreter run a command: its socket and then the command's arguments are given.

It gets the caller's folder, environment and streams. Imports little, since it starts each time.
"""

import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    order = {"arguments": sys.argv[2:], "env": dict(os.environ), "cwd": os.getcwd()}
    socket.send_fds(connection, [json.dumps(order).encode() + b"\n"], [0, 1, 2])
    sys.exit(int(connection.recv(16) or 1))
