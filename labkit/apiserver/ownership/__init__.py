"""Who owns which field: server-side apply, and the `managedFields` that it stands on.

Several people and controllers write one object. So that each can say what it wants, and only that,
the server notes for every field who has set it last. Then

    an update   takes the fields that it changes away from whoever had them
    an apply    owns what it names, gives up what it no longer names, and stops where it would
                change what is somebody else's: 409, unless it is forced

The modules, from the bottom up:

    fields     a set of fields, in the form that `managedFields` shows, and the algebra of such sets
    topology   which parts of an object can have owners of their own
    contents   the fields that an object has, and those in which two objects differ
    merging    put one object's fields into another; take fields out of an object
    entries    `managedFields`: one entry for each manager
    updating   what an ordinary write does to the entries
    applying   what an apply does to the object and to the entries
"""
