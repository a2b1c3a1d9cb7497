"""One file a verb: its declaration and its wiring; the work itself lives in the rooms."""
