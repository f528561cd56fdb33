"""The command line: a translator. Options in, one call to the Lab, a value or an error out.

`app` finds the verbs, each in a file of its own, loaded when it is typed; `session` holds what all
verbs share; `options` declares it; `output`, `progress` and `failures` are the three ways in which
something is said. Data goes to stdout, everything else to stderr.
"""


def main() -> None:
    """Run the `labkit` command; ends the process."""
    from labkit.cli import app

    app.labkit(prog_name="labkit")
