"""Whether the port can be opened, asked before anything is started."""

import socket

from stream_infer.errors import Stop


def check_port(host: str, port: int) -> None:
    """Raise `Stop` when `host` and `port` cannot be listened on; what is opened to find out is closed again."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"web.port is {port} and web.host {host}, which cannot be opened: {reason}; expected a free port"
        raise Stop(message) from error
