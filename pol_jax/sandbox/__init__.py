"""A verification runs in a confined process of its own, and replays in several if that is asked for.

This file imports nothing: the child confines itself before anything that starts threads is imported.
"""
