"""These packages use engines that others have: each is an extra, and nothing of the core needs one."""
