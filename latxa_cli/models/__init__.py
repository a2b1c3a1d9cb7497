"""Models made without training: from scratch, with a larger vocabulary, and by arithmetic on weights."""
