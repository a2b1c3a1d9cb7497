"""Text generation behind one small protocol: requests in, completions out as they finish."""
