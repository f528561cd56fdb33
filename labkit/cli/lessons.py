"""`labkit lessons`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from labkit import errors
from labkit.cli import options, output, session

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.lab import Lab
    from labkit.lessons import results

ACTIONS = (
    *("list", "start", "check", "hint", "solve", "reset", "goto", "restore", "progress"),
    *("test", "new"),
)
_WITHOUT_A_LESSON = ("list", "progress", "restore")
#: A check does not pass yet.
_NOT_YET = 1


@click.command()
@options.shared("table", "json", "yaml")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="The learner's notebooks; for `test` and `new` the lessons.",
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

    `goto` is `start`: any lesson can be begun at any time. For authors:

    \b
      labkit lessons new 12-my-lesson   a notebook and its TOML, to begin with
      labkit lessons test 12            solve it and reset it, twice: do its checks mean something?
    """
    from labkit.lessons import lesson as lessons
    from labkit.lessons import workspace

    current: session.Session = context.obj
    if action in ("list", "progress"):
        _refuse(action, lesson)
        output.show(lessons.standings(), current.output)
        return
    if action == "new":
        output.show(_new(lesson, folder), current.output)
        return
    with current.lab() as lab:
        if action == "test":
            context.exit(0 if _test(lesson, folder, lab, current.output) else _NOT_YET)
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
        does: dict[str, Callable[[], results.Hint | results.Done]] = {
            "hint": running.hint,
            "solve": running.solve,
            "reset": running.reset,
        }
        output.show(does[action](), current.output)
        if action == "reset" and folder:
            output.note(repr(workspace.renew(lesson, folder)))


def _new(name: str | None, folder: Path | None) -> results.Done:
    from labkit.lessons import catalogue, scaffold

    if not name:
        raise errors.UsageError(
            "`lessons new` needs a name", hint="two digits, then words: 12-my-lesson"
        )
    return scaffold.create(name, folder or catalogue.folder())


def _test(name: str | None, folder: Path | None, lab: Lab, form: str) -> bool:
    """All lessons, or one. A person sees each as soon as it is known; a pipe gets one document."""
    from labkit.lessons import catalogue, proving, results
    from labkit.lessons import lesson as lessons

    chosen = (catalogue.find(name, folder),) if name else catalogue.entries(folder)
    lessons.ensure_up(lab)
    proofs = []
    for entry in chosen:
        proofs.append(proving.prove(entry, lab))
        if form == "table":
            click.echo(repr(proofs[-1]))
    found = results.Proofs(tuple(proofs))
    if form != "table":
        output.show(found, form)
    return found.ok


def _refuse(action: str, lesson: str | None) -> None:
    if lesson:
        raise errors.UsageError(f"`lessons {action}` is about all lessons, and takes none")
