"""What is evaluated: `suites` (tasks under one name), `files` (task files),
`loading` (tasks of a user, of ours, of the harness), `items` (faults in their data).

Our own task files are in `shipped/`, each called after its task.
"""
