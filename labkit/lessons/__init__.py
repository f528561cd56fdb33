"""Guided lessons on the live lab: predict, do, see, explain, check.

    grammar      what a lesson's TOML may say: questions, checks, hints, the solution
    catalogue    the lessons that there are, each a notebook and a TOML beside it
    checkpoint   the objects that a lesson begins with, and how the lab gets there
    stash        the learner's own objects, kept while a lesson needs the lab to itself
    truths       what really happened, read out of a probe or an inspection
    checks       the state of the live lab against what a task asks for
    results      what a learner sees of all that
    progress     one small file for each learner
    lesson       `Lesson`: the one object that a notebook talks to
    glossary     every word of the lessons in one sentence
    reference    chains, flags, ports, commands and faults on one page, from the code's own tables
    workspace    the learner's own copies of the notebooks

Checks and grades look at the lab, never at a notebook's variables: any way to the goal counts.
"""
