"""One lesson on one lab: what a notebook talks to.

Every method returns a value that shows itself; nothing prints. Each may be called in any order and
again: running all cells of a notebook twice gives the same lab twice.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from labkit import errors, faults
from labkit.display import document, shown
from labkit.inspection import probing
from labkit.inspection.predict import asking
from labkit.lab import api
from labkit.lessons import (
    catalogue,
    checkpoint,
    checks,
    glossary,
    grammar,
    progress,
    results,
    stash,
    truths,
)
from labkit.model import resources, words

if TYPE_CHECKING:
    from labkit.lab import Lab

#: What a checkpoint may take on a loaded machine; on an idle one it is about a second.
TIMEOUT_S = 60.0


class Lesson(shown.Shown):
    """A lesson that has begun. `lab` is the lab it runs on."""

    def __init__(self, entry: catalogue.Entry, lab: Lab, began: results.Done) -> None:
        self.name = entry.name
        self.file = entry.read()
        self.lab = lab
        self.began = began

    def document(self) -> document.Section:
        return document.Section(
            f"{self.file.title} ({self.file.minutes} minutes)",
            (
                document.Text("At the end you can:"),
                document.Items(self.file.goals),
                document.Section(
                    f"The lab {self.lab.spec.name} is ready",
                    tuple(document.Text(line) for line in self.began.lines),
                ),
            ),
        )

    def ask(self, question: str) -> results.Question:
        """The question, and what the learner has committed to so far."""
        asked = self._question(question)
        done = progress.load().of(self.name).predictions.get(question)
        answer = done.answer if done else ""
        names = asked.truth in truths.NAMES
        return results.Question(self.name, asked.id, asked.text, asked.answers, answer, names)

    def predict(self, question: str, answer: str) -> results.Question:
        """Commit to an answer; before the request is sent it may still change.

        Raises UsageError for an answer that the question does not have.
        """
        asked = self._question(question)
        known = [value for value, _ in asked.answers]
        if answer not in known:
            raise errors.UsageError(
                f"{answer!r} is no answer to {question!r}", hint=words.suggest(answer, known)
            )
        with progress.changing() as kept:
            predictions = kept.of(self.name).predictions
            graded = predictions.get(question)
            if not graded or not graded.truth:
                predictions[question] = progress.Prediction(answer)
        return self.ask(question)

    def grade(self, question: str, seen: Any) -> results.Grade:
        """Compare the prediction with what `seen`, a probe or an inspection, tells."""
        asked = self._question(question)
        truth = truths.read(asked.truth, seen)
        with progress.changing() as kept:
            prediction = kept.of(self.name).predictions.get(question)
            if prediction:
                prediction.truth = truth
        mine = self.ask(question)
        expected, happened = mine.say(mine.predicted), mine.say(truth)
        return results.Grade(mine.text, mine.predicted, truth, asked.why, expected, happened)

    def check(self, only: str = "", *, wait: bool = True) -> results.CheckReport:
        """Look at the live lab: all checks, or one. What passes is remembered.

        Without `wait`, a check that needs its time to pass is looked at only once.
        """
        wanted = [self._check(only)] if only else self.file.checks
        report = results.CheckReport(
            self.name, tuple(checks.check(self.lab, one, wait=wait) for one in wanted)
        )
        passed = [one.id for one in report.checks if one.state == "pass"]
        with progress.changing() as kept:
            mine = kept.of(self.name)
            mine.passed = [*mine.passed, *(one for one in passed if one not in mine.passed)]
            if not mine.done and {one.id for one in self.file.checks} <= set(mine.passed):
                mine.done = progress.now()
        return report

    def hint(self, only: str = "") -> results.Hint:
        """The next step of the ladder for the first check that does not pass yet."""
        report = self.check(only, wait=False)
        missing = next((one for one in report.checks if one.state != "pass"), None)
        if missing is None:
            return results.Hint(self.name, "", 0, "Every check passes.")
        with progress.changing() as kept:
            given = kept.of(self.name).hints
            level = given[missing.id] = min(given.get(missing.id, 0) + 1, 4)
        return self._hint(self._check(missing.id), missing, level)

    def _hint(self, one: grammar.Check, seen: results.Checked, level: int) -> results.Hint:
        if level == 3 and not one.near:
            level = 4
        if level == 1:
            return results.Hint(self.name, one.id, 1, one.nudge)
        if level == 2:
            text = f"Expected was {seen.expected}. Right now: {seen.found}. This shows it:"
            return results.Hint(self.name, one.id, 2, text, (seen.look,))
        if level == 3:
            return results.Hint(self.name, one.id, 3, one.near)
        text = "lesson.solve() does it for you. By hand it is:"
        return results.Hint(self.name, one.id, 4, text, tuple(solution_lines(self.file.solution)))

    def word(self, name: str) -> glossary.Term:
        """What a word of the lessons means. Raises NothingMatched."""
        return glossary.load().word(name)

    def solve(self) -> results.Done:
        """Do the lesson's task, in the way that the last hint shows."""
        solution = self.file.solution
        did = self._solve_fault() if solution.fault else []
        for path in solution.delete:
            kind, _, name = path.partition("/")
            if checks.look(self.lab, grammar.AbsentCheck(id="-", nudge="-", object=path)):
                self.lab.delete(kind, name, timeout_s=TIMEOUT_S)
                did.append(f"deleted {path}")
        objects = checkpoint.wanted("nothing", solution.objects, self.name)
        did += [repr(one) for obj in objects for one in self.lab.apply(obj)]
        there = checkpoint.wanted(self.file.checkpoint, self.file.objects, "")
        kept = [obj for obj in there if checkpoint.path(obj) not in solution.delete]
        settle(self.lab, (*objects, *kept))
        for target, *argv in solution.run:
            said = self.lab.exec(target, argv)
            did.append(said.line)
        return results.Done(f"Lesson {self.name}, solved", tuple(did))

    def fault(
        self, name: str, *, node: str | None = None, seed: int | None = None
    ) -> faults.Receipt:
        """Break the lab in this way, or with `random` in one that is not told.

        What was broken before is mended first: a cell may run twice.
        """
        faults.clear(self.lab)
        if name == "random":
            return faults.random(self.lab, seed=seed)
        return faults.inject(self.lab, name, node=node)

    def diagnose(
        self, *, node: str | None = None, layer: str | None = None, cause: str | None = None
    ) -> faults.Grade:
        """Grade what you think the fault is, and whether requests are answered again."""
        return faults.diagnose(self.lab, node=node, layer=layer, cause=cause)

    def clear(self) -> faults.Cleared:
        """Undo the fault, say what it was, and prove that all is as before."""
        return faults.clear(self.lab)

    def _solve_fault(self) -> list[str]:
        if faults.listing(self.lab).active is None:
            faults.random(self.lab, seed=0)
        return [f"named and undid the fault {faults.reveal(self.lab).fault}"]

    def reset(self) -> results.Done:
        """Back to the lesson's start, and forget its predictions, checks and hints."""
        done = bring_to_checkpoint(self.lab, self.name, self.file)
        with progress.changing() as kept:
            kept.lessons.pop(self.name, None)
            kept.of(self.name).began = progress.now()
        return done

    def restore(self) -> results.Done:
        """Bring the learner's own objects back, those that lessons had put aside."""
        return restore(self.lab)

    def _question(self, name: str) -> grammar.Question:
        for one in self.file.questions:
            if one.id == name:
                return one
        hint = words.suggest(name, [one.id for one in self.file.questions])
        raise errors.NothingMatched(f"lesson {self.name} asks nothing called {name!r}", hint=hint)

    def _check(self, name: str) -> grammar.Check:
        for one in self.file.checks:
            if one.id == name:
                return one
        hint = words.suggest(name, [one.id for one in self.file.checks])
        raise errors.NothingMatched(f"lesson {self.name} checks nothing called {name!r}", hint=hint)


