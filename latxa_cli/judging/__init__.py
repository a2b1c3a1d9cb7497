"""Judges, which compare responses to the same prompts, or score each by itself, by a rubric.

The way of a response: `rubric` (what is asked) and `matching` (which responses meet; `newcomers`: in an arena), then
`measures` (chrF, reward models) or `panel` (judges that are asked: `sheet` is what they read, `verdict` what is read of
their answers), `records` (battles and scores), `tally` (what a run says of its judges). `languages` is the rubric
`code-switch`: `searched` (which words), `lexicon` (how frequent they are), `code_switch` (which are in another
language). `against` sets the votes of judges beside those of people; `merits` and `curves` have the figures.
"""
