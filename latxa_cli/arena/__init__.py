"""From battles to ratings: counts of votes, the Bradley-Terry fit, bootstrap intervals, and when no fit is finite."""
