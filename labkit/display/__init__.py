"""How values are shown: the same facts as plain text and as HTML.

A value describes itself once, as a `document`: headings, sentences, tables. `text` and `html` draw
that one description, so the two forms cannot tell different stories.
"""
