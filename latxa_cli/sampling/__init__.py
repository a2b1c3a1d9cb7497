"""Drawing instructions from models (Magpie), and answering prompts."""
