"""From messy documents to a clean corpus in one language."""
