"""Findings: what a reader of a ranking must know, each a record and a line for people.

`evidence` (what they are drawn from), `limits` (what bounds a ranking), `soundness` (position, ties), `annotators` (who
voted), `leverage` (how few votes decide), `separation` (neighbours, and how many votes would part them).
"""
