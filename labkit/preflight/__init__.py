"""What a lab needs of the learner's machine, found out before anything is made.

`packages` knows the programs and the Debian packages that bring them; `machine` tries what the
kernel allows; `findings` says what that means and what to change.
"""
