"""`labkit lessons`."""

from __future__ import annotations

from pathlib import Path

import click

from labkit import errors
from labkit.cli import options, output, session

ACTIONS = ("list", "start", "check", "hint", "solve", "reset", "goto", "restore", "progress")
_WITHOUT_A_LESSON = ("list", "progress", "restore")
#: A check does not pass yet.
_NOT_YET = 1


@click.command()
@options.shared("table", "json", "yaml")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), help="The learner's notebooks."
)
@click.argument("action", type=click.Choice(ACTIONS), default="list")
@click.argument("lesson", required=False, metavar="[LESSON]")
@click.pass_context
def command(context: click.Context, action: str, lesson: str | None, folder: Path | None) -> None:
    """Work through the lessons in a terminal, as in the notebooks.

    \b
      labkit lessons                  all lessons, and how far you have come
      labkit lessons start 02         bring the lab to the lesson's start
      labkit lessons check 02         does the live lab hold what the task asks for?
      labkit lessons hint 02          the next hint: four of them, the last is the solution
      labkit lessons solve 02         have it done
      labkit lessons reset 02         back to the start; with --folder also a fresh notebook
      labkit lessons restore          your own objects, which lessons had put aside

    `goto` is `start`: any lesson can be begun at any time.
    """
    from labkit.lessons import lesson as lessons
    from labkit.lessons import workspace

    current: session.Session = context.obj
    if action in ("list", "progress"):
        _refuse(action, lesson)
        output.show(lessons.standings(), current.output)
        return
    with current.lab() as lab:
        if action == "restore":
            _refuse(action, lesson)
            output.show(lessons.restore(lab), current.output)
            return
        if not lesson:
            raise errors.UsageError(
                f"`lessons {action}` needs a lesson", hint="`labkit lessons` lists them"
            )
        if action in ("start", "goto"):
            begun = lessons.start(lesson, lab)
            output.show(begun.began, current.output)
            if current.output == "table":
                output.note(repr(begun))
            return
        running = lessons.attach(lesson, lab)
        if action == "check":
            report = running.check()
            output.show(report, current.output)
            context.exit(0 if report.ok else _NOT_YET)
        elif action == "hint":
            output.show(running.hint(), current.output)
        elif action == "solve":
            output.show(running.solve(), current.output)
        else:
            output.show(running.reset(), current.output)
            if folder:
                output.note(repr(workspace.renew(lesson, folder)))


def _refuse(action: str, lesson: str | None) -> None:
    if lesson:
        raise errors.UsageError(f"`lessons {action}` is about all lessons, and takes none")
