"""What `maskzoo data check` finds in a data set, and what its `--fix` repairs."""
