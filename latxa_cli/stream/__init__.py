"""What every verb stands on: checked records in, outcomes out, counts, manifests, resuming, the terminal."""
