"""These modules put facts of a report into words, the same in its reasons, in the terminal and on a page.

Each line is a statement that can be understood by itself: reports are quoted in part.
"""
