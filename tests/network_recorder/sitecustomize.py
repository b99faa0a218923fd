"""Python imports this at its start, in children too: every attempt to reach an address is written down, and refused unless
the test asked for it."""

import os
import sys
from pathlib import Path

ADDRESSES = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg")  # (socket, address)
NAMES = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo")
REQUESTS = ("http.client.connect", "urllib.Request", "ftplib.connect", "smtplib.connect")
PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.startfile")
SENDERS = {"curl", "wget", "nc", "ncat", "ssh", "scp", "ping", "nslookup", "dig", "powershell", "bitsadmin"}
LOOPBACK = ("127.0.0.1", "::1", "localhost")
LOG = os.environ["NETWORK_LOG"]
ASKED = os.environ["NETWORK_ASKED"]  # host:port of the test's own server


def _is_attempt(event, arguments):
    if event in ADDRESSES:  # a local socket's address is a path; None: where it was connected to
        address = arguments[1]
        inside = event == "socket.bind" and address[0] in LOOPBACK  # urllib3 asks so whether there is IPv6
        return isinstance(address, tuple) and not inside
    if event == "urllib.Request":
        return str(arguments[0]).partition(":")[0].lower() not in ("file", "data")
    if event in PROGRAMS:
        words = arguments[0] if event == "os.system" else f"{arguments[0]} {arguments[1]}"
        words = os.fsdecode(words) if isinstance(words, bytes) else words
        return any(Path(word.strip("[]',\"")).stem in SENDERS for word in words.split())
    return event in NAMES or event in REQUESTS


def _is_asked(event, arguments):
    target = arguments[1] if event in ADDRESSES else arguments[1:3] if event == "http.client.connect" else arguments[:2]
    return ":".join(map(str, target[:2])) == ASKED


def _record(event, arguments):
    if _is_attempt(event, arguments):
        file = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{event} {arguments[:3]} by {sys.argv}\n".encode("utf-8", "backslashreplace"))
        os.close(file)
        if not _is_asked(event, arguments):
            raise PermissionError(f"the test's recorder refuses {event} {arguments[:3]}")


sys.addaudithook(_record)
