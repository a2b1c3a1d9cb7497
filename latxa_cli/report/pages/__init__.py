"""Pages for a browser: one HTML file each, which loads nothing and shows untrusted texts as texts."""