def start(name: str, lab: Lab) -> Lesson:
    """Begin a lesson, or go on with it: the lab runs, and holds what the lesson needs."""
    entry = catalogue.find(name)
    did = ensure_up(lab)
    done = bring_to_checkpoint(lab, entry.name, entry.read())
    with progress.changing() as kept:
        mine = kept.of(entry.name)
        mine.began = mine.began or progress.now()
    lines = (*did, *done.lines) or ("it already held what this lesson needs",)
    return Lesson(entry, lab, results.Done(done.heading, lines))


def attach(name: str, lab: Lab) -> Lesson:
    """The lesson on the lab as it is: nothing is brought to a checkpoint."""
    return Lesson(catalogue.find(name), lab, results.Done("The lab", ("as you left it",)))


def bring_to_checkpoint(lab: Lab, name: str, file: grammar.LessonFile) -> results.Done:
    """Make the namespace default what the lesson begins with. About a second; none if it is.

    What somebody broke on purpose is mended first.
    """
    mended = faults.end(lab)
    want = checkpoint.wanted(file.checkpoint, file.objects, name)
    have = [
        {"apiVersion": kind.api_version, "kind": kind.kind, **obj}
        for kind in checkpoint.KINDS
        for obj in lab.api.client.list(kind, checkpoint.NAMESPACE)["items"]
    ]
    plan = checkpoint.plan(have, want)
    stash.add(lab.paths, plan.stash)
    for obj in plan.delete:
        _delete(lab, obj)
    applied = [repr(one) for obj in plan.apply for one in lab.apply(obj)]
    if plan.delete or plan.apply:
        settle(lab, want)
    kept = [f"put your own {resources.name_of(obj)} aside" for obj in plan.stash]
    gone = [f"removed {obj['kind']} {obj['metadata']['name']}" for obj in plan.delete]
    return results.Done(f"Lesson {name}, at its start", (*mended, *kept, *gone, *applied))


