"""Rules in plain words: any rule of any program, each match and each target.

    phrases     how a condition is worded, and its opposite
    matches     what a packet can be asked for, without and with the everyday extensions
    extensions  the rarer extensions
    targets     what can happen to a packet
    chains      what kube-proxy's chains are for
    rule        one rule: a clause for each condition, one for the outcome, a sentence of all
    ruleset     many rules at once
    reading     a rule as somebody typed it, or as `iptables-save` printed it

The words are data: an extension is one entry in a table. What no table knows is shown to the
letter and says of itself that it is not known.
"""
