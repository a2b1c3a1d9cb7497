"""`latxa`: adapt instruction-following language models to low-resource languages, one JSONL command at a time."""

__version__ = "0.1.0"
