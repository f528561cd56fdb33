"""Virtual machines, made by Vagrant from the Vagrantfile that can also be used by hand.

* `machines`   what the Vagrantfile is told, and which of Vagrant's providers fits this machine
* `calls`      `vagrant` itself, through python-vagrant: each call costs seconds, so there are few
* `driver`     python-vagrant, with a Ctrl-C that Vagrant survives
* `faults`     what Vagrant says when something fails, and what to do about it
* `survey`     what this machine has for Vagrant, and `judging`: what that means for a lab
* `contact`    the first time that a machine is met: whose host key it has, which key may log in
* `provider`   the provider protocol on top

Vagrant makes the machines and tells where their sshd is. All else goes over SSH.
"""
