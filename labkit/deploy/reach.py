"""Can this machine reach an API server, and is it the one that is meant? Runs on a node.

    python3 -c TEXT <<<'{"host": "10.0.0.1", "port": 6443, "name": "10.0.0.1", "ca_pem": "..."}'

Ends with 0 where it can; with 1 where it cannot, and says why on stdout. Nothing is asked of the
server: only its name, its port and its certificate are tried. No `name` means no TLS.
"""

import json
import socket
import ssl
import sys

WITHIN_S = 5


def explain(host: str, port: int, name: str, ca_pem: str) -> str:
    """Why not; empty where all is well."""
    try:
        with socket.create_connection((host, port), timeout=WITHIN_S) as plain:
            if name:
                context = ssl.create_default_context(cadata=ca_pem or None)
                context.wrap_socket(plain, server_hostname=name).close()
    except socket.gaierror as error:
        return f"the name {host} is not known there ({error.strerror})"
    except ssl.SSLCertVerificationError as error:
        return f"its certificate does not convince: {error.verify_message}"
    except TimeoutError:
        return f"no answer within {WITHIN_S} s"
    except ssl.SSLError as error:
        return f"what answers there does not speak TLS ({error.reason})"
    except OSError as error:
        return error.strerror or str(error)
    return ""


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    why = explain(asked["host"], asked["port"], asked["name"], asked["ca_pem"])
    sys.stdout.write(why)
    sys.exit(1 if why else 0)
