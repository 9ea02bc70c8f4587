"""Real Web servers in front of real gfcgi processes: one table of cases, a column for each."""
