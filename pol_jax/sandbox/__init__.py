"""Verification in a confined process of its own, and replay in several.

This file imports nothing: the child confines itself before anything that starts threads is imported.
"""
