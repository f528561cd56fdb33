"""A connection to a Service that stays open: what it feels of whatever happens to the lab.

on_sender   what runs on the sender's machine, and holds it
holding     the same from here: asked again and again over the one connection
"""
