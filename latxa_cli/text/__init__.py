"""Facts about texts that several rooms need: clean form, words, language, repeats, n-grams, embeddings, chrF."""
