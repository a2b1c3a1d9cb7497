"""How a task is asked: which items, in which format, with which shots.

Read `take` (a part of the items), `formats` (a choice by letter, by text, or written), `letters` (what was written),
`shots`, and `tasks`, which puts them together.
"""
