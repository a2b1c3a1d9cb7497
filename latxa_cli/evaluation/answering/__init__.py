"""Who answers: the harness's requests put to an engine, and an account of what became of each.

Read `wording`, `respondent`, `model`, `outcomes`, `beginning`, `estimate`.
"""
