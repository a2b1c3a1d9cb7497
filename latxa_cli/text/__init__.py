"""What several rooms need to know about text: its clean form, its words, its language, what it shares with another."""