def settle(lab: Lab, objects: tuple[resources.Object, ...]) -> None:
    """Return when these pods are ready, and these Services answer on every node.

    Rules alone are not enough: none tells which endpoints a proxy knows. A real request does.
    Raises TimedOut.
    """
    if pods := checkpoint.pods_of(objects):
        lab.api.wait_for(
            resources.PODS,
            pods,
            api.lacks_readiness,
            namespace=checkpoint.NAMESPACE,
            timeout_s=TIMEOUT_S,
        )
    nodes = [node.name for node in lab.spec.cluster]
    for obj in objects:
        if obj["kind"] == "Service":
            name = f"{checkpoint.NAMESPACE}/{obj['metadata']['name']}"
            parts = _rule_parts(lab.get("services", obj["metadata"]["name"]).objects[0])
            probing.wait_until_served(lab.pool, nodes, name, timeout_s=TIMEOUT_S, parts=parts)
    deadline = time.monotonic() + TIMEOUT_S
    for request in _requests(lab, objects):
        while not (sent := lab.probe(request)).ok:
            if time.monotonic() > deadline:
                told = "; ".join(each.error for each in sent.failed)
                raise errors.TimedOut(
                    f"{request.service} does not answer {request.sender}: {told}",
                    hint=f"labkit inspect {request.service}",
                )


def _rule_parts(service: resources.Object) -> list[str]:
    """What the rules of this very Service say, and no other's."""
    ports = service["spec"]["ports"]
    numbers = [port[key] for port in ports for key in ("port", "nodePort") if port.get(key)]
    return [f"-d {service['spec']['clusterIP']}/32", *(f"--dport {number}" for number in numbers)]


def _requests(lab: Lab, objects: Sequence[resources.Object]) -> Iterator[asking.Request]:
    """One for each node and each way to a Service that has pods among `objects`."""
    labels = [
        (obj["metadata"].get("labels") or {}).items() for obj in objects if obj["kind"] == "Pod"
    ]
    for obj in objects:
        spec = obj.get("spec") or {}
        selector = spec.get("selector") if obj["kind"] == "Service" else None
        if not selector or not any(selector.items() <= each for each in labels):
            continue
        ways = ("cluster-ip", "node-port") if spec.get("type") == "NodePort" else ("cluster-ip",)
        name = obj["metadata"]["name"]
        for node in lab.spec.cluster:
            for via in ways:
                yield asking.Request(name, sender=f"node/{node.name}", via=via)


def restore(lab: Lab) -> results.Done:
    kept = stash.load(lab.paths)
    did = [repr(one) for obj in kept for one in lab.apply(obj)]
    stash.clear(lab.paths)
    return results.Done("Your own objects are back", tuple(did))


def standings() -> results.Standings:
    """How far the learner has come in each lesson."""
    known = progress.load()
    return results.Standings(
        tuple(_standing(entry, known.of(entry.name)) for entry in catalogue.entries())
    )


def _standing(entry: catalogue.Entry, mine: progress.LessonProgress) -> results.Standing:
    file = entry.read()
    return results.Standing(
        name=entry.name,
        title=file.title,
        minutes=file.minutes,
        state="done" if mine.done else "begun" if mine.began else "not begun",
        predictions=len(file.questions),
        right=sum(one.answer == one.truth for one in mine.predictions.values()),
        checks=len(file.checks),
        passed=len(mine.passed),
        hints=sum(mine.hints.values()),
    )


def solution_lines(solution: grammar.Solution) -> list[str]:
    """The solution as one would type it."""
    lines = ["labkit fault clear"] if solution.fault else []
    lines += [f"labkit delete {path.replace('/', ' ')}" for path in solution.delete]
    if solution.objects.strip():
        lines += ["labkit apply -f - <<EOF", *solution.objects.strip().splitlines(), "EOF"]
    return lines + [f"labkit exec {on} -- {shlex.join(argv)}" for on, *argv in solution.run]


def ensure_up(lab: Lab) -> list[str]:
    """Start the lab, or mend it, unless all of it runs."""
    try:
        status = lab.status()
    except errors.NothingMatched:
        return [f"made the lab: {line}" for line in lab.up(example=False).did[:1]] or ["started"]
    if status.state == "running" and all(node.healthy for node in status.nodes):
        return []
    report = lab.up(example=False)
    return [f"mended the lab: {', '.join(report.did)}"] if report.did else []


def _delete(lab: Lab, obj: resources.Object) -> None:
    resource = next(kind for kind in checkpoint.KINDS if kind.kind == obj["kind"])
    try:
        lab.api.client.delete(resource, obj["metadata"]["name"], checkpoint.NAMESPACE, grace_s=0)
    except errors.NotFound:
        return
    lab.api.wait_for(
        resource,
        [obj["metadata"]["name"]],
        api.lacks_nothing_but_absence,
        namespace=checkpoint.NAMESPACE,
        timeout_s=TIMEOUT_S,
    )
