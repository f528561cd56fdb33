#!/usr/bin/env python3
"""A `vagrant` for tests: machines are lines in the JSON file that FAKE_VAGRANT names.

fails    what a verb says before it fails; `up` has then made those of `before_failing`
stops    a verb stands still in the middle, having told so by the FIFO that is named
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

FILE = Path(os.environ.get("FAKE_VAGRANT", ""))
STATES = {"up": "running", "halt": "shutoff", "destroy": "not_created"}

#: What it is told to do, and what it has done, as long as there are no machines.
EMPTY = {
    "calls": [],
    "fails": {},
    "before_failing": [],
    "stops": {},
    "is_slow": False,
    "snapshots": [],
}


def main(verb: str, *words: str) -> int:
    state = json.loads(FILE.read_text())
    state["calls"].append(" ".join((verb, *words)))
    state["environment"] = {k: v for k, v in os.environ.items() if k.startswith("LABKIT_")}
    names = [word for word in words if not word.startswith("-")]
    if verb in state["stops"]:
        return stand_still(state, state["stops"][verb])
    if verb in state["fails"]:
        change(state, verb, state["before_failing"])
        sys.stderr.write(state["fails"][verb])
    elif verb in STATES:
        change(state, verb, names)
    else:
        sys.stdout.writelines(f"{line}\n" for line in answer(state, verb, names))
    FILE.write_text(json.dumps(state))
    return int(verb in state["fails"])


def stand_still(state: Any, fifo: str) -> int:
    """As Vagrant does: an interrupt makes it take away what is half made; a second ends it."""
    half = Path("half-made")
    half.touch()
    try:
        tell(fifo)
        signal.pause()
    except KeyboardInterrupt:
        if state["is_slow"]:
            tell(fifo)
            signal.pause()
        half.unlink()
        sys.stderr.write("Vagrant exited after cleanup due to external interrupt.\n")
    FILE.write_text(json.dumps(state))
    return 1


def tell(fifo: str) -> None:
    """Opening it waits until the test reads there."""
    Path(fifo).write_text("")


def change(state: Any, verb: str, names: list[str]) -> None:
    for name in names:
        state["machines"][name]["state"] = STATES[verb]
        mark = Path(".vagrant/machines", name, "fake", "id")
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(name)
        if verb == "destroy":
            mark.unlink()


def answer(state: Any, verb: str, words: list[str]) -> list[str]:
    machines, kept = state["machines"], state["snapshots"]
    if verb == "status":
        return [f"1,{name},state,{each['state']}" for name, each in machines.items()]
    if verb == "ssh-config":
        running = {name: machines[name] for name in words}
        if not all(each["state"] == "running" for each in running.values()):
            return ["one of them is not yet ready for SSH"]
        return [
            f"Host {name}\n  HostName 127.0.0.1\n  User root\n  Port {each['port']}\n"
            f'  IdentityFile "/nowhere/key"\n  IdentityFile {each["key"]}\n'
            for name, each in running.items()
        ]
    if words[0] == "save":
        kept.append(words[1])
    if words[0] == "delete":
        kept.remove(words[1])
    return [f"==> {name}: \n{each}" for name in machines for each in kept]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
