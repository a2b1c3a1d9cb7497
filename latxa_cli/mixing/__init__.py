"""From a corpus and instruction data to one training mix."""
