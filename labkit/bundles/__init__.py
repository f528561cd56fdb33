"""Everything that a room without internet needs, in one file or folder: boxes, wheels, notebooks.

manifest    what is in a bundle, with sizes and sums, and for which machines it is; pure
pack        puts one together, where there is internet
unpack      opens one, and believes nothing that is not as the manifest says
"""
