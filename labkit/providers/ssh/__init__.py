"""Machines that exist already: they are looked at, borrowed, and given back as they were found.

* `probe.sh`    all that is asked of a host before anything is changed, in one round trip
* `survey`      what it said, as a value
* `checks`      what cannot be, of all hosts together, each with what to do
* `hostkeys`    the host key that the learner's own known_hosts has
* `record`      this lab's id, and which hosts bear it
* `provider`    the provider protocol on top

The file /var/lib/labkit.mark on a host says whose it is, and what it was before: what `down`
puts back is read from there, so that it works after any crash.
"""
