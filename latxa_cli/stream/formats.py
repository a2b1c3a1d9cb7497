"""The formats that tables are shown in, apart from what makes them: a flag names them, and help need not wait."""

from typing import Literal

Format = Literal["table", "jsonl", "csv", "markdown", "latex", "html"]
